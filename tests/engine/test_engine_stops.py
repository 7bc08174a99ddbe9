"""What ends a completion, and what may not come: the same tokens up to there, alone, in a batch, in a stream."""

from __future__ import annotations

import asyncio
import dataclasses

import numpy as np
import pytest
import torch
from engine_models import TinyModel
from sansi.base.errors import SansiError
from sansi.engine import Engine, SamplingParams, ThinkingLimits
from schedules import grammar_of, run_all

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


HOLDERS = {
    "list": list,
    "numpy": np.array,
    "torch": torch.tensor,
    "generator": lambda ids: (id_ for id_ in ids),
}


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
def test_ids_may_be_held_by_anything_and_bind_all_the_same(engine, holder):
    """An array has no truth value, and a generator is empty once it was checked."""
    plain = SamplingParams(temperature=0, max_tokens=12)
    first = engine.generate([PROMPT], plain)[0].ids
    thinking = ThinkingLimits(30, (29,), (28, 29), open=True, budget=0, closing_ids=(27,))
    kinds = [
        {"stop_ids": first[5:6]},
        {"banned_ids": (first[0], first[1])},
        {"thinking": thinking},
    ]
    same = dataclasses.replace(
        thinking, **{name: holder(getattr(thinking, name)) for name in ("end_ids", "end_sequence", "closing_ids")}
    )
    held = [{name: same if name == "thinking" else holder(value)} for kind in kinds for name, value in kind.items()]
    expected = run_all(engine, [PROMPT] * 3, [dataclasses.replace(plain, **kind) for kind in kinds])
    found = run_all(engine, [PROMPT] * 4, [plain, *(dataclasses.replace(plain, **kind) for kind in held)])
    assert found[0].ids == first
    assert [(c.ids, c.finish_reason) for c in found[1:]] == [(c.ids, c.finish_reason) for c in expected]


def test_where_all_is_banned_nothing_comes(engine):
    """Of logits that are all -inf the first, or the last, would be the most likely."""
    everything = tuple(range(engine.vocab_size))
    with pytest.raises(SansiError, match=f"all {engine.vocab_size} ids") as error:
        engine.generate([PROMPT], SamplingParams(banned_ids=everything))
    assert error.value.param == "banned_ids"
    plain = SamplingParams(max_tokens=4, seed=1)
    closed = ThinkingLimits(30, (29,), (29,), budget=0)
    hopeless = [
        dataclasses.replace(plain, banned_ids=everything[:29] + everything[31:], thinking=closed),
        dataclasses.replace(plain, banned_ids=everything[4:], grammar=grammar_of("[A-Z]*")),
    ]
    for temperature in (0.0, 1.0):
        params = [dataclasses.replace(p, temperature=temperature) for p in (plain, *hopeless)]
        found = run_all(engine, [PROMPT] * 3, params)
        assert found[0].ids == engine.generate([PROMPT], params[0])[0].ids
        assert all(isinstance(f, SansiError) and "no token may come next" in str(f) for f in found[1:])
