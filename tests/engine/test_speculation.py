"""Drafts: found where they are, cut where they cannot come, and fewer where they do not come true."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sansi.engine.speculation import CANDIDATES, LONGEST, LONGEST_PAUSE, SHORTEST, Drafter, PromptLookup

small_ids = st.lists(st.integers(0, 3), max_size=40)


def by_hand(tokens: list[int], count: int) -> list[int]:
    """What prompt lookup finds, by trying the latest places with the same two last tokens one after the other."""
    end = len(tokens)
    places = [p for p in range(end - 1, SHORTEST - 1, -1) if tokens[p - SHORTEST : p] == tokens[end - SHORTEST :]]
    best, longest = None, 0
    for place in places[:CANDIDATES]:
        length = SHORTEST
        while length < min(place, LONGEST) and tokens[place - length - 1] == tokens[end - length - 1]:
            length += 1
        if length > longest:
            best, longest = place, length
    out = list(tokens)
    for i in range(count if best is not None else 0):
        out.append(out[best + i])
    return out[end:]


@given(small_ids, small_ids, st.integers(1, 4))
def test_the_index_finds_what_a_search_finds(prompt, completion, step):
    lookup, tokens = PromptLookup(prompt), list(prompt)
    for start in range(0, len(completion), step):
        tokens += completion[start : start + step]
        assert lookup.propose(tokens, 4) == by_hand(tokens, 4)


def test_a_repetition_is_drafted_beyond_its_end():
    assert PromptLookup().propose([1, 2, 3, 1, 2, 3], 4) == [1, 2, 3, 1]
    assert PromptLookup().propose([7, 7, 7], 3) == [7, 7, 7]


def test_the_longest_match_wins_then_the_latest():
    assert PromptLookup().propose([9, 1, 2, 5, 8, 1, 2, 6, 9, 1, 2], 1) == [5]
    assert PromptLookup().propose([1, 2, 5, 1, 2, 6, 1, 2], 1) == [6]


@pytest.mark.parametrize("tokens", [[], [1], [1, 1], [1, 2, 3, 4]])
def test_nothing_is_drafted_where_nothing_came_before(tokens):
    assert PromptLookup(tokens).propose(tokens, 4) == []


def test_drafts_grow_with_success_and_pause_with_failure():
    tokens = [1, 2] * 200
    lookup = PromptLookup(tokens)
    sizes = []
    for _ in range(4):
        sizes.append(len(lookup.propose(tokens, 64)))
        lookup.checked(sizes[-1], sizes[-1])
    assert sizes == [4, 8, 16, 32]
    lookup.checked(len(lookup.propose(tokens, 64)), 2)
    assert len(lookup.propose(tokens, 64)) == 3
    asked = drafted = 0
    while asked < 300:  # nothing comes true any more
        found = lookup.propose(tokens, 64)
        lookup.checked(len(found), 0)
        asked, drafted = asked + 1, drafted + len(found)
    assert drafted < 20 and LONGEST_PAUSE < 300
    for _ in range(LONGEST_PAUSE + 1):
        found = found or lookup.propose(tokens, 64)
    lookup.checked(len(found), len(found))
    assert lookup.propose(tokens, 64), "one success ends the pauses"


def test_a_draft_ends_before_a_stop_id():
    drafter = Drafter([1, 2, 3, 9, 1, 2], stop_ids=[9])
    assert drafter.propose([1, 2, 3, 9, 1, 2], 4) == [3]
    drafter.checked(1, 1)
    assert (drafter.drafted, drafter.accepted) == (1, 1)


def test_a_long_prompt_costs_a_constant_per_token():
    draw = random.Random(0)

    def seconds(count: int) -> float:
        tokens = [draw.randrange(4) for _ in range(count)]  # few ids: the same pairs come again and again
        lookup = PromptLookup(tokens)
        best = float("inf")
        for _ in range(5):
            start = time.perf_counter()
            for _ in range(200):
                tokens.append(draw.randrange(4))
                lookup.propose(tokens, 8)
            best = min(best, time.perf_counter() - start)
        return best

    assert seconds(64_000) < 8 * seconds(1_000)
