"""Ollama's API: what becomes of a body, what an answer looks like, and Ollama's own client."""

import json

import jsonschema_rs
import ollama
import pytest
from fake_chat import FakeChat
from live_server import LONG, http, running, wait_for
from sansi.base.errors import SansiError
from sansi.serve.api.dialect import Told
from sansi.serve.api.ollama import models as told
from sansi.serve.api.ollama.request import CHAT_FIELDS, GENERATE_FIELDS, OPTIONS, parse_chat, parse_generate
from sansi.serve.api.ollama.schema import CHAT, GENERATE
from sansi.serve.api.requests import Policy, TextRequest
from sansi.serve.http.ollama_routes import NOT_HERE
from test_api_document import ROOT

QUESTION = [{"role": "user", "content": "What is 12 + 30?"}]
PARAMETERS = {"type": "object", "properties": {"a": {"enum": ["x"]}}, "required": ["a"]}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": PARAMETERS}}


def chat(policy=None, **body):
    return parse_chat({"model": "m", "messages": QUESTION, **body}, policy or Policy())


def generate(policy=None, **body):
    return parse_generate({"model": "m", "prompt": "x", **body}, policy or Policy())


def refused(parse, param, **body):
    with pytest.raises(SansiError) as caught:
        parse(**body)
    assert caught.value.param == param, caught.value
    return str(caught.value)


def lines_of(url, path, **body):
    response = http.post(f"{url}/api/{path}", json=body)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in response.text.splitlines()]


def client_of(url):
    return ollama.Client(host=url, timeout=LONG)


# --- a body as a request ----------------------------------------------------------------------------------------------


def test_options():
    asked = chat(
        options={
            **{"num_predict": 7, "temperature": 0.5, "top_k": 3, "top_p": 0.9, "min_p": 0.1, "seed": 1, "stop": ["x"]},
            **{"repeat_penalty": 1.1, "presence_penalty": 0.2, "frequency_penalty": 0.3},
        }
    ).options
    assert (asked.max_tokens, asked.temperature, asked.top_k, asked.top_p, asked.min_p) == (7, 0.5, 3, 0.9, 0.1)
    assert (asked.seed, asked.stop, asked.repetition_penalty) == (1, ["x"], 1.1)
    assert (asked.presence_penalty, asked.frequency_penalty) == (0.2, 0.3)
    for unbounded in (-1, -2):
        assert chat(options={"num_predict": unbounded}).options.max_tokens is None
    assert chat(options={"thinking_budget": 5}).options.thinking_budget == 5


@pytest.mark.parametrize(
    ("think", "switch", "budget"),
    [(None, None, None), (True, True, None), (False, False, None), ("low", None, 1024), ("high", None, 16_384)],
)
def test_think(think, switch, budget):
    for parse in (chat, generate):
        options = parse(think=think).options
        assert (options.enable_thinking, options.budget) == (switch, budget)


def test_formats():
    schema = {"type": "object", "properties": {}}
    assert chat(format="json").options.response_format == {"type": "json_object"}
    assert chat(format=schema).options.response_format["json_schema"]["schema"] == schema
    assert chat(format="").options.response_format is None


def test_a_conversation_with_calls():
    call = {"function": {"name": "f", "arguments": {"a": "x"}}}
    turns = [
        {"role": "system", "content": "s"},
        *QUESTION,
        {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [call, call]},
        {"role": "tool", "content": "one", "tool_name": "f"},
        {"role": "tool", "content": "two", "tool_name": "f"},
    ]
    asked = chat(messages=turns, tools=[TOOL])
    assert asked.messages[2]["reasoning_content"] == "hm" and len(asked.messages[2]["tool_calls"]) == 2
    assert [m["content"] for m in asked.messages[3:]] == ["one", "two"] and asked.options.tools == [TOOL]
    assert asked.options.continue_final is None
    assert chat(messages=[*QUESTION, {"role": "assistant", "content": "It is"}]).options.continue_final == "answer"


def test_unknown_keys_of_calls_are_named():
    call = {"type": "function", "mood": 1, "function": {"name": "f", "arguments": {}, "index": 0, "tone": 2}}
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [call]}]
    assert chat(messages=turns).ignored == ("tool_calls[].mood", "tool_calls[].function.tone")


