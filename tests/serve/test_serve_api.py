"""The API as the official client speaks it, against a server that runs."""

import gzip
import json

import openai
import pytest
from live_server import http

QUESTION = [{"role": "user", "content": "What is 12 + 30?"}]


def ask(client, model="fake", stream=False, extra=None, **fields):
    return client.chat.completions.create(model=model, messages=QUESTION, stream=stream, extra_body=extra, **fields)


def collected(chunks):
    """The text, the reasoning, the sansi block and the usage that a stream adds up to."""
    chunks = list(chunks)
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    text = "".join(delta.content or "" for delta in deltas)
    reasoning = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    report = next(chunk.sansi for chunk in chunks if getattr(chunk, "sansi", None))
    return text, reasoning, without_timing(report), chunks[-1].usage


def without_timing(report):
    """What does not differ from one time to the next."""
    assert set(report["timing"]) == {"queue_s", "first_token_s", "total_s", "tokens_per_second"}
    return {key: value for key, value in report.items() if key != "timing"}


def test_thinking(client):
    answer = ask(client)
    choice = answer.choices[0]
    assert (choice.message.role, choice.message.content) == ("assistant", "It is 42")
    assert (choice.message.reasoning_content, choice.finish_reason) == ("12 + 30 is 42.", "stop")
    assert (answer.object, answer.model) == ("chat.completion", "fake")
    assert answer.sansi["mode"] == "thinking" and answer.sansi["mode_source"] == "default"
    assert answer.sansi["thinking_end_reason"] == "natural" and answer.sansi["closing_phrase_tokens"] == 0


def test_usage_is_exact(client):
    usage = ask(client).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (11, 10, 21)
    assert usage.completion_tokens_details.reasoning_tokens == 5
    assert usage.prompt_tokens_details.cached_tokens == 5


@pytest.mark.parametrize(
    "extra", [{"enable_thinking": False}, {"chat_template_kwargs": {"enable_thinking": False}}, {"thinking_budget": 0}]
)
def test_non_thinking(client, extra):
    answer = ask(client, extra=extra)
    assert answer.choices[0].message.content == "It is 42"
    assert getattr(answer.choices[0].message, "reasoning_content", None) is None
    assert answer.sansi["mode"] == "non-thinking"
    assert answer.usage.completion_tokens_details.reasoning_tokens == 0


def test_budget_cut(client):
    answer = ask(client, extra={"thinking_budget": 2})
    assert answer.choices[0].message.reasoning_content.startswith("12 + Considering")
    told = answer.sansi
    assert (told["thinking_budget_requested"], told["thinking_budget_applied"]) == (2, 2)
    assert (told["thinking_end_reason"], told["closing_phrase_tokens"]) == ("budget", 4)
    assert answer.usage.completion_tokens_details.reasoning_tokens - told["closing_phrase_tokens"] <= 2


@pytest.mark.parametrize("extra", [None, {"enable_thinking": False}, {"thinking_budget": 2}])
def test_streamed_equals_not_streamed(client, extra):
    whole = ask(client, extra=extra)
    text, reasoning, report, usage = collected(
        ask(client, stream=True, extra=extra, stream_options={"include_usage": True})
    )
    assert text == whole.choices[0].message.content
    assert reasoning == (getattr(whole.choices[0].message, "reasoning_content", None) or "")
    assert (report, usage) == (without_timing(whole.sansi), whole.usage)


def test_usage_is_streamed_only_when_asked_for(client):
    assert all(chunk.usage is None for chunk in ask(client, stream=True))


def test_the_stream_comes_piece_by_piece_and_ends_as_openai_does(fake_url):
    body = {"model": "fake", "messages": QUESTION, "stream": True}
    with http.stream("POST", f"{fake_url}/v1/chat/completions", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.iter_lines() if line]
    assert all(line.startswith("data: ") for line in lines) and lines[-1] == "data: [DONE]"
    chunks = [json.loads(line[6:]) for line in lines[:-1]]
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert sum("reasoning_content" in chunk["choices"][0]["delta"] for chunk in chunks) == 5


