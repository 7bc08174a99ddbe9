"""Packing: text to a folder of shards, and by parts of a corpus, so that a killed run goes on."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import reprlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sansi.base.config import as_config, config_to_dict, load_config
from sansi.base.differences import changes, flat
from sansi.base.digests import file_sha256
from sansi.base.errors import SansiError
from sansi.base.files import as_path, atomic_folder, make_folder, read_json, write_bytes, write_json
from sansi.data.corpus.read import corpus_files
from sansi.data.documents import Document
from sansi.data.mixture import load_weights, times_included
from sansi.data.shards.arrays import write_arrays
from sansi.data.shards.building import Built, Packing, build
from sansi.data.shards.encoding import Encoded, Encoder
from sansi.data.shards.ids import dtype_for, is_whole
from sansi.data.shards.known import known_arrays
from sansi.data.shards.lookup import GROUP_DOCUMENTS, KEYS, LOOKUP, write_lookup
from sansi.data.shards.manifest import (
    PROBES,
    DocumentTokenizer,
    Manifest,
    ShardEntry,
    Tally,
)
from sansi.data.shards.shard import RowShard, open_shard, read_arrays_of, tables_crc, written_arrays
from sansi.data.store import columns_of, document_row, document_schema, read_documents, table_writer
from sansi.data.work import Executor, Job, LocalExecutor
from sansi.text import Tokenizer

SHARD, DOCUMENTS = "shard-{:05d}.safetensors", "documents-{:05d}.parquet"
PLAN_FILE, TOKENIZER_FILE = "plan.json", "tokenizer.json"
PART_BYTES = 32 << 20  # of the corpus's files on the disk, in a shard
SHARD_TOKENS = 1 << 26


@dataclass(frozen=True)
class PackReport:
    """What was packed."""

    folder: Path
    shards: tuple[Path, ...]
    documents: int
    tokens: int  # ends of documents included
    dtype: str
    rows: int = 0  # where rows were packed
    padding_share: float = 0.0
    cropped: int = 0  # tokens
    left_out: dict[str, int] = field(default_factory=dict)  # documents by reason


def shard_paths(folder: Path) -> list[Path]:
    """The shards of a packed folder, in order."""
    return [Path(folder) / entry.name for entry in Manifest.load(folder).shards]


def verify_shards(folder: Path) -> None:
    """Read all shards of a folder whole and raise SansiError for the first whose content is not what was written."""
    manifest = Manifest.load(folder)
    for entry in manifest.shards:
        path = Path(folder) / entry.name
        if open_shard(path, manifest).computed_digest != entry.digest:
            raise SansiError(f"{path}: its content is not what was packed; it was damaged, pack the corpus again")


def pack(
    texts: Iterable[Any],
    tokenizer: DocumentTokenizer,
    out: Path,
    shard_tokens: int = SHARD_TOKENS,
    packing: Packing | Mapping[str, Any] | None = None,
) -> PackReport:
    """Tokenise `texts`, end each with `end_of_text_id`, and write shards of about `shard_tokens` ids to `out`.

    texts: texts, `Document`s, which are counted by language, source, licence and kind in the manifest, or samples with
    `ids` and `loss_mask`, which are packed as they are. packing: whether documents lie end to end, or in rows that are
    packed best-fit, and what is left out. The folder appears whole or not at all. Raises SansiError for an id that the
    tokenizer's `vocab_size` does not admit, and where there is no text at all.
    """
    if isinstance(texts, str | Document):
        raise SansiError('"texts" is one text; give a list of texts', param="texts")
    if not is_whole(shard_tokens) or shard_tokens < 1:
        raise SansiError(
            f'"shard_tokens" is {shard_tokens!r}; it must be a whole number of at least 1', param="shard_tokens"
        )
    packing, out = as_config(Packing, packing or {}, "packing"), as_path(out)
    with atomic_folder(out) as draft:
        report = pack_into(draft, texts, tokenizer, packing, shard_tokens)
    return replace(report, folder=out, shards=tuple(out / shard.name for shard in report.shards))


def pack_into(
    folder: Path,
    texts: Iterable[Any],
    tokenizer: DocumentTokenizer,
    packing: Packing,
    shard_tokens: int = SHARD_TOKENS,
) -> PackReport:
    """`pack` into a folder that is there. Its manifest is written last."""
    encoder = _encoder(tokenizer, packing)
    _write_tokenizer(folder, tokenizer)
    shards = 0
    for documents in _of_size(encoder.encode(texts), shard_tokens):
        _write_part(folder / SHARD.format(shards), documents, encoder, packing, shards)
        shards += 1
    encoder.check()
    return _finish(folder, shards, tokenizer, _settings(packing, tokenizer), encoder.left_out)


def pack_corpus(
    corpus: Path,
    tokenizer: Path,
    out: Path,
    packing: Packing | Mapping[str, Any] | None = None,
    *,
    weights: Path | None = None,
    executor: Executor | None = None,
    part_bytes: int = PART_BYTES,
) -> PackReport:
    """Pack the documents of a corpus folder, a shard for each `part_bytes` of its files, in several processes.

    tokenizer: a folder that has one. weights: a folder of the recipe kind `document_weights`; each document is then
    there floor(weight + u) times, u even in 0..1 by its id and the seed. `out` is filled in its place: started again
    after a kill it goes on, and the bytes are the same however many processes work. Raises SansiError for a folder that
    holds anything else, or was begun with other settings.
    """
    packing, out = as_config(Packing, packing or {}, "packing"), make_folder(out)
    corpus, weights = Path(corpus), Path(weights) if weights else None
    loaded, parts = Tokenizer.from_pretrained(tokenizer), _parts_of(corpus, part_bytes)
    # Relative, so that the same work in another place leaves the same bytes.
    where = {"corpus": os.path.relpath(corpus, out)}
    settings = {**_settings(packing, loaded), **where, **_described(corpus, weights)}
    _begin(out, {**settings, "parts": parts})
    _write_tokenizer(out, loaded)
    arguments: dict[str, Any] = {"corpus": str(corpus.resolve()), "tokenizer": str(Path(tokenizer).resolve())}
    arguments |= {"packing": config_to_dict(packing), "weights": str(weights.resolve()) if weights else None}
    arguments["digests"] = (loaded.hash, settings.get("weights"))
    jobs = [
        Job(pack_part, out / SHARD.format(number), {**arguments, "files": part, "number": number}, size=size)
        for number, (part, size) in enumerate(zip(parts, _sizes(corpus, parts), strict=True))
    ]
    (executor or LocalExecutor(0 if len(jobs) == 1 else None)).run(jobs, "packing")
    return _finish(out, len(jobs), loaded, settings, {})


def pack_part(
    output: Path, *, corpus: str, tokenizer: str, packing: dict[str, Any], weights: str | None, files: Sequence[str],
    number: int, digests: tuple[str, str | None],
) -> None:  # fmt: skip
    """A job of `pack_corpus`: one shard of some files of a corpus. digests: of tokenizer and weights, whose folders may
    hold others than when this process read them last."""
    settings = as_config(Packing, packing, "packing")
    encoder = _encoder(_tokenizer(tokenizer, digests[0]), settings)
    if weights is not None:
        encoder.times = _times(weights, digests[1], settings.seed)
    documents = list(encoder.encode(document for file in files for document in read_documents(Path(corpus) / file)))
    encoder.check()
    _write_part(output, documents, encoder, settings, number)


# ---- one shard ------------------------------------------------------------------------------------------------------


def _encoder(tokenizer: DocumentTokenizer, packing: Packing) -> Encoder:
    longest = packing.max_tokens
    if packing.long_documents == "drop" and packing.sequence_length is not None:
        longest = min(longest or packing.sequence_length + 1, packing.sequence_length + 1)
    return Encoder(tokenizer, packing.min_tokens, longest)


@functools.lru_cache(maxsize=1)  # a worker packs many parts
def _tokenizer(folder: str, _hash: str) -> Tokenizer:
    return Tokenizer.from_pretrained(folder)


@functools.lru_cache(maxsize=1)
def _times(folder: str, _digest: str | None, seed: int) -> Callable[[Document], int]:
    weights = load_weights(folder)
    return lambda document: times_included(weights(document), document.id, seed)


def _of_size(documents: Iterable[Encoded], limit: int) -> Iterator[list[Encoded]]:
    batch: list[Encoded] = []
    size = 0
    for document in documents:
        if batch and size + len(document.ids) > limit:
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += len(document.ids)
    if batch:
        yield batch


def _write_part(path: Path, documents: Sequence[Encoded], encoder: Encoder, packing: Packing, number: int) -> None:
    """Write a shard and, before it, what is known of its documents. What the encoder left out until now is this
    shard's."""
    left_out = dict(sorted(encoder.left_out.items()))
    encoder.left_out.clear()
    built = build(documents, packing, encoder.dtype, number)
    _check_ends(built, encoder.tokenizer.end_of_text_id)
    tally = Tally()
    for encoded in built.documents:
        if encoded.document.source:
            tally.add(encoded.document, len(encoded.ids))
    _write_documents(path.with_name(DOCUMENTS.format(number)), built.documents)
    shard, arrays = built.shard, written_arrays(built.shard)
    entry = ShardEntry(
        path.name,
        built.tokens,
        len(documents),
        shard.computed_digest,
        tables_crc(arrays),
        len(shard.ids) if isinstance(shard, RowShard) else 0,
        left_out,
        built.cropped,
        encoder.largest_id,
    )
    known, shared = known_arrays([encoded.document for encoded in built.documents])
    metadata = {"entry": json.dumps(asdict(entry)), "counts": json.dumps(tally.counts()), "known_shared": shared}
    write_arrays(path, {**arrays, **known}, metadata)


