"""The sampler: right distribution, and each row by its own parameters alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from engine_models import TinyModel
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.base.errors import SansiError
from sansi.engine import Engine, SamplingParams, sampling
from sansi.engine.sampling import CHUNK, WIDE, Penalties, Sampler, mask_logits, mask_packed, uniforms
from sansi.model import ModelConfig, Transformer
from sansi.model.kernels.cpu.build import supported_isas

CPU = torch.device("cpu")
VOCAB = 12

row_params = st.builds(
    SamplingParams,
    temperature=st.sampled_from([0.0, 0.6, 1.0, 2.0]),
    top_k=st.sampled_from([0, 1, 3, 50]),
    top_p=st.sampled_from([0.3, 0.9, 1.0]),
    min_p=st.sampled_from([0.0, 0.2]),
    seed=st.integers(0, 2**63 - 1),
)


def expected(logits: torch.Tensor, params: SamplingParams) -> torch.Tensor:
    """The distribution to sample from, written plainly, one row at a time."""
    if params.temperature == 0:
        return torch.nn.functional.one_hot(logits.argmax(), VOCAB).double()
    probs = (logits.double() / params.temperature).softmax(-1)
    order = probs.argsort(descending=True)
    if params.top_k:
        probs[order[params.top_k :]] = 0
        probs /= probs.sum()
    kept = 0.0
    for index in order:
        if kept >= params.top_p - 1e-6:
            probs[index] = 0
        kept += float(probs[index])
    probs[probs < params.min_p * probs.max()] = 0
    return probs / probs.sum()


@settings(max_examples=30)
@given(row_params, st.integers(0, 1000))
def test_distribution(params, seed):
    logits = torch.randn(VOCAB, generator=torch.Generator().manual_seed(seed)) * 2
    draws = 4000
    sampler = Sampler([params] * draws, [params.seed] * draws, CPU)
    ids = sampler(logits.expand(draws, -1), np.arange(draws, dtype=np.uint64))
    found, wanted = torch.bincount(ids, minlength=VOCAB).double() / draws, expected(logits, params)
    assert not found[wanted == 0].any(), "a filtered token was sampled"
    assert (found - wanted).abs().max() < 5 * (0.25 / draws) ** 0.5


@given(st.lists(row_params, min_size=1, max_size=6), st.integers(0, 1000))
def test_a_row_depends_on_nothing_else_in_the_batch(rows, seed):
    logits = torch.randn(len(rows), VOCAB, generator=torch.Generator().manual_seed(seed))
    positions = np.arange(len(rows), dtype=np.uint64)
    together = Sampler(rows, [p.seed for p in rows], CPU)(logits, positions).tolist()
    alone = [int(Sampler([p], [p.seed], CPU)(logits[i : i + 1], positions[i : i + 1])) for i, p in enumerate(rows)]
    assert together == alone


@pytest.mark.parametrize("vocab", [300, 4096, 3 * WIDE + 5])
def test_equal_logits_are_ordered_by_id_whoever_is_in_the_batch(vocab):
    logits = torch.randn(40, vocab, generator=torch.Generator().manual_seed(0)).mul(2).bfloat16().float()
    logits[:, ::7] = -torch.inf
    positions = np.arange(40, dtype=np.uint64)
    neighbours = [SamplingParams(top_k=200), SamplingParams(top_p=0.9), SamplingParams(top_k=50_000, top_p=0.5)]
    for own in (SamplingParams(top_k=20), SamplingParams(top_p=0.8), SamplingParams(top_k=60, top_p=0.9)):
        alone = Sampler([own] * 40, range(40), CPU)(logits, positions)
        for other in neighbours:
            params = [own if i % 2 else other for i in range(40)]
            beside = Sampler(params, range(40), CPU)(logits, positions)
            assert torch.equal(alone[1::2], beside[1::2])


def test_the_most_likely_are_those_of_a_stable_sort():
    draw = torch.Generator().manual_seed(1)
    for vocab in (40, WIDE + 77, 5 * WIDE):
        logits = torch.randint(-3, 4, (6, vocab), generator=draw).float()
        for count in (1, 5, 30):
            values, ids = sampling._most_likely(logits, count)
            wanted = logits.sort(dim=-1, descending=True, stable=True)
            assert torch.equal(ids, wanted.indices[:, :count]) and torch.equal(values, wanted.values[:, :count])


def test_who_has_no_top_p_keeps_its_tail_beside_one_who_has():
    """In float32 the first probability swallows the others, so that nothing would be left beyond it."""
    logits = torch.full((2, 200), -20.0)
    logits[:, 0] = 0.0
    probs = sampling._filtered(
        *_group_of([SamplingParams(top_k=200), SamplingParams(top_k=200, top_p=0.5)], logits.sort(descending=True)[0])
    )
    assert (probs[0] > 0).all() and (probs[1] > 0).sum() == 1


def _group_of(params, values):
    return values, Sampler(params, [0] * len(params), CPU)._groups[0]


# ---- vocabularies that are searched in two steps -------------------------------------------------------------------

wide_params = st.builds(
    SamplingParams,
    temperature=st.sampled_from([0.0, 0.3, 1.0, 3.0]),
    top_k=st.sampled_from([0, 0, 1, 20, 500]),
    top_p=st.sampled_from([0.5, 0.95, 1.0]),
    min_p=st.sampled_from([0.0, 0.01]),
    seed=st.integers(0, 2**63 - 1),
)


def wide_logits(rows: int, vocab: int, seed: int) -> torch.Tensor:
    """Peaked and flat rows; in some nearly all ids are masked, whole chunks of them."""
    generator = torch.Generator().manual_seed(seed)
    logits = (
        torch.randn(rows, vocab, generator=generator) * torch.tensor([0.01, 2.0, 8.0])[torch.arange(rows) % 3, None]
    )
    for row in range(1, rows, 2):
        allowed = torch.randint(0, vocab, (3 + 40 * row,), generator=generator)
        kept = logits[row, allowed].clone()
        logits[row] = -torch.inf
        logits[row, allowed] = kept
    return logits


@settings(max_examples=60)
@given(
    st.lists(wide_params, min_size=1, max_size=5),
    st.sampled_from([WIDE, WIDE + 1, WIDE + CHUNK - 1, 3 * WIDE + 77]),
    st.integers(0, 10_000),
)
def test_two_steps_find_what_one_finds(rows, vocab, seed):
    logits, positions = wide_logits(len(rows), vocab, seed), np.arange(len(rows), dtype=np.uint64)
    found = Sampler(rows, [p.seed for p in rows], CPU)(logits, positions)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "WIDE", 10**9)
        wanted = Sampler(rows, [p.seed for p in rows], CPU)(logits, positions)
    assert logits.gather(1, found[:, None]).isfinite().all(), "a masked id was sampled"
    assert found.tolist() == wanted.tolist()


@settings(max_examples=40)
@given(st.lists(wide_params, min_size=2, max_size=6), st.integers(0, 10_000))
def test_a_wide_row_depends_on_nothing_else_in_the_batch(rows, seed):
    logits = wide_logits(len(rows), WIDE + 300, seed)
    positions = np.arange(len(rows), dtype=np.uint64)
    together = Sampler(rows, [p.seed for p in rows], CPU)(logits, positions).tolist()
    alone = [int(Sampler([p], [p.seed], CPU)(logits[i : i + 1], positions[i : i + 1])) for i, p in enumerate(rows)]
    assert together == alone


@pytest.mark.parametrize("draw", [0.0, 0.5, 1 - 2.0**-52])
def test_the_ends_of_a_wide_distribution(draw):
    """The first and the last id that have a probability, whatever zeros lie around them, in their chunk and beyond."""
    vocab = WIDE + 100
    for first, last in ((0, vocab - 1), (CHUNK + 3, 5 * CHUNK - 1), (700, 701), (vocab - 50, vocab - 2), (999, 999)):
        probs = torch.zeros(1, vocab)
        probs[0, [first, last]] = 0.1
        index = int(sampling._inverse_cdf(probs, torch.tensor([[draw]], dtype=torch.float64)))
        assert index == (first if draw < 0.5 else last)


@pytest.mark.parametrize("changes", [{}, {"top_k": 20}, {"top_p": 0.8}, {"min_p": 0.05}])
def test_a_wide_distribution_is_drawn_from_as_it_is(changes):
    draws, vocab = 4000, WIDE + 10
    logits = torch.full((vocab,), -30.0)
    where = torch.arange(40) * 200
    logits[where] = torch.randn(40, generator=torch.Generator().manual_seed(3))
    params = SamplingParams(seed=5, **changes)
    sampler = Sampler([params] * draws, [params.seed] * draws, CPU)
    ids = sampler(logits.expand(draws, -1), np.arange(draws, dtype=np.uint64))
    found = torch.bincount(ids, minlength=vocab)[where].double() / draws
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{__name__}.VOCAB", 40)
        wanted = expected(logits[where], params)
    assert (found - wanted).abs().max() < 5 * (0.25 / draws) ** 0.5


def test_only_candidates_are_sorted(monkeypatch):
    """With top_k, chunks' maxima and k chunks; with top_p alone, a short list if it reaches."""
    sizes: list[int] = []
    topk, sort = torch.Tensor.topk, torch.Tensor.sort
    monkeypatch.setattr(torch.Tensor, "topk", lambda self, *a: sizes.append(self.shape[-1]) or topk(self, *a))
    monkeypatch.setattr(torch.Tensor, "sort", lambda self, *a, **k: sizes.append(self.shape[-1]) or sort(self, *a, **k))
    logits = torch.randn(2, 151_936, generator=torch.Generator().manual_seed(0)) * 4
    for changes in ({"top_k": 20, "top_p": 0.95}, {"top_p": 0.5}):
        params = [SamplingParams(seed=1, **changes)] * 2
        Sampler(params, [1, 2], CPU)(logits, np.arange(2, dtype=np.uint64))
    assert max(sizes) < 20_000


