"""Real text to batches: sources, extraction, annotation, filters, deduplication, token shards, resumable batches."""

from typing import TYPE_CHECKING

from sansi.base.later import later
from sansi.data.documents import Document
from sansi.data.shards import PackReport, TokenShard, pack, shard_paths

if TYPE_CHECKING:
    from sansi.data.batch import Batch
    from sansi.data.batches import Mixture, PackedDataset, RowStream, SampleDataset
    from sansi.data.corpus import CorpusReport, build_corpus, read_corpus

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

# These import torch, or what only the extra `train` brings; the rest of the room does without.
__getattr__ = later(
    __name__,
    {
        "Batch": "batch",
        **dict.fromkeys(("Mixture", "PackedDataset", "RowStream", "SampleDataset"), "batches"),
        **dict.fromkeys(("CorpusReport", "build_corpus", "read_corpus"), "corpus"),
    },
)
