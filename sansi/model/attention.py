"""Attention within documents: rows that hold several documents, of which none sees another.

A row is told apart by the lengths of its documents, never by a mask [B, 1, T, T]: that would take 1 GB a row at 32k
tokens, and its products are mostly hidden. Letters of shapes as in `transformer.py`; a batch of rows is one sequence of
N = B * T tokens here, since documents end where rows end.

    CPU           each document by the flash kernel, all in one operator, so that torch.compile sees no loop
    CUDA, half    one varlen flash kernel over all documents
    elsewhere     each document by scaled_dot_product_attention
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sansi.base.errors import SansiError

LEAST_SIZE = 64
"""Documents that every batch has room for."""

_SAYS_GROUPED = tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 12)
"""Whether fewer key heads than query heads must be announced: torch 2.11 takes them as they are."""

_FLASH = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_FLASH_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


@dataclass(frozen=True, eq=False)
class Documents:
    """Where the documents of a batch [B, T] begin and end. They fill the rows; none reaches into the next row.

    Padding is a document of its own. Made by `from_lengths` or `from_numbers`.
    """

    cu_seqlens: Tensor
    """int32 [documents + 1]: cumulative lengths over the rows one after the other, from 0 to B * T.

    Empty documents at the end fill it up to a power of two: a compiled forward is compiled anew for each size.
    """
    rows: int
    """B."""
    row_length: int
    """T; also a bound of the longest document."""
    fill_rows: bool = False
    """Known to be one document to a row, which is plain causal attention."""

    @classmethod
    def from_lengths(cls, lengths: Sequence[Sequence[int]]) -> Documents:
        """From the lengths of each row's documents, in order. Raises SansiError unless all rows are equally long."""
        sums = {sum(row) for row in lengths}
        if len(sums) != 1 or not all(row and min(row) > 0 for row in lengths):
            raise SansiError(
                f"documents must be of at least one token and fill rows of one length; the rows have {sorted(sums)} "
                "tokens: give padding as a document of its own",
                param="documents",
            )
        flat = torch.tensor([0, *(length for row in lengths for length in row)], device="cpu")
        return cls(_filled_up(flat.cumsum(0)), len(lengths), sums.pop(), all(len(row) == 1 for row in lengths))

    @classmethod
    def from_numbers(cls, numbers: Tensor) -> Documents:
        """From a document number for each token [B, T]: a run of equal numbers in a row is a document."""
        if numbers.dim() != 2 or not numbers.numel():
            raise SansiError(f"document numbers must be [B, T], not {list(numbers.shape)}", param="documents")
        rows, row_length = numbers.shape
        begins = torch.ones(rows, row_length, dtype=torch.bool, device=numbers.device)
        begins[:, 1:] = numbers[:, 1:] != numbers[:, :-1]
        return cls(_filled_up(begins.flatten().nonzero().squeeze(1), numbers.numel()), rows, row_length)

    def to(self, device: torch.device | str) -> Documents:
        return Documents(self.cu_seqlens.to(device, non_blocking=True), self.rows, self.row_length, self.fill_rows)

    def inputs(self) -> Documents:
        """Without each row's last token: of rows of T + 1 tokens, what the model reads."""
        if self.row_length < 2:
            raise SansiError("rows of one token have nothing to predict; give rows of at least two", param="documents")
        # A token of row b comes b tokens earlier; a document of a last token alone ends where it begins now.
        at = self.cu_seqlens.long()
        shortened = (at - at // self.row_length).unique_consecutive()
        return Documents(_filled_up(shortened), self.rows, self.row_length - 1, self.fill_rows)

    @property
    def lengths(self) -> Tensor:
        """int32 [documents], row after row."""
        lengths = self.cu_seqlens.diff()
        return lengths[lengths > 0]

    @property
    def numbers(self) -> Tensor:
        """int64 [B, T]: the document of each token, counted over the whole batch."""
        lengths = self.lengths
        each = torch.arange(len(lengths), device=lengths.device)
        return each.repeat_interleave(lengths).view(self.rows, self.row_length)

    @property
    def mask(self) -> Tensor:
        """bool [B, 1, T, T], True where token t may attend to s: the same attention for short rows and for tests."""
        numbers = self.numbers
        return (numbers[:, :, None] == numbers[:, None, :]).tril().unsqueeze(1)


def attend_documents(q: Tensor, k: Tensor, v: Tensor, documents: Documents) -> Tensor:
    """Causal attention of q [B, H, T, D] over k, v [B, K, T, D], each document within itself -> [B, H, T, D]."""
    # [B, H, T, D] -> [N, H, D]: no copy, as the heads of a token lie side by side already. The dtype is that of v, as a
    # product made it: under autocast the norms of q and k have widened them.
    q, k, v = (x.transpose(1, 2).flatten(0, 1).to(v.dtype) for x in (q, k, v))
    if q.device.type == "cpu":
        y = document_attention(q, k, v, documents.cu_seqlens)[0]
    elif q.device.type == "cuda" and q.element_size() == 2:
        y = _varlen(q, k, v, documents)
    else:
        y = _one_by_one(q, k, v, documents.cu_seqlens)
    return y.unflatten(0, (documents.rows, documents.row_length)).transpose(1, 2)


def _varlen(q: Tensor, k: Tensor, v: Tensor, documents: Documents) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn  # which loads the compiler

    # The longest document is not asked for: the host would wait for it, and a bound serves the kernel as well.
    at, longest = documents.cu_seqlens, documents.row_length
    grouped: dict[str, Any] = {"enable_gqa": True} if _SAYS_GROUPED and q.shape[1] != k.shape[1] else {}
    y = varlen_attn(q, k, v, at, at, longest, longest, window_size=(-1, 0), **grouped)
    assert isinstance(y, Tensor)
    return y


def _one_by_one(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor) -> Tensor:
    lengths = [length for length in cu_seqlens.diff().tolist() if length]
    parts = []
    for part in zip(*(x.transpose(0, 1).split(lengths, dim=1) for x in (q, k, v)), strict=True):
        one_q, one_k, one_v = (x.unsqueeze(0) for x in part)
        parts.append(F.scaled_dot_product_attention(one_q, one_k, one_v, is_causal=True, enable_gqa=True)[0])
    return torch.cat(parts, dim=1).transpose(0, 1)


# ---- the operator of the CPU -----------------------------------------------------------------------------------------
# One flash call for each document is faster than one masked call for all (twice in rows of 384, twenty times in rows of
# 4,096: bench/packed_attention.py), and than documents of like length side by side, which have to be copied there.


@torch.library.custom_op("sansi::document_attention", mutates_args=(), device_types="cpu")
def document_attention(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor) -> tuple[Tensor, Tensor]:
    """q [N, H, D] and k, v [N, K, D] -> the attention [N, H, D] and the logarithm of its normaliser [N, H]."""
    out = torch.empty_like(q, memory_format=torch.contiguous_format)
    normaliser = torch.empty(q.shape[:2], dtype=torch.promote_types(q.dtype, torch.float32))
    wide = [_heads_first(x) for x in (q, k, v)]
    for one in _spans(cu_seqlens):
        y, logsumexp = _FLASH(*(x[:, :, one] for x in wide), 0.0, True)
        out[one] = y[0].transpose(0, 1)
        normaliser[one] = logsumexp[0].T
    return out, normaliser


@torch.library.custom_op("sansi::document_attention_backward", mutates_args=(), device_types="cpu")
def document_attention_backward(
    gradient: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, normaliser: Tensor, cu_seqlens: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    results = [torch.empty_like(x, memory_format=torch.contiguous_format) for x in (q, k, v)]
    wide = [_heads_first(x) for x in (gradient, q, k, v, out)]
    for one in _spans(cu_seqlens):
        parts = _FLASH_BACKWARD(*(x[:, :, one] for x in wide), normaliser[one].T[None], 0.0, True)
        for result, part in zip(results, parts, strict=True):
            result[one] = part[0].transpose(0, 1)
    return results[0], results[1], results[2]


@document_attention.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor) -> tuple[Tensor, Tensor]:
    normaliser = q.new_empty(q.shape[:2], dtype=torch.promote_types(q.dtype, torch.float32))
    return torch.empty_like(q, memory_format=torch.contiguous_format), normaliser


@document_attention_backward.register_fake
def _(
    gradient: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, normaliser: Tensor, cu_seqlens: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    empty = [torch.empty_like(x, memory_format=torch.contiguous_format) for x in (q, k, v)]
    return empty[0], empty[1], empty[2]


def _keep(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    q, k, v, cu_seqlens = inputs
    ctx.save_for_backward(q, k, v, *output, cu_seqlens)


def _backward(ctx, gradient, _normaliser):  # type: ignore[no-untyped-def]
    return *document_attention_backward(gradient, *ctx.saved_tensors), None


document_attention.register_autograd(_backward, setup_context=_keep)


def _heads_first(x: Tensor) -> Tensor:
    """[N, H, D] -> [1, H, N, D]. Half precision becomes float32: the flash backward of short documents is three times
    slower in bfloat16, that of long ones no faster."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    wide = wide if wide.stride(-1) == 1 else wide.contiguous()  # the kernel reads heads as they lie
    return wide.transpose(0, 1).unsqueeze(0)


def _spans(cu_seqlens: Tensor) -> Iterator[slice]:
    at = cu_seqlens.tolist()
    return (slice(first, last) for first, last in pairwise(at) if first < last)


def _filled_up(at: Tensor, *more: int) -> Tensor:
    """Borders of documents (and `more`, after them) as int32, the last one repeated up to a power of two, plus one."""
    at = torch.cat((at, at.new_tensor(more))).to(torch.int32)
    size = max(LEAST_SIZE, 1 << (len(at) - 2).bit_length())
    return torch.cat((at, at[-1:].expand(size + 1 - len(at))))