def test_options_reach_the_model(client, fake):
    sampling = {"temperature": 0.0, "top_p": 0.5, "presence_penalty": 1.0, "frequency_penalty": -1.0, "seed": 3}
    extra = {"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.1, "thinking_budget": 64, "enable_thinking": True}
    ask(client, max_completion_tokens=50, extra=extra, **sampling)
    options = fake.seen[-1][1]
    assert all(getattr(options, name) == value for name, value in {**sampling, **extra}.items())
    assert options.max_tokens == 50


def test_silence_leaves_every_choice_to_the_presets(client, fake):
    ask(client)
    options = fake.seen[-1][1]
    names = ("temperature", "top_p", "top_k", "min_p", "presence_penalty", "max_tokens", "seed", "enable_thinking")
    assert [getattr(options, name) for name in names] == [None] * len(names)


def test_the_document_says_how_strict_the_server_is(fake_url, strict_url):
    found = []
    for url in (fake_url, strict_url):
        content = http.get(f"{url}/openapi.json").json()["paths"]["/v1/chat/completions"]["post"]["requestBody"][
            "content"
        ]
        properties = content["application/json"]["schema"]["properties"]
        found.append(
            (properties["store"].get("anyOf"), properties["chat_template_kwargs"]["anyOf"][0]["additionalProperties"])
        )
    assert found == [(None, True), ([{"enum": [False]}, {"type": "null"}], False)]


def test_models_and_health(client, fake_url):
    (card,) = client.models.list().data
    examples = {"en": [{"title": "Add", "text": "What is 12 + 30?"}]}
    assert (card.id, card.context_length, card.description, card.examples) == ("fake", 1024, {}, examples)
    assert card.sansi == {"budget_curve": {"points": []}}
    assert client.models.retrieve("fake").id == "fake"
    health = http.get(f"{fake_url}/health").json()
    assert (health["status"], health["models"]) == ("ok", ["fake"])


# --- wrong input -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "user", "content": "x" * 2000}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].type"),
        ({"thinking_budget": -2}, "thinking_budget"),
        ({"thinking_budget": 1.5}, "thinking_budget"),
        ({"thinking_budget": True}, "thinking_budget"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 10**400}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_k": -2}, "top_k"),
        ({"seed": 2**63}, "seed"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_completion_tokens"),
        ({"enable_thinking": "no"}, "enable_thinking"),
        (
            {"enable_thinking": True, "chat_template_kwargs": {"enable_thinking": False}},
            "chat_template_kwargs.enable_thinking",
        ),
        ({"logit_bias": {"5": 101}}, "logit_bias.5"),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"logit_bias": {"-1": 1}}, "logit_bias"),
        ({"logit_bias": {str(i): 1 for i in range(1025)}}, "logit_bias"),
        ({"logit_bias": [[5]]}, "logit_bias[0]"),
        ({"logit_bias": "5"}, "logit_bias"),
        ({"min_tokens": -1}, "min_tokens"),
        ({"stop": [""]}, "stop[0]"),
        ({"stop": ["a"] * 65}, "stop"),
        ({"stop": "x" * 257}, "stop"),
        ({"stop": 5}, "stop"),
        ({"stop_token_ids": [-1]}, "stop_token_ids[0]"),
        ({"stop_token_ids": [1] * 65}, "stop_token_ids"),
        ({"stop_token_ids": "1"}, "stop_token_ids"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"n": True}, "n"),
        ({"logprobs": 1}, "logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"response_format": "json"}, "response_format"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "some"}, "tool_choice"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice.allowed_tools"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function"),
        ({"tool_choice": {"type": "function", "function": "x"}}, "tool_choice.function"),
        ({"tool_choice": {"type": "function", "function": None}}, "tool_choice.function"),
        ({"tool_choice": {"type": "function", "function": ["x"]}}, "tool_choice.function"),
        ({"tool_choice": {"type": "function", "function": {"name": 5}}}, "tool_choice.function.name"),
        ({"tool_choice": {"type": "function", "function": {"name": ""}}}, "tool_choice.function.name"),
        ({"tool_choice": {"type": "function", "function": {"name": "f", "x": 1}}}, "tool_choice.function.x"),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}, "x": 1}}, "tool_choice.x"),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice"),
        ({"tool_choice": ["auto"]}, "tool_choice"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": "f"}]}, "tools[0].function"),
        ({"tools": ["f"]}, "tools[0]"),
        ({"tools": {"type": "function"}}, "tools"),
        ({"continue_final": "all"}, "continue_final"),
        ({"add_generation_prompt": False}, "add_generation_prompt"),
        ({"continue_final": "answer", "add_generation_prompt": True}, "add_generation_prompt"),
        ({"chat_template_kwargs": {"enable_thinking": 1}}, "chat_template_kwargs.enable_thinking"),
        ({"chat_template_kwargs": []}, "chat_template_kwargs"),
        ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"ignore_eos": 1}, "ignore_eos"),
        ({"chat_template": "{{ x }}"}, "chat_template"),
        ({"stream": "yes"}, "stream"),
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_wrong_field_gets_400_that_names_it(post, change, param, stream):
    body = {"model": "fake", "messages": QUESTION} | ({"stream": True} if stream else {})
    response = post({**body, **change})
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert param.split(".")[-1].split("[")[0] in error["message"]