def _check_ends(built: Built, end: int) -> None:
    """Raise SansiError unless every document of text has the separator behind it, and nowhere else."""
    for encoded in built.documents:
        if encoded.loss_mask is None and int(encoded.ids[-1]) != end:
            raise SansiError(f"a document ends with the token {int(encoded.ids[-1])} and not with the separator {end}")


def _write_documents(path: Path, documents: Sequence[Encoded]) -> None:
    """All that is known of the documents of a shard but their texts, in the order of their numbers."""
    with table_writer(path, document_schema()) as writer:
        for encoded in documents:
            writer.add(document_row(encoded.document) | {"text": ""}, 300)


# ---- the whole folder -----------------------------------------------------------------------------------------------


def _settings(packing: Packing, tokenizer: DocumentTokenizer) -> dict[str, Any]:
    return {**config_to_dict(packing), "tokenizer": getattr(tokenizer, "hash", None)}


def _described(corpus: Path, weights: Path | None) -> dict[str, Any]:
    """The corpus and the weights, as far as that is seen at a glance."""
    sizes = [f"{file.name} {file.stat().st_size}" for file in corpus_files(corpus)]
    content = hashlib.sha256((corpus / "manifest.json").read_bytes() + "\n".join(sizes).encode()).hexdigest()
    weighed = {"weights": file_sha256(_weights_file(weights))} if weights else {}
    return {"corpus_digest": content, **weighed}


