"""What ends a completion, and what may not come: the same tokens up to there, alone, in a batch, in a stream."""

from __future__ import annotations

import asyncio

import pytest
from engine_models import TinyModel
from sansi.base.errors import SansiError
from sansi.engine import Engine, SamplingParams

PROMPT = [1, 2, 3]


class Third:
    """True for the third token that is even."""

    def __init__(self):
        self.seen: list[int] = []

    def __call__(self, token: int) -> bool:
        self.seen.append(token)
        return sum(id_ % 2 == 0 for id_ in self.seen) == 3


@pytest.fixture(scope="module")
def engine():
    with Engine(TinyModel()) as engine:
        yield engine


@pytest.mark.parametrize("speculation", [0, 8])
def test_a_condition_ends_the_completion_with_the_token_that_fulfils_it(engine, speculation):
    plain = engine.generate([PROMPT], SamplingParams(seed=5, max_tokens=60))[0]
    end = [i for i, id_ in enumerate(plain.ids) if id_ % 2 == 0][2] + 1
    condition = Third()
    params = SamplingParams(seed=5, max_tokens=60, stop_when=condition, speculation=speculation)
    found = engine.generate([PROMPT, PROMPT], [params, SamplingParams(seed=5, max_tokens=60)])
    assert (found[0].ids, found[0].finish_reason) == (plain.ids[:end], "stop")
    assert tuple(condition.seen) == found[0].ids and found[1].ids == plain.ids

    async def stream():
        params = SamplingParams(seed=5, max_tokens=60, stop_when=Third())
        return [id_ async for delta in engine.stream(PROMPT, params) for id_ in delta.ids]

    assert tuple(asyncio.run(stream())) == plain.ids[:end]


def test_an_error_in_a_condition_is_that_of_its_request_alone(engine):
    def broken(token):
        raise SansiError("no")

    good, bad = SamplingParams(seed=5, max_tokens=9), SamplingParams(seed=5, max_tokens=9, stop_when=broken)
    with pytest.raises(SansiError, match="no"):
        engine.generate([PROMPT], bad)
    assert engine.generate([PROMPT], good)[0].finish_reason == "length"


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_banned_ids_never_come(engine, temperature):
    params = SamplingParams(seed=1, max_tokens=200, temperature=temperature)
    common = max(set(ids := engine.generate([PROMPT], params)[0].ids), key=ids.count)
    bound = SamplingParams(seed=1, max_tokens=200, temperature=temperature, banned_ids=(common,), speculation=4)
    assert common not in engine.generate([PROMPT], bound)[0].ids
    with pytest.raises(SansiError) as caught:
        engine.generate([PROMPT], SamplingParams(banned_ids=(99,)))
    assert caught.value.param == "banned_ids"
