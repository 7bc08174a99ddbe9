"""Attention by document lengths is attention with the mask of the documents, forward and backward, however packed."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from sansi.base.errors import SansiError
from sansi.model import Documents, Transformer
from sansi.model import attention as attention_module
from sansi.model.attention import attend_documents, document_attention
from tiny_models import VARIANTS, random_ids, tiny_config, tiny_model
from torch import Tensor

LENGTHS = [[3, 5, 1], [9], [1, 1, 7]]


@st.composite
def packings(draw: st.DrawFn, longest: int = 16) -> list[list[int]]:
    """Lengths of documents, row by row; all rows are equally long."""
    row_length = draw(st.integers(1, longest))
    rows = []
    for _ in range(draw(st.integers(1, 3))):
        cuts = draw(st.sets(st.integers(1, row_length - 1), max_size=8)) if row_length > 1 else set()
        at = [0, *sorted(cuts), row_length]
        rows.append([b - a for a, b in pairwise(at)])
    return rows


def draw_qkv(documents: Documents, heads: int, groups: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """q, k and v as the model makes them: [B, H, T, D], the heads of a token side by side."""
    generator = torch.Generator().manual_seed(0)
    shape = (documents.rows, documents.row_length)
    drawn = (torch.randn(*shape, n, 8, generator=generator, dtype=torch.float64) for n in (heads, groups, groups))
    return [x.to(dtype).transpose(1, 2).requires_grad_() for x in drawn]


def masked(q: Tensor, k: Tensor, v: Tensor, documents: Documents) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, documents.mask, enable_gqa=True)


def with_gradients(y: Tensor, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)
    return (y.detach(), *torch.autograd.grad((y * weights).sum(), inputs))


@given(packings(), st.sampled_from([(4, 2), (3, 3), (4, 1)]))
def test_attention_and_its_gradients_are_those_of_the_mask(lengths: list[list[int]], heads: tuple[int, int]) -> None:
    documents = Documents.from_lengths(lengths)
    inputs = draw_qkv(documents, *heads)
    expected = with_gradients(masked(*inputs, documents), inputs)
    for actual, wanted in zip(with_gradients(attend_documents(*inputs, documents), inputs), expected, strict=True):
        torch.testing.assert_close(actual, wanted, rtol=1e-9, atol=1e-12)


@given(packings())
def test_documents_one_by_one_are_the_same_attention(lengths: list[list[int]]) -> None:
    """The way of the devices that have neither kernel."""
    documents = Documents.from_lengths(lengths)
    inputs = draw_qkv(documents, 4, 2)
    flat = [x.transpose(1, 2).flatten(0, 1) for x in inputs]
    found = attention_module._one_by_one(*flat, documents.cu_seqlens)
    found = found.unflatten(0, (documents.rows, -1)).transpose(1, 2)
    expected = with_gradients(masked(*inputs, documents), inputs)
    for actual, wanted in zip(with_gradients(found, inputs), expected, strict=True):
        torch.testing.assert_close(actual, wanted, rtol=1e-9, atol=1e-12)


def test_the_varlen_kernel_is_asked_for_causal_attention_of_each_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its arguments; what the kernel makes of them, `runs/gpu/train_mfu.py` checks."""
    documents = Documents.from_lengths(LENGTHS)
    asked = {}

    def varlen(q: Tensor, k: Tensor, v: Tensor, at_q: Tensor, at_k: Tensor, most_q: int, most_k: int, **rest) -> Tensor:
        asked.update(rest, lengths=[n for n in at_q.diff().tolist() if n], most=(most_q, most_k), dtype=at_q.dtype)
        return document_attention(q, k, v, at_k)[0]

    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", varlen)
    q, k, v = (x.transpose(1, 2).flatten(0, 1) for x in draw_qkv(documents, 4, 2))
    attention_module._varlen(q, k, v, documents)
    assert asked == {
        "lengths": [3, 5, 1, 9, 1, 1, 7],
        "most": (9, 9),
        "dtype": torch.int32,
        "window_size": (-1, 0),
        "enable_gqa": True,
    }


def test_half_precision_is_as_good_as_the_masked_kernel() -> None:
    documents = Documents.from_lengths(LENGTHS)
    exact = draw_qkv(documents, 4, 2)
    inputs = [x.detach().to(torch.bfloat16).requires_grad_() for x in exact]
    expected = with_gradients(masked(*exact, documents), exact)
    for actual, wanted in zip(with_gradients(attend_documents(*inputs, documents), inputs), expected, strict=True):
        assert actual.dtype == torch.bfloat16
        torch.testing.assert_close(actual.double(), wanted, rtol=0.05, atol=0.05)


