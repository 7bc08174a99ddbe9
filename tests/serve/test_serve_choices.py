"""Several answers, log-probabilities, token ids, stop strings, unfinished turns: over HTTP, with a real checkpoint."""

import asyncio
import json

import openai
import pytest
from live_server import http, running
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from sansi.serve.api.requests import Policy
from sansi.text import Codec
from test_serve_api import QUESTION, ask

SEEDED = {"model": "tiny", "max_tokens": 60, "seed": 5}


def chunks_of(url, path="chat/completions", **body):
    with http.stream("POST", f"{url}/v1/{path}", json={**body, "stream": True}) as response:
        lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]", lines[-1]
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def whole_of(url, path="chat/completions", **body):
    response = http.post(f"{url}/v1/{path}", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def joined(chunks, index, *path):
    """What the chunks of one choice add up to, under a path of keys in the choice."""
    found = []
    for chunk in chunks:
        for choice in chunk["choices"]:
            for key in path:
                choice = choice if choice is None or choice.get("index", index) == index else None
                choice = choice.get(key) if choice is not None else None
            found += [] if choice is None else [choice]
    return "".join(found) if all(isinstance(one, str) for one in found) else [item for one in found for item in one]


@pytest.fixture(scope="module")
def codec(tiny):
    return Codec.from_pretrained(tiny)


# --- n ---------------------------------------------------------------------------------------------------------------


def test_several_answers_have_the_next_seeds_and_count_the_prompt_once(tiny_client):
    several = ask(tiny_client, n=3, **SEEDED)
    alone = [ask(tiny_client, **{**SEEDED, "seed": seed}) for seed in (5, 6, 7)]
    assert [choice.index for choice in several.choices] == [0, 1, 2]
    for choice, one in zip(several.choices, alone, strict=True):
        assert choice.message == one.choices[0].message and choice.finish_reason == one.choices[0].finish_reason
        assert choice.sansi["sampling"] == one.sansi["sampling"]
    usage = several.usage
    assert usage.prompt_tokens == alone[0].usage.prompt_tokens
    assert usage.completion_tokens == sum(one.usage.completion_tokens for one in alone)
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    reasoning = sum(one.usage.completion_tokens_details.reasoning_tokens for one in alone)
    assert usage.completion_tokens_details.reasoning_tokens == reasoning


def test_several_answers_stream_side_by_side(tiny_url):
    body = {"messages": QUESTION, "n": 3, "stream_options": {"include_usage": True}, **SEEDED}
    whole, chunks = whole_of(tiny_url, **{k: v for k, v in body.items() if k != "stream_options"}), None
    chunks = chunks_of(tiny_url, **body)
    for index, choice in enumerate(whole["choices"]):
        assert joined(chunks, index, "delta", "reasoning_content") == choice["message"].get("reasoning_content", "")
        assert joined(chunks, index, "delta", "content") == choice["message"]["content"]
        ends = [c for chunk in chunks for c in chunk["choices"] if c["index"] == index and c["finish_reason"]]
        assert [end["finish_reason"] for end in ends] == [choice["finish_reason"]]
    assert sum("sansi" in chunk for chunk in chunks) == 3
    assert {k: v for k, v in chunks[-1]["usage"].items() if k != "prompt_tokens_details"} == {
        k: v for k, v in whole["usage"].items() if k != "prompt_tokens_details"
    }


@pytest.mark.parametrize("include", [True, False])
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("path", ["chat/completions", "completions"])
def test_each_chunk_tells_what_was_used_so_far_where_that_is_asked_for(tiny_url, path, n, include):
    body = {
        **SEEDED,
        "n": n,
        **({"messages": QUESTION} if path != "completions" else {"prompt": ["What is 12", "Think"]}),
    }
    options = {"include_usage": include, "continuous_usage_stats": True}
    whole, chunks = whole_of(tiny_url, path, **body), chunks_of(tiny_url, path, stream_options=options, **body)
    used = [chunk["usage"] for chunk in chunks]
    assert all(one["total_tokens"] == one["prompt_tokens"] + one["completion_tokens"] for one in used)
    totals = [one["completion_tokens"] for one in used]
    assert totals == sorted(totals) and totals[-1] == whole["usage"]["completion_tokens"]
    assert used[-1]["prompt_tokens"] == whole["usage"]["prompt_tokens"] and used[0]["prompt_tokens"] > 0
    assert ("completion_tokens_details" in used[-1]) == include and not any("token_ids" in str(one) for one in chunks)


def test_seeds_of_several_answers_do_not_overflow(tiny_client):
    answer = ask(tiny_client, n=2, **{**SEEDED, "seed": 2**63 - 1})
    assert [choice.sansi["sampling"]["seed"] for choice in answer.choices] == [2**63 - 1, 0]


# --- tags in messages ------------------------------------------------------------------------------------------------

TAGGED = [
    {"role": "system", "content": "Call with <tool_call></tool_call>."},
    {"role": "user", "content": "x <think> <|im_end|>"},
    {"role": "assistant", "content": "<tool_call>\n{}\n</tool_call>"},
    {"role": "user", "content": "<tool_response>\n1\n</tool_response>"},
]


def tags_of(codec, url, read_tags):
    body = {"model": "tiny", "messages": TAGGED, "max_tokens": 1, "enable_thinking": False, "return_token_ids": True}
    answer = whole_of(url, **body, **({} if read_tags is None else {"read_tags": read_tags}))
    control = codec.control
    calls, results = (answer["prompt_token_ids"].count(one) for one in (control.tool_call, control.tool_response))
    assert answer["prompt_token_ids"].count(control.im_end) == len(TAGGED)
    return calls, results, answer["sansi"]["special_tokens_read"], answer["sansi"]["warnings"]


def test_tags_in_messages_are_read_where_the_request_and_the_operator_want_it(tiny_url, tiny_chat, codec):
    *plain, warnings = tags_of(codec, tiny_url, None)
    assert plain == [0, 0, 0] and "<tool_call>" in warnings[0] and "read_tags" in warnings[0]
    assert tags_of(codec, tiny_url, True)[:3] == (2, 0, 4)
    assert tags_of(codec, tiny_url, ["system"])[:3] == (1, 0, 2)
    assert "<tool_response>" in tags_of(codec, tiny_url, True)[3][0]
    for role in ("user", "tool"):
        refused = http.post(
            f"{tiny_url}/v1/chat/completions", json={"model": "tiny", "messages": TAGGED, "read_tags": [role]}
        )
        assert refused.status_code == 400 and f"--read-tags {role}" in refused.json()["error"]["message"]
    with running([tiny_chat], policy=Policy(read_tags=frozenset({"user", "tool"}))) as url:
        assert tags_of(codec, url, None)[:3] == (0, 0, 0)
        assert tags_of(codec, url, True) == (2, 1, 7, [])
        assert tags_of(codec, url, ["user"])[:3] == (0, 1, 3)


# --- tokens ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("thinking", [False, True])
def test_log_probabilities_are_of_the_tokens_of_the_text(tiny_url, thinking):
    ask_ = {"messages": QUESTION, "logprobs": True, "top_logprobs": 3, "enable_thinking": thinking, **SEEDED}
    for body in ({**ask_, "seed": seed} for seed in range(6)):  # stray tags are text, and among its tokens
        check_log_probabilities(tiny_url, body)


def check_log_probabilities(tiny_url, body):
    choice = whole_of(tiny_url, **body)["choices"][0]
    told = choice["logprobs"]
    ChatCompletion.model_validate(whole_of(tiny_url, **body))

    def text(entries):
        return bytes(byte for entry in entries for byte in entry["bytes"]).decode(errors="replace")

    assert text(told["content"]) == choice["message"]["content"]
    assert text(told["reasoning_content"]) == choice["message"].get("reasoning_content", "")
    for entry in told["content"] + told["reasoning_content"]:
        tops = [one["logprob"] for one in entry["top_logprobs"]]
        assert len(tops) == 3 and tops == sorted(tops, reverse=True) and entry["logprob"] <= max(tops) + 1e-6
        assert entry["token"] == bytes(entry["bytes"]).decode(errors="replace")
    chunks = chunks_of(tiny_url, **body)
    for kind in ("content", "reasoning_content"):
        assert joined(chunks, 0, "logprobs", kind) == told[kind] or not told[kind]
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)


