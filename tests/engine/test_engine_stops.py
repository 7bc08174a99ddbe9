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
from sansi.model import ModelConfig, Transformer
from sansi.model.kernels.cpu.build import supported_isas
from schedules import grammar_of, run_all

PROMPT = [1, 2, 3]
SHAPE = {
    "vocab_size": 32,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 24,
    "max_position_embeddings": 128,
    "initializer_range": 0.35,
}


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


@pytest.mark.parametrize("speculation", [0, 8])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_min_tokens_keeps_stop_ids_and_conditions_from_ending(engine, speculation, temperature):
    """Up to there neither comes, or counts; from there on both do."""
    stops = tuple(range(4, 28))  # most of what there is
    for least in (0, 1, 7, 30):
        params = SamplingParams(
            seed=3, temperature=temperature, max_tokens=40, min_tokens=least, stop_ids=stops, speculation=speculation
        )
        alone = engine.generate([PROMPT], params)[0]
        other = dataclasses.replace(params, min_tokens=0, seed=4)
        assert engine.generate([PROMPT] * 3, [other, params, other])[1].ids == alone.ids
        assert len(alone.ids) > least and not set(alone.ids[:-1]) & set(stops)
        assert alone.finish_reason == "stop" and alone.ids[-1] in stops
        ended = engine.generate([PROMPT], dataclasses.replace(params, stop_ids=(), stop_when=lambda _: True))[0]
        assert len(ended.ids) == least + 1 and ended.finish_reason == "stop"


def test_min_tokens_lets_a_thought_close_and_end_nothing(engine):
    """A stop id that is the closing tag is sampled as ever, and so is a cut; the completion goes on."""
    thinking = ThinkingLimits(start_id=1, end_ids=(2,), end_sequence=(5, 2), open=True, budget=3, loop_breaker=False)
    params = SamplingParams(seed=5, max_tokens=30, stop_ids=(2,), thinking=thinking)
    assert len(engine.generate([[9, 1]], params)[0].ids) <= 5
    found = engine.generate([[9, 1]], dataclasses.replace(params, min_tokens=20))[0]
    assert len(found.ids) == 30 and 2 in found.ids[:5] and found.thinking.end_reason in ("natural", "budget")


def test_unwanted_ids_come_only_where_a_grammar_leaves_no_other(engine):
    stops = tuple(range(8, 28))
    params = SamplingParams(seed=3, max_tokens=25, stop_ids=stops, unwanted_ids=stops)
    found = engine.generate([PROMPT], params)[0]
    assert (len(found.ids), found.finish_reason) == (25, "length") and not set(stops) & set(found.ids)
    for more in ({"unwanted_ids": (3,)}, {"min_tokens": 20}):
        bound = SamplingParams(seed=3, max_tokens=25, stop_ids=(3,), grammar=grammar_of("(AB|CD|EE)"), **more)
        whole = engine.generate([PROMPT], bound)[0]
        assert whole.finish_reason == "stop" and len(whole.ids) <= 3 and whole.ids[-1] == 3
        open_ended = dataclasses.replace(bound, grammar=grammar_of("[A-Z]*"))
        assert len(engine.generate([PROMPT], open_ended)[0].ids) > 20


def test_a_bias_moves_the_choice_and_leaves_the_log_probabilities_alone(engine):
    greedy = SamplingParams(temperature=0, max_tokens=20, logprobs=True)
    plain = engine.generate([PROMPT], greedy)[0]
    forced = dataclasses.replace(greedy, logit_bias={7: 100.0})
    forbidden = dataclasses.replace(greedy, logit_bias=[(id_, -100) for id_ in set(plain.ids)])
    found = engine.generate([PROMPT] * 3, [forced, greedy, forbidden])
    assert found[0].ids == (7,) * 20 and found[1].ids == plain.ids and not set(found[2].ids) & set(plain.ids)
    assert engine.generate([PROMPT], dataclasses.replace(greedy, logit_bias={3: 0.0}))[0].ids == plain.ids
    scores = engine.generate([[*PROMPT, *found[0].ids]], SamplingParams(max_tokens=0, prompt_logprobs=True))[0]
    assert scores.prompt_logprobs[len(PROMPT) :] == pytest.approx(found[0].logprobs, abs=1e-5)


