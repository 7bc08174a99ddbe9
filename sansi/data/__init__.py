"""Real text to batches: sources, extraction, annotation, filters, deduplication, token shards, resumable batches."""

from typing import TYPE_CHECKING

from sansi.base.later import later
from sansi.data.documents import Document

if TYPE_CHECKING:
    from sansi.data.batch import Batch
    from sansi.data.corpus import CorpusReport, build_corpus, read_corpus
    from sansi.data.samples import SampleDataset
    from sansi.data.shards.building import Packing
    from sansi.data.shards.dataset import PackedDataset
    from sansi.data.shards.mixed import Mixture
    from sansi.data.shards.packing import PackReport, pack, pack_corpus, shard_paths
    from sansi.data.shards.shard import TokenShard
    from sansi.data.shards.streams import RowStream

__all__ = [
    "Batch",
    "CorpusReport",
    "Document",
    "Mixture",
    "PackReport",
    "PackedDataset",
    "Packing",
    "RowStream",
    "SampleDataset",
    "TokenShard",
    "build_corpus",
    "pack",
    "pack_corpus",
    "read_corpus",
    "shard_paths",
]

# These import torch, or what only the extra `train` brings; the rest of the room does without.
__getattr__ = later(
    __name__,
    {
        "Batch": "batch",
        "Mixture": "shards.mixed",
        "PackedDataset": "shards.dataset",
        "Packing": "shards.building",
        "RowStream": "shards.streams",
        "SampleDataset": "samples",
        "TokenShard": "shards.shard",
        **dict.fromkeys(("PackReport", "pack", "pack_corpus", "shard_paths"), "shards.packing"),
        **dict.fromkeys(("CorpusReport", "build_corpus", "read_corpus"), "corpus"),
    },
)
