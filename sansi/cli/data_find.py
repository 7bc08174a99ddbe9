"""`sansi data find` and `sansi data steps`: from a document to the steps of a run, and back."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sansi.base.errors import SansiError
from sansi.cli.extras import need
from sansi.cli.options import AsJson

if TYPE_CHECKING:
    from sansi.data.shards.folder import PackedFolder
    from sansi.data.shards.steps import Read, Steps

SHOWN = 100  # characters of a text
RUN_HELP = "A run's folder, or shards."
FIND_HELP = "A run's folder, shards, or a corpus."


def find(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help=FIND_HELP)],
    text: Annotated[str | None, typer.Argument(metavar="TEXT", help="The whole text of a document.")] = None,
    file: Annotated[str | None, typer.Option("--file", help="File with the whole text of a document.")] = None,
    doc: Annotated[str | None, typer.Option("--id", metavar="ID", help="The id of a document.")] = None,
    url: Annotated[str | None, typer.Option("--url", help="The address of a document.")] = None,
    passage: Annotated[
        bool, typer.Option("--passage", help="The text is a part of a document's, of some 25 tokens or more.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Was this document packed, and was it trained on: in which steps, how often?

    Of a corpus, with --id: what became of a record, kept or dropped by which rule.

    A text is found by the hash of the whole of it, as it stands in the corpus: a document of another line break is
    another one. Nothing is read but an index, except with --passage, which reads all ids for a part of a text.

    Examples:

      sansi data find runs/tiny/general --id python-stdlib/json.md

      sansi data find runs/tiny/text --url https://example.org/a.html

      sansi data find runs/tiny/general --file page.txt --json

      sansi data find corpus --id notes/2021.md

    Exit code 1 where it is not there.
    """
    from sansi.data.shards.record import RECORD_FILE, steps_taken

    key, value = _asked(text, file, doc, url, passage)
    path = Path(folder)
    if (path / "manifest.json").is_file() and not (path / "shards.json").is_file():
        _find_in_corpus(path, key, value, as_json)
        return
    is_run = (path / RECORD_FILE).is_file()
    started = time.perf_counter()
    places = _places(path, is_run)
    taken = steps_taken(path) if is_run else 0
    found: list[dict[str, Any]] = []
    for steps, dataset, first, packed in places:
        numbers = packed.find_passage(value) if key == "passage" else packed.find(key, value)
        for number in numbers:
            answer = {"folder": str(packed.path), "document": number, **packed.known(number)}
            if steps:
                passes = steps.seen(dataset, first + number, taken)
                answer["passes"] = [{"epoch": one.epoch, "steps": list(one.steps)} for one in passes]
            found.append(answer)
    milliseconds = round(1000 * (time.perf_counter() - started), 1)
    if as_json:
        steps_told = {"steps": taken} if is_run else {}
        typer.echo(json.dumps({"found": found, **steps_told, "milliseconds": milliseconds}, ensure_ascii=False))
    else:
        _tell_found(path, found, taken if is_run else None)
    if not found:
        raise typer.Exit(1)


