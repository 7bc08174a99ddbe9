"""Texts to token ids, many at a time, each document with the separator behind it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sansi.base.errors import SansiError
from sansi.data.documents import Document, text_sha256
from sansi.data.shards.ids import as_ids, dtype_for
from sansi.data.shards.manifest import DocumentTokenizer

BATCH = 1 << 20  # characters that are encoded at once
SLICE = 1 << 22  # characters of a text that is encoded in parts: a tokenizer takes a hundred times the memory of a text
_BREAK = re.compile(r"\n(?=[^\W\d_])")  # no token of ours reaches over it


@dataclass(frozen=True)
class Encoded:
    """A document as it goes into a shard."""

    ids: npt.NDArray[np.integer]  # with the separator
    document: Document  # of a text alone its number and digest
    loss_mask: npt.NDArray[np.bool_] | None = None  # None: all but the first token
    copy: int = 0  # above 0: it was packed before


@dataclass
class Encoder:
    """Encodes what is packed. What is left out is counted by reason; every text is packed or counted."""

    tokenizer: DocumentTokenizer
    min_tokens: int = 0
    max_tokens: int | None = None
    times: Callable[[Document], int] | None = None
    """How often a document is to be there; None: once."""
    left_out: Counter[str] = field(default_factory=Counter)
    read: int = 0
    """Texts so far."""
    packed: int = 0
    """Of them, those that went on, copies not counted."""
    lost: int = 0
    """Of them, those that were left out."""
    largest_id: int = 0

    def __post_init__(self) -> None:
        self.dtype = dtype_for(self.tokenizer.vocab_size)
        self._check_range("the separator", np.array([self.tokenizer.end_of_text_id]))
        self.end = as_ids([self.tokenizer.end_of_text_id], self.dtype, '"end_of_text_id"')

    def encode(self, texts: Iterable[Any]) -> Iterator[Encoded]:
        """Texts and documents, or samples with `ids` and `loss_mask`, in their order; a document that is to be there
        several times comes as often one after another."""
        for batch in _batches(texts):
            numbered = list(enumerate(batch, self.read))
            self.read += len(batch)
            plain = [_text_of(number, item) for number, item in numbered]
            ids = iter(self._encode_texts([text for text in plain if text is not None]))
            for (number, item), text in zip(numbered, plain, strict=True):
                if text is None:
                    yield from self._sample(number, item)
                else:
                    yield from self._document(number, item, next(ids))

    def _encode_texts(self, texts: Sequence[str]) -> Iterator[npt.NDArray[np.integer]]:
        short = [text for text in texts if len(text) <= SLICE]
        encode = getattr(self.tokenizer, "encode_batch", None) or (lambda some: list(map(self.tokenizer.encode, some)))
        encoded = iter(encode(short) if short else [])
        for text in texts:
            if len(text) <= SLICE:
                yield np.asarray(next(encoded), np.int64)
            else:
                parts = [np.asarray(self.tokenizer.encode(part), np.int64) for part in slices(text)]
                yield np.concatenate(parts)

    def _document(self, number: int, item: str | Document, ids: npt.NDArray[np.integer]) -> Iterator[Encoded]:
        """The document as often as it is to be there. The separator is no token that a text becomes."""
        end = self.tokenizer.end_of_text_id
        self._check_range(f"text {number}", ids)
        if len(ids) and (ids == end).any():
            raise SansiError(
                f"text {number} becomes the separator of documents (id {end}) within; the tokenizer must not read "
                "control tokens in texts",
                param="tokenizer",
            )
        document = item if isinstance(item, Document) else _unknown(number, text_sha256(item))
        copies = 1 if self.times is None else self.times(document)
        if reason := self._reason(len(ids), copies):
            self._leave_out(reason)
            return
        whole = np.concatenate([ids.astype(self.dtype), self.end])
        self.packed += 1
        self.largest_id = max(self.largest_id, int(whole.max()))
        yield from (Encoded(whole, document, copy=copy) for copy in range(copies))

    def _leave_out(self, reason: str) -> None:
        self.left_out[reason] += 1
        self.lost += 1

    def check(self) -> None:
        """Raise SansiError unless every text that was read was packed or counted as left out."""
        if self.read != self.packed + self.lost:
            raise SansiError(f"{self.read:,} texts were read, {self.packed:,} packed and {self.lost:,} left out")

    def _reason(self, size: int, copies: int) -> str | None:
        """Why a text of so many tokens is left out; the separator counts for the bounds."""
        if not size:
            return "empty"
        if size + 1 < self.min_tokens:
            return "too short"
        if self.max_tokens is not None and size + 1 > self.max_tokens:
            return "too long"
        return None if copies else "weight"

    def _sample(self, number: int, item: Any) -> Iterator[Encoded]:
        """Ids that are there already, with their loss mask; nothing is put behind them."""
        ids = as_ids(item.ids, self.dtype, f"sample {number}")
        mask = np.asarray(item.loss_mask, bool)
        self._check_range(f"sample {number}", ids)
        if ids.shape != mask.shape:
            raise SansiError(f"sample {number}: {len(ids)} ids and {len(mask)} mask values; give one of each per token")
        if reason := self._reason(len(ids) - 1, 1):
            self._leave_out(reason)
            return
        self.packed += 1
        self.largest_id = max(self.largest_id, int(ids.max()))
        yield Encoded(ids, _unknown(number, ""), mask)

    def _check_range(self, where: str, ids: npt.NDArray[np.integer]) -> None:
        largest = int(ids.max()) if len(ids) else 0
        if largest >= self.tokenizer.vocab_size:
            raise SansiError(
                f'{where} has the token id {largest}, but "vocab_size" of the tokenizer is '
                f"{self.tokenizer.vocab_size}; use the tokenizer as it was saved",
                param="tokenizer",
            )


def slices(text: str) -> Iterator[str]:
    """A text in parts of at most `SLICE` characters, cut where a line that begins with a letter begins, if there is
    such a place in the second half of a part."""
    at = 0
    while len(text) - at > SLICE:
        places = [match.end() for match in _BREAK.finditer(text, at + SLICE // 2, at + SLICE)]
        end = places[-1] if places else at + SLICE
        yield text[at:end]
        at = end
    yield text[at:]


def _batches(texts: Iterable[Any]) -> Iterator[list[Any]]:
    batch: list[Any] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text) if isinstance(text, str) else len(getattr(text, "text", "")) + 100
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _unknown(number: int, sha256: str) -> Document:
    """In the place of a document, for a text that nothing is known of."""
    return Document(f"text {number}", "", "", "prose", "und", None, 0.0, sha256, "")


def _text_of(number: int, item: Any) -> str | None:
    if isinstance(item, Document):
        return item.text
    if isinstance(item, str):
        return item
    if hasattr(item, "ids") and hasattr(item, "loss_mask"):
        return None
    raise SansiError(f"text {number} is {type(item).__name__}; give texts or documents", param="texts")
