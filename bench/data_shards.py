"""What do shards cost: packing beside the tokenizer alone, reading rows, looking up, and padding?

    python bench/data_shards.py CORPUS [--megabytes 8] [--rounds 5] [--documents 1000000] [--out FILE.json]

CORPUS is a built corpus: some of its documents, evenly, are what is packed. Packing and `tokenizers.encode_batch` on
the same texts take turns in one process on one core, and medians are compared. Rows are read beside bare slices of the
same mapped file. Questions (which documents did a step read, where is this text, id or address, in which steps was it
read) are asked of a million made documents, each question another one, and take what `sansi data` does after its
imports. Padding: rows of real lengths, best-fit beside best-fit in the documents' order, and how many documents
concatenating and cutting tears apart.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("RAYON_NUM_THREADS", "1")  # before tokenizers is imported: one core for both sides

import numpy as np
from common import commit, machine
from sansi.base.files import write_json
from sansi.data import PackedDataset, Packing, pack, read_corpus
from sansi.data.documents import Document, text_sha256
from sansi.data.shards import packing as packing_module
from sansi.data.shards.bins import best_fit, best_fit_decreasing
from sansi.data.shards.building import cut_document
from sansi.data.shards.encoding import Encoded, Encoder
from sansi.data.shards.folder import PackedFolder
from sansi.data.shards.steps import Steps
from sansi.text import Tokenizer

PART = 50_000  # made documents of a shard
PARTS = ("packing", "reading", "padding", "questions")
EPOCHS = 3


def main() -> None:
    options = parsed()
    figures: dict[str, Any] = {"commit": commit(), "machine": machine(1)}
    with tempfile.TemporaryDirectory(prefix="sansi-bench-") as folder:
        out = Path(folder)
        if set(options.only) - {"questions"}:
            documents = sample(options.corpus, options.megabytes)
            tokenizer = Tokenizer.train([one.text for one in documents[::4]], options.vocabulary)
        if "packing" in options.only:
            figures["packing"] = packing(documents, tokenizer, out / "packed", options.rounds)
        if "reading" in options.only:
            figures["reading"] = reading(documents, tokenizer, out, options.rounds)
        if "padding" in options.only:
            figures["padding"] = padding(documents, tokenizer)
        if "questions" in options.only:
            figures["questions"] = questions(options.made or out / "made", options.documents, options.asked)
    print(json.dumps(figures, indent=2))
    if options.out:
        write_json(options.out, figures)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--megabytes", type=float, default=8)
    parser.add_argument("--vocabulary", type=int, default=16_384)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--documents", type=int, default=1_000_000, help="made ones, to be asked for")
    parser.add_argument("--asked", type=int, default=60, help="questions of each kind")
    parser.add_argument("--made", type=Path, metavar="FOLDER", help="keep the made documents there, or take them")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def sample(corpus: Path, megabytes: float) -> list[Document]:
    """Documents from all over the corpus, of about so many bytes."""
    every = max(1, int(sum(one.size for one in read_corpus(corpus)) / 1e6 / megabytes))
    return [one for number, one in enumerate(read_corpus(corpus)) if number % every == 0]


def packing(documents: Sequence[Document], tokenizer: Tokenizer, out: Path, rounds: int) -> dict[str, Any]:
    """Tokens a second, packing (end to end, and in rows) and encoding alone in turns."""
    texts, library = [one.text for one in documents], tokenizer.library_copy()
    tokens = sum(len(one.ids) for one in library.encode_batch_fast(texts, add_special_tokens=False))
    sides: dict[str, Callable[[], Any]] = {
        "encode_batch": lambda: library.encode_batch_fast(texts, add_special_tokens=False),
        "end to end": lambda: pack(documents, tokenizer, out),
        "rows of 4096": lambda: pack(documents, tokenizer, out, packing=Packing(sequence_length=4096)),
    }
    seconds = in_turns(sides, rounds)
    rates = {name: round(tokens / taken) for name, taken in seconds.items()}
    size = sum(one.size for one in documents)
    return {"documents": len(documents), "bytes": size, "tokens": tokens, "tokens_per_second": rates}


def reading(documents: Sequence[Document], tokenizer: Tokenizer, out: Path, rounds: int) -> dict[str, Any]:
    """Rows a second of a shuffled epoch, with checksums and borders, beside copies of the same bytes."""
    found = {}
    for length in (1024, 4096):
        pack(documents, tokenizer, out / f"rows-{length}", packing=Packing(sequence_length=length))
        pack(documents, tokenizer, out / "cut")
        rows = PackedDataset(out / f"rows-{length}", length, 1)
        cut = PackedDataset(out / "cut", length, 1)
        flat = cut.parts.opened(0).tokens
        places = np.random.default_rng(0).integers(0, len(flat) - length - 1, 400)
        seconds = in_turns(
            {
                "rows": lambda rows=rows: [rows.take() for _ in range(400)],
                "cut": lambda cut=cut: [cut.take() for _ in range(400)],
                "bare slices": lambda: [flat[at : at + length + 1].astype(np.int64) for at in places],  # noqa: B023
            },
            rounds,
        )
        found[str(length)] = {name: round(400 / taken) for name, taken in seconds.items()}
    return found


def padding(documents: Sequence[Document], tokenizer: Tokenizer) -> dict[str, Any]:
    """Shares of places that are padding, and of documents that are torn."""
    lengths = [len(ids) + 1 for ids in tokenizer.encode_batch([one.text for one in documents])]
    found = {}
    for length in (1024, 4096, 32_768):
        pieces = [piece.length for i, tokens in enumerate(lengths) for piece in cut_document(i, tokens, length)]
        shares = {}
        for name, fit in (("best-fit", best_fit_decreasing), ("best-fit in order", best_fit)):
            places = len(fit(pieces, length + 1)) * (length + 1)
            shares[name] = round(1 - sum(pieces) / places, 5)
        edges = np.cumsum([0, *lengths])
        torn = (edges[:-1] // length != (edges[1:] - 2) // length) & (np.array(lengths) <= length + 1)
        split = np.array(lengths) > length + 1
        found[str(length)] = {
            **{f"padding, {name}": share for name, share in shares.items()},
            "documents torn by cutting that fit a row": round(float(torn.mean()), 4),
            "documents longer than a row": round(float(split.mean()), 4),
        }
    return found


def questions(out: Path, count: int, asked: int) -> dict[str, Any]:
    """Milliseconds of a question, each of another document or step: median and the slowest."""
    started = time.perf_counter()
    if not out.exists():
        made(out, count)
    packed_in = time.perf_counter() - started
    folder, rng = PackedFolder(out), np.random.default_rng(1)
    steps = Steps.of_shards(out, None, 16)
    numbers = [int(number) for number in rng.integers(0, count, 4 * asked)]
    kinds: dict[str, Callable[[int], Any]] = {
        "documents of a step of 16 rows": lambda n: steps.documents(1 + n % 1000),
        "steps of a document": lambda n: steps.seen(0, n, EPOCHS * folder.manifest.rows // 16),
        "exact text": lambda n: check(PackedFolder(out).find_text(text_of(n)), n),
        "id": lambda n: check(PackedFolder(out).find("id", f"made/{n}"), n),
        "address": lambda n: check(PackedFolder(out).find("url", f"https://example.org/{n}"), n),
        "no such id": lambda n: PackedFolder(out).find("id", f"other/{n}"),
    }
    found: dict[str, Any] = {}
    for number, (name, ask) in enumerate(kinds.items()):
        times = [timed(lambda n=n, ask=ask: ask(n)) for n in numbers[number * 5 : number * 5 + asked]]
        found[name] = {"median": round(1e3 * statistics.median(times), 2), "slowest": round(1e3 * max(times), 2)}
    index = sum(file.stat().st_size for file in out.glob("lookup-*"))
    known = sum(file.stat().st_size for file in out.glob("documents-*"))
    return {
        "documents": count,
        "tokens": folder.manifest.tokens,
        "milliseconds": found,
        "index_bytes_per_document": round(index / count, 2),
        "what_is_known_bytes_per_document": round(known / count, 1),
        "seconds_to_write": round(packed_in, 1) or None,
    }


def made(out: Path, count: int) -> None:
    """Shards of made documents, by the functions that packing uses, less the tokenizer."""
    out.mkdir()
    settings = Packing(sequence_length=2048)
    tokenizer = Bytes()
    shards = 0
    for begin in range(0, count, PART):
        encoder = Encoder(tokenizer)
        documents = list(encoded(begin, min(begin + PART, count)))
        packing_module._write_part(out / packing_module.SHARD.format(shards), documents, encoder, settings, shards)
        shards += 1
    packing_module._finish(out, shards, tokenizer, packing_module._settings(settings, tokenizer), {})


class Bytes:
    vocab_size, end_of_text_id, hash = 257, 256, "bytes"

    def encode(self, text: str) -> list[int]:
        return list(text.encode())


def text_of(number: int) -> str:
    return f"document {number}"


def encoded(begin: int, end: int) -> Iterator[Encoded]:
    rng = np.random.default_rng(begin)
    for number in range(begin, end):
        ids = np.append(rng.integers(0, 256, int(rng.lognormal(5, 1)) + 1), 256).astype(np.uint16)
        facts: dict[str, Any] = {"source": "made", "licence": "CC0-1.0", "kind": "prose", "language": "en"}
        facts |= {"detected_language": "en", "quality": 0.5, "text": "", "url": f"https://example.org/{number}"}
        yield Encoded(ids, Document(id=f"made/{number}", sha256=text_sha256(text_of(number)), **facts))


def check(found: list[int], number: int) -> None:
    assert found == [number], (found, number)


def timed(ask: Callable[[], Any]) -> float:
    started = time.perf_counter()
    ask()
    return time.perf_counter() - started


def in_turns(sides: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of each, the sides one after the other in every round."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            times[name].append(timed(side))
    return {name: statistics.median(values) for name, values in times.items()}


if __name__ == "__main__":
    main()