def steps(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help=RUN_HELP)],
    step: Annotated[int, typer.Option("--step", min=1, help="Which step; the first is 1.")],
    texts: Annotated[bool, typer.Option("--texts", help="Show the beginnings of the texts.")] = False,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Of shards: rows of a step.")] = None,
    sequence_length: Annotated[
        int | None, typer.Option(min=1, help="Of shards that lie end to end: tokens of a row.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of shards: the run's.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Which documents did a step read?

    The order of rows is a function of the seed and the row's number, so it holds for steps that are still to come, too,
    and nothing but the step's own documents is read.

    Examples:

      sansi data steps runs/tiny/general --step 3

      sansi data steps runs/tiny/general --step 3 --texts --json

      sansi data steps runs/tiny/text --step 1 --batch-size 16 --sequence-length 256 --seed 0
    """
    from sansi.data.shards.record import RECORD_FILE
    from sansi.data.shards.steps import Steps

    path = Path(folder)
    if (path / RECORD_FILE).is_file() or not (path / "shards.json").is_file():
        if batch_size or sequence_length or seed:
            raise SansiError("a run says itself how it reads; --batch-size, --sequence-length and --seed are of shards")
        opened = Steps.of_run(path)
    else:
        if batch_size is None:
            raise SansiError(f"{path} has shards, and no run: give --batch-size, the rows of a step")
        opened = Steps.of_shards(path, sequence_length, batch_size, seed)
    started = time.perf_counter()
    read = opened.documents(step)
    milliseconds = round(1000 * (time.perf_counter() - started), 1)
    begun = _beginnings(opened, read) if texts else [""] * len(read)
    if as_json:
        rows = [_as_dict(one) | ({"text": text} if texts else {}) for one, text in zip(read, begun, strict=True)]
        typer.echo(json.dumps({"step": step, "documents": rows, "milliseconds": milliseconds}, ensure_ascii=False))
        return
    _tell_step(path, step, read, begun)


def _find_in_corpus(path: Path, key: str, value: str, as_json: bool) -> None:
    """What became of a record."""
    if key != "id":
        raise SansiError(f"{path} is a corpus, whose ledger knows ids: give --id; texts are found in packed shards")
    found = fate_of(path, value)
    if as_json:
        typer.echo(json.dumps({"found": found}, ensure_ascii=False))
    elif not found:
        typer.echo(f"not among the records of {path}")
    for entry in () if as_json else found:
        why = f", {entry['rule']}" + (f" ({entry['value']})" if entry["value"] else "") if entry["rule"] else ""
        typer.echo(f"{entry['id']}: {entry['state']}{why}, in the step {entry['step']}")
    if not found:
        raise typer.Exit(1)


def fate_of(corpus: Path, id: str) -> list[dict[str, Any]]:
    """The entries of a corpus's ledger about a record."""
    need("pyarrow")
    from sansi.data.store import columns_of, read_entries

    found = []
    for file in sorted((corpus / "ledger" / id.partition("/")[0]).glob("*.parquet")):
        if id in columns_of(file, ["id"])["id"]:
            found += [vars(entry) for entry in read_entries(file) if entry.id == id]
    return found


def _asked(text: str | None, file: str | None, doc: str | None, url: str | None, passage: bool) -> tuple[str, str]:
    """By what is looked, and the value."""
    given = {"text": text, "--file": file, "--id": doc, "--url": url}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        told = f"{' and '.join(named)} were given" if named else "nothing was given"
        raise SansiError(f"give a text, --file, --id or --url, one of them; {told}")
    if passage and (doc or url):
        raise SansiError("--passage is of texts")
    if doc is not None or url is not None:
        return ("id", doc) if doc is not None else ("url", str(url))
    whole = text if text is not None else Path(str(file)).read_text(encoding="utf-8")
    if passage:
        return "passage", whole
    from sansi.data.documents import text_sha256

    return "sha256", text_sha256(whole)


def _places(path: Path, is_run: bool) -> list[tuple[Steps | None, int, int, PackedFolder]]:
    """Where to look: the datasets of a run, with the number of the first document of each folder, or a folder."""
    from sansi.data.shards.folder import PackedFolder
    from sansi.data.shards.steps import Steps

    if not is_run:
        return [(None, 0, 0, PackedFolder(path))]
    opened = Steps.of_run(path)
    if not opened.folders:
        raise SansiError(f"{path} read samples of chats, which have no ids; sansi data steps shows which a step read")
    return [(opened, dataset, first, packed) for dataset, first, packed in opened.folders]


def _tell_found(path: Path, found: list[dict[str, Any]], taken: int | None) -> None:
    if not found:
        typer.echo(f"not in {path}")
    for one in found:
        typer.secho(_described(one), bold=True)
        typer.echo(f"  packed as document {one['document']:,} of {one['folder']}")
        if taken is not None:
            typer.echo(f"  {_when(one['passes'], taken)}")


def _when(passes: list[dict[str, Any]], taken: int) -> str:
    if not passes:
        return f"not read in the {taken:,} steps so far"
    times = {1: "once", 2: "twice"}.get(len(passes), f"{len(passes):,} times")
    steps = [step for one in passes for step in one["steps"]]
    shown = ", ".join(f"{step:,}" for step in steps[:12]) + (", …" if len(steps) > 12 else "")
    return f"read {times} in {taken:,} steps: step{'s' if len(steps) > 1 else ''} {shown}"


def _described(known: Mapping[str, Any]) -> str:
    facts = [known.get(name) for name in ("id", "title", "language", "licence", "url")]
    return " · ".join(str(fact) for fact in facts if fact)


def _beginnings(opened: Steps, read: list[Read]) -> list[str]:
    """Of each piece the text, or its beginning."""
    return [opened.text(one, SHOWN) for one in read]


def _as_dict(one: Read) -> dict[str, Any]:
    return {
        "row": one.row,
        "folder": str(one.folder),
        "document": one.document,
        "begin": one.begin,
        "tokens": one.tokens,
        "epoch": one.epoch,
        **one.known,
    }


def _tell_step(path: Path, step: int, read: list[Read], begun: list[str]) -> None:
    rows = len({one.row for one in read})
    documents = len({(one.folder, one.document) for one in read})
    tokens = sum(one.tokens for one in read)
    typer.secho(f"step {step:,} of {path}: {rows:,} rows, {documents:,} documents, {tokens:,} tokens", bold=True)
    row = -1
    for one, text in zip(read, begun, strict=True):
        if one.row != row:
            row = one.row
            typer.secho(f"row {row}", dim=True)
        part = f", from token {one.begin:,}" if one.begin else ""
        typer.echo(f"  {_described(one.known)}  ({one.tokens:,} tokens{part})")
        if text:
            typer.secho(f"    {' '.join(text.split())}", dim=True)
