"""What holds for every conversation: append-only history, masks, spans, training samples, and the way back."""

import functools
import json
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from chat_strategies import TOOLS, completions, conversations, modes, options, questions
from conversations import tiny_codec, user
from hypothesis import assume, given
from hypothesis import strategies as st
from jinja2.sandbox import ImmutableSandboxedEnvironment
from sansi.base import SansiError
from sansi.text import Codec, Mode, StreamParser, message_to_dict, read_messages, select_mode
from sansi.text.chunks import ChunkEncoder
from sansi.text.render import keep_escapes, split_thought

histories = st.sampled_from(["official", "keep"])


def token_starts(ids):
    """Offset of the first byte of each id."""
    starts, at = [], 0
    for token in ids:
        starts.append(at)
        at += len(tiny_codec().tokenizer.token_bytes(token))
    return starts


def told(chat, tools, history, enable_thinking, soft_switch, open_thought):
    """The conversation spelled out a second time, in the plainest way: (text, kind, message, is the assistant's)."""
    queries = [i for i, m in enumerate(chat) if m.role == "user" and not is_result(m)]
    last_query = max(queries, default=len(chat) - 1)
    if chat[0].role == "system" or tools:
        own = 0 if chat[0].role == "system" else -1
        yield from [("<|im_start|>", "role", own, 0), ("system\n", "role", own, 0)]
        if own == 0:
            yield chat[0].content, "content", 0, 0
        if tools:
            blank = tiny_codec().render([user("")], tools=tools).text
            listed = blank.removeprefix("<|im_start|>system\n").split("<|im_end|>")[0]
            yield ("\n\n" if own == 0 else "") + listed, "tools", own, 0
        yield "<|im_end|>\n", "end", own, 0
    for i, m in enumerate(chat):
        if m.role in ("user", "system") and not (m.role == "system" and i == 0):
            yield from [(f"<|im_start|>{m.role}\n", "role", i, 0), (m.content, "content", i, 0)]
            yield "<|im_end|>\n", "end", i, 0
        elif m.role == "tool":
            if i == 0 or chat[i - 1].role != "tool":
                yield "<|im_start|>user", "role", i, 0
            yield f"\n<tool_response>\n{m.content}\n</tool_response>", "tool_response", i, 0
            if i + 1 == len(chat) or chat[i + 1].role != "tool":
                yield "<|im_end|>\n", "end", i, 0
        elif m.role == "assistant":
            yield "<|im_start|>assistant\n", "role", i, 0
            thought, answer = split_thought(m)
            mode = select_mode(chat[:i], enable_thinking, soft_switch)
            if history == "keep" and not mode.thinking and mode.source != "model":
                thought = ""
            content = answer
            if history == "keep" or (i > last_query and (i == len(chat) - 1 or m.reasoning_content or thought)):
                own = 1 if thought or mode == Mode(False, "model") else 0
                yield f"<think>\n{thought}\n</think>\n\n", "thought", i, own
                answer = answer.lstrip("\n")
            yield answer, "answer", i, 1
            for number, call in enumerate(m.tool_calls):
                line = "\n" if content or number else ""
                body = (
                    f'<tool_call>\n{{"name": "{call.name}", "arguments": {keep_escapes(call.arguments)}}}\n</tool_call>'
                )
                yield line + body, "tool_call", i, 1
            yield from [("<|im_end|>", "end", i, 1), ("\n", "end", i, 0)]


def is_result(message):
    return message.content.startswith("<tool_response>") and message.content.endswith("</tool_response>")


@given(conversations(), options, histories, st.sampled_from([None, TOOLS]))
def test_text_mask_and_spans_are_those_of_a_plain_telling(chat, given_options, history, tools):
    chat = read_messages(chat)
    prompt = tiny_codec().render(chat, tools=tools, add_generation_prompt=False, history=history, **given_options)
    kinds, losses, text = [], [], ""
    for part, kind, message, loss in told(chat, tools, history, **given_options):
        text += part
        size = len(unicodedata.normalize("NFC", part).encode())
        kinds += [(kind, message)] * size
        losses += [loss] * size
    assert prompt.text == text
    starts = token_starts(prompt.ids)
    assert prompt.loss_mask == [losses[start] for start in starts]
    spans = prompt.spans
    assert spans[0].start == 0 and spans[-1].end == len(prompt.ids)
    assert all(a.end == b.start for a, b in pairwise(spans))
    assert all(span.start < span.end for span in spans)
    found = [(span.kind, span.message) for span in spans for _ in range(span.start, span.end)]
    assert found == [kinds[start] for start in starts]
    neighbours = pairwise(spans)
    assert all((a.kind, a.message) != (b.kind, b.message) or b.kind == "tool_call" for a, b in neighbours)


