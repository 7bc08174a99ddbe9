"""/v1/completions: text or ids in, text out, with no template between."""

import re
import unicodedata

import pytest
from live_server import http
from openai.types import Completion
from sansi.engine import SamplingParams
from sansi.text import Codec
from test_serve_choices import chunks_of, joined, whole_of

ASK = {"model": "tiny", "prompt": "What is 12", "max_tokens": 20, "seed": 3}


@pytest.fixture(scope="module")
def codec(tiny):
    return Codec.from_pretrained(tiny)


def texts(url, **body):
    return [choice["text"] for choice in whole_of(url, "completions", **{**ASK, **body})["choices"]]


def test_the_clients_types_and_its_stream(tiny_client, tiny_url, codec):
    whole = tiny_client.completions.create(**ASK)
    Completion.model_validate(whole_of(tiny_url, "completions", **ASK))
    assert (whole.object, whole.choices[0].finish_reason) == ("text_completion", "length")
    prompt = codec.tokenizer.encode("What is 12")
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (len(prompt), 20)
    chunks = list(tiny_client.completions.create(stream=True, stream_options={"include_usage": True}, **ASK))
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == whole.choices[0].text
    assert chunks[-1].usage.completion_tokens == 20 and not chunks[-1].choices


def test_a_text_and_its_ids_are_one(tiny_url, codec):
    ids = codec.tokenizer.encode("What is 12")
    assert texts(tiny_url, prompt=ids) == texts(tiny_url, prompt="What is 12") == texts(tiny_url, prompt=[ids])
    answer = whole_of(tiny_url, "completions", return_token_ids=True, **ASK)
    choice = answer["choices"][0]
    assert choice["prompt_token_ids"] == ids and len(choice["token_ids"]) == 20
    assert codec.tokenizer.decode(choice["token_ids"]) == choice["text"]
    chunks = chunks_of(tiny_url, "completions", return_token_ids=True, **ASK)
    assert joined(chunks, 0, "token_ids") == choice["token_ids"]
    assert joined(chunks, 0, "prompt_token_ids") == ids
    echoed = chunks_of(tiny_url, "completions", return_token_ids=True, echo=True, **ASK)
    assert echoed[0]["choices"][0]["prompt_token_ids"] == ids == joined(echoed, 0, "prompt_token_ids")


def test_control_tokens_that_a_text_spells_are_read(tiny_url, codec):
    prompt = codec.render([{"role": "user", "content": "Hi"}], open_thought=True)
    body = {"model": "tiny", "thinking_budget": 4, "max_tokens": 200, "seed": 1, "return_token_ids": True}
    text, ids = (whole_of(tiny_url, "completions", prompt=one, **body) for one in (prompt.text, prompt.ids))
    assert text["choices"] == ids["choices"] and text["sansi"]["thinking_end_reason"] == "budget"
    assert (text["sansi"]["special_tokens_read"], ids["sansi"]["special_tokens_read"]) == (4, 0)
    echoed = whole_of(tiny_url, "completions", prompt=prompt.text, echo=True, logprobs=0, **body)["choices"][0]
    assert echoed["text"].startswith(prompt.text) and echoed["logprobs"]["text_offset"][1] == len("<|im_start|>")


def test_control_tokens_are_characters_where_the_request_says_so(tiny_url, codec):
    body = {**ASK, "prompt": "<|im_start|><think>", "return_token_ids": True, "parse_special": False}
    answer = whole_of(tiny_url, "completions", **body)
    assert not set(answer["choices"][0]["prompt_token_ids"]) & set(codec.tokenizer.added.values())
    assert answer["usage"]["completion_tokens_details"]["reasoning_tokens"] == 0
    assert answer["sansi"]["special_tokens_read"] == 0


def test_a_text_of_many_control_tokens_is_refused_before_it_is_encoded(tiny_url):
    response = http.post(f"{tiny_url}/v1/completions", json={**ASK, "prompt": "<|endoftext|>" * 50_000})
    assert response.json()["error"]["code"] == "context_length_exceeded"


