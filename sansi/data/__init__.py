"""Real text to batches: sources, extraction, annotation, filters, deduplication, token shards, resumable batches."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sansi.data.documents import Document
from sansi.data.shards import PackReport, TokenShard, pack, shard_paths

if TYPE_CHECKING:
    from sansi.data.batch import Batch
    from sansi.data.batches import Mixture, PackedDataset, RowStream, SampleDataset
    from sansi.data.corpus import CorpusReport, build_corpus, read_corpus

_LATER = {
    "Batch": "sansi.data.batch",
    **dict.fromkeys(("Mixture", "PackedDataset", "RowStream", "SampleDataset"), "sansi.data.batches"),
    **dict.fromkeys(("CorpusReport", "build_corpus", "read_corpus"), "sansi.data.corpus"),
}  # these import torch, or what only the extra `train` brings; the rest of the room does without

__all__ = [
    "Batch",
    "CorpusReport",
    "Document",
    "Mixture",
    "PackReport",
    "PackedDataset",
    "RowStream",
    "SampleDataset",
    "TokenShard",
    "build_corpus",
    "pack",
    "read_corpus",
    "shard_paths",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
