"""The thinking limits: invariants of the state machine under any tokens, and its declared outcomes."""

from __future__ import annotations

import random

import pytest
from engine_models import RandomModel
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.base.errors import SansiError
from sansi.engine import Engine, SamplingParams, ThinkingLimits, ThinkingState
from sansi.engine.thinking import LOOP_TOKENS, repeats

START, END, STOP, VOCAB = 1, 2, 3, 24
SEQUENCE = (5, 6, END, 7)


def limits(**changes) -> ThinkingLimits:
    return ThinkingLimits(**({"start_id": START, "end_ids": (END,), "end_sequence": SEQUENCE, "open": True} | changes))


def run(state: ThinkingState, tokens: list[int], max_tokens: int) -> list[int]:
    """What comes out when a model samples `tokens`."""
    out = []
    for token in tokens[:max_tokens]:
        out.append(state.resolve(token))
        state.push(out[-1])
    return out


@st.composite
def cases(draw):
    opened = draw(st.booleans())
    return {
        "prompt": draw(st.lists(st.integers(8, VOCAB - 1), min_size=1, max_size=6)) + ([START, 9] if opened else []),
        "limits": limits(
            open=opened,
            budget=draw(st.none() | st.integers(0, 40)),
            answer_reserve=draw(st.integers(0, 20)),
            loop_breaker=draw(st.booleans()),
            end_sequence=draw(st.sampled_from([SEQUENCE, (END,), (5, 5, 5, END)])),
        ),
        "max_tokens": draw(st.integers(1, 45)),
        "stop": draw(st.booleans()),
        "temperature": draw(st.sampled_from([0.0, 0.5, 1.0, 3.0])),
        "favourite": draw(st.sampled_from([None, START, END, STOP])),
        "seed": draw(st.integers(0, 2**63 - 1)),
    }


@settings(max_examples=40)
@given(st.lists(cases(), min_size=1, max_size=5))
def test_limits_hold_for_any_model_and_batch(batch):
    """Budget, reserve and max_tokens hold; a thought opens and closes once; what is forced is the end sequence."""
    model = RandomModel(VOCAB, seed=len(batch))
    for case in batch:  # tokens that matter should come up often
        if case["favourite"] is not None:
            model.table.data[:, :, case["favourite"]] += 1.0
    with Engine(model, max_batch=2) as engine:
        params = [
            SamplingParams(
                temperature=c["temperature"],
                seed=c["seed"],
                max_tokens=c["max_tokens"],
                stop_ids=(STOP,) if c["stop"] else (),
                thinking=c["limits"],
            )
            for c in batch
        ]
        completions = engine.generate([c["prompt"] for c in batch], params)
    for case, completion in zip(batch, completions, strict=True):
        check(case, completion)


def check(case, completion) -> None:
    ids, report, lim = list(completion.ids), completion.thinking, case["limits"]
    assert 1 <= len(ids) <= case["max_tokens"]
    prefilled = 1 if lim.open else 0  # the prompt's part of the thought
    whole = [START] * lim.open + ids
    assert whole.count(START) <= 1 and whole.count(END) <= 1, "a thought opens and closes at most once"
    if START not in whole:
        assert END not in whole and report.tokens == 0 and report.end_reason is None
        return
    thought = whole[whole.index(START) + 1 :]
    closed = END in thought
    left = case["max_tokens"] - (len(ids) - len(thought))  # when the thought opened
    room = left - lim.answer_reserve - len(lim.end_sequence)
    sequence = lim.end_sequence if room >= 0 else lim.end_sequence[lim.end_sequence.index(END) :]
    before_end = thought[: thought.index(END)] if closed else thought
    if closed and not lim.open:
        assert lim.budget != 0
    if not closed and report.end_reason == "stop":
        before_end = before_end[:-1]  # the stop id is no part of the thought
    assert report.tokens == len(before_end)
    own = before_end
    if report.end_reason in ("budget", "reserve", "loop"):
        forced = sequence.index(END)
        own = before_end[: len(before_end) - forced]
        assert tuple(thought[len(own) :][: len(sequence)]) == sequence[: len(thought) - len(own)]
    if closed and lim.budget is not None:
        assert prefilled + len(own) <= max(lim.budget, prefilled)
    if report.end_reason == "budget":
        assert prefilled + len(own) == max(lim.budget, prefilled)
    assert report.tokens - report.forced_tokens == len(own)
    if room >= 0 and closed:
        assert left - len(own) - len(lim.end_sequence) >= lim.answer_reserve, "the answer keeps its reserve"
    if room < 0:
        assert not own, "without room for its end sequence there is no thought"
    if left > 0:
        assert report.end_reason != "length", "every thought is closed in time"