def test_a_thought_that_the_ids_open_has_its_budget(tiny_url, codec):
    prompt = codec.render([{"role": "user", "content": "Hi"}], open_thought=True).ids
    answer = whole_of(tiny_url, "completions", model="tiny", prompt=prompt, thinking_budget=4, max_tokens=200, seed=1)
    assert answer["sansi"]["thinking_end_reason"] == "budget" and "</think>" in answer["choices"][0]["text"]


def test_several_prompts_and_several_of_each(tiny_url):
    several = whole_of(tiny_url, "completions", **{**ASK, "prompt": ["What is 12", "Think"], "n": 2, "best_of": 2})
    assert [choice["index"] for choice in several["choices"]] == [0, 1, 2, 3]
    alone = [texts(tiny_url, prompt=p, seed=s)[0] for p in ("What is 12", "Think") for s in (3, 4)]
    assert [choice["text"] for choice in several["choices"]] == alone
    single = [whole_of(tiny_url, "completions", **{**ASK, "prompt": p})["usage"] for p in ("What is 12", "Think")]
    assert several["usage"]["prompt_tokens"] == sum(one["prompt_tokens"] for one in single)
    chunks = chunks_of(tiny_url, "completions", **{**ASK, "prompt": ["What is 12", "Think"], "n": 2})
    assert [joined(chunks, i, "text") for i in range(4)] == alone


def test_echo_begins_with_the_prompt(tiny_url, codec):
    plain = texts(tiny_url)[0]
    assert texts(tiny_url, echo=True) == ["What is 12" + plain]
    assert texts(tiny_url, echo=True, prompt=codec.tokenizer.encode("What is 12")) == ["What is 12" + plain]
    assert joined(chunks_of(tiny_url, "completions", echo=True, **ASK), 0, "text") == "What is 12" + plain


