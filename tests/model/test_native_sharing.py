"""Sequences whose tables begin with the same blocks attend to them together, and get the bits that they get alone."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.model import Transformer
from sansi.model.kernels.cpu.build import supported_isas
from sansi.model.native import NativeModel
from tiny_models import VARIANTS, random_ids, tiny_config, tiny_model

BLOCK = 16
WRITTEN = 80
"""Blocks that hold keys and values to share; each sequence writes to blocks of its own behind them."""
LONGEST = (WRITTEN - 1) * BLOCK
ISAS = supported_isas()
OPTIONS = [{}, {"cache_dtype": "float16"}]
SIZES = {"num_hidden_layers": 2, "max_position_embeddings": 2048}
HEADS = {
    "dense-tied": {},
    "moe-norm-topk": {},
    "yarn": {"num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 10},
    "dense-untied": {"num_attention_heads": 40, "num_key_value_heads": 1, "head_dim": 8},
}
pytestmark = pytest.mark.skipif(not ISAS, reason="the CPU kernels are for Linux on x86-64")


@dataclass(frozen=True)
class Sequence:
    """`context` tokens once the step is done, of which `tokens` are new, in `blocks`."""

    tokens: list[int]
    context: int
    blocks: list[int]


class Decoder:
    """A native model whose cache holds the keys and values of a long text."""

    def __init__(self, model: Transformer, own: int = 200, **options):
        self.model = NativeModel(model, **{"threads": 2, **options})
        self.model.allocate(WRITTEN + own)
        text = random_ids(model.config, 1, WRITTEN * BLOCK, seed=5)[0].tolist()
        self.step([Sequence(text, len(text), list(range(WRITTEN)))])

    def step(self, sequences: list[Sequence]) -> list[torch.Tensor]:
        """Logits of the last token of each."""
        width = max(len(s.blocks) for s in sequences)
        starts = [0, *itertools.accumulate(len(s.tokens) for s in sequences)]
        values = {
            "ids": [token for s in sequences for token in s.tokens],
            "positions": [p for s in sequences for p in range(s.context - len(s.tokens), s.context)],
            "starts": starts,
            "context": [s.context for s in sequences],
            "tables": [s.blocks + [0] * (width - len(s.blocks)) for s in sequences],
            "rows": [end - 1 for end in starts[1:]],
        }
        tensors = {name: torch.tensor(value, dtype=torch.int32) for name, value in values.items()}
        return list(self.model.forward(**tensors).clone())


class Tables:
    """Hands out sequences: their first blocks from one written text or another, the rest their own."""

    def __init__(self, seed: int = 0):
        self.draw = random.Random(seed)
        self.free = itertools.count(WRITTEN)

    def text(self) -> list[int]:
        """The blocks of the written text in some order: keys enough to share."""
        return self.draw.sample(range(WRITTEN), WRITTEN)

    def fork(self, text: list[int], shared: int, own: int, new: int = 1) -> Sequence:
        """Sees `shared` keys of the text and `own` keys of its own, of which `new` are to be written."""
        whole = shared // BLOCK
        context = whole * BLOCK + own
        blocks = text[:whole] + [next(self.free) for _ in range(-(-own // BLOCK))]
        return Sequence([self.draw.randrange(97) for _ in range(new)], context, blocks)


def alone(decoder: Decoder, sequences: list[Sequence]) -> list[torch.Tensor]:
    return [decoder.step([sequence])[0] for sequence in sequences]


def same(got: list[torch.Tensor], expected: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) and a.isfinite().all() for a, b in zip(got, expected, strict=True))


@pytest.fixture(scope="module", params=HEADS)
def model(request) -> Transformer:
    return tiny_model(tiny_config(**{**VARIANTS[request.param], **HEADS[request.param], **SIZES}))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("isa", ISAS)
def test_prefixes_around_tiles_and_parts(model, isa, options):
    """Six sequences that share 48 to 1,040 keys, and three that share less among them."""
    decoder, tables = Decoder(model, own=900, isa=isa, **options), Tables()
    for shared in (48, 64, 80, 128, 448, 496, 512, 528, 576, 1008, 1024, 1040):
        text = tables.text()
        sequences = [tables.fork(text, shared, own) for own in (1, 15, 16, 17, 64, 70)]
        sequences += [tables.fork(text, shared // 2, 33) for _ in range(3)]
        assert same(decoder.step(sequences), alone(decoder, sequences)), shared


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
@pytest.mark.parametrize("isa", ISAS)
def test_three_groups_at_once_in_any_order(model, isa, threads):
    """Groups with a first piece in common, beside lone sequences and a prompt; then some of them in another order."""
    decoder, tables = Decoder(model, isa=isa, threads=threads), Tables(threads)
    text = tables.text()
    forks = [text, text[:9] + tables.text()[9:], tables.text()]
    sequences = [tables.fork(fork, 700 - 190 * i, 30 + j) for j in range(4) for i, fork in enumerate(forks)]
    sequences += [tables.fork([], 0, 5), tables.fork(text, 256, 40, new=20), tables.fork(text, 0, 300)]
    expected = alone(decoder, sequences)
    assert same(decoder.step(sequences), expected)
    for seed in range(6):
        some = random.Random(seed).sample(range(len(sequences)), 7 + seed)
        assert same(decoder.step([sequences[i] for i in some]), [expected[i] for i in some]), some


def test_the_same_table_twice_shares_only_what_was_there_before(model):
    """Two copies of a sequence: the last tile is full, but the step's own key is in it."""
    decoder, tables = Decoder(model, threads=1), Tables()
    sequence = tables.fork(tables.text(), 112, 16)
    assert sequence.context == 128
    expected = decoder.step([sequence])
    assert same(decoder.step([sequence] * 5), expected * 5)


@settings(max_examples=40)
@given(data=st.data())
def test_random_tables(data):
    """Trees of sequences: each takes over some blocks of one before it."""
    name = data.draw(st.sampled_from(sorted(HEADS)))
    model = tiny_model(tiny_config(**{**VARIANTS[name], **HEADS[name], **SIZES, "num_hidden_layers": 1}))
    threads = data.draw(st.integers(1, 3))
    decoder = Decoder(model, own=2000, threads=threads, **data.draw(st.sampled_from(OPTIONS)))
    tables = Tables(data.draw(st.integers(0, 99)))
    texts, sequences = [tables.text()], []
    for _ in range(data.draw(st.integers(2, 14))):
        text = data.draw(st.sampled_from(texts))
        kept = data.draw(st.integers(0, WRITTEN))
        texts.append(text[:kept] + tables.text()[kept:])
        shared = data.draw(st.integers(0, LONGEST))
        own = data.draw(st.integers(1, 200))
        new = data.draw(st.sampled_from([1, 1, 1, 1, min(own, 9)]))
        sequences.append(tables.fork(texts[-1], shared, own, new))
    assert same(decoder.step(sequences), alone(decoder, sequences))
