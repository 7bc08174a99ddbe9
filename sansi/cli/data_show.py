"""`sansi data show`."""

from __future__ import annotations

import json
import random as randomness
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sansi.base.errors import SansiError
from sansi.cli.extras import need
from sansi.cli.options import AsJson

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from sansi.data.shards.folder import PackedFolder
    from sansi.text import Tokenizer

BARS = ("cyan", "yellow", "magenta", "blue", "bright_red", "bright_cyan")  # of documents, in turn
LEARNED, UNLEARNED = ("green", "bright_green"), ("bright_black", "white dim")
OPEN, CLOSE = "⟦", "⟧"  # around what is not learned, where there are no colours


@dataclass(frozen=True)
class Shown:
    """A document, or a piece of one, as it is shown."""

    title: dict[str, Any]
    ids: list[int]
    learned: list[bool]


Folder = Annotated[str, typer.Argument(metavar="FOLDER", help="Shards, samples or a corpus.")]
Row = Annotated[int | None, typer.Option("--row", min=0, help="A row (of samples: a sample), from 0.")]
Doc = Annotated[str | None, typer.Option("--doc", metavar="ID", help="A document, by its id or its number.")]
Source = Annotated[str | None, typer.Option("--source", metavar="NAME", help="One of this source.")]
Language = Annotated[str | None, typer.Option("--language", metavar="TAG", help="One in this language.")]
Random = Annotated[bool, typer.Option("--random", help="Any, another one each time.")]
Mask = Annotated[bool, typer.Option("--mask", help="Colour each token by whether it is learned from.")]
Tokens = Annotated[
    str | None, typer.Option("--tokenizer", metavar="FOLDER", help="Of samples, if none is beside them.")
]
Length = Annotated[
    int | None, typer.Option("--sequence-length", min=1, help="Of rows that are cut when they are read. Default: 1024.")
]
Seed = Annotated[int | None, typer.Option("--seed", help="Of --random: the same one each time.")]


def show(
    folder: Folder,
    row: Row = None,
    doc: Doc = None,
    source: Source = None,
    language: Language = None,
    random: Random = False,
    mask: Mask = False,
    sequence_length: Length = None,
    tokenizer: Tokens = None,
    seed: Seed = None,
    as_json: AsJson = False,
) -> None:
    """Show a row as training reads it, or a document: whose text it is, and which of its tokens are learned.

    Each document has a bar of its own colour. With --mask tokens alternate between two shades, green where the model
    learns to predict them and grey where it only reads them: a document's first token, padding, a user's message. In a
    pipe there are no colours, and what is not learned stands in ⟦brackets⟧.

    Examples:

      sansi data show runs/tiny/text --row 3 --mask

      sansi data show runs/tiny/text --doc python-stdlib/json.md

      sansi data show runs/tiny/text --language de --random

      sansi data show runs/tiny/fusion-samples --row 0 --mask

      sansi data show corpus --random
    """
    path, rng = Path(folder), randomness.Random(seed)
    wanted = {name: value for name, value in (("source", source), ("language", language)) if value}
    if (row is not None) + (doc is not None) + bool(wanted or random) != 1:
        raise SansiError("say which: --row N, --doc ID, or --random, with --source and --language if you like")
    if row is not None and (path / "shards.json").is_file():
        _show_row(_open(path), row, sequence_length, mask, as_json)
    elif (path / "samples.npz").is_file():
        _show_sample(path, row, rng if random else None, tokenizer, mask, as_json)
    elif (path / "shards.json").is_file():
        packed = _open(path)
        _show_document(packed, _chosen(packed, doc, wanted, rng), mask, as_json)
    elif (path / "manifest.json").is_file() and row is None and not mask:
        _show_of_corpus(path, doc, wanted, rng, as_json)
    else:
        raise SansiError(_nothing_here(path))


def _nothing_here(path: Path) -> str:
    if (path / "mixture.json").is_file():
        parts = [part["path"] for part in json.loads((path / "mixture.json").read_text(encoding="utf-8"))["parts"]]
        return f"{path} mixes {', '.join(str(path / part) for part in parts)}; show one of these"
    if (path / "manifest.json").is_file():
        return f"{path} is a corpus: it has documents (--doc, --random), no rows and no loss mask; show its shards"
    return f"{path}: no shards, samples or corpus here; sansi data inspect FOLDER tells what a folder is"


def _open(path: Path) -> PackedFolder:
    need("pyarrow")
    from sansi.data.shards.folder import PackedFolder

    return PackedFolder(path)


