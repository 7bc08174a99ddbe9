"""`sansi data inspect`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from sansi.base.errors import SansiError
from sansi.base.sizes import size_text
from sansi.cli.extras import need
from sansi.cli.options import AsJson

MOST_LISTED = 12
MOST_SHARDS = 64  # whose documents are measured
BLOCKS = " ▏▎▍▌▋▊▉█"
BAR = 40  # columns


def inspect(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Shards, samples, a mixture, a run or a corpus.")],
    documents: Annotated[int, typer.Option(min=0, help="How many documents to name.")] = 5,
    verify: Annotated[
        bool, typer.Option("--verify", help="Of shards: read every byte, and compare the digests.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """What is in this folder: languages, licences, sources, sizes, lengths of documents, and a few of them.

    Examples:

      sansi data inspect runs/tiny/text

      sansi data inspect runs/tiny/text --verify

      sansi data inspect runs/tiny/corpus --json
    """
    path = Path(folder)
    if (path / "shards.json").is_file():
        told = _of_shards(path, documents, verify)
    elif verify:
        raise SansiError(f"{path} has no shards to verify")
    elif (path / "mixture.json").is_file():
        told = {"what": "mixture", **json.loads((path / "mixture.json").read_text(encoding="utf-8"))}
    elif (path / "samples.npz").is_file():
        told = _of_samples(path)
    elif (path / "data.json").is_file():
        told = _of_run(path)
    elif (path / "manifest.json").is_file():
        told = _of_corpus(path, documents)
    else:
        raise SansiError(f"{path}: no shards, samples, mixture, run or corpus here")
    if as_json:
        typer.echo(json.dumps({"folder": str(path), **told}, ensure_ascii=False, indent=2))
    else:
        _tell(path, told)


def _of_shards(path: Path, documents: int, verify: bool) -> dict[str, Any]:
    from sansi.data.shards.folder import PackedFolder
    from sansi.data.shards.packing import verify_shards
    from sansi.data.shards.shard import TokenShard

    if verify:
        verify_shards(path)
    packed = PackedFolder(path)
    manifest, lengths = packed.manifest, Counter[int]()
    for number in range(min(len(manifest.shards), MOST_SHARDS)):
        shard = packed.shard(number)
        if isinstance(shard, TokenShard):
            edges = [*shard.starts.tolist(), len(shard.tokens)]
            sizes: Iterable[int] = (end - begin for begin, end in pairwise(edges))
        else:
            sizes = shard.document_tokens.tolist()
        lengths.update(size.bit_length() for size in sizes)
    rows = {"rows": manifest.rows, "padding": round(manifest.padding_share, 6)} if manifest.layout == "rows" else {}
    numbers = _spread(manifest.documents, documents)
    some = [{"document": number, **packed.known(number)} for number in numbers]
    return {
        "what": "shards",
        "layout": manifest.layout,
        **({"sequence_length": manifest.sequence_length} if manifest.sequence_length else {}),
        "documents": manifest.documents,
        "tokens": manifest.tokens,
        **rows,
        "shards": len(manifest.shards),
        "bytes": sum(file.stat().st_size for file in path.iterdir() if file.is_file()),
        "index_bytes_per_document": _index_size(path, manifest.documents),
        "dtype": manifest.dtype,
        "vocab_size": manifest.vocab_size,
        "separator": manifest.end_of_text_id,
        "tokenizer": manifest.tokenizer,
        "loss_mask": manifest.loss_mask,
        "left_out": manifest.left_out,
        **({"cropped": manifest.cropped} if manifest.cropped else {}),
        **({"verified": True} if verify else {}),
        "languages": manifest.languages,
        "sources": manifest.sources,
        "licences": manifest.licences,
        "kinds": manifest.kinds,
        "lengths": {f"{1 << max(bits - 1, 0)}": lengths[bits] for bits in sorted(lengths)},
        "some": some,
    }


def _index_size(path: Path, documents: int) -> float:
    size = sum(file.stat().st_size for file in path.glob("lookup-*.safetensors"))
    return round(size / documents, 2) if documents else 0.0


def _of_samples(path: Path) -> dict[str, Any]:
    from sansi.data.samples import read_samples

    samples = read_samples(path)
    lengths = Counter(len(ids).bit_length() for ids, _ in samples)
    tokens, learned = sum(len(ids) for ids, _ in samples), sum(int(mask.sum()) for _, mask in samples)
    return {
        "what": "samples",
        "samples": len(samples),
        "tokens": tokens,
        "learned": learned,
        "longest": max(len(ids) for ids, _ in samples),
        "lengths": {f"{1 << (bits - 1)}": lengths[bits] for bits in sorted(lengths)},
    }


def _of_run(path: Path) -> dict[str, Any]:
    from sansi.data.shards.record import read_record, steps_taken

    record = read_record(path)
    taken = steps_taken(path)
    rows = taken * record.rows_per_step
    return {"what": "run", "steps": taken, "rows_per_step": record.rows_per_step, "rows": rows, "reads": record.stream}


def _of_corpus(path: Path, documents: int) -> dict[str, Any]:
    need("pyarrow")
    from sansi.data.corpus import corpus_files
    from sansi.data.store import read_documents

    names = ("language", "source", "licence", "kind")
    counts: dict[str, dict[str, list[int]]] = {name: {} for name in names}
    lengths, some, total, size = Counter[int](), [], 0, 0
    files = corpus_files(path)
    for file in files:
        for row in _columns(file, (*names, "size")):
            for name in names:
                count = counts[name].setdefault(row[name], [0, 0])
                count[0] += 1
                count[1] += row["size"]
            lengths[row["size"].bit_length()] += 1
            total, size = total + 1, size + row["size"]
    for file in [files[place] for place in _spread(len(files), documents)]:
        document = next(iter(read_documents(file)), None)
        if document:
            some.append({"id": document.id, "language": document.language, "text": document.text[:200]})
    plural = {"language": "languages", "source": "sources", "licence": "licences", "kind": "kinds"}
    return {
        "what": "corpus",
        "documents": total,
        "bytes_of_text": size,
        **{plural[n]: {v: {"documents": c[0], "bytes": c[1]} for v, c in sorted(counts[n].items())} for n in names},
        "lengths": {f"{1 << max(bits - 1, 0)}": lengths[bits] for bits in sorted(lengths)},
        "some": some,
    }


def _columns(file: Path, names: Sequence[str]) -> Iterable[Mapping[str, Any]]:
    """Those of all rows of a file of documents."""
    from sansi.data.store import columns_of

    found = columns_of(file, names)
    return (dict(zip(names, values, strict=True)) for values in zip(*(found[name] for name in names), strict=True))


def _spread(count: int, wanted: int) -> list[int]:
    """So many numbers, evenly from 0..count-1."""
    wanted = min(count, wanted)
    return [place * count // wanted for place in range(wanted)]


# ---- telling --------------------------------------------------------------------------------------------------------


def _tell(path: Path, told: dict[str, Any]) -> None:
    typer.secho(f"{path}: {told['what']}", bold=True)
    tables = ("languages", "sources", "licences", "kinds")
    for name, value in told.items():
        if name in (*tables, "what", "lengths", "some", "bytes"):
            continue
        typer.echo(f"  {typer.style(name.replace('_', ' ').ljust(14), dim=True)}  {_value(name, value)}")
    if "bytes" in told:
        typer.echo(f"  {typer.style('on the disk'.ljust(14), dim=True)}  {size_text(told['bytes'])}")
    for name in tables:
        _tell_table(name, told.get(name, {}))
    unit = "bytes" if told["what"] == "corpus" else "tokens"
    _tell_lengths(unit, told.get("lengths", {}))
    for one in told.get("some", []):
        facts = [one.get("id"), one.get("title"), one.get("language"), one.get("licence"), one.get("url")]
        typer.echo(f"  {typer.style('·', dim=True)} {' · '.join(str(fact) for fact in facts if fact)}")
        if one.get("text"):
            typer.secho(f"    {' '.join(one['text'].split())[:96]}", dim=True)


def _value(name: str, value: Any) -> str:
    if name == "padding":
        return f"{value:.2%}"
    if name == "bytes_of_text":
        return size_text(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, dict) and value and all(isinstance(count, int) for count in value.values()):
        return ", ".join(f"{count:,} {key}" for key, count in value.items())
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False) if value else "none"
    return str(value)


def _tell_table(name: str, counts: Mapping[str, Mapping[str, int]]) -> None:
    if not counts:
        return
    unit = "tokens" if "tokens" in next(iter(counts.values())) else "bytes"
    total = sum(count[unit] for count in counts.values()) or 1
    rows = sorted(counts.items(), key=lambda item: -item[1][unit])
    typer.secho(f"\n{name} ({len(rows):,})", bold=True)
    for value, count in rows[:MOST_LISTED]:
        size = f"{count[unit]:,} tokens" if unit == "tokens" else size_text(count[unit])
        typer.echo(f"  {value:<24} {count['documents']:>12,} documents {size:>22} {count[unit] / total:>7.1%}")
    if len(rows) > MOST_LISTED:
        rest = sum(count[unit] for _, count in rows[MOST_LISTED:])
        typer.secho(f"  {len(rows) - MOST_LISTED:,} others, {rest / total:.1%}", dim=True)


def _tell_lengths(unit: str, lengths: Mapping[str, int]) -> None:
    if not lengths:
        return
    most = max(lengths.values())
    typer.secho(f"\nlengths in {unit}", bold=True)
    for low, count in lengths.items():
        eighths = round(8 * BAR * count / most)
        bar = "█" * (eighths // 8) + (BLOCKS[eighths % 8] if eighths % 8 else "")
        typer.echo(f"  {int(low):>11,} to {2 * int(low) - 1:>11,}  {bar} {count:,}")
    typer.echo()
