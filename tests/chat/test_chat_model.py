"""ChatModel: modes, budgets, reports and errors, with a tokenizer and a model made on the spot."""

from __future__ import annotations

import asyncio
import dataclasses
import threading

import pytest
from sansi.base.errors import SansiError
from sansi.chat import ChatModel, ChatOptions, ChatResult, Preset, Presets, Tokens, tokens_per_second
from sansi.chat.model import NO_ROOM_TO_THINK
from sansi.engine import Engine
from sansi.model import ModelConfig, Transformer, save
from sansi.text import Codec
from sansi.text.parser import ClosingPhrase, Content, Reasoning

ASK = [{"role": "user", "content": "What is 1 + 1?"}]
PHRASE = "\n\nConsidering the limited time by the user, I have to give the solution based on the thinking directly now."


def test_a_thought_and_an_answer(scripted, codec):
    scripted.say("one and one", "2")
    result = scripted.complete(ASK)
    assert (result.message.reasoning_content, result.message.content) == ("one and one", "2")
    assert result.finish_reason == "stop"
    assert result.usage.reasoning_tokens == len(codec.tokenizer.encode("one and one"))
    assert result.usage.completion_tokens == len(result.ids) and result.ids[-1] == codec.control.im_end
    assert result.usage.prompt_tokens == len(result.prompt_ids)
    report = result.report
    assert (report.mode, report.mode_source, report.thinking_end_reason) == ("thinking", "default", "natural")
    assert report.preset == "thinking (published)" and report.sampling["top_k"] == 20
    assert report.max_tokens == scripted.context_length - len(result.prompt_ids)
    assert report.answer_reserve == report.max_tokens // 4


def test_a_budget_cuts_the_thought_and_the_answer_follows(scripted, codec):
    thought = "The answer is the answer is the answer is 2"
    scripted.say(thought, "2")
    result = scripted.complete(ASK, ChatOptions(thinking_budget=6))
    kept = codec.tokenizer.decode(codec.tokenizer.encode(thought)[:6])
    assert result.message.reasoning_content == kept + PHRASE
    report, sequence = result.report, codec.thinking_ids.end_sequence
    assert (report.budget_requested, report.budget_applied, report.thinking_end_reason) == (6, 6, "budget")
    assert (result.usage.reasoning_tokens, report.closing_phrase) == (6, PHRASE)
    assert report.closing_phrase_tokens == sequence.index(codec.control.think_end)
    assert result.usage.sampled_tokens == result.usage.completion_tokens - len(sequence)


@pytest.mark.parametrize("budget", [1, 2, 16])
@pytest.mark.parametrize(("soft_switch", "framing"), [("prefill", ""), ("model", ""), ("model", "\n")])
def test_a_budget_is_tokens_of_the_models_own_however_the_thought_opens(scripted, codec, budget, soft_switch, framing):
    """Streamed and whole; neither the prompt's line break counts, nor the model's own after its own tag."""
    opening = [] if soft_switch == "prefill" else [codec.control.think, *codec.tokenizer.encode(framing)]
    thought = codec.tokenizer.encode("one and two and three " * 20)
    scripted.model.script = [*opening, *thought]
    options = ChatOptions(thinking_budget=budget, soft_switch=soft_switch, max_tokens=300)
    events, streamed = told(scripted, options)
    for result in (scripted.complete(ASK, options), streamed):
        assert (result.usage.reasoning_tokens, result.report.budget_applied) == (budget, budget)
        assert result.report.thinking_end_reason == "budget"
        kept = codec.tokenizer.decode(thought[:budget])
        assert result.message.reasoning_content == kept + PHRASE and result.report.closing_phrase == PHRASE
    assert "".join(e.text for e in events if isinstance(e, Reasoning) and not e.closing) == kept
    assert "".join(e.text for e in events if isinstance(e, Reasoning) and e.closing) == PHRASE


def told(chat, options):
    """The events of a stream, and its result."""

    async def collect():
        return [item async for item in chat.stream(ASK, options)]

    *events, result = asyncio.run(collect())
    return events, result


def test_a_character_that_the_cut_splits_is_the_models_own(scripted, codec):
    scripted.model.script = codec.tokenizer.encode("\u65e9\u4e0a")
    options = ChatOptions(thinking_budget=2, max_tokens=200)
    events, result = told(scripted, options)
    assert (
        result.message.reasoning_content
        == "\ufffd" + PHRASE
        == scripted.complete(ASK, options).message.reasoning_content
    )
    assert [e for e in events if isinstance(e, Reasoning)] == [Reasoning("\ufffd"), ClosingPhrase(PHRASE)]