def test_without_top_logprobs_there_are_none(tiny_url):
    choice = whole_of(tiny_url, messages=QUESTION, logprobs=True, enable_thinking=False, **SEEDED)["choices"][0]
    assert all(entry["top_logprobs"] == [] for entry in choice["logprobs"]["content"])
    assert whole_of(tiny_url, messages=QUESTION, **SEEDED)["choices"][0]["logprobs"] is None


@pytest.mark.parametrize("n", [1, 2])
def test_token_ids_are_told_exactly(tiny_url, codec, n):
    body = {"messages": QUESTION, "return_token_ids": True, "n": n, **SEEDED}
    whole, chunks = whole_of(tiny_url, **body), chunks_of(tiny_url, **body)
    assert whole["prompt_token_ids"] == codec.render(QUESTION, open_thought=True).ids
    for index, choice in enumerate(whole["choices"]):
        assert len(choice["token_ids"]) <= 60 and joined(chunks, index, "token_ids") == choice["token_ids"]
        message = codec.parse(codec.render(QUESTION, open_thought=True), choice["token_ids"])
        assert message.content == choice["message"]["content"]
    told = [chunk["prompt_token_ids"] for chunk in chunks if "prompt_token_ids" in chunk]
    assert told == [whole["prompt_token_ids"]] * n
    assert "token_ids" not in whole_of(tiny_url, messages=QUESTION, **SEEDED)["choices"][0]