def test_stop_strings_and_the_default_length(tiny_url):
    text = texts(tiny_url)[0]
    stop = text[len(text) // 2 :][:2]
    answer = whole_of(tiny_url, "completions", stop=stop, **ASK)
    assert (answer["choices"][0]["text"], answer["sansi"]["stop"]) == (text[: text.index(stop)], stop)
    short = whole_of(tiny_url, "completions", **{k: v for k, v in ASK.items() if k != "max_tokens"})
    assert short["usage"]["completion_tokens"] == 16


def test_log_probabilities_in_the_older_shape(tiny_url):
    choice = whole_of(tiny_url, "completions", logprobs=2, **ASK)["choices"][0]
    told = choice["logprobs"]
    assert len(told["tokens"]) == len(told["token_logprobs"]) == len(told["top_logprobs"]) == 20
    assert all(value <= 0 for value in told["token_logprobs"])
    for token, value, top in zip(told["tokens"], told["token_logprobs"], told["top_logprobs"], strict=True):
        assert top[token] == value and len(top) <= 3, "the sampled token is told, too"
    assert told["text_offset"] == sorted(told["text_offset"])
    whole = choice["text"].partition("\ufffd")[0]  # behind half a character an offset may be one too small
    for token, offset in zip(told["tokens"], told["text_offset"], strict=True):
        assert offset >= len(whole) or choice["text"][offset:].startswith(token)
    chunks = chunks_of(tiny_url, "completions", logprobs=2, **ASK)
    for key, value in told.items():
        assert joined(chunks, 0, "logprobs", key) == value, key
    assert whole_of(tiny_url, "completions", **ASK)["choices"][0]["logprobs"] is None


def test_an_echo_scores_the_prompt_as_programs_that_evaluate_want_it(tiny_url, tiny_chat, codec):
    """Such programs send prompt and answer as one, and read the answer's part of the lists."""
    text = "What is 12 + 30? The answer is 42."
    body = {**ASK, "prompt": text, "echo": True, "max_tokens": 1}
    choice = whole_of(tiny_url, "completions", logprobs=1, **body)["choices"][0]
    told, ids = choice["logprobs"], codec.tokenizer.encode(text)
    assert told["tokens"][: len(ids)] == [codec.tokenizer.decode([id_]) for id_ in ids]
    assert "".join(told["tokens"]) == choice["text"] or "\ufffd" in choice["text"]
    assert told["token_logprobs"][0] is None and told["top_logprobs"][0] is None
    params = SamplingParams(prompt_logprobs=True, max_tokens=1)
    own = tiny_chat.engine.generate([ids], params)[0].prompt_logprobs
    assert told["token_logprobs"][1 : len(ids)] == pytest.approx(own[1:], abs=1e-5)
    for token, value, top in zip(*(told[k][1:] for k in ("tokens", "token_logprobs", "top_logprobs")), strict=True):
        assert top[token] == value == min(top.values()) and len(top) <= 2
    assert told["text_offset"][: len(ids)] == [len(codec.tokenizer.decode(ids[:i])) for i in range(len(ids))]
    none = whole_of(tiny_url, "completions", logprobs=0, **body)["choices"][0]["logprobs"]
    assert none["top_logprobs"][1] == {told["tokens"][1]: told["token_logprobs"][1]}
    assert none["token_logprobs"] == told["token_logprobs"]


@pytest.mark.parametrize("seed", range(6))
def test_scores_are_those_of_the_text_up_to_a_stop_string(tiny_url, seed):
    body = {**ASK, "seed": seed, "logprobs": 0, "max_tokens": 40}
    text = texts(tiny_url, **{k: v for k, v in body.items() if k != "logprobs"})[0]
    stop = text[len(text) // 2 :][:3]
    whole = whole_of(tiny_url, "completions", stop=stop, return_token_ids=True, **body)
    choice, chunks = whole["choices"][0], chunks_of(tiny_url, "completions", stop=stop, **body)
    told = choice["logprobs"]
    assert choice["text"] == text[: text.index(stop)]
    assert all(offset < len(choice["text"]) for offset in told["text_offset"])
    assert len(choice["token_ids"]) == whole["usage"]["completion_tokens"] >= len(told["tokens"])
    for key, value in told.items():
        assert joined(chunks, 0, "logprobs", key) == value, key


def test_the_id_that_stopped_has_a_score_and_no_text(tiny_url):
    """Programs that count entries, as lm-eval does, count the tokens that were generated."""
    ids = whole_of(tiny_url, "completions", return_token_ids=True, **ASK)["choices"][0]["token_ids"]
    body = {**ASK, "stop_token_ids": [ids[7]], "logprobs": 0}
    whole = whole_of(tiny_url, "completions", **body)
    choice = whole["choices"][0]
    told, chunks = choice["logprobs"], chunks_of(tiny_url, "completions", **body)
    assert len(told["tokens"]) == ids.index(ids[7]) + 1 == whole["usage"]["completion_tokens"]
    assert told["text_offset"][-1] == len(choice["text"]) and told["token_logprobs"][-1] < 0
    for key, value in told.items():
        assert joined(chunks, 0, "logprobs", key) == value, key


def test_the_end_of_the_turn_has_a_score(tiny_url, tiny_chat, codec):
    """The same that the engine gives it as a part of a prompt."""
    body = {
        "model": "tiny",
        "prompt": "Hi there",
        "guided_choice": ["a"],
        "max_tokens": 5,
        "seed": 1,
        "return_token_ids": True,
    }
    for more in ({}, {"echo": True}):
        whole = whole_of(tiny_url, "completions", **body, logprobs=1, **more)
        choice, prompt = whole["choices"][0], codec.tokenizer.encode("Hi there")
        told, before = choice["logprobs"], len(prompt) if more else 0
        assert (choice["finish_reason"], whole["usage"]["completion_tokens"]) == ("stop", 2)
        assert len(told["tokens"]) == before + 2 and told["tokens"][-2] == "a"
        assert told["tokens"][-1] in ("<|im_end|>", "<|endoftext|>")
        assert told["text_offset"][-1] == len(choice["text"])
        params = SamplingParams(max_tokens=0, prompt_logprobs=True)
        scored = tiny_chat.engine.generate([[*prompt, *choice["token_ids"]]], params)[0]
        assert told["token_logprobs"][-2:] == pytest.approx(scored.prompt_logprobs[-2:], abs=1e-4)


def test_parts_of_characters_have_keys_of_their_own(tiny_url):
    """As many likely tokens are told as were asked for, and none hides another."""
    for prompt in ("日本語の文 中文", "plain words"):
        body = {"model": "tiny", "prompt": prompt, "max_tokens": 4, "logprobs": 20, "echo": True, "seed": 1}
        told = whole_of(tiny_url, "completions", **body)["choices"][0]["logprobs"]
        for token, value, top in zip(told["tokens"], told["token_logprobs"], told["top_logprobs"], strict=True):
            assert top is None or (len(top) in (20, 21) and top[token] == value)
            assert top is None or (token == max(top, key=top.get)) == (value == max(top.values()))
        parts = [token for top in told["top_logprobs"] if top for token in top if token.startswith("bytes:")]
        assert parts and all(re.fullmatch(r"bytes:(\\x[0-9a-f]{2})+", token) for token in parts)


@pytest.mark.parametrize("prompt", ["cafe\u0301 x", "<|im_start|>cafe\u0301", "\u1100\u1161 \u212b y", "日本 e\u0301"])
def test_an_echo_is_the_text_that_its_offsets_are_of(tiny_url, prompt):
    body = {"model": "tiny", "prompt": prompt, "max_tokens": 2, "echo": True, "seed": 1}
    choice = whole_of(tiny_url, "completions", **body, logprobs=0)["choices"][0]
    text, told = choice["text"], choice["logprobs"]
    assert text.startswith(unicodedata.normalize("NFC", prompt))
    for token, at in zip(told["tokens"], told["text_offset"], strict=True):
        assert token.startswith("bytes:") or text[at : at + len(token)] == token
    assert joined(chunks_of(tiny_url, "completions", **body), 0, "text") == text


def test_biases_bind_and_ends_wait(tiny_url, codec):
    only = codec.tokenizer.encode("1")[0]
    for bias in ({str(only): 100}, [[only, 100]]):
        assert texts(tiny_url, logit_bias=bias, temperature=0) == ["1" * 20]
    never = [[id_, False] for id_ in codec.tokenizer.encode("0123456789")]
    assert not any(digit in text for text in texts(tiny_url, logit_bias=never, n=4) for digit in "0123456789")
    end = {str(codec.control.im_end): 100}
    told = [
        whole_of(tiny_url, "completions", **ASK, logit_bias=end, temperature=0, **more)["usage"]["completion_tokens"]
        for more in ({}, {"min_tokens": 5}, {"min_new_tokens": 7}, {"ignore_eos": True}, {"ban_eos_token": True})
    ]
    assert told == [1, 6, 8, 20, 20]


@pytest.mark.parametrize("name", ["max_tokens", "n_predict"])
def test_a_prompt_can_be_scored_without_a_token_more(tiny_url, codec, name):
    ask = {key: value for key, value in ASK.items() if key != "max_tokens"} | {"echo": True, "logprobs": 1}
    alone = whole_of(tiny_url, "completions", **ask, **{name: 0})
    longer = whole_of(tiny_url, "completions", **ask, max_tokens=1)
    choice, ids = alone["choices"][0], codec.tokenizer.encode(ASK["prompt"])
    assert (choice["text"], choice["finish_reason"]) == (ASK["prompt"], "length")
    usage = alone["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (len(ids), 0)
    assert usage["completion_tokens_details"]["reasoning_tokens"] == alone["sansi"]["max_tokens"] == 0
    for key, told in choice["logprobs"].items():
        assert len(told) == len(ids) and told == longer["choices"][0]["logprobs"][key][: len(ids)]
    chunks = chunks_of(tiny_url, "completions", **{**ASK, "max_tokens": 0})
    assert joined(chunks, 0, "text") == "" and chunks[-1]["choices"][0]["finish_reason"] == "length"


def test_a_prompt_is_scored_in_vllms_shape(tiny_url, codec):
    ids, ask = codec.tokenizer.encode(ASK["prompt"]), {**ASK, "max_tokens": 1}
    told = whole_of(tiny_url, "completions", **ask, prompt_logprobs=2)["choices"][0]
    scores = whole_of(tiny_url, "completions", **ask, echo=True, logprobs=2)["choices"][0]["logprobs"]
    assert told["logprobs"] is None and told["text"] != ASK["prompt"]
    assert told["prompt_logprobs"][0] is None and len(told["prompt_logprobs"]) == len(ids)
    for at, (id_, one) in enumerate(zip(ids, told["prompt_logprobs"], strict=True)):
        if at:
            assert one[str(id_)]["logprob"] == scores["token_logprobs"][at]
            assert one[str(id_)]["decoded_token"] == scores["tokens"][at] and 2 <= len(one) <= 3
            assert sorted(entry["rank"] for entry in one.values() if entry["rank"]) == [1, 2]
    both = whole_of(tiny_url, "completions", **ask, prompt_logprobs=0, logprobs=2)["choices"][0]
    assert {len(one) for one in both["prompt_logprobs"] if one} == {1} and both["logprobs"]["tokens"]


def test_a_conversation_is_scored_too(tiny_url):
    body = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2, "return_token_ids": True}
    told = whole_of(tiny_url, **body, prompt_logprobs=1, logprobs=True)
    assert len(told["prompt_logprobs"]) == len(told["prompt_token_ids"]) and told["prompt_logprobs"][0] is None
    entries = [*told["choices"][0]["logprobs"]["content"], *told["choices"][0]["logprobs"]["reasoning_content"]]
    assert all(entry["top_logprobs"] == [] for entry in entries)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt[0]"),
        ({"prompt": ["a", 5]}, "prompt[1]"),
        ({"prompt": [5, "a"]}, "prompt[1]"),
        ({"prompt": [-1]}, "prompt[0]"),
        ({"prompt": [10**9]}, "prompt"),
        ({"prompt": [[1, 2], [10**9]]}, "prompt[1]"),
        ({"prompt": ["a", "word " * 3000]}, "prompt[1]"),
        ({"stop_token_ids": [10**9]}, "stop_token_ids"),
        ({"prompt": {"text": "a"}}, "prompt"),
        ({"prompt": ["a"] * 20, "n": 7}, "prompt"),
        ({"prompt": "word " * 3000}, "prompt"),
        ({"suffix": "x"}, "suffix"),
        ({"best_of": 2}, "best_of"),
        ({"echo": True, "logprobs": 1, "stream": True}, "logprobs"),
        ({"logprobs": True}, "logprobs"),
        ({"logprobs": 21}, "logprobs"),
        ({"max_tokens": -2}, "max_tokens"),
        ({"prompt_logprobs": 1, "stream": True}, "prompt_logprobs"),
        ({"messages": []}, "messages"),
        ({"tools": [{}]}, "tools"),
        ({"logit_bias": {"1000000": 1}}, "logit_bias"),
        ({"min_tokens": 30}, "min_tokens"),
    ],
)
def test_wrong_fields_get_400_that_names_them(tiny_url, change, param):
    response = http.post(f"{tiny_url}/v1/completions", json={**ASK, **change})
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert param.split("[")[0] in error["message"]


def test_sampling_is_neutral_unless_the_request_says_otherwise(tiny_url):
    plain = whole_of(tiny_url, "completions", **ASK, user="u")["sansi"]["sampling"]
    assert plain == {
        "temperature": 1.0,
        "top_p": 1.0,
        "top_k": 0,
        "min_p": 0.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "repetition_penalty": 1.0,
        "seed": 3,
    }
    own = {"temperature": 0.5, "top_p": 0.9, "top_k": 7, "min_p": 0.1, "presence_penalty": 1.0, "seed": 9}
    own |= {"frequency_penalty": -1.0, "repetition_penalty": 1.5}
    assert whole_of(tiny_url, "completions", **{**ASK, **own})["sansi"]["sampling"] == own