def test_a_call_that_the_thought_planned_is_told_apart_from_the_phrase(scripted, codec):
    scripted.model.script = [codec.control.tool_call, *codec.tokenizer.encode("one and two and three")]
    tools = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]
    result = scripted.complete(ASK, ChatOptions(thinking_budget=3, max_tokens=200, tools=tools))
    own = result.message.reasoning_content.removesuffix(PHRASE)
    assert own.startswith("<tool_call>one") and result.report.closing_phrase == PHRASE
    assert result.problems[0] == "call_in_thought" and result.usage.reasoning_tokens == 3


def test_without_room_for_the_closing_phrase_a_thought_ends_with_the_tag_alone(scripted, codec):
    scripted.say("The answer is " * 20, "2")
    result = scripted.complete(ASK, ChatOptions(max_tokens=9))
    assert (result.finish_reason, result.report.thinking_end_reason) == ("length", "reserve")
    bare = len(codec.thinking_ids.end_sequence) - codec.thinking_ids.end_sequence.index(codec.control.think_end)
    assert result.usage.reasoning_tokens == 9 - 9 // 4 - bare and result.report.closing_phrase_tokens == 0
    assert result.message.reasoning_content and result.message.content and result.report.closing_phrase == ""


def test_a_thought_that_needs_little_has_it_where_the_phrase_has_no_room(scripted):
    scripted.say("one and one", "2")
    cost = len(scripted.codec.thinking_ids.end_sequence)
    for max_tokens in (20, cost, cost + 8, 2 * cost):
        result = scripted.complete(ASK, ChatOptions(max_tokens=max_tokens))
        assert (result.message.content, result.report.thinking_end_reason) == ("2", "natural"), max_tokens


@pytest.mark.parametrize("max_tokens", range(1, 9))
def test_however_little_there_is_room_for_the_answer_gets_a_token_of_it(scripted, codec, max_tokens):
    scripted.say("one and one and one and one and one and one", "2")
    result = scripted.complete(ASK, ChatOptions(max_tokens=max_tokens))
    sequence = codec.thinking_ids.end_sequence
    end = len(sequence) - sequence.index(codec.control.think_end)
    assert result.message.content
    assert (NO_ROOM_TO_THINK in result.report.warnings) == (max_tokens <= end)
    assert max_tokens <= end or result.report.answer_reserve == max(1, max_tokens // 4)


def test_the_answer_keeps_its_reserve(scripted, codec):
    cost = len(codec.thinking_ids.end_sequence)
    scripted.say("The answer is " * 100, "2")  # after the cut it goes on in the answer, for longer than the reserve
    options = ChatOptions(max_tokens=2 * cost + 40, thinking_budget=10**6, answer_reserve=30)
    result = scripted.complete(ASK, options)
    assert (result.report.thinking_end_reason, result.report.budget_applied) == ("reserve", cost + 10)
    assert result.usage.reasoning_tokens == cost + 10 and result.report.closing_phrase == PHRASE
    assert result.usage.completion_tokens == 2 * cost + 40 and result.finish_reason == "length"


@pytest.mark.parametrize(
    ("messages", "options", "mode", "source"),
    [
        (ASK, {}, "thinking", "default"),
        (ASK, {"enable_thinking": True}, "thinking", "request"),
        (ASK, {"enable_thinking": False}, "non-thinking", "request"),
        (ASK, {"thinking_budget": 0}, "non-thinking", "request"),
        (ASK, {"thinking_budget": 0, "enable_thinking": True}, "non-thinking", "request"),
        ([{"role": "user", "content": "Hi /no_think"}], {}, "non-thinking", "soft_switch"),
        ([{"role": "user", "content": "Hi /no_think"}], {"soft_switch": "model"}, "non-thinking", "model"),
    ],
)
def test_modes(untrained, messages, options, mode, source):
    report = untrained.complete(messages, ChatOptions(max_tokens=8, **options)).report
    assert (report.mode, report.mode_source) == (mode, source)
    assert report.preset.startswith(mode)
    assert report.sampling["presence_penalty"] == (1.5 if mode == "non-thinking" else 0.0)


def test_non_thinking_never_opens_a_thought(untrained, codec):
    untrained.engine.model.model.embed_tokens.weight.data[codec.control.think] *= 50  # a model that longs to think
    results = untrained.complete_batch([ASK] * 8, ChatOptions(enable_thinking=False, max_tokens=60, temperature=2.0))
    for result in results:
        assert not {codec.control.think, codec.control.think_end} & set(result.ids)
        assert result.usage.reasoning_tokens == 0 and not result.message.reasoning_content
        assert result.report.budget_applied == 0 and result.report.thinking_end_reason is None


def test_left_to_the_model_the_prompt_opens_no_thought(scripted, codec):
    scripted.model.script = [codec.control.think, *codec.tokenizer.encode("\n\n"), codec.control.think_end]
    result = scripted.complete(ASK, ChatOptions(soft_switch="model"))
    assert codec.control.think in result.ids
    assert result.report.thinking_end_reason == "natural" and result.message.reasoning_content == ""


def test_given_values_win_over_the_preset(untrained):
    options = ChatOptions(max_tokens=4, temperature=0.0, top_k=0, seed=7)
    sampling = untrained.complete(ASK, options).report.sampling
    assert (sampling["temperature"], sampling["top_k"], sampling["top_p"], sampling["seed"]) == (0.0, 0, 0.95, 7)


def test_same_seed_same_answer_alone_or_in_a_batch(untrained):
    options = [ChatOptions(max_tokens=30, seed=n) for n in range(4)]
    batch = untrained.complete_batch([ASK] * 4, options)
    assert [r.ids for r in batch] == [untrained.complete(ASK, o).ids for o in options]
    assert len({r.ids for r in batch}) == 4


def test_stream_equals_complete(scripted):
    scripted.say("one and one", "The answer is 2.")

    async def collect():
        return [item async for item in scripted.stream(ASK, ChatOptions(seed=1))]

    *events, last = asyncio.run(collect())
    whole = scripted.complete(ASK, ChatOptions(seed=1))
    cached = dataclasses.replace(whole.usage, cached_tokens=0)  # the second time the prompt is in the prefix cache
    assert isinstance(last, ChatResult) and last == dataclasses.replace(whole, usage=cached)
    assert "".join(e.text for e in events if isinstance(e, Reasoning)) == whole.message.reasoning_content
    assert "".join(e.text for e in events if isinstance(e, Content)) == whole.message.content


def test_leaving_a_stream_stops_the_generation(untrained, monkeypatch):
    monkeypatch.setattr(Codec, "stop_ids", ())  # it would go on to the last token
    ended, steps, schedule = [], threading.Semaphore(100), untrained.engine._scheduler.schedule
    monkeypatch.setattr(untrained.engine._scheduler, "schedule", lambda: (steps.acquire(), schedule())[1])

    async def leave():
        stream = untrained.stream(ASK, ChatOptions(max_tokens=900))
        await anext(stream)
        untrained.engine._scheduler.running[0].on_end = ended.append
        await stream.aclose()
        steps.release(1000)
        while not ended:
            await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(leave(), timeout=120))
    assert ended[0].finish_reason == "abort"