@pytest.mark.parametrize("changes", [{}, {"top_k": 5}, {"top_p": 0.9}, {"min_p": 0.1}])
def test_a_tiny_temperature_is_greedy(changes):
    logits = torch.randn(1, VOCAB, generator=torch.Generator().manual_seed(0)) * 5
    for temperature in (1e-6, 1e-40, 5e-324):
        sampler = Sampler([SamplingParams(temperature=temperature, seed=1, **changes)] * 8, [1] * 8, CPU)
        ids = sampler(logits.expand(8, -1), np.arange(8, dtype=np.uint64))
        assert ids.tolist() == [int(logits.argmax())] * 8


def test_uniforms_are_uniform_and_uncorrelated():
    grid = np.arange(200, dtype=np.uint64)
    u = uniforms(np.repeat(grid, 200), np.tile(grid, 200)).reshape(200, 200)  # neighbouring seeds × positions
    assert u.min() >= 0 and u.max() < 1
    assert abs(u.mean() - 0.5) < 0.005 and abs(u.var() - 1 / 12) < 0.002
    for a, b in ((u[1:], u[:-1]), (u[:, 1:], u[:, :-1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.02
    assert len(np.unique(u)) == u.size


def test_penalties_by_hand():
    params = SamplingParams(presence_penalty=1.0, frequency_penalty=0.5, repetition_penalty=2.0)
    penalties = Penalties(3, 4, CPU)
    penalties.begin(2, [0])
    penalties.count([2, 2], [1, 1])
    penalties.count([2], [2])
    logits = torch.tensor([[9.0, 9.0, 9.0, 9.0], [4.0, 4.0, -4.0, 4.0]])
    penalties.apply(logits, [1], [2], [params])
    assert logits[0].tolist() == [9.0] * 4, "other rows stay as they are"
    # id 0: in the prompt (repetition only); id 1: twice; id 2: once, negative; id 3: never
    assert logits[1].tolist() == pytest.approx([2.0, 2.0 - 1.0 - 1.0, -8.0 - 1.0 - 0.5, 4.0])


@given(st.integers(1, 5), st.integers(33, 200), st.integers(0, 3), st.integers(0, 1000))
def test_masks_leave_what_is_allowed_in_their_rows(count, vocab, padding, seed):
    """`vocab` ids in the masks; the model has `padding` words of ids more, and they may never come."""
    draw = np.random.default_rng(seed)
    allowed = draw.random((count, vocab)) < 0.3
    words = np.zeros((count, -(-vocab // 32) * 32), dtype=bool)
    words[:, :vocab] = allowed
    masks = np.packbits(words, axis=-1, bitorder="little").view(np.uint32)
    logits = torch.from_numpy(draw.standard_normal((8, vocab + 32 * padding), dtype=np.float32))
    rows = draw.permutation(8)[:count].tolist()
    wanted = logits.clone()
    for row, ids in zip(rows, allowed, strict=True):
        wanted[row, vocab:] = -torch.inf
        wanted[row, np.flatnonzero(~ids)] = -torch.inf
    for mask in (mask_logits, lambda *a: mask_packed(a[0], torch.tensor(a[1]), a[2])):
        found = logits.clone()
        mask(found, rows, masks)
        assert torch.equal(found, wanted)


def test_log_probabilities_are_the_unmodified_models():
    """Of the token, of the most likely ones and of the prompt: before penalties, bans, temperature and filters."""
    model = TinyModel()
    prompt = [3, 1, 4, 1, 5, 9, 2, 6]
    params = SamplingParams(
        temperature=1.5, top_k=7, seed=1, max_tokens=20, presence_penalty=2.0, repetition_penalty=1.5,
        logprobs=True, top_logprobs=5, prompt_logprobs=True, prompt_top_logprobs=5,
    )  # fmt: skip
    with Engine(model) as engine:
        found = engine.generate([prompt], params)[0]
    ids = prompt + list(found.ids)
    with torch.no_grad():
        wanted = model(torch.tensor([ids]))[0].log_softmax(-1)
    assert found.prompt_logprobs[0] is None and len(found.prompt_logprobs) == len(prompt)
    own = [float(wanted[i, ids[i + 1]]) for i in range(len(ids) - 1)]
    assert found.prompt_logprobs[1:] == pytest.approx(own[: len(prompt) - 1], abs=1e-5)
    assert found.logprobs == pytest.approx(own[len(prompt) - 1 :], abs=1e-5)
    assert found.prompt_top_logprobs[0] == () and len(found.prompt_top_logprobs) == len(prompt)
    for index, top in enumerate([*found.prompt_top_logprobs[1:], *found.top_logprobs]):
        values, best = wanted[index].topk(5)
        assert [t.id for t in top] == best.tolist()
        assert [t.logprob for t in top] == pytest.approx(values.tolist(), abs=1e-5)


@pytest.mark.parametrize("chunk", [1, 3, 64])
def test_a_prompt_is_scored_the_same_in_any_chunks_and_from_a_warm_cache(chunk):
    model, prompt = TinyModel(), [i * 7 % 32 for i in range(50)]
    params = SamplingParams(temperature=0, max_tokens=2, prompt_logprobs=True)
    with torch.no_grad():
        scores = model(torch.tensor([prompt]))[0].log_softmax(-1)
    wanted = [float(scores[i, prompt[i + 1]]) for i in range(49)]
    with Engine(model, max_prefill_tokens=chunk) as engine:
        for _ in range(2):
            found = engine.generate([prompt], params)[0]
            assert found.prompt_logprobs[1:] == pytest.approx(wanted, abs=1e-5)
            assert found.top_logprobs is None and found.logprobs is None


@pytest.mark.parametrize("count", [-1, 21, 1.5])
def test_impossible_numbers_of_top_tokens_are_refused(count):
    with Engine(TinyModel()) as engine, pytest.raises(SansiError) as error:
        engine.generate([[1]], SamplingParams(top_logprobs=count))
    assert error.value.param == "top_logprobs"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize("backend", ["native", "torch"])
def test_the_programs_default_dtype_changes_nothing(backend, dtype):
    """A trainer, or another library while it loads, may set one; kernels write float32 whatever it is."""
    if backend == "native" and not supported_isas():
        pytest.skip("the CPU kernels are for Linux on x86-64")
    model = Transformer(ModelConfig.preset("nano", num_hidden_layers=1, vocab_size=97)).eval()
    params = [
        SamplingParams(
            temperature=temperature,
            top_p=0.9,
            top_k=top_k,
            min_p=0.01,
            frequency_penalty=0.3,
            repetition_penalty=1.1,
            seed=9,
            max_tokens=12,
            logprobs=True,
        )
        for temperature, top_k in ((0.0, 0), (0.7, 0), (0.7, 30), (1.3, 0))
    ]

    def ask():
        with Engine(model, backend=backend, num_blocks=8) as engine:
            return [(c.ids, c.logprobs) for c in engine.generate([[1, 2, 3]] * len(params), params)]

    expected, before = ask(), torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        assert ask() == expected
    finally:
        torch.set_default_dtype(before)