def test_a_bias_lifts_no_ban_and_no_grammar(engine):
    params = SamplingParams(temperature=0, max_tokens=6, logit_bias={4: 100.0, 9: 90.0}, banned_ids=(4,))
    assert set(engine.generate([PROMPT], params)[0].ids) == {9}
    bound = SamplingParams(
        temperature=0, max_tokens=6, logit_bias={31: 100.0, 6: 50.0}, grammar=grammar_of("(AB|CD|EE)+F?")
    )
    assert engine.generate([PROMPT], bound)[0].ids[0] == 6  # "C"; 31 is no letter of it


@pytest.mark.parametrize("backend", ["torch", "native"])
def test_biases_and_bounds_hold_on_every_backend(backend):
    if backend == "native" and not supported_isas():
        pytest.skip("the CPU kernels are for Linux on x86-64")
    torch.manual_seed(0)
    model = Transformer(ModelConfig(**SHAPE)).eval()
    greedy = SamplingParams(temperature=0, max_tokens=12)
    with Engine(model, backend=backend) as engine:
        plain = engine.generate([PROMPT], greedy)[0]
        assert engine.generate([PROMPT], dataclasses.replace(greedy, logit_bias={7: 100.0}))[0].ids == (7,) * 12
        stop = dataclasses.replace(greedy, stop_ids=plain.ids[:1])
        assert len(engine.generate([PROMPT], stop)[0].ids) == 1
        late = engine.generate([PROMPT], dataclasses.replace(stop, min_tokens=5))[0].ids
        assert len(late) > 5 and plain.ids[0] not in late[:5]
        scored = SamplingParams(max_tokens=0, prompt_logprobs=True, prompt_top_logprobs=3)
        nothing = engine.generate([[*PROMPT, *plain.ids]], scored)[0]
        assert (nothing.ids, nothing.finish_reason) == ((), "length")
        assert tuple(best[0].id for best in nothing.prompt_top_logprobs[len(PROMPT) :]) == plain.ids


def test_without_tokens_to_generate_the_prompt_is_read_and_scored(engine):
    scored = SamplingParams(max_tokens=0, prompt_logprobs=True, prompt_top_logprobs=4, logprobs=True, top_logprobs=2)
    prompts = [[1, 2, 3], [5], list(range(4, 28)) * 8]
    wanted = engine.generate(prompts, dataclasses.replace(scored, max_tokens=1))
    for prompt, one, found in zip(prompts, wanted, engine.generate(prompts, scored), strict=True):
        assert (found.ids, found.logprobs, found.top_logprobs, found.finish_reason) == ((), (), (), "length")
        assert len(found.prompt_logprobs) == len(prompt)
        assert found.prompt_logprobs[1:] == pytest.approx(one.prompt_logprobs[1:])
        assert [len(best) for best in found.prompt_top_logprobs] == [0] + [4] * (len(prompt) - 1)
        assert found.usage.completion_tokens == 0 and found.usage.prompt_tokens == len(prompt)

    async def stream():
        return [delta async for delta in engine.stream(PROMPT, dataclasses.replace(scored))]

    (last,) = asyncio.run(stream())
    assert last.completion.finish_reason == "length" and last.completion.prompt_logprobs is not None
    whole_context = [4] * engine.context_length
    assert len(engine.generate([whole_context], scored)[0].prompt_logprobs) == engine.context_length
    with pytest.raises(SansiError, match="the context holds"):
        engine.generate([whole_context], dataclasses.replace(scored, max_tokens=1))
    assert engine.running == 0


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"min_tokens": -1}, "min_tokens"),
        ({"min_tokens": 1.5}, "min_tokens"),
        ({"min_tokens": 9, "max_tokens": 8}, "min_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"unwanted_ids": (99,)}, "unwanted_ids"),
        ({"logit_bias": {99: 1.0}}, "logit_bias"),
        ({"logit_bias": {-1: 1.0}}, "logit_bias"),
        ({"logit_bias": {"3": 1.0}}, "logit_bias"),
        ({"logit_bias": {3: 101}}, "logit_bias"),
        ({"logit_bias": {3: float("nan")}}, "logit_bias"),
        ({"logit_bias": {3: True}}, "logit_bias"),
        ({"logit_bias": [(3, 1.0), (3, 2.0)]}, "logit_bias"),
        ({"logit_bias": [3]}, "logit_bias"),
        ({"logit_bias": 3}, "logit_bias"),
        ({"prompt_top_logprobs": 2}, "prompt_top_logprobs"),
        ({"prompt_top_logprobs": 21, "prompt_logprobs": True}, "prompt_top_logprobs"),
    ],
)
def test_what_cannot_be_held_is_refused_by_name(engine, changes, param):
    with pytest.raises(SansiError) as caught:
        engine.generate([PROMPT], SamplingParams(**changes))
    assert caught.value.param == param