def test_tool_calls_and_their_truncation(scripted, codec):
    call = '\n{"name": "add", "arguments": {"a": 1}}\n'
    scripted.model.script = [
        codec.control.think_end,
        *codec.tokenizer.encode("\n\n"),
        codec.control.tool_call,
        *codec.tokenizer.encode(call),
        codec.control.tool_call_end,
    ]
    tools = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]
    result = scripted.complete(ASK, ChatOptions(tools=tools))
    assert result.finish_reason == "tool_calls" and result.message.tool_calls[0].name == "add"
    cut = scripted.complete(ASK, ChatOptions(tools=tools, max_tokens=len(scripted.model.script), answer_reserve=0))
    assert cut.finish_reason == "length"


@pytest.mark.parametrize("thinking", [True, False])
def test_without_tools_a_call_stays_in_the_text(scripted, codec, thinking):
    """Who prompts for calls without offering tools reads them in the content, and in the thought."""
    call = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
    split = [codec.control.tool_call, *codec.tokenizer.encode(call[11:-12]), codec.control.tool_call_end]
    planned = [*split, codec.control.think_end, *codec.tokenizer.encode("\n\n")] if thinking else []
    scripted.model.script = [*planned, *codec.tokenizer.encode("So:\n"), *split, *codec.tokenizer.encode("\n"), *split]
    options = ChatOptions(enable_thinking=thinking, logprobs=True, stream_tokens=True)

    async def collect():
        return [item async for item in scripted.stream(ASK, options)]

    *events, last = asyncio.run(collect())
    for result in (scripted.complete(ASK, options), last):
        message = result.message
        assert (message.content, message.tool_calls) == (f"So:\n{call}\n{call}", ())
        assert message.reasoning_content == (call if thinking else None)
        assert (result.finish_reason, result.problems) == ("stop", ())
        assert result.usage.reasoning_tokens == (len(split) if thinking else 0)
    assert "".join(e.text for e in events if isinstance(e, Content)) == message.content
    content = [
        id_
        for e in events
        if isinstance(e, Tokens)
        for id_, kind in zip(e.ids, e.kinds, strict=True)
        if kind == "content"
    ]
    assert codec.tokenizer.decode(content).strip("\n") == message.content