@functools.cache
def jinja():
    environment = ImmutableSandboxedEnvironment()
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string(Codec.chat_template)


@given(conversations(), st.sampled_from([None, TOOLS]), st.booleans(), st.sampled_from([None, True, False]))
def test_the_jinja_template_writes_what_the_renderer_writes(chat, tools, generate, enable_thinking):
    calls = [call for message in read_messages(chat) for call in message.tool_calls]
    assume(all(keep_escapes(call.arguments) == call.arguments for call in calls))  # the one place where they differ
    given_options = {"tools": tools, "add_generation_prompt": generate, "enable_thinking": enable_thinking}
    prompt = tiny_codec().render(chat, soft_switch="model", **given_options)
    assert prompt.text == jinja().render(messages=chat, **given_options)


@given(conversations(), options, st.sampled_from([None, TOOLS]))
def test_kept_history_is_append_only_for_any_conversation(chat, given_options, tools):
    codec, before = tiny_codec(), None
    for turn, message in enumerate(chat):
        if message["role"] == "assistant" and turn:
            prompt = codec.render(chat[:turn], tools=tools, history="keep", **given_options)
            assert before is None or prompt.ids[: len(before.ids)] == before.ids
            assert before is None or prompt.text.startswith(before.text)
            before = prompt
    prompt = codec.render([*chat, user("end")], tools=tools, history="keep", **given_options)
    assert before is None or prompt.ids[: len(before.ids)] == before.ids


@given(st.lists(st.tuples(questions, options, completions()), min_size=1, max_size=4))
def test_kept_history_holds_what_was_written_token_for_token(turns):
    """Whatever the model wrote, and however the options change from turn to turn."""
    codec, chat, before = tiny_codec(), [], []
    for question, given_options, ids in turns:
        chat.append(user(question))
        prompt = codec.render(chat, tools=TOOLS, history="keep", **given_options)
        assert prompt.ids[: len(before)] == before
        message = codec.parse(prompt, ids)
        written = ids[: len(message.ids)]
        assert (
            list(message.ids) == written and written + ids[len(written) : len(written) + 1] == ids[: len(written) + 1]
        )
        before = prompt.ids + written
        chat.append(message)
    prompt = codec.render([*chat, user("end")], tools=TOOLS, history="keep")
    assert prompt.ids[: len(before)] == before
    assert [s.message for s in prompt.spans] == sorted(s.message for s in prompt.spans)


def normal(message, mode):
    """What comes back: text in NFC, without the line breaks that frame a thought and an answer."""
    thought, answer = split_thought(message)
    reasoning = thought or ("" if mode == Mode(False, "model") else None)
    nfc = [None if text is None else unicodedata.normalize("NFC", text) for text in (reasoning, answer.lstrip("\n"))]
    return (*nfc, [(c.name, unicodedata.normalize("NFC", keep_escapes(c.arguments))) for c in message.tool_calls])


@pytest.mark.parametrize("mark", ["\u0301", "\u0323\u0301", "\u0338"])
@pytest.mark.parametrize("before", ["\n", "\x0e", "n", "\\", "\\n", "é"])
def test_normalisation_breaks_no_escape(before, mark):
    text = json.dumps({"a": before + mark + "c"}, ensure_ascii=False)
    shown = unicodedata.normalize("NFC", keep_escapes(text))
    assert json.loads(shown)["a"] == unicodedata.normalize("NFC", before + mark + "c")
    assert keep_escapes(text) == text or before in "\n\x0e\\"


def is_no_sample(chat, error) -> bool:
    """The two refusals that are documented: a thought in a turn that has none, and a chat without a question."""
    asked = any(m.role == "user" and not is_result(m) for m in read_messages(chat))
    return "holds a thought" in str(error) or ("no user's question" in str(error) and not asked)


def turns_of(sample):
    """(first, end) of each run of ids with loss."""
    runs, before = [], 0
    for i, loss in enumerate([*sample.loss_mask, 0]):
        if loss and not before:
            runs.append([i, i])
        if before and not loss:
            runs[-1][1] = i
        before = loss
    return runs


