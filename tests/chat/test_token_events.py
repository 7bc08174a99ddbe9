"""Tokens of a stream: each told once, in order, and as text only if it begins before a stop string's cut."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sansi.chat import ChatOptions
from sansi.chat.stream_reader import StreamReader, TextSource
from sansi.chat.token_events import TokenEvents
from sansi.engine.results import Delta
from sansi.text import Codec, Content, Reasoning, Tokenizer

CODEC = Codec(Tokenizer.train(["abba a b\n\nab"] * 3, 300))
IDS = [i for i in range(CODEC.tokenizer.vocab_size) if not set(CODEC.tokenizer.token_bytes(i)) - set(b"ab\n")]
PROMPT = CODEC.tokenizer.encode("a")
ANSWERING = CODEC.render([{"role": "user", "content": "a"}], enable_thinking=False)

stop_lists = st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3)
pieces = st.lists(st.lists(st.sampled_from(IDS), min_size=1, max_size=3), max_size=8)


def run(pieces, stops, is_text=True):
    """(the reader, what was told after each delta) of an engine that ends with the token that completes a stop."""
    source = TextSource(CODEC) if is_text else CODEC.parser(ANSWERING)
    others = TextSource(CODEC) if is_text else CODEC.parser(ANSWERING)
    reader, ends = StreamReader(source, stops), StreamReader(others, stops)
    token_events = TokenEvents(CODEC, ChatOptions(stop=stops))
    told, fed = [], []
    for piece in [*pieces, []]:
        ids, stopped = [], False
        for id_ in piece:
            ids.append(id_)
            stopped = ends.ends(id_) if stops else False
            if stopped:
                break
        fed += ids
        done = SimpleNamespace(finish_reason="stop" if stopped else "length") if stopped or not piece else None
        events = reader.feed(ids) + (reader.finish(done.finish_reason) if done else [])
        told.append((token_events.feed(Delta(tuple(ids), (0.0,) * len(ids), done), events, reader), events))
        if done:
            return reader, fed, told
    raise AssertionError("the last piece ends it")


def texts_of(told):
    return [
        (id_, kind) for tokens, _ in told for some in tokens for id_, kind in zip(some.ids, some.kinds, strict=True)
    ]


@given(pieces, stop_lists)
def test_every_token_is_told_once_and_text_begins_before_the_cut(pieces, stops):
    reader, fed, told = run(pieces, stops)
    pairs = texts_of(told)
    assert [id_ for id_, _ in pairs] == fed
    begin = 0
    for id_, kind in pairs:
        cut = reader.stop is not None and begin >= len(reader.content)
        assert (kind == "dropped") == cut
        begin += len(CODEC.tokenizer.token_bytes(id_))


@given(pieces, stop_lists)
def test_what_has_been_told_as_text_is_never_cut_off(pieces, stops):
    """However the deltas fall, the kinds of the tokens are the same."""
    singles = [[id_] for piece in pieces for id_ in piece]
    assert texts_of(run(pieces, stops)[2]) == texts_of(run(singles, stops)[2])


@given(pieces, stop_lists)
def test_the_same_of_an_answer_whose_line_breaks_are_framing(pieces, stops):
    reader, fed, told = run(pieces, stops, is_text=False)
    pairs = texts_of(told)
    assert [id_ for id_, _ in pairs] == fed
    kept = b"".join(CODEC.tokenizer.token_bytes(id_) for id_, kind in pairs if kind == "content").decode()
    assert kept.lstrip("\n").startswith(reader.content), "the answer's tokens are all there"
    if reader.stop is None:
        assert not any(kind == "dropped" for _, kind in pairs)
        assert kept.lstrip("\n") == reader.content


CONTROL = CODEC.control
MARKUP = [CONTROL.think, CONTROL.think_end, CONTROL.tool_call, CONTROL.tool_call_end, CONTROL.im_start]
TURNS = st.lists(
    st.lists(
        st.sampled_from(
            [*(bytes([b]) for b in range(97, 100)), b"\n", "\u65e9".encode()[:2], "\u65e9".encode()[2:], *MARKUP]
        ),
        min_size=1,
        max_size=3,
    ),
    max_size=12,
)
BYTES = {CODEC.tokenizer.token_bytes(id_): id_ for id_ in range(256)}


def ids_of(piece):
    return [id_ for part in piece for id_ in ([part] if isinstance(part, int) else [BYTES[bytes([b])] for b in part])]


@pytest.mark.parametrize("open_thought", [False, True])
@pytest.mark.parametrize("calls", [False, True])
@given(turn=TURNS)
def test_tokens_spell_the_answer_and_the_thought_whatever_the_model_writes(open_thought, calls, turn):
    """Stray tags, calls that became text, parts of characters, line breaks around: each is where its text is."""
    ask, thinking = [{"role": "user", "content": "a"}], open_thought or None
    prompt = CODEC.render(ask, enable_thinking=thinking, open_thought=open_thought)
    deltas = [*map(ids_of, turn), [CONTROL.im_end]]
    for pieces in (deltas, [[id_] for piece in deltas for id_ in piece]):
        reader, events = StreamReader(CODEC.parser(prompt, calls=calls)), TokenEvents(CODEC, ChatOptions())
        told, spoken = [], {"content": "", "reasoning": ""}
        for index, ids in enumerate(pieces):
            done = SimpleNamespace(finish_reason="stop") if index == len(pieces) - 1 else None
            new = reader.feed(ids) + (reader.finish("stop") if done else [])
            tokens = events.feed(Delta(tuple(ids), (0.0,) * len(ids), done), new, reader)
            told += [(some.ids[0], some.kinds[0]) for some in tokens]
            for event in new:
                spoken["content"] += event.text if isinstance(event, Content) else ""
                spoken["reasoning"] += event.text if isinstance(event, Reasoning) else ""
        assert [id_ for id_, _ in told] == [id_ for piece in pieces for id_ in piece]
        for kind, text in spoken.items():
            raw = b"".join(CODEC.tokenizer.token_bytes(id_) for id_, own in told if own == kind)
            assert raw.decode(errors="replace") == text
