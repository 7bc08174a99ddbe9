"""Real text to batches: sources, extraction, annotation, filters, deduplication, token shards, resumable batches."""

from sansi.data.batches import Mixture, PackedDataset, RowStream, SampleDataset, document_positions
from sansi.data.shards import PackReport, TokenShard, pack, shard_paths

__all__ = [
    "Mixture",
    "PackReport",
    "PackedDataset",
    "RowStream",
    "SampleDataset",
    "TokenShard",
    "document_positions",
    "pack",
    "shard_paths",
]
