"""Real text to batches: sources, extraction, annotation, filters, deduplication, token shards, resumable batches."""

from sansi.data.batches import Mixture, PackedDataset, RowStream, SampleDataset
from sansi.data.corpus import CorpusReport, build_corpus, read_corpus
from sansi.data.documents import Document
from sansi.data.shards import PackReport, TokenShard, pack, shard_paths

__all__ = [
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
