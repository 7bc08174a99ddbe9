"""The thinking limits: invariants of the state machine under any tokens, and its declared outcomes."""

from __future__ import annotations

import dataclasses
import math
import random

import pytest
from engine_models import RandomModel
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.base.errors import SansiError
from sansi.engine import Engine, SamplingParams, ThinkingLimits, ThinkingState
from sansi.engine.thinking import LOOP_TOKENS, repeats

START, END, STOP, BREAK, TURN, VOCAB = 1, 2, 3, 4, 7, 24
SEQUENCE = (5, 6, END, 8)


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
    inside = [START, *draw(st.sampled_from([(), (9,), (BREAK,), (BREAK, BREAK), (BREAK, 9, 10)]))]
    return {
        "prompt": draw(st.lists(st.integers(8, VOCAB - 1), min_size=1, max_size=6)) + (inside if opened else []),
        "limits": limits(
            open=opened,
            budget=draw(st.none() | st.integers(0, 40)),
            answer_reserve=draw(st.integers(0, 20)),
            loop_breaker=draw(st.booleans()),
            end_sequence=draw(st.sampled_from([SEQUENCE, (END,), (5, 5, 5, END)])),
            framing_ids=draw(st.sampled_from([(), (BREAK,)])),
            turn_ids=draw(st.sampled_from([(), (TURN,), (TURN, STOP)])),
        ),
        "max_tokens": draw(st.integers(1, 45)),
        "stop": draw(st.booleans()),
        "temperature": draw(st.sampled_from([0.0, 0.5, 1.0, 3.0])),
        "favourite": draw(st.sampled_from([None, START, END, STOP, BREAK, TURN])),
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
                stop_ids=(STOP, TURN) if c["stop"] else (),
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
    before = case["prompt"][case["prompt"].index(START) + 1 :] if lim.open else []
    whole = [START, *before, *ids] if lim.open else ids
    assert whole.count(START) <= 1 and whole.count(END) <= 1, "a thought opens and closes at most once"
    if START not in whole:
        assert END not in whole and report.tokens == report.forced_tokens == 0 and report.end_reason is None
        return
    thought = whole[whole.index(START) + 1 :]
    left = case["max_tokens"] - (len(ids) - (len(thought) - len(before)))  # when the thought opened
    framed = (
        bool(thought)
        and thought[0] in lim.framing_ids
        and (bool(before) or report.forced_at != len(ids) - len(thought))
    )
    closed = END in thought
    inside = thought[framed : thought.index(END)] if closed else thought[framed:]
    if not closed and report.end_reason == "stop":
        inside = inside[:-1]  # the stop id is no part of the thought
    given = len(before) - (framed and bool(before))  # what the prompt holds of it
    own = len(inside) - report.phrase_tokens
    assert report.tokens == own - given, "the model's own tokens are what is counted"
    bare = lim.end_sequence[lim.end_sequence.index(END) :]
    cut = report.end_reason in ("budget", "reserve", "loop", "end_of_turn")
    assert cut == (report.forced_at is not None and closed) or report.end_reason == "length"
    if report.forced_at is not None:
        forced = tuple(ids[report.forced_at : report.forced_at + report.forced_tokens])
        assert forced and forced in {seq[: len(forced)] for seq in (lim.end_sequence, bare)}
        assert forced == lim.end_sequence[: len(forced)] or report.phrase_tokens == 0
    budget = math.inf if lim.budget is None else lim.budget
    assert report.tokens <= max(0, budget - given), "never more than the budget"
    assert report.budget_applied <= budget
    if report.end_reason == "budget":
        assert report.tokens == max(0, budget - given) and report.budget_applied == budget, "and exactly it, when cut"
    if closed and not lim.open:
        assert lim.budget != 0
    used = report.tokens + (framed and not before)
    if closed and left >= lim.answer_reserve + len(bare):
        assert left - used - report.forced_tokens >= lim.answer_reserve or not cut, "the answer keeps its reserve"
    if left < lim.answer_reserve + len(bare):
        assert report.tokens == 0, "without room for its end there is no thought"
    elif report.end_reason == "reserve":
        assert report.tokens > 0 or left - lim.answer_reserve - len(bare) <= framed, "it thinks where it can"
    if left > 0:
        assert report.end_reason != "length", "every thought is closed in time"
    assert not case["stop"] or report.end_reason != "stop" or ids[-1] not in lim.turn_ids


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
    assert (report.tokens, report.forced_tokens, report.phrase_tokens, report.forced_at) == (3, 4, 2, 3)
    assert (report.end_reason, report.budget_applied) == ("budget", 3)


@pytest.mark.parametrize("budget", [1, 2, 16])
@pytest.mark.parametrize(
    ("prompt", "written"), [([START, BREAK], []), ([START], [BREAK]), ([8], [START, BREAK]), ([8], [START])]
)
def test_a_line_break_that_frames_the_thought_is_none_of_its_tokens(budget, prompt, written):
    """Whoever wrote it, the prompt or the model, the budget is the model's own tokens."""
    state = ThinkingState(limits(budget=budget, framing_ids=(BREAK,), open=START in prompt), prompt, 90)
    assert run(state, written + [9] * 40, 60)[: len(written) + budget + 4] == [*written, *[9] * budget, *SEQUENCE]
    assert (state.tokens, state.phrase_tokens, state.forced_at) == (budget, 2, len(written) + budget)
    assert state.report("stop").budget_applied == budget


def test_the_second_line_break_is_the_models_own():
    state = ThinkingState(limits(budget=2, framing_ids=(BREAK,)), [START, BREAK], 50)
    assert run(state, [BREAK, BREAK, 9], 50) == [BREAK, BREAK, SEQUENCE[0]] and state.tokens == 2


def test_an_end_of_turn_in_a_thought_closes_it_and_the_model_answers():
    state = ThinkingState(limits(turn_ids=(TURN,), budget=20), [START], 50)
    assert run(state, [9, 9, TURN, 9, 9], 50) == [9, 9, END, 8, 9]
    report = state.report("stop")
    assert (report.end_reason, report.tokens, report.phrase_tokens, report.forced_tokens) == ("end_of_turn", 2, 0, 2)


@pytest.mark.parametrize("logprobs", [False, True])
def test_a_model_that_wants_nothing_but_the_end_of_its_turn_still_says_something(logprobs):
    """After the thought that it would have ended, a token at least; then it may end. Not where it had its say."""
    model = RandomModel(VOCAB)
    model.table.data[:, :, TURN] += 99.0
    thinking = limits(turn_ids=(TURN,))
    params = SamplingParams(seed=1, max_tokens=40, stop_ids=(TURN,), thinking=thinking, logprobs=logprobs)
    with Engine(model) as engine:
        found = engine.generate([[9, START], [9]], [params, dataclasses.replace(params, thinking=limits(open=False))])
    assert found[0].ids[:2] == (END, 8) and len(found[0].ids) == 4 and found[0].ids[2] != TURN == found[0].ids[3]
    assert (found[0].finish_reason, found[0].thinking.end_reason) == ("stop", "end_of_turn")
    assert found[1].ids == (TURN,)


@pytest.mark.parametrize(
    ("max_tokens", "reserve", "kept", "sequence"),
    [
        (3, 0, 1, (END, 8)),  # room for a token and the bare end
        (5, 1, 2, (END, 8)),
        (6, 1, 3, (END, 8)),  # the whole sequence would leave one token: less than the phrase has
        (7, 1, 2, SEQUENCE),
        (20, 6, 10, SEQUENCE),
    ],
)
def test_a_small_max_tokens_still_thinks_where_it_can(max_tokens, reserve, kept, sequence):
    state = ThinkingState(limits(answer_reserve=reserve), [START], max_tokens)
    rest = max_tokens - kept - len(sequence)
    assert run(state, [9] * max_tokens, max_tokens) == [9] * kept + list(sequence) + [9] * rest
    assert rest == reserve and state.report("length").end_reason == "reserve"


def test_a_short_thought_needs_no_room_for_the_phrase():
    state = ThinkingState(limits(answer_reserve=2, end_sequence=(*[5] * 30, END, 8)), [START], 16)
    assert run(state, [9] * 6 + [END, 8, 10, 10], 16) == [9] * 6 + [END, 8, 10, 10]
    assert state.report("stop").end_reason == "natural"


def test_a_budget_cuts_with_the_phrase_only_where_there_is_room_for_it():
    for max_tokens, sequence in ((10, SEQUENCE), (8, (END, 8))):
        state = ThinkingState(limits(answer_reserve=3, budget=3), [START], max_tokens)
        assert run(state, [9] * 9, max_tokens)[: 3 + len(sequence)] == [9, 9, 9, *sequence]


def test_following_a_completion_counts_what_its_state_counted():
    lim = limits(budget=3, framing_ids=(BREAK,), open=False)
    state = ThinkingState(lim, [8], 50)
    ids = run(state, [8, START, BREAK, 9, 9, 9, 9, 9, 10, 10], 50)
    for length in range(len(ids) + 1):
        follower = ThinkingState(lim, [8], 50)
        follower.follow(ids[:length], state.forced_at)
        if length == len(ids):
            assert follower.tokens == state.tokens == 3 and follower.phrase_tokens == 2
            assert follower.forced_tokens == state.forced_tokens == 4


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
