"""What is compared of each document, part by part: its digest, its place in the order, MinHash keys and shingles, and
the digests of its paragraphs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from sansi.base.digests import bytes_hash64
from sansi.data.blocks import Block, split_blocks
from sansi.data.columns import column_writer
from sansi.data.dedup.config import DedupConfig
from sansi.data.dedup.minhash import Keys, band_keys, minhash
from sansi.data.dedup.shingles import Shingles, block_codes, code_shingles, word_shingles
from sansi.data.documents import Document
from sansi.data.store import read_documents
from sansi.data.word_hashes import Codes, count_of

BATCH_BYTES = 8_000_000
PARAGRAPH_KINDS = ("prose", "reference")  # verse and code stay whole


def feature_schema(config: DedupConfig) -> pa.Schema:
    """`first` and `second` are the first 16 bytes of the text's SHA-256."""
    return pa.schema(
        {
            "id": pa.string(),
            "source": pa.string(),
            "size": pa.int64(),
            "original": pa.bool_(),
            "first": pa.uint64(),
            "second": pa.uint64(),
            "id_hash": pa.uint64(),
            "keys": pa.list_(pa.uint64(), config.bands),
            "shingles": pa.list_(pa.uint32()),
            "paragraphs": pa.list_(pa.uint64()),  # digests
            "blocks": pa.list_(pa.uint32()),  # which block of the text each paragraph is
            "sizes": pa.list_(pa.uint32()),  # bytes of each paragraph
        }
    )


def write_features(output: Path, documents: Path, config: DedupConfig) -> None:
    """The job of one part."""
    schema = feature_schema(config)
    with column_writer(output, schema) as writer:
        rows: list[dict[str, Any]] = []
        size = 0
        for document in read_documents(documents):
            rows.append(feature_row(document, config))
            size += document.size
            if size >= BATCH_BYTES:
                writer.write_batch(pa.RecordBatch.from_pylist(rows, schema))
                rows, size = [], 0
        writer.write_batch(pa.RecordBatch.from_pylist(rows, schema))


def feature_row(document: Document, config: DedupConfig) -> dict[str, Any]:
    blocks = split_blocks(document.text) if document.kind != "code" else []
    codes = block_codes(blocks)
    shingles = shingles_of(document, codes)
    found = paragraphs(blocks, codes, config) if document.kind in PARAGRAPH_KINDS else []
    sha256 = bytes.fromhex(document.sha256)
    return {
        "id": document.id,
        "source": document.source,
        "size": document.size,
        "original": document.original,
        "first": int.from_bytes(sha256[:8], "big"),
        "second": int.from_bytes(sha256[8:16], "big"),
        "id_hash": bytes_hash64(document.id.encode("utf-8", "surrogatepass")),
        "keys": keys_of(shingles, config),
        "shingles": shingles,
        "paragraphs": [digest for _, digest in found],
        "blocks": [index for index, _ in found],
        "sizes": [len(blocks[index].text.encode("utf-8", "surrogatepass")) for index, _ in found],
    }


def shingles_of(document: Document, codes: Sequence[Codes]) -> Shingles:
    """The runs by which the document is compared. codes: of its blocks, unless it is code."""
    return code_shingles(document.text) if document.kind == "code" else word_shingles(codes)


def keys_of(shingles: Shingles, config: DedupConfig) -> Keys:
    return band_keys(minhash(shingles, config.bands * config.rows), config.bands, config.rows)


def paragraphs(blocks: Sequence[Block], codes: Sequence[Codes], config: DedupConfig) -> list[tuple[int, int]]:
    """Block and digest of each paragraph that is long enough to be told apart by its digest."""
    return [
        (index, _digest(block, own))
        for index, (block, own) in enumerate(zip(blocks, codes, strict=True))
        if count_of(own) >= config.min_paragraph and not block.level
    ]


def _digest(block: Block, codes: Codes) -> int:
    # A listing is the same only to the letter.
    raw = block.text.strip().encode("utf-8", "surrogatepass") if block.is_fenced else codes.tobytes()
    return bytes_hash64(raw)