# ---- what is shown --------------------------------------------------------------------------------------------------


def _show_row(packed: PackedFolder, row: int, length: int | None, mask: bool, as_json: bool) -> None:
    from sansi.data.shards.folder import row_parts

    found = row_parts(packed, row, length)
    shown = [
        Shown(_title(packed, part.document, part.begin, len(part.ids)), part.ids, part.learned) for part in found.parts
    ]
    head = {
        "folder": str(packed.path),
        "row": row,
        "rows": found.rows,
        "tokens": found.places,
        "padding": found.padding,
    }
    text = f"row {row:,} of {found.rows:,}: {found.places:,} tokens, {found.padding:,} of them padding"
    _print(head, text, shown, packed.tokenizer, mask, as_json)


def _show_document(packed: PackedFolder, document: int, mask: bool, as_json: bool) -> None:
    ids, learned = packed.tokens(document)
    shown = [Shown(_title(packed, document, 0, len(ids)), ids.tolist(), learned.tolist())]
    facts = {key: value for key, value in vars(packed.document(document)).items() if key != "text" and value}
    text = "\n".join(f"{name:>18}  {_plain(value)}" for name, value in facts.items())
    _print({"folder": str(packed.path), "document": facts}, text, shown, packed.tokenizer, mask, as_json)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=dict)


def _title(packed: PackedFolder, document: int, begin: int, tokens: int) -> dict[str, Any]:
    return {"document": document, **packed.known(document), "begin": begin, "tokens": tokens}


def _show_sample(
    path: Path, row: int | None, rng: randomness.Random | None, tokenizer: str | None, mask: bool, as_json: bool
) -> None:
    from sansi.data.samples import read_samples
    from sansi.text import Tokenizer

    if row is None and rng is None:
        raise SansiError(f"{path} has samples, without ids or sources: give --row N or --random")
    samples = read_samples(path)
    number = row if row is not None else (rng or randomness).randrange(len(samples))
    if number >= len(samples):
        raise SansiError(f"{path}: there is no sample {number:,}; they have the numbers 0 to {len(samples) - 1:,}")
    ids, learned = samples[number]
    shown = [Shown({"sample": number, "tokens": len(ids)}, ids.tolist(), learned.astype(bool).tolist())]
    text = f"sample {number:,} of {len(samples):,}: {len(ids):,} tokens, {int(learned.sum()):,} of them learned"
    found = Tokenizer.from_pretrained(tokenizer or _tokenizer_beside(path))
    _print({"folder": str(path), "samples": len(samples)}, text, shown, found, mask, as_json)


def _tokenizer_beside(path: Path) -> Path:
    """The folder of the tokenizer that a recipe's stage encoded with, as its record says."""
    from sansi.recipes.records import StageRecord

    record = StageRecord.load(path)
    if record is None or not record.inputs.get("tokenizer"):
        raise SansiError(f"{path} does not say which tokenizer its ids are of; give --tokenizer FOLDER")
    return path / record.inputs["tokenizer"][0].path


def _show_of_corpus(path: Path, doc: str | None, wanted: dict[str, str], rng: randomness.Random, as_json: bool) -> None:
    need("pyarrow")
    from sansi.data.corpus import corpus_files
    from sansi.data.store import read_documents

    files = corpus_files(path)
    if doc is None:
        rng.shuffle(files)
    for file in files:
        found = list(read_documents(file))
        if doc is None:
            rng.shuffle(found)
        for document in found:
            if document.id == doc if doc else all(getattr(document, k) == v for k, v in wanted.items()):
                facts = {key: value for key, value in vars(document).items() if value not in (None, {}, "")}
                if as_json:
                    typer.echo(json.dumps(facts, ensure_ascii=False, indent=2, default=dict))
                    return
                facts.pop("text")
                typer.secho("\n".join(f"{name:>18}  {_plain(value)}" for name, value in facts.items()), dim=True)
                typer.echo(f"\n{document.text}")
                return
    asked = f'the id "{doc}"' if doc else " and ".join(f'{key} "{value}"' for key, value in wanted.items())
    raise SansiError(f"{path}: no document with {asked}")