# --- ends ------------------------------------------------------------------------------------------------------------


def test_stop_strings_end_the_answer_streamed_or_not(tiny_url):
    body = {"messages": QUESTION, "enable_thinking": False, **SEEDED}
    text = whole_of(tiny_url, **body)["choices"][0]["message"]["content"]
    stop = text[len(text) // 2 :][:2]
    cut = whole_of(tiny_url, stop=stop, **body)
    choice = cut["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == (text[: text.index(stop)], "stop")
    assert cut["sansi"]["stop"] == stop and cut["usage"]["completion_tokens"] < 60
    assert joined(chunks_of(tiny_url, stop=[stop], **body), 0, "delta", "content") == choice["message"]["content"]


def test_stop_token_ids_end_the_completion(tiny_url):
    body = {"messages": QUESTION, "enable_thinking": False, "return_token_ids": True, **SEEDED}
    ids = whole_of(tiny_url, **body)["choices"][0]["token_ids"]
    choice = whole_of(tiny_url, stop_token_ids=[ids[7]], **body)["choices"][0]
    assert choice["token_ids"] == ids[: ids.index(ids[7]) + 1] and choice["finish_reason"] == "stop"


def test_the_usage_is_announced_in_every_chunk(tiny_url):
    chunks = chunks_of(tiny_url, messages=QUESTION, stream_options={"include_usage": True}, **SEEDED)
    assert all(chunk["usage"] is None for chunk in chunks[:-1]) and chunks[-1]["usage"]
    assert not any("usage" in chunk for chunk in chunks_of(tiny_url, messages=QUESTION, **SEEDED))


def test_timing_is_told_and_plausible(tiny_client):
    answer = ask(tiny_client, **SEEDED)
    timing = answer.sansi["timing"]
    assert 0 <= timing["queue_s"] <= timing["first_token_s"] <= timing["total_s"] < 60
    assert timing["tokens_per_second"] > 0


@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_the_answer_up_to_a_stop_string(tiny_url, thinking, seed):
    body = {"messages": QUESTION, "logprobs": True, "enable_thinking": thinking, **SEEDED, "max_tokens": 30}
    body |= {"thinking_budget": 4, "max_tokens": 80} if thinking else {}
    for body["seed"] in range(10 * seed, 10 * seed + 10):
        text = whole_of(tiny_url, **body)["choices"][0]["message"]["content"]
        if len(text.strip("\n")) > 6:
            break
    else:
        raise AssertionError("no answer")
    stop = text[len(text) // 2 :][:3]
    choice = whole_of(tiny_url, stop=stop, **body)["choices"][0]
    cut, entries = choice["message"]["content"], choice["logprobs"]["content"]
    assert cut == text[: text.index(stop)]
    told = b"".join(bytes(entry["bytes"]) for entry in entries).decode(errors="replace")
    assert told.startswith(cut) and len(told) - len(entries[-1]["token"]) < len(cut)
    assert joined(chunks_of(tiny_url, stop=stop, **body), 0, "logprobs", "content") == entries


def test_a_stop_id_that_closes_the_thought_closes_it(tiny_url, codec):
    body = {"messages": QUESTION, "thinking_budget": 5, "stop_token_ids": [codec.control.think_end], **SEEDED}
    for answer in (whole_of(tiny_url, **{**body, "seed": seed, "max_tokens": 200}) for seed in range(8)):
        if answer["sansi"]["thinking_end_reason"] == "natural":
            assert "unclosed_thought" not in answer["sansi"]["problems"]


# --- unfinished turns -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "extra", "part"),
    [
        ({"content": "It is"}, {"continue_final": "answer"}, "answer"),
        ({"content": "It is", "reasoning_content": "12"}, {"continue_final_message": True}, "answer"),
        ({"content": "", "reasoning_content": "12"}, {"continue_final": "thought"}, "thought"),
        (
            {"content": "", "reasoning_content": "12"},
            {"continue_final_message": True, "add_generation_prompt": False},
            "thought",
        ),
    ],
)
def test_an_assistants_message_is_gone_on_with(tiny_url, codec, message, extra, part):
    messages = [*QUESTION, {"role": "assistant", **message}]
    body = {"messages": messages, "return_token_ids": True, **extra, **SEEDED, "max_tokens": 200}
    answer = whole_of(tiny_url, **body)
    assert answer["prompt_token_ids"] == codec.render(messages, open_thought=True, continue_final=part).ids
    assert answer["sansi"]["mode"] == ("non-thinking" if message == {"content": "It is"} else "thinking")
    assert bool(answer["usage"]["completion_tokens_details"]["reasoning_tokens"]) == (part == "thought")


def test_the_budget_of_an_effort_is_told(tiny_client):
    answer = ask(tiny_client, reasoning_effort="low", **SEEDED)
    assert answer.sansi["thinking_budget_requested"] == 1024
    assert ask(tiny_client, reasoning_effort="none", **SEEDED).sansi["mode"] == "non-thinking"


def test_earlier_thoughts_are_dropped_or_kept(tiny_url):
    messages = [*QUESTION, {"role": "assistant", "content": "42", "reasoning_content": "12 " * 20}, *QUESTION]
    dropped, kept = (whole_of(tiny_url, messages=messages, history=h, **SEEDED) for h in ("official", "keep"))
    assert kept["usage"]["prompt_tokens"] > dropped["usage"]["prompt_tokens"] + 20


def test_the_switch_may_be_left_to_the_model(tiny_client):
    messages = [{"role": "user", "content": "What is 1 + 1? /no_think"}]
    ask_ = {"messages": messages, **SEEDED}
    left = tiny_client.chat.completions.create(extra_body={"soft_switch": "model"}, **ask_)
    assert left.sansi["mode_source"] == "model"
    assert tiny_client.chat.completions.create(**ask_).sansi["mode_source"] == "soft_switch"


@pytest.mark.parametrize("field", [{"loop_breaker": False}, {"answer_reserve": 7}, {"speculation": 4}])
def test_options_of_the_thought_and_of_speed_reach_the_model(tiny_url, field):
    answer = whole_of(tiny_url, messages=QUESTION, **field, **SEEDED)
    if "answer_reserve" in field:
        assert answer["sansi"]["answer_reserve"] == 7
    if "speculation" in field:
        plain = whole_of(tiny_url, messages=QUESTION, **SEEDED)
        assert answer["choices"][0]["message"] == plain["choices"][0]["message"]


@pytest.mark.parametrize("history", ["official", "keep"])
def test_a_call_that_was_cut_off_can_be_sent_back(tiny_url, history):
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    body = {"tools": [tool], "tool_choice": "required", "enable_thinking": False, "history": history, **SEEDED}
    cut = None
    for limit in range(8, 60, 2):
        answer = whole_of(tiny_url, messages=QUESTION, **{**body, "max_tokens": limit})
        if answer["sansi"]["tool_call_errors"]:
            cut = answer["choices"][0]["message"]
            break
    assert cut is not None and answer["choices"][0]["finish_reason"] == "length"
    (call,) = cut["tool_calls"]
    result = {"role": "tool", "content": "cut off", "tool_call_id": call["id"]}
    assert whole_of(tiny_url, messages=[*QUESTION, cut, result, *QUESTION], **body)["choices"]


# --- labels and no-ops ------------------------------------------------------------------------------------------------


def test_labels_and_values_that_change_nothing_are_accepted(tiny_url):
    nothing = {
        "user": "u",
        "safety_identifier": "s",
        "metadata": {"run": "7"},
        "store": False,
        "service_tier": "auto",
        "modalities": ["text"],
        "verbosity": "medium",
        "prompt_cache_key": "k",
        "prompt_cache_retention": "in_memory",
        "logit_bias": {},
        "echo": False,
        "ignore_eos": False,
        "min_tokens": 0,
        "include_stop_str_in_output": False,
        "skip_special_tokens": True,
        "stream_options": None,
        "stop": [],
    }
    plain = whole_of(tiny_url, messages=QUESTION, **SEEDED)
    same = whole_of(tiny_url, messages=QUESTION, **nothing, **SEEDED)
    assert same["choices"] == plain["choices"]


# --- the asynchronous client -----------------------------------------------------------------------------------------


def test_the_asynchronous_client(tiny_url):
    async def both():
        async with openai.AsyncOpenAI(base_url=f"{tiny_url}/v1", api_key="none", max_retries=0) as client:
            whole = await client.chat.completions.create(messages=QUESTION, **SEEDED)
            text = ""
            async for chunk in await client.chat.completions.create(messages=QUESTION, stream=True, **SEEDED):
                text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
            return whole.choices[0].message.content, text

    whole, streamed = asyncio.run(both())
    assert whole == streamed