def _weights_file(weights: Path) -> Path:
    from sansi.data.mixture.weights import WEIGHTS_FILE, load_weights

    load_weights(weights)  # before any work: raises SansiError for what is none
    return weights / WEIGHTS_FILE if weights.is_dir() else weights


def _parts_of(corpus: Path, part_bytes: int) -> list[list[str]]:
    """Successive files of the corpus, about `part_bytes` together, by their paths in it."""
    parts: list[list[str]] = []
    size = part_bytes
    for file in corpus_files(corpus):
        if size >= part_bytes:
            parts.append([])
            size = 0
        parts[-1].append(str(file.relative_to(corpus)))
        size += file.stat().st_size
    return parts


def _begin(out: Path, plan: Mapping[str, Any]) -> None:
    """Note what is to be packed, or see that it is what was begun here. Where the corpus lies makes no difference."""
    file = out / PLAN_FILE
    if not file.is_file():
        if others := [name for name in out.iterdir() if not name.name.startswith(".") and name.name != "stage.json"]:
            raise SansiError(f"{out} holds {others[0].name}, which packing did not write; choose another folder")
        write_json(file, plan)
        return
    old, new = read_json(file), json.loads(json.dumps(plan))
    if found := changes(flat({**old, "corpus": ""}), flat({**new, "corpus": ""}), reprlib.repr):
        raise SansiError(
            f"{out} was begun with other settings: {'; '.join(found)}; go on with the old ones, or choose another "
            "folder"
        )