def test_natural_end():
    state = ThinkingState(limits(budget=5), [START], 50)
    assert run(state, [9, 9, END, 9], 50) == [9, 9, END, 9]
    report = state.report("length")
    assert (report.tokens, report.forced_tokens, report.end_reason, report.budget_applied) == (2, 0, "natural", 5)
    assert set(state.banned) == {START, END}


def test_cut_at_the_budget():
    state = ThinkingState(limits(budget=3), [START], 50)
    assert run(state, [9] * 9, 50) == [9, 9, 9, *SEQUENCE, 9, 9]
    report = state.report("length")
    assert (report.tokens, report.forced_tokens, report.end_reason) == (5, 2, "budget")


def test_a_thought_of_exactly_the_budget_is_whole():
    state = ThinkingState(limits(budget=3), [START], 50)
    assert run(state, [9, 9, 9, END, 8], 50) == [9, 9, 9, END, 8]
    assert state.report("length").end_reason == "natural"


def test_the_prompts_part_of_the_thought_counts():
    state = ThinkingState(limits(budget=3), [8, START, 9, 9], 50)
    assert run(state, [9, 9], 50) == [9, SEQUENCE[0]]


def test_reserve_cuts_when_it_comes_first():
    state = ThinkingState(limits(budget=30, answer_reserve=6), [START], 20)
    out = run(state, [9] * 20, 20)
    assert out == [9] * 10 + list(SEQUENCE) + [9] * 6
    report = state.report("length")
    assert (report.end_reason, report.budget_applied) == ("reserve", 10)


def test_budget_zero_forbids_thinking():
    state = ThinkingState(limits(budget=0, open=False), [8], 20)
    assert START in state.banned and state.report("stop").end_reason is None


@pytest.mark.parametrize("reason", ["stop", "length", "abort"])
def test_ended_inside_the_thought(reason):
    state = ThinkingState(limits(), [START], 50)
    run(state, [9, 9], 50)
    assert state.report(reason).end_reason == (None if reason == "abort" else reason)


def test_cut_off_after_the_closing_id_keeps_the_limits_reason():
    state = ThinkingState(limits(budget=1), [START], 50)
    assert run(state, [9, 9, 9, 9], 4) == [9, 5, 6, END]
    assert state.report("length").end_reason == "budget"


@pytest.mark.parametrize("period", [1, 3, 24, 50])
def test_loop_breaker_closes_a_repeating_thought(period):
    opening, cycle = [10, 11, 12], [9 + i % 13 for i in range(period)]
    state = ThinkingState(limits(loop_breaker=True), [START], 2000)
    out = run(state, opening + cycle * (600 // period), 2000)
    assert state.report("length").end_reason == "loop"
    assert out.index(5) < len(opening) + max(LOOP_TOKENS, 4 * period) + 17
    state = ThinkingState(limits(loop_breaker=False), [START], 2000)
    assert 5 not in run(state, opening + cycle * (600 // period), 2000)


def test_honest_work_is_no_loop():
    rows = [token for row in range(40) for token in (10, 11, 12, 13, 100 + row)]  # a table whose last column changes
    assert not any(repeats(rows[:n]) for n in range(len(rows)))
    draw = random.Random(0)
    coin = [draw.randrange(2) for _ in range(2000)]
    assert not any(repeats(coin[:n]) for n in range(0, 2000, 7))


@pytest.mark.parametrize(
    "changes",
    [
        {"budget": -1},
        {"answer_reserve": -1},
        {"end_sequence": (5, 6)},
        {"end_ids": ()},
        {"start_id": VOCAB},
        {"end_sequence": (5, END, START)},
        {"end_ids": (END, START)},
    ],
)
def test_impossible_limits_are_refused(changes):
    with Engine(RandomModel(VOCAB)) as engine, pytest.raises(SansiError, match="thinking"):
        engine.generate([[9]], SamplingParams(thinking=limits(**changes)))


@pytest.mark.parametrize("logprobs", [False, True])
def test_a_closing_id_that_is_a_stop_id_ends_the_completion_however_it_comes(logprobs):
    model = RandomModel(VOCAB, context=200)
    model.table.data[:, :, [END, START]] = -99.0
    params = SamplingParams(
        temperature=0, max_tokens=60, stop_ids=(END,), thinking=limits(budget=8, loop_breaker=False), logprobs=logprobs
    )
    with Engine(model) as engine:
        forced = engine.generate([[9, START]], params)[0]
        model.table.data[3, :, END] = 99.0  # the second token of the thought
        natural = engine.generate([[9, START]], params)[0]
    assert forced.finish_reason == natural.finish_reason == "stop"
    assert forced.ids[8:] == (5, 6, END) and natural.ids[2:] == (END,)
    assert (forced.thinking.end_reason, natural.thinking.end_reason) == ("budget", "natural")