@given(conversations(ends_with_answer=True), modes, histories)
def test_a_learned_turn_is_read_back(chat, mode_options, history):
    codec = tiny_codec()
    try:
        sample = codec.training_sample(chat, tools=TOOLS, history=history, **mode_options)
    except SansiError as error:
        assert is_no_sample(chat, error)
        assume(False)
    chat = read_messages(chat)
    answers = [(i, m) for i, m in enumerate(chat) if m.role == "assistant"]
    runs = turns_of(sample)
    if history == "keep":
        assert len(runs) == len(answers)
    for (index, message), (begin, end) in zip(
        answers[::-1], runs[::-1] if history == "keep" else runs[-1:], strict=False
    ):
        assert sample.ids[end - 1] == codec.control.im_end
        parser = StreamParser(codec.tokenizer, sample.ids[:begin], TOOLS)
        parser.feed(sample.ids[begin:end])
        parser.finish()
        mode = select_mode(chat[:index], **mode_options)
        found = parser.message
        got = (found.reasoning_content, found.content, [(c.name, c.arguments) for c in found.tool_calls])
        assert got == normal(message, mode) and not parser.problems
        assert all(call.executable for call in found.tool_calls)


@given(conversations(ends_with_answer=True), modes)
def test_every_answer_is_learned_once_and_as_it_was_served(chat, mode_options):
    codec = tiny_codec()
    try:
        samples = codec.training_samples(chat, tools=TOOLS, **mode_options)
    except SansiError as error:
        assert is_no_sample(chat, error)
        assume(False)
    first = next(i for i, m in enumerate(read_messages(chat)) if m.role == "user" and not is_result(m))
    learned = 0
    for turn in range(first, len(chat)):
        if chat[turn]["role"] != "assistant":
            continue
        learned += 1
        if chat[turn - 1]["role"] == "assistant":
            continue  # the template shows an answer's block while the answer is the last message, and then no more
        prompt = codec.render(chat[:turn], tools=TOOLS, **mode_options).ids
        after = [s for s in samples if s.ids[: len(prompt)] == prompt and s.loss_mask[len(prompt) :].count(1)]
        assert after, turn
    assert sum(len(turns_of(sample)) for sample in samples) == learned


@given(conversations(ends_with_answer=True), modes)
def test_a_sample_of_kept_history_starts_as_its_prompts(chat, mode_options):
    codec = tiny_codec()
    try:
        sample = codec.training_sample(chat, tools=TOOLS, history="keep", **mode_options)
    except SansiError as error:
        assert is_no_sample(chat, error)
        assume(False)
    for turn, message in enumerate(chat):
        if message["role"] == "assistant" and turn:
            prompt = codec.render(chat[:turn], tools=TOOLS, history="keep", **mode_options)
            assert sample.ids[: len(prompt.ids)] == prompt.ids
            assert sample.loss_mask[len(prompt.ids) :].count(1)


@given(st.lists(st.lists(st.text(max_size=6), min_size=1, max_size=3).map(tuple), max_size=12), st.integers(0, 40))
def test_the_cache_of_chunks_is_bounded_and_changes_nothing(chunks, limit):
    cached, plain = (ChunkEncoder(tiny_codec().tokenizer, max_chars=size) for size in (limit, -1))
    for chunk in chunks:
        assert cached.encode(chunk) == plain.encode(chunk)
        assert cached.chars <= limit and plain.chars == 0


def test_threads_share_the_cache():
    encoder = ChunkEncoder(tiny_codec().tokenizer, max_chars=50)
    wanted = {n: encoder.encode((f"text {n % 17}",)) for n in range(400)}
    with ThreadPoolExecutor(8) as pool:
        found = dict(zip(wanted, pool.map(lambda n: encoder.encode((f"text {n % 17}",)), wanted), strict=True))
    assert found == wanted and 0 < encoder.chars <= 50


@pytest.mark.parametrize("history", ["official", "keep"])
def test_a_broken_call_stands_as_far_as_it_came(history):
    codec = tiny_codec()
    prompt = codec.render([user("a")], tools=TOOLS, enable_thinking=False)
    ids = [codec.control.tool_call, *codec.tokenizer.encode('\n{"name": "add", "arguments": {"a": 1')]
    message = codec.parse(prompt, ids)
    assert not message.tool_calls[0].executable
    for sent in (message, message_to_dict(message)):
        again = codec.render([user("a"), sent, user("b")], tools=TOOLS, enable_thinking=False, history=history)
        assert '<tool_call>\n{"name": "add", "arguments": {"a": 1<|im_end|>' in again.text