def test_prompts_with_and_without_a_template():
    assert generate(system="s").messages == [{"role": "system", "content": "s"}, {"role": "user", "content": "x"}]
    raw = generate(raw=True, options={"num_predict": 3})
    assert isinstance(raw, TextRequest) and raw.prompts == ["x"]
    assert raw.options.max_tokens == 3 and raw.options.parse_special is True
    assert refused(generate, "system", raw=True, system="s")


def test_streams_are_the_default_and_names_may_have_a_tag():
    assert chat().stream and not chat(stream=False).stream
    assert chat(model="m:latest").model == "m"


def test_who_asks_nothing_wants_to_know_that_the_model_is_there(fake_url):
    assert isinstance(chat(messages=[]), Told) and isinstance(generate(prompt=""), Told)
    answer = http.post(f"{fake_url}/api/generate", json={"model": "fake", "keep_alive": "5m"}).json()
    assert (answer["done"], answer["done_reason"], answer["response"]) == (True, "load", "")
    assert http.post(f"{fake_url}/api/generate", json={"model": "other"}).status_code == 404


@pytest.mark.parametrize(
    ("parse", "param", "body", "word"),
    [
        (chat, "messages[0].images", {"messages": [{"role": "user", "content": "x", "images": ["aGk="]}]}, "words"),
        (chat, "messages[0].role", {"messages": [{"role": "usr", "content": "x"}]}, "user"),
        (chat, "options.stop[0]", {"options": {"stop": [1]}}, '"options.stop[0]" must be a string'),
        (chat, "options.temperature", {"options": {"temperature": 9}}, "0 to 2"),
        (chat, "options.temprature", {"options": {"temprature": 1}}, "temperature"),
        (chat, "options.mirostat", {"options": {"mirostat": 2}}, "temperature"),
        (chat, "format", {"format": "xml"}, "json"),
        (chat, "think", {"think": "lots"}, "low"),
        (chat, "top_logprobs", {"top_logprobs": 2}, "logprobs"),
        (generate, "suffix", {"suffix": "x"}, "end"),
        (generate, "template", {"template": "{{ .Prompt }}"}, "never executed"),
        (generate, "context", {"context": [1, 2]}, "/api/chat"),
        (generate, "images", {"images": ["aGk="]}, "describe"),
    ],
)
def test_refusals_name_the_field_and_say_what_to_send(parse, param, body, word):
    assert word in refused(parse, param, **body)


def test_what_changes_nothing_is_named_and_refused_by_a_strict_server():
    body = {"keep_alive": "10m", "options": {"num_ctx": 4096, "num_thread": 2}}
    assert sorted(chat(**body).ignored) == ["keep_alive", "options.num_ctx", "options.num_thread"]
    for one in ({"keep_alive": 0}, {"options": {"num_ctx": 4096}}):
        with pytest.raises(SansiError):
            chat(Policy(strict=True), **one)


# --- answers ----------------------------------------------------------------------------------------------------------


def fits(schema, value):
    errors = [error.message for error in jsonschema_rs.validator_for(schema).iter_errors(value)]
    assert not errors, errors


