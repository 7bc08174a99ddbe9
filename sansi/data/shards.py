"""Token shards: documents one after another in one array of ids, with the offset at which each document starts.

On disk a shard is two numpy files, `NAME.npy` (uint16 or uint32 ids) and `NAME.starts.npy` (int64 offsets), so that
training maps it into memory and reads only the rows it needs. A document never spans two shards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sansi.base.errors import SansiError
from sansi.base.files import atomic_folder, read_json, write_json

INDEX_FILE = "index.json"


class DocumentTokenizer(Protocol):
    """What packing needs of a tokenizer; `sansi.text.Tokenizer` is one."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def end_of_text_id(self) -> int: ...
    def encode(self, text: str) -> list[int]: ...


@dataclass(frozen=True)
class TokenShard:
    """`tokens` [N] of any integer dtype; `starts` [documents] ascending int64 offsets into it, the first is 0."""

    tokens: npt.NDArray[np.integer]
    starts: npt.NDArray[np.int64]

    @classmethod
    def from_documents(
        cls, documents: Iterable[Sequence[int] | np.ndarray], dtype: npt.DTypeLike = np.uint32
    ) -> TokenShard:
        """One shard of documents given as ids; empty documents are left out."""
        arrays = [np.asarray(ids, dtype=dtype) for ids in documents if len(ids)]
        lengths = [len(array) for array in arrays]
        starts = np.cumsum([0, *lengths], dtype=np.int64)[:-1]
        return cls(np.concatenate(arrays) if arrays else np.zeros(0, dtype), starts)

    @classmethod
    def load(cls, path: Path) -> TokenShard:
        """Map the shard into memory. Raises SansiError when one of its two files is missing or damaged."""
        path = Path(path)
        try:
            shard = cls(np.load(path, mmap_mode="r"), np.load(starts_file(path)))
        except (OSError, ValueError, EOFError) as error:
            raise SansiError(f"{path}: not a whole token shard ({error}); pack the corpus again") from error
        shard.check(str(path))
        return shard

    def check(self, where: str) -> None:
        """Raise SansiError unless the offsets ascend inside the tokens, beginning at 0."""
        starts = self.starts
        ascending = bool(np.all(np.diff(starts) > 0)) if len(starts) > 1 else True
        bounded = len(starts) > 0 and starts[0] == 0 and starts[-1] < len(self.tokens)
        if len(self.tokens) and not (ascending and bounded):
            raise SansiError(f"{where}: document offsets do not fit {len(self.tokens)} tokens; pack the corpus again")

    def save(self, path: Path) -> None:
        np.save(path, self.tokens)
        np.save(starts_file(path), self.starts)


@dataclass(frozen=True)
class PackReport:
    """What `pack` wrote."""

    folder: Path
    shards: tuple[Path, ...]
    documents: int
    tokens: int  # end-of-text ids included
    dtype: str


def starts_file(shard: Path) -> Path:
    return Path(shard).with_suffix(".starts.npy")


def shard_paths(folder: Path) -> list[Path]:
    """The shards of a folder that `pack` wrote, in order."""
    index = read_json(Path(folder) / INDEX_FILE)
    return [Path(folder) / name for name in index["shards"]]


def pack(texts: Iterable[str], tokenizer: DocumentTokenizer, out: Path, shard_tokens: int = 1 << 26) -> PackReport:
    """Tokenise `texts`, end each with `end_of_text_id`, and write shards of at most about `shard_tokens` ids to `out`.

    The folder appears whole or not at all. A document longer than `shard_tokens` gets a shard of its own.
    """
    out = Path(out)
    dtype = np.dtype(np.uint16 if tokenizer.vocab_size <= 1 << 16 else np.uint32)
    names: list[str] = []
    documents = tokens = 0
    with atomic_folder(out) as draft:
        for batch in _batches((_ids(text, tokenizer, dtype) for text in texts), shard_tokens):
            shard = TokenShard.from_documents(batch, dtype)
            names.append(f"shard-{len(names):05d}.npy")
            shard.save(draft / names[-1])
            documents, tokens = documents + len(shard.starts), tokens + len(shard.tokens)
        totals = {"documents": documents, "tokens": tokens, "dtype": dtype.name}
        write_json(draft / INDEX_FILE, {**totals, "end_of_text_id": tokenizer.end_of_text_id, "shards": names})
    return PackReport(out, tuple(out / name for name in names), documents, tokens, dtype.name)


def _ids(text: str, tokenizer: DocumentTokenizer, dtype: np.dtype) -> npt.NDArray[np.integer]:
    # Small arrays, not lists: a shard of Python integers would take ten times its size in memory.
    return np.asarray([*tokenizer.encode(text), tokenizer.end_of_text_id], dtype=dtype)


def _batches(documents: Iterable[npt.NDArray[np.integer]], limit: int) -> Iterable[list[npt.NDArray[np.integer]]]:
    batch: list[npt.NDArray[np.integer]] = []
    size = 0
    for document in documents:
        if batch and size + len(document) > limit:
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += len(document)
    if batch:
        yield batch