def test_a_gradient_without_memory_of_its_own_is_read_rightly() -> None:
    documents = Documents.from_lengths(LENGTHS)
    inputs = draw_qkv(documents, 4, 2)
    sums = (attend_documents(*inputs, documents).sum(), masked(*inputs, documents).sum())  # gradients of stride 0
    ours, theirs = (torch.autograd.grad(total, inputs) for total in sums)
    for actual, wanted in zip(ours, theirs, strict=True):
        torch.testing.assert_close(actual, wanted)


def test_the_operator_keeps_the_rules_of_operators() -> None:
    documents = Documents.from_lengths([[2, 1]])
    inputs = [x.detach().transpose(1, 2).flatten(0, 1).requires_grad_() for x in draw_qkv(documents, 2, 1)]
    rules = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(document_attention, (*inputs, documents.cu_seqlens), test_utils=rules)


@pytest.mark.parametrize("name", ["dense-tied", "moe-norm-topk"])
@torch.no_grad()
def test_a_packed_forward_is_that_of_each_document_alone(name: str) -> None:
    config = tiny_config(**VARIANTS[name])
    model, ids = tiny_model(config), random_ids(config, 3, 9)
    packed = model(ids, attention=Documents.from_lengths(LENGTHS))
    for row, lengths in enumerate(LENGTHS):
        alone = [model(part) for part in ids[row : row + 1].split(lengths, dim=1)]  # positions do not matter: RoPE
        torch.testing.assert_close(packed[row], torch.cat(alone, dim=1)[0], atol=1e-4, rtol=0)


def test_a_compiled_forward_is_not_compiled_again_for_other_documents() -> None:
    config = tiny_config(num_hidden_layers=1)
    model, ids = tiny_model(config), random_ids(config, 2, 8)
    compiled_graphs = []

    def backend(graph, inputs):
        compiled_graphs.append(graph)
        return graph.forward

    compiled = torch.compile(Transformer.forward, fullgraph=True, dynamic=False, backend=backend)
    for lengths in ([[3, 5], [8]], [[1] * 8, [4, 4]], [[2, 6], [8]]):
        documents = Documents.from_lengths(lengths)
        got = compiled(model, ids, None, documents)
        torch.testing.assert_close(got, model(ids, attention=documents.mask), atol=1e-4, rtol=0)
    assert len(compiled_graphs) == 1


@given(st.integers(1, 300))
def test_documents_that_nobody_has_fill_up_the_borders(count: int) -> None:
    documents = Documents.from_lengths([[1] * count])
    size = len(documents.cu_seqlens) - 1
    assert size >= count and size.bit_count() == 1 and size in (64, 128, 256, 512)
    assert len(documents.lengths) == count and documents.cu_seqlens[-1] == count


@torch.no_grad()
def test_one_document_to_a_row_is_plain_causal_attention() -> None:
    config = tiny_config()
    model, ids = tiny_model(config), random_ids(config, 2, 9)
    documents = Documents.from_lengths([[9], [9]])
    assert documents.fill_rows and not Documents.from_lengths([[9], [8, 1]]).fill_rows
    assert torch.equal(model(ids, attention=documents), model(ids))
    rows = Documents.from_lengths([[10], [10]]).inputs()
    assert rows.fill_rows and rows.to("cpu").fill_rows


@given(packings())
def test_documents_by_lengths_and_by_numbers_are_the_same(lengths: list[list[int]]) -> None:
    documents = Documents.from_lengths(lengths)
    assert documents.lengths.tolist() == [n for row in lengths for n in row]
    again = Documents.from_numbers(documents.numbers % 2)  # neighbours still differ
    assert again.cu_seqlens.tolist() == documents.cu_seqlens.tolist()
    assert again.cu_seqlens.dtype == documents.cu_seqlens.dtype == torch.int32
    if documents.row_length > 1:
        inputs = documents.inputs()
        assert torch.equal(inputs.mask, documents.mask[..., :-1, :-1])
        assert (inputs.lengths > 0).all()


@pytest.mark.parametrize("lengths", [[[3, 4], [8]], [[3, 0]], [[]], [], [[5, -1]]])
def test_documents_that_do_not_fill_their_rows_are_refused(lengths: list[list[int]]) -> None:
    with pytest.raises(SansiError, match="fill rows of one length"):
        Documents.from_lengths(lengths)
