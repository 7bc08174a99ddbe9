"""Stop strings: any pieces give the same text, and no stop string is ever in it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sansi.base.errors import SansiError
from sansi.chat.stop import StopStrings, check_stops
from sansi.chat.stream_reader import StreamReader
from sansi.text import Codec, Tokenizer

letters = st.text("ab\n", max_size=12)
stop_lists = st.lists(st.text("ab\n", min_size=1, max_size=4), min_size=1, max_size=4)


def plain(text: str, stops: list[str]) -> tuple[str, str | None]:
    """The same, character by character, in the plainest way."""
    for end in range(1, len(text) + 1):
        ended = [stop for stop in stops if text[:end].endswith(stop)]
        if ended:
            longest = max(ended, key=len)
            return text[: end - len(longest)], longest
    return text, None


@given(st.lists(letters, max_size=6), stop_lists)
def test_any_pieces_give_the_same_text_up_to_the_first_stop_string(pieces, stops):
    finder = StopStrings(stops)
    told = [finder.feed(piece) for piece in pieces]
    told.append(finder.finish())
    assert ("".join(told), finder.found) == plain("".join(pieces), stops)
    assert not any(stop in "".join(told) for stop in stops)


@given(letters, stop_lists)
def test_nothing_is_told_that_may_begin_a_stop_string_and_nothing_else_is_held_back(text, stops):
    finder = StopStrings(stops)
    told = finder.feed(text)
    if finder.found is None:
        held = text[len(told) :]
        assert held == "" or any(stop.startswith(held) for stop in stops)


@pytest.fixture(scope="module")
def codec():
    return Codec(Tokenizer.train(["a b ab ba 你好 What is 1 + 1?"] * 9, 300))


@given(st.data())
def test_a_turn_is_cut_alike_however_its_ids_are_split(codec, data):
    """Thought, answer and calls: only the answer's text is searched."""
    control, encode = codec.control, codec.tokenizer.encode
    call = [control.tool_call, *encode('\n{"name": "a", "arguments": {"x": "ab"}}\n'), control.tool_call_end]
    texts = st.text("ab 你\n", max_size=8)
    ids = [*encode(data.draw(texts)), control.think_end, *encode("\n\n" + data.draw(texts))]
    ids += [*(call if data.draw(st.booleans()) else []), *encode(data.draw(texts)), control.im_end]
    stops = data.draw(st.lists(st.text("ab 你\n", min_size=1, max_size=3), min_size=1, max_size=2))
    prompt = codec.render([{"role": "user", "content": "What is 1 + 1?"}], open_thought=True)
    whole, split = (StreamReader(codec.parser(prompt), stops) for _ in range(2))
    events = whole.feed(tuple(ids)) + whole.finish("stop")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(ids)), max_size=5)))
    pieces = []
    for start, end in pairwise([0, *cuts, len(ids)]):
        pieces += split.feed(tuple(ids[start:end]))
    pieces += split.finish("stop")
    assert (whole.message.content, whole.stop) == (split.message.content, split.stop)
    assert whole.message.reasoning_content == split.message.reasoning_content

    def text(some):
        return "".join(event.text for event in some if type(event).__name__ == "Content")

    assert text(events) == text(pieces) == whole.message.content
    plain_parser = StreamReader(codec.parser(prompt))
    plain_parser.feed(tuple(ids))
    plain_parser.finish("stop")
    assert (whole.message.content, whole.stop) == plain(plain_parser.message.content, stops)
    assert (whole.message.ids is None) == (whole.stop is not None)


@pytest.mark.parametrize("stops", ["ab", ["a"] * 65, [""], [5], ["x" * 257], None, 3])
def test_wrong_stops_are_named(stops):
    with pytest.raises(SansiError) as caught:
        check_stops(stops)
    assert caught.value.param == "stop"


def test_many_stop_strings_are_looked_for_at_once():
    stops = [f"<{name}>" for name in ("a", "ab", *(f"x{i}" for i in range(62)))]
    for text, told, stop in (("say <x61> no", "say ", "<x61>"), ("<ab><a>", "", "<ab>"), ("<x62", "<x62", None)):
        found = StopStrings(stops)
        assert "".join([*map(found.feed, text), found.finish()]) == told and found.found == stop


@given(
    st.lists(st.text("ab", min_size=1, max_size=4), max_size=8),
    st.lists(st.text("ab", min_size=1, max_size=3), max_size=3),
    st.integers(0, 8),
)
def test_stop_strings_that_end_early_are_passed_over(pieces, stops, early):
    """None that ends in the first `early` pieces ends the text; the first that ends after them does."""
    search, told = StopStrings(stops), ""
    for index, piece in enumerate(pieces):
        told += search.pass_over(piece) if index < early else search.feed(piece)
    told += search.finish()
    before, whole = len("".join(pieces[:early])), "".join(pieces)
    ends = [end for end in range(before + 1, len(whole) + 1) if any(whole[:end].endswith(stop) for stop in stops)]
    if search.found is None:
        assert told == whole
    else:
        assert ends and told == whole[: len(told)] and whole[len(told) :].startswith(search.found)
        assert len(told) + len(search.found) > before
    assert (search.found is not None) or not any(stop in whole[before:] for stop in stops), (
        "a stop string that lies wholly behind them is found"
    )
