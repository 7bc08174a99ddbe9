"""The policy by itself, without a model: who runs, in what order, and who gives way."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sansi.engine import SamplingParams
from sansi.engine.batch import BLOCK
from sansi.engine.blocks import BlockPool
from sansi.engine.request import Request
from sansi.engine.runner import rows_of
from sansi.engine.scheduler import Scheduler, Work


def request(length: int, arrival: int, max_tokens: int = 10, first: int = 9, **params) -> Request:
    """Prompts that differ in their first token share nothing."""
    prompt = [first, *range(100, 100 + length - 1)]
    made = Request(prompt, SamplingParams(max_tokens=max_tokens, **params), max_tokens, 0, None, lambda _: None)
    made.arrival = arrival
    return made


def scheduler(blocks: int = 100, max_batch: int = 8, step: int = 64, **options) -> Scheduler:
    return Scheduler(BlockPool(blocks), max_batch, step, **options)


def run(policy: Scheduler, works: list[Work], token: int = 7) -> list[Request]:
    """What the engine does with works: one new token for each that samples. Those that ended."""
    ended = []
    for work in works:
        made, known = work.request, min(work.count, work.request.remaining)
        samples = work.samples
        policy.computed(made, known)
        if samples:
            made.sampled = True
            if made.push(token):
                policy.finish(made)
                ended.append(made)
    policy.pool.check_integrity([r.table.tolist() for r in policy.running])
    return ended


def counts(works: list[Work]) -> dict[int, int]:
    return {work.request.arrival: work.count for work in works}


def test_prompts_are_read_in_chunks_and_decodes_come_first():
    policy = scheduler(step=40)
    policy.waiting += [request(30, 0, first=1), request(60, 1, first=2), request(5, 2, first=3)]
    works = policy.schedule()
    assert counts(works) == {2: 5, 0: 30, 1: 5}, "the shortest first"
    run(policy, works)
    works = policy.schedule()
    assert counts(works) == {0: 1, 2: 1, 1: 38} and list(counts(works)) == [0, 2, 1]


def steps_until_read(policy: Scheduler, wanted: Request) -> int:
    for step in range(1, 2000):
        works = policy.schedule()
        run(policy, works)
        if any(work.request is wanted for work in works):
            return step
    raise AssertionError("never read")


def test_a_short_prompt_does_not_wait_for_long_ones():
    policy = scheduler(blocks=2000, step=100)
    policy.waiting += [request(6000, n, first=n) for n in range(3)]
    run(policy, policy.schedule())
    policy.waiting.append(request(10, 3, first=50))
    assert steps_until_read(policy, policy.waiting[-1]) == 1


def test_a_long_prompt_is_read_however_many_short_ones_come():
    policy = scheduler(blocks=2000, step=100, max_batch=32)
    policy.waiting.append(request(5000, 0))
    steps = 0
    while not policy.running or not policy.running[0].sampled:
        policy.waiting += [
            request(60, 1 + 2 * steps + n, max_tokens=1, first=10 + (2 * steps + n) % 80) for n in (0, 1)
        ]
        run(policy, policy.schedule())
        steps += 1
    assert steps <= 101, "half of each step is its own"


@pytest.mark.parametrize("kind", ["prompts", "drafts"])
def test_the_rows_of_logits_of_a_step_are_bounded(kind):
    class Eager:
        def propose(self, tokens, most):
            return [7] * most

        def checked(self, drafted, accepted):
            pass

    policy = scheduler(blocks=2000, step=500, max_batch=20, max_scored=64)
    scored = {"prompt_logprobs": True} if kind == "prompts" else {"speculation": 16}
    policy.waiting += [request(100, n, max_tokens=40, first=n, **scored) for n in range(20)]
    for made in policy.waiting:
        made.proposer = Eager() if kind == "drafts" else None
    most = 0
    while policy.busy:
        works = policy.schedule()
        most = max(most, sum(rows_of(work) for work in works))
        for work in works:
            work.request.proposal = []
            work.count = min(work.count, work.request.remaining)
        run(policy, works)
    assert 64 <= most <= 64 + 20 + BLOCK


def test_however_many_decode_reading_goes_on():
    policy = scheduler(step=4, max_batch=16)
    policy.waiting += [request(2, n, first=n) for n in range(8)]
    while len([r for r in policy.running if r.sampled]) < 8:
        run(policy, policy.schedule())
    policy.waiting.append(request(40, 8, first=50))
    works = policy.schedule()
    assert counts(works)[8] == 4 and len(works) == 9


def test_the_newest_gives_way_and_returns_to_its_place():
    policy = scheduler(blocks=6, prefix_cache=False)
    policy.waiting += [request(2 * BLOCK, n, max_tokens=100, first=n) for n in range(2)]
    run(policy, policy.schedule())
    assert [r.arrival for r in policy.running] == [0, 1] and policy.pool.available == 2
    policy.waiting.append(request(4, 2, first=3))
    while not policy.preemptions:
        run(policy, policy.schedule())
    assert [r.arrival for r in policy.running] == [0] and [r.arrival for r in policy.waiting] == [1, 2]
    preempted = policy.waiting[0]
    assert preempted.computed == 0 and len(preempted.table) == 0 and len(preempted.ids) == len(preempted.tokens) - 32
    assert preempted.ids, "its tokens are kept"


def test_a_preempted_request_finds_its_own_blocks_again():
    policy = scheduler(blocks=8)
    policy.waiting += [request(2 * BLOCK, 0, first=1), request(2 * BLOCK, 1, first=2)]
    run(policy, policy.schedule())
    policy.preempt(policy.running[1])
    works = policy.schedule()
    assert counts(works) == {0: 1, 1: 1}, "two full blocks were found; only the last token is read again"


def test_equal_prompts_are_read_once():
    policy = scheduler(step=1000, max_batch=64)
    policy.waiting += [request(40, n) for n in range(8)]
    assert counts(policy.schedule()) == {0: 40}, "the others wait for the blocks that the first makes"
    run(policy, [Work(policy.running[0], 40)])
    assert counts(policy.schedule()) == {0: 1, **dict.fromkeys(range(1, 8), 8)}
    assert policy.cached_tokens == 7 * 32


def test_others_need_not_wait_for_an_equal_prompt():
    policy = scheduler()
    policy.waiting += [request(20, 0), request(20, 1), request(20, 2, first=5)]
    assert counts(policy.schedule()) == {0: 20, 2: 20}


def test_a_prompt_that_wants_log_probabilities_is_read_whole():
    policy = scheduler(max_scored=16)
    policy.waiting.append(request(40, 0))
    run(policy, policy.schedule())
    policy.waiting.append(request(40, 1, prompt_logprobs=True))
    assert counts(policy.schedule()) == {0: 1, 1: 16}, "in small chunks, as each token has a row of logits"
    assert policy.running[1].cached_tokens == 0


def test_what_waits_is_admitted_in_order_even_if_a_later_one_would_fit():
    policy = scheduler(blocks=8)
    policy.waiting += [request(5 * BLOCK, 0, first=1), request(5 * BLOCK, 1, first=2), request(4, 2, first=3)]
    run(policy, policy.schedule())
    run(policy, policy.schedule())
    assert [r.arrival for r in policy.running] == [0] and [r.arrival for r in policy.waiting] == [1, 2]


@given(st.integers(0, 10**9))
def test_everybody_ends(seed):
    """Random requests that keep coming, over little memory: each step moves someone, in order, and nobody starves."""
    draw = random.Random(seed)
    context, arrivals = 96, 0
    policy = scheduler(
        blocks=context // BLOCK + draw.randrange(6),
        max_batch=draw.randrange(1, 6),
        step=draw.choice([1, 5, 16, 50]),
        prefix_cache=draw.random() < 0.7,
    )
    born: dict[int, int] = {}
    for step in range(400):
        if arrivals < 25 and draw.random() < 0.3:
            length = draw.randrange(1, 60)
            new = request(length, arrivals, draw.randrange(1, context - length), first=draw.randrange(3))
            policy.waiting.append(new)
            born[arrivals] = step
            arrivals += 1
        if not policy.busy:
            continue
        ran = sorted(policy.running, key=lambda r: r.arrival)
        first = policy.waiting[0] if policy.waiting else None
        works = policy.schedule()
        moved = [work.request for work in works]
        assert moved and all(work.count > 0 for work in works)
        assert not ran or ran[0] in moved or not ran[0].sampled
        waits_for_another = any(not r.sampled for r in ran)  # perhaps what the first in the queue begins with
        if first in policy.waiting and not waits_for_another:
            assert not any(r.arrival > first.arrival and r not in ran for r in moved), "overtaken"
        read = sum(work.count for work in works if not work.request.sampled)
        assert read <= max(policy.max_step_tokens, 1)
        for ended in run(policy, works):
            del born[ended.arrival]
    while policy.busy:
        for ended in run(policy, policy.schedule()):
            del born[ended.arrival]
    assert not born and policy.pool.owned == 0 and policy.preempted == 0