def _chosen(packed: PackedFolder, doc: str | None, wanted: dict[str, str], rng: randomness.Random) -> int:
    """The number of the document that was asked for."""
    if doc is not None:
        if found := packed.find("id", doc):
            return found[0]
        if doc.isdigit():
            packed.held(int(doc))
            return int(doc)
        raise SansiError(
            f'{packed.path}: no document has the id "{doc}"; sansi data find looks for texts and addresses'
        )
    known = {"source": packed.manifest.sources, "language": packed.manifest.languages}
    for name, value in wanted.items():
        if value not in known[name]:
            some = ", ".join(list(known[name])[:12])
            raise SansiError(f'{packed.path}: no document has the {name} "{value}"; there are {some}')
    count = packed.manifest.documents
    if not wanted:
        return rng.randrange(count)
    first = rng.randrange(count)
    for step in range(count):
        known = packed.known(document := (first + step) % count)
        if all(known[key] == value for key, value in wanted.items()):
            return document
    raise SansiError(f"{packed.path}: no document is of both {' and '.join(wanted.values())}")


# ---- how it is shown ------------------------------------------------------------------------------------------------


def _print(
    head: dict[str, Any], text: str, shown: Sequence[Shown], tokenizer: Tokenizer | None, mask: bool, as_json: bool
) -> None:
    if as_json:
        documents = [item.title | {"pieces": _pieces(item, tokenizer)} for item in shown]
        typer.echo(json.dumps(head | {"documents": documents}, ensure_ascii=False))
        return
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    console.print(text, style="dim" if len(shown) == 1 and "\n" in text else "bold")
    for number, item in enumerate(shown):
        _print_one(console, item, tokenizer, mask, BARS[number % len(BARS)])
    if mask and console.is_terminal:
        console.print(_legend())


def _print_one(console: Console, item: Shown, tokenizer: Tokenizer | None, mask: bool, bar: str) -> None:
    from rich.text import Text

    console.print()
    mark = "▌ " if console.is_terminal else "--- "
    console.print(Text(mark, style=bar) + Text(_heading(item.title), style=f"bold {bar}"))
    if mask:
        body = _coloured(item, tokenizer) if console.is_terminal else Text(_bracketed(item, tokenizer))
    else:
        body = Text("".join(piece for piece, _, _ in _spelled(item, tokenizer)))
    if not console.is_terminal:
        console.print(body)
        return
    for paragraph in body.split("\n", allow_blank=True):
        for line in paragraph.wrap(console, max(console.width - 2, 20)) or [paragraph]:
            console.print(Text("▌ ", style=bar) + line)


def _heading(title: dict[str, Any]) -> str:
    if "sample" in title:
        return f"sample {title['sample']:,} · {title['tokens']:,} tokens"
    facts = [title[key] for key in ("id", "title", "language", "licence", "url") if title.get(key)]
    begin, end = title["begin"], title["begin"] + title["tokens"]
    facts.append(f"tokens {begin:,} to {end:,}" + (", continued" if begin else ""))
    return " · ".join(facts)


def _spelled(item: Shown, tokenizer: Tokenizer | None) -> Iterator[tuple[str, bool, int]]:
    """The text that each token completes, whether it is learned, and its id. Ids alone without a tokenizer."""
    if tokenizer is None or not tokenizer.byte_level:
        for token, learned in zip(item.ids, item.learned, strict=True):
            yield (f"{token} " if tokenizer is None else tokenizer.decode([token])), learned, token
        return
    decoder = tokenizer.stream_decoder()
    for token, learned in zip(item.ids, item.learned, strict=True):
        yield decoder.feed([token]), learned, token
    if rest := decoder.finish():
        yield rest, False, -1


def _pieces(item: Shown, tokenizer: Tokenizer | None) -> list[dict[str, Any]]:
    return [{"id": token, "text": text, "learned": learned} for text, learned, token in _spelled(item, tokenizer)]


def _bracketed(item: Shown, tokenizer: Tokenizer | None) -> str:
    parts: list[str] = []
    before = True
    for text, learned, _ in _spelled(item, tokenizer):
        parts.append(("" if learned == before else CLOSE if learned else OPEN) + text)
        before = learned
    return "".join(parts) + ("" if before else CLOSE)


def _coloured(item: Shown, tokenizer: Tokenizer | None) -> Text:
    from rich.text import Text

    body = Text()
    added = set(tokenizer.added.values()) if tokenizer else set()
    for number, (text, learned, token) in enumerate(_spelled(item, tokenizer)):
        style = (LEARNED if learned else UNLEARNED)[number % 2]
        body.append(text, style=f"{style} bold underline" if token in added else style)
    return body


def _legend() -> Text:
    from rich.text import Text

    return Text("\n") + Text("learned", style=LEARNED[0]) + Text("  ") + Text("only read", style=UNLEARNED[0])
