"""Drafts: found where they are, cut where they cannot come, and fewer where they do not come true."""

from __future__ import annotations

import dataclasses
import random
import time

import pytest
from engine_models import RandomModel, TinyModel
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.base.errors import SansiError
from sansi.engine import Completion, Engine, SamplingParams, ThinkingLimits
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


# ---- in the engine --------------------------------------------------------------------------------------------------


@st.composite
def requests(draw):
    """A prompt that repeats itself, and parameters of every kind."""
    piece = draw(st.lists(st.integers(4, 31), min_size=1, max_size=5))
    thinking = draw(
        st.none()
        | st.builds(
            ThinkingLimits,
            start_id=st.just(1),
            end_ids=st.just((2,)),
            end_sequence=st.sampled_from([(2,), (5, 6, 2, 7)]),
            open=st.booleans(),
            budget=st.none() | st.integers(0, 12),
            answer_reserve=st.integers(0, 8),
        )
    )
    params = SamplingParams(
        temperature=draw(st.sampled_from([0.0, 0.3, 1.0])),
        top_k=draw(st.sampled_from([0, 4])),
        top_p=draw(st.sampled_from([1.0, 0.7])),
        presence_penalty=draw(st.sampled_from([0.0, 0.8])),
        frequency_penalty=draw(st.sampled_from([0.0, -0.5])),  # below 0 it makes the model repeat itself
        repetition_penalty=draw(st.sampled_from([1.0, 0.8])),
        seed=draw(st.integers(0, 2**63 - 1)),
        max_tokens=draw(st.integers(1, 40)),
        stop_ids=draw(st.sampled_from([(), (3,), tuple(piece[:1])])),
        logprobs=draw(st.booleans()),
        top_logprobs=draw(st.sampled_from([0, 2])),
        prompt_logprobs=draw(st.booleans()),
        thinking=thinking,
    )
    return piece * draw(st.integers(1, 8)) + ([1] if thinking is not None and thinking.open else []), params


def told(completion: Completion) -> tuple:
    """All that a caller is told, save what drafts cost."""
    return (completion.ids, completion.finish_reason, completion.thinking, completion.usage.completion_tokens)


@settings(max_examples=25)
@given(st.lists(requests(), min_size=1, max_size=5), st.sampled_from([1, 3, 16]))
def test_drafts_change_no_token(batch, most):
    model = TinyModel()
    prompts = [prompt for prompt, _ in batch]
    plain = [params for _, params in batch]
    drafting = [dataclasses.replace(params, speculation=most) for params in plain]
    with Engine(model, max_batch=1, prefix_cache=False) as alone, Engine(model, max_batch=3, num_blocks=20) as together:
        for found, wanted in zip(together.generate(prompts, drafting), alone.generate(prompts, plain), strict=True):
            assert told(found) == told(wanted)
            assert found.logprobs == (None if wanted.logprobs is None else pytest.approx(wanted.logprobs, abs=1e-6))
            assert found.prompt_logprobs is None or found.prompt_logprobs[1:] == pytest.approx(
                wanted.prompt_logprobs[1:], abs=1e-6
            )
            assert [[t.id for t in top] for top in found.top_logprobs or ()] == [
                [t.id for t in top] for top in wanted.top_logprobs or ()
            ]


def test_a_loop_is_accepted_whole_and_counted():
    model = RandomModel(context=256)
    model.table.data[...] = 0
    for id_ in range(24):
        model.table.data[:, id_, (id_ + 1) % 5] = 9.0  # 0 1 2 3 4 0 1 …
    params = SamplingParams(temperature=0, max_tokens=100, speculation=16)
    with Engine(model) as engine:
        found = engine.generate([[0, 1, 2, 3, 4, 0, 1]], params)[0]
        metrics = engine.metrics()
    assert list(found.ids) == [(2 + i) % 5 for i in range(100)]
    assert found.accepted_tokens == found.drafted_tokens > 80
    assert (metrics.drafted_tokens, metrics.accepted_tokens) == (found.drafted_tokens, found.accepted_tokens)
    assert metrics.steps < 20, "that is what drafts are for"


def test_rejected_drafts_leave_nothing_in_the_cache():
    """Blocks are found by the tokens that were accepted, and hold their keys and values."""
    model, prompt = TinyModel(), [4, 5, 6, 7] * 6
    params = SamplingParams(temperature=1.0, seed=3, max_tokens=60, speculation=8)
    with Engine(model) as engine, Engine(model, prefix_cache=False) as cold:
        first = engine.generate([prompt], params)[0]
        assert first.drafted_tokens > first.accepted_tokens
        for cut in range(0, 60, 7):
            longer = prompt + list(first.ids[:cut])
            again = engine.generate([longer], dataclasses.replace(params, logprobs=True))[0]
            wanted = cold.generate([longer], dataclasses.replace(params, logprobs=True, speculation=0))[0]
            assert again.usage.cached_tokens >= (len(longer) - 1) // 16 * 16 - 16
            assert again.ids == wanted.ids and again.logprobs == pytest.approx(wanted.logprobs, abs=1e-6)


@pytest.mark.parametrize("speculation", [-1, 65, 1.5, True])
def test_impossible_numbers_of_drafts_are_refused(speculation):
    with Engine(RandomModel()) as engine, pytest.raises(SansiError, match="speculation"):
        engine.generate([[1]], SamplingParams(speculation=speculation))


@pytest.mark.parametrize("logprobs", [False, True])
@pytest.mark.parametrize("speculation", [0, 5, 16])
def test_a_loop_that_is_broken_inside_a_draft_goes_on_after_the_end_sequence(speculation, logprobs):
    """What the rest of the draft got as logits is not what follows the forced tokens."""
    model = RandomModel(vocab_size=12, context=300)
    model.table.data[...] = 0
    for id_ in range(12):
        model.table.data[:, id_, 8 + id_ % 4] = 9.0  # after the end sequence: 11 11 11 …
        model.table.data[:, id_, 2] = -99.0
    for id_, follows in ((4, 5), (5, 6), (6, 4)):
        model.table.data[:, id_, follows] = 99.0
    limits = ThinkingLimits(start_id=1, end_ids=(2,), end_sequence=(3, 2, 7), open=True)
    params = SamplingParams(temperature=0, max_tokens=200, thinking=limits, speculation=speculation, logprobs=logprobs)
    with Engine(model) as engine:
        found = engine.generate([[1, 4, 5, 6, 4]], params)[0]
    cut = found.ids.index(3)
    assert found.thinking.end_reason == "loop"
    assert list(found.ids[:cut]) == [(5, 6, 4)[i % 3] for i in range(cut)]
    assert list(found.ids[cut:]) == [3, 2, 7] + [11] * (200 - cut - 3)
    assert bool(found.accepted_tokens) == bool(speculation)