def _write_tokenizer(folder: Path, tokenizer: DocumentTokenizer) -> None:
    """Put the tokenizer beside the shards, so that they can be read as text wherever they are."""
    if callable(files := getattr(tokenizer, "files", None)):
        write_bytes(folder / TOKENIZER_FILE, files()[TOKENIZER_FILE])


def _finish(
    folder: Path, count: int, tokenizer: DocumentTokenizer, settings: dict[str, Any], left_out: Mapping[str, int]
) -> PackReport:
    """Write the tables of all shards, and last the manifest."""
    entries, tally, left, masked = [], Tally(), Counter(left_out), False
    for number in range(count):
        file = read_arrays_of(folder / SHARD.format(number))
        entries.append(load_config(ShardEntry, json.loads(file.metadata["entry"]), str(folder)))
        tally.merge(json.loads(file.metadata["counts"]))
        left.update(entries[-1].left_out)
        masked |= "loss_mask" in file.arrays
    tokens, rows = sum(entry.tokens for entry in entries), sum(entry.rows for entry in entries)
    if not tokens:
        why = ", ".join(f"{number:,} {reason}" for reason, number in left.items())
        raise SansiError(
            f"there are no texts to pack{f' ({why} were left out)' if why else ''}; give at least one", param="texts"
        )
    _write_lookups(folder, entries)
    dtype, length = dtype_for(tokenizer.vocab_size).name, settings["sequence_length"]
    manifest = Manifest(
        layout="rows" if length else "concat",
        tokens=tokens,
        documents=sum(entry.documents for entry in entries),
        dtype=dtype,
        vocab_size=tokenizer.vocab_size,
        end_of_text_id=tokenizer.end_of_text_id,
        largest_id=max(entry.largest_id for entry in entries),
        tokenizer=getattr(tokenizer, "hash", None),
        shards=tuple(entries),
        sequence_length=length,
        rows=rows,
        padding=rows * (length + 1) - tokens if length else 0,
        cropped=sum(entry.cropped for entry in entries),
        left_out=dict(sorted(left.items())),
        loss_mask=masked,
        probes={text: list(tokenizer.encode(text)) for text in PROBES},
        settings=settings,
        **tally.counts(),
    )
    manifest.write(folder)
    facts = (manifest.tokens, dtype, rows, manifest.padding_share, manifest.cropped, manifest.left_out)
    return PackReport(folder, tuple(folder / entry.name for entry in entries), manifest.documents, *facts)


def _write_lookups(folder: Path, entries: Sequence[ShardEntry]) -> None:
    """A table for each so many documents, of whole shards."""
    for number, shards in enumerate(lookup_groups(entries)):
        columns: dict[str, list[str | None]] = {name: [] for name in KEYS}
        for shard in shards:
            found = columns_of(folder / DOCUMENTS.format(shard), KEYS)
            for name in KEYS:
                columns[name] += found[name]
        write_lookup(folder / LOOKUP.format(number), columns)


def lookup_groups(entries: Sequence[ShardEntry]) -> list[list[int]]:
    """The numbers of the shards whose documents are in each table."""
    groups: list[list[int]] = [[]]
    size = 0
    for number, entry in enumerate(entries):
        if groups[-1] and size + entry.documents > GROUP_DOCUMENTS:
            groups.append([])
            size = 0
        groups[-1].append(number)
        size += entry.documents
    return groups


def _sizes(corpus: Path, parts: Sequence[Sequence[str]]) -> list[int]:
    return [sum((corpus / file).stat().st_size for file in files) for files in parts]