@pytest.mark.parametrize(
    ("messages", "options", "param"),
    [
        (ASK, {"thinking_budget": -1}, "thinking_budget"),
        (ASK, {"thinking_budget": 1.5}, "thinking_budget"),
        (ASK, {"max_tokens": 0}, "max_tokens"),
        (ASK, {"answer_reserve": -1}, "answer_reserve"),
        (ASK, {"enable_thinking": "yes"}, "enable_thinking"),
        (ASK, {"temperature": float("nan")}, "temperature"),
        (ASK, {"top_p": 7}, "top_p"),
        (ASK, {"seed": -3}, "seed"),
        (ASK, {"history": "none"}, "history"),
        ([{"role": "boss", "content": "Hi"}], {}, "messages[0].role"),
        ([], {}, "messages"),
        ([{"role": "user", "content": "word " * 3000}], {}, "messages"),
    ],
)
def test_wrong_requests_name_their_field(untrained, messages, options, param):
    for ask in (untrained.complete, untrained.stream):
        with pytest.raises(SansiError) as error:
            ask(messages, ChatOptions(**options))
        assert error.value.param == param


def test_one_wrong_conversation_stops_the_batch_before_any_work(untrained):
    with pytest.raises(SansiError):
        untrained.complete_batch([ASK, [{"role": "boss", "content": "Hi"}]], ChatOptions(max_tokens=4))
    with pytest.raises(SansiError, match="one each"):
        untrained.complete_batch([ASK], [ChatOptions(), ChatOptions()])


def test_from_a_folder(tmp_path, codec, config):
    folder = tmp_path / "tiny"
    save(Transformer(config), folder, generation_config={"sansi_presets": {"thinking": {"temperature": 0}}})
    codec.save(folder)
    with ChatModel.from_pretrained(folder) as chat:
        assert chat.name == "tiny" and chat.context_length == 1024
        result = chat.complete(ASK, ChatOptions(max_tokens=4))
        assert result.report.sampling["temperature"] == 0
        assert result.report.preset == "thinking (generation_config.json)"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(SansiError, match="nowhere"):
        ChatModel.from_pretrained(tmp_path / "nowhere")


def test_a_tokenizer_of_another_model_is_refused(codec):
    model = Transformer(ModelConfig.preset("nano", vocab_size=64, num_hidden_layers=1))
    with pytest.raises(SansiError, match="do not belong together"):
        ChatModel(Engine(model), codec, "wrong", Presets(thinking=Preset()))


def test_a_call_with_an_error_is_reported_and_finishes_nothing(scripted, codec):
    def turn(*arguments):
        ids = [codec.control.think_end]
        for text in arguments:
            written = f'\n{{"name": "add", "arguments": {text}}}\n'
            ids += [codec.control.tool_call, *codec.tokenizer.encode(written), codec.control.tool_call_end]
        scripted.model.script = ids
        schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
        tools = [{"type": "function", "function": {"name": "add", "parameters": schema}}]
        return scripted.complete(ASK, ChatOptions(tools=tools))

    wrong = turn('{"a": "many"}')
    assert (wrong.finish_reason, wrong.problems) == ("stop", ("invalid_arguments",))
    assert wrong.message.tool_calls[0].error == 'arguments: "a" must be an integer, not "many"'
    both = turn("{}", '{"a": "3"}')
    assert (both.finish_reason, both.problems) == ("tool_calls", ("invalid_arguments",))
    assert [call.arguments for call in both.message.tool_calls if call.executable] == ['{"a": 3}']


def test_the_speed_is_of_sampled_tokens_by_the_engines_clock(scripted, codec):
    """Neither the phrase, which is read in one step, nor what the reader does with a token counts."""
    scripted.say("one and two and three " * 9, "2")
    result = scripted.complete(ASK, ChatOptions(thinking_budget=4, max_tokens=200))
    used = result.usage
    assert used.sampled_tokens == used.completion_tokens - len(codec.thinking_ids.end_sequence)
    timed = dataclasses.replace(result, decode_seconds=0.5)
    assert tokens_per_second(timed) == (used.sampled_tokens - 1) / 0.5
    single = dataclasses.replace(timed, usage=dataclasses.replace(used, sampled_tokens=1))
    assert tokens_per_second(single) is None
    assert tokens_per_second(dataclasses.replace(result, decode_seconds=None)) is None
    assert result.decode_seconds > 0