BODIES = {
    "plain": {},
    "think": {"think": True},
    "direct": {"think": False},
    "cut": {"options": {"num_predict": 5}},
    "form": {"think": False, "format": PARAMETERS},
    "scores": {"logprobs": True, "top_logprobs": 2},
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("path", ["chat", "generate"])
def test_lines_add_up_to_the_whole_answer(tiny_url, path, name):
    words = {"messages": QUESTION} if path == "chat" else {"prompt": "What is 12 + 30?"}
    more = BODIES[name]
    options = {"seed": 5, "num_predict": 200, **more.get("options", {})}
    body = {"model": "tiny", **words, **more, "options": options}
    lines = lines_of(tiny_url, path, **body)
    whole = http.post(f"{tiny_url}/api/{path}", json={**body, "stream": False}).json()
    fits(CHAT if path == "chat" else GENERATE, whole)
    parts = [line["message"] if path == "chat" else line for line in lines]
    said = whole["message"] if path == "chat" else whole
    text = "content" if path == "chat" else "response"
    for key in (text, "thinking"):
        assert "".join(part.get(key, "") for part in parts) == said.get(key, "")
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    last = lines[-1]
    assert last["eval_count"] == whole["eval_count"] and last["done_reason"] == whole["done_reason"]
    assert last["total_duration"] >= last["eval_duration"] and isinstance(last["total_duration"], int)
    if name == "cut":
        assert whole["done_reason"] == "length" and whole["eval_count"] == 5
    if name == "scores":
        assert [score for line in lines for score in line.get("logprobs", [])] == whole["logprobs"]


def test_calls_are_told_whole(tiny_url):
    body = {"model": "tiny", "messages": QUESTION, "tools": [TOOL], "think": False, "options": {"seed": 5}}
    lines = lines_of(tiny_url, "chat", **body, format="")
    calls = [call for line in lines for call in line["message"].get("tool_calls", [])]
    assert all(isinstance(call["function"]["arguments"], dict) for call in calls)


def test_the_clients_own_objects(fake_url):
    client = client_of(fake_url)
    answer = client.chat(model="fake", messages=QUESTION, think=True)
    assert (answer.message.content, answer.message.thinking) == ("It is 42", "12 + 30 is 42.")
    assert answer.done and answer.eval_count and answer.prompt_eval_count == 11
    parts = list(client.chat(model="fake", messages=QUESTION, stream=True))
    assert "".join(part.message.content for part in parts) == "It is 42" and parts[-1].done_reason == "stop"
    assert client.generate(model="fake", prompt="What is 12 + 30?", think=False).response == "It is 42"
    assert "".join(part.response for part in client.generate(model="fake", prompt="x", stream=True)) == "It is 42"


def test_which_models_there_are(tiny_url, tiny_chat):
    client = client_of(tiny_url)
    (model,) = client.list().models
    assert (model.model, model.details.family) == ("tiny", "qwen3") and model.size > 0
    shown = client.show("tiny:latest")
    assert shown.modelinfo["qwen3.context_length"] == tiny_chat.context_length
    assert shown.capabilities == ["completion", "tools", "thinking"] and "im_start" in shown.template
    assert client.ps().models[0].context_length == tiny_chat.context_length
    for path, schema in (("tags", told.TAGS), ("ps", told.PS), ("version", told.VERSION)):
        fits(schema, http.get(f"{tiny_url}/api/{path}").json())
    fits(told.SHOWN, http.post(f"{tiny_url}/api/show", json={"model": "tiny"}).json())


def test_errors_have_the_form_that_the_client_knows(fake_url):
    client = client_of(fake_url)
    with pytest.raises(ollama.ResponseError) as caught:
        client.chat(model="other", messages=QUESTION)
    assert caught.value.status_code == 404 and "not served here" in caught.value.error
    with pytest.raises(ollama.ResponseError) as caught:
        list(client.chat(model="fake", messages=QUESTION, stream=True, options={"temperature": 9}))
    assert caught.value.status_code == 400 and "temperature" in caught.value.error
    assert http.get(f"{fake_url}/api/nothing").json()["error"]


@pytest.mark.parametrize("path", NOT_HERE)
def test_what_is_done_elsewhere_is_answered_with_a_sentence(fake_url, path):
    method = "DELETE" if path == "/api/delete" else "POST"
    response = http.request(method, fake_url + path, json={"model": "fake"})
    assert response.status_code == 501 and NOT_HERE[path] in response.json()["error"]


def test_a_bug_in_mid_stream_ends_it_with_an_error():
    bugged = FakeChat()
    with running([bugged]) as url:
        bugged.fail_at = 2
        with pytest.raises(ollama.ResponseError) as caught:
            list(client_of(url).chat(model="fake", messages=QUESTION, stream=True))
        assert "secret" not in str(caught.value)


def test_a_client_that_leaves_cancels_the_generation():
    held = FakeChat()
    with running([held]) as url:
        held.hold_at = 2
        with http.stream("POST", f"{url}/api/chat", json={"model": "fake", "messages": QUESTION}) as response:
            next(response.iter_lines())
        assert wait_for(lambda: held.cancelled == 1)
        held.go.set()


def test_every_field_is_in_the_page():
    page = (ROOT / "docs" / "dialects.md").read_text(encoding="utf-8")
    about = page.split("## Ollama's API\n")[1].split("\n## ")[0]
    tables = {**CHAT_FIELDS, **GENERATE_FIELDS, **OPTIONS}
    own = {name for name, field in tables.items() if field.use == "applied"}
    assert not [name for name in own if f"`{name}`" not in about]