IGNORED = [
    ({"chat_template_kwargs": {"thinking": True}}, "chat_template_kwargs.thinking", None),
    ({"metadata": {"a": 1}}, "metadata", "metadata.a"),
    ({"metadata": {"a": "x" * 513}}, "metadata", "metadata.a"),
    ({"metadata": {"a" * 65: "x"}}, "metadata", None),
    ({"metadata": {str(i): "x" for i in range(17)}}, "metadata", None),
    ({"metadata": "a"}, "metadata", None),
    ({"user": "x" * 513}, "user", None),
    ({"safety_identifier": "x" * 65}, "safety_identifier", None),
    ({"messages": [{"role": "user", "content": "x", "name": "Ann"}]}, "messages[].name", "messages[0].name"),
    ({"store": True}, "store", None),
    ({"parallel_tool_calls": False}, "parallel_tool_calls", None),
    ({"stream_options": {"include_usage": True}}, "stream_options", None),
]


@pytest.mark.parametrize(("change", "ignored", "param"), IGNORED)
def test_what_changes_nothing_is_named_whole_or_streamed_and_a_strict_server_refuses_it(
    post, strict_url, change, ignored, param
):
    body = {"model": "fake", "messages": QUESTION, **change}
    assert post(body).json()["sansi"]["ignored"] == [ignored]
    refused = http.post(f"{strict_url}/v1/chat/completions", json=body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param or ignored)
    if "stream_options" not in change:
        events = post(body | {"stream": True}).text.split("\n\n")
        assert json.loads(events[-3].removeprefix("data: "))["sansi"]["ignored"] == [ignored]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b'{"temperature": NaN}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"model": "fake", "model": "fake"}',
        b'{"model": "fake", "messages": [{"role": "user", "content": "x", "content": "y"}]}',
        '{"model": "fake"}'.encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b'{"a": 1' + b"0" * 5000 + b"}",
    ],
)
def test_malformed_json_gets_400(post, raw):
    response = post(raw=raw)
    assert response.status_code == 400
    message = response.json()["error"]["message"]
    assert "JSON" in message and "codec" not in message and "Expecting" not in message


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        (b'{"model": "\\ud800"}', "model"),
        (b'{"messages": [{"content": "a\\udc00"}]}', "messages[0].content"),
        (b'{"a": {"\\ud800": 1}}', "a"),
        (b'{"\\ud800": 1}', None),
    ],
)
def test_half_of_a_surrogate_pair_is_named_by_its_field(post, raw, param):
    response = post(raw=raw)
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, param)
    assert (param or "the request body") in error["message"] and "send whole characters" in error["message"]


@pytest.mark.parametrize("field", ["reasoning_effort", "history", "stream", "tool_choice", "modalities", "x" * 300_000])
@pytest.mark.parametrize("value", ["x" * 300_000, ["x"] * 100_000, {"x" * 300_000: 1}], ids=["text", "list", "key"])
def test_what_an_error_quotes_is_short(post, field, value):
    response = post({"model": "fake", "messages": QUESTION, field: value})
    assert response.status_code == 400 and len(response.content) < 1500, len(response.content)


def test_an_error_names_a_few_of_the_fields_that_it_does_not_know(post):
    error = post({"model": "fake", "messages": QUESTION} | {f"x{i}": 1 for i in range(1000)}).json()["error"]
    assert error["param"] == "x0" and '"x4", …' in error["message"] and '"x5"' not in error["message"]


def test_a_body_that_is_too_large_gets_413(post):
    assert post(raw=b" " * (16 * 2**20 + 1)).status_code == 413


def test_a_compressed_body_gets_415(fake_url):
    body, url = gzip.compress(json.dumps({"model": "fake", "messages": QUESTION}).encode()), fake_url
    for encoding in ("gzip", "br, gzip"):
        response = http.post(f"{url}/v1/chat/completions", content=body, headers={"Content-Encoding": encoding})
        assert (response.status_code, response.json()["error"]["code"]) == (415, "encoding_not_supported")


def test_unknown_model_gets_404_with_the_clients_own_error(client):
    with pytest.raises(openai.NotFoundError) as caught:
        ask(client, model="gpt-9")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert "fake" in str(caught.value)


def test_unknown_paths_and_methods_answer_in_the_same_shape(fake_url):
    missing, wrong = http.get(f"{fake_url}/v1/nothing"), http.get(f"{fake_url}/v1/chat/completions")
    assert (missing.status_code, wrong.status_code) == (404, 405)
    assert missing.json()["error"]["message"] and wrong.json()["error"]["message"]


def test_nulls_mean_not_given(post):
    body = {"model": "fake", "messages": QUESTION, "temperature": None, "tools": None, "stop": None, "logit_bias": None}
    assert post(body).status_code == 200


def test_values_that_say_what_happens_anyway_are_fine(post):
    body = {"model": "fake", "messages": QUESTION, "n": 1, "logprobs": False, "tool_choice": "auto"}
    assert post({**body, "response_format": {"type": "text"}, "tools": []}).status_code == 200
