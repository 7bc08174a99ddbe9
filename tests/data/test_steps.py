"""From a step to its documents and back, and what the commands tell of them."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from documents_made import document, prose
from sansi import cli
from sansi.base import SansiError
from sansi.data import Mixture, PackedDataset, SampleDataset, pack
from sansi.data.corpus import Origin, write_corpus
from sansi.data.documents import Document
from sansi.data.samples import SAMPLES_FILE
from sansi.data.shards.folder import PackedFolder
from sansi.data.shards.lookup import hash_of, look_up, table_of
from sansi.data.shards.record import steps_taken, write_record
from sansi.data.shards.steps import Steps
from sansi.text import Tokenizer

LENGTHS = (40, 3, 9, 1, 25, 7, 2)


def named(count: int, source: str = "made") -> list[Document]:
    made = [document(prose(i, LENGTHS[i % len(LENGTHS)]), url=f"https://x/{source}/{i}") for i in range(count)]
    languages = ("en", "de")
    return [
        Document(**{**vars(one), "id": f"{source}/{i}", "source": source, "language": languages[i % 2]})
        for i, one in enumerate(made)
    ]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([prose(i) for i in range(30)], 400)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tokenizer: Tokenizer) -> Path:
    """Shards of both layouts, samples, and runs upon them."""
    root = tmp_path_factory.mktemp("steps")
    pack(named(20), tokenizer, root / "cut", shard_tokens=900)
    pack(named(15, "other"), tokenizer, root / "rows", shard_tokens=900, packing={"sequence_length": 64})
    (root / "samples").mkdir()
    ids = [np.arange(1, 9 + i % 5) for i in range(12)]
    masks = [np.arange(len(one)) > 3 for one in ids]
    ends = np.cumsum([len(one) for one in ids])
    np.savez(root / "samples" / SAMPLES_FILE, ids=np.concatenate(ids), masks=np.concatenate(masks), ends=ends)
    for name in ("cut", "rows", "mixed", "samples"):
        run(root / f"run-{name}", stream_of(root, name), 6)
    return root


def stream_of(root: Path, name: str) -> Any:
    if name == "mixed":
        return Mixture([(stream_of(root, "cut"), 0.7), (stream_of(root, "rows"), 0.3)])
    if name == "samples":
        from sansi.data.samples import read_samples

        return SampleDataset(read_samples(root / name), 30, 2, seed=4, origin=root / name)
    return PackedDataset(root / name, 64, 2, seed=4)


def run(path: Path, stream: Any, steps: int) -> None:
    """As the trainer leaves it."""
    path.mkdir()
    write_record(path, stream, stream.state_dict(), 2)
    (path / "metrics.jsonl").write_text("".join(f'{{"step": {step}, "loss": 1.0}}\n' for step in range(1, steps + 1)))


@pytest.mark.parametrize("name", ["cut", "rows", "mixed", "samples"])
def test_a_step_tells_what_the_stream_yields_in_it(folder: Path, name: str):
    steps, stream = Steps.of_run(folder / f"run-{name}"), stream_of(folder, name)
    far = 1 + max(3 * getattr(stream, "rows_per_epoch", 30) // 2, 30)
    for step in range(1, far):
        batch = next(stream)
        if step > 12 and step < far - 3:
            continue
        read = steps.documents(step)
        for row in range(2):
            here = [one for one in read if one.row == row]
            lengths = list(batch.documents[row])
            assert [one.tokens for one in here] == lengths[: len(here)] and len(lengths) - len(here) <= 1
            at = 0
            for one in here:
                ids = batch.ids[row, at : at + one.tokens].tolist()
                if name != "samples":
                    packed = PackedFolder(one.folder)
                    assert packed.ids(one.document)[one.begin : one.begin + one.tokens].tolist() == ids
                at += one.tokens


@pytest.mark.parametrize("name", ["cut", "rows", "mixed"])
def test_what_was_read_is_found_again_in_all_its_steps(folder: Path, name: str):
    steps, taken = Steps.of_run(folder / f"run-{name}"), 60
    read: dict[tuple[Path, int], set[int]] = {}
    for step in range(1, taken + 1):
        for one in steps.documents(step):
            read.setdefault((one.folder, one.document), set()).add(step)
    for dataset, first, packed in steps.folders:
        for number in range(packed.manifest.documents):
            found = {step for one in steps.seen(dataset, first + number, taken) for step in one.steps}
            # A row whose last token is a document's first reads it, and learns nothing of it.
            assert found <= read.get((packed.path, number), set())
            missed = read.get((packed.path, number), set()) - found
            for step in missed:
                pieces = [one for one in steps.documents(step) if (one.folder, one.document) == (packed.path, number)]
                assert all(one.tokens == 1 and one.begin == 0 for one in pieces)


def test_a_document_is_found_by_text_id_and_address_and_read_as_it_was(folder: Path):
    for name, documents in (("cut", named(20)), ("rows", named(15, "other"))):
        packed = PackedFolder(folder / name)
        for number, one in enumerate(documents):
            assert packed.find_text(one.text) == packed.find("id", one.id) == [number]
            assert packed.find("url", one.url or "") == [number]
            assert packed.text(number) == one.text and packed.document(number) == one
        assert packed.find_text("never packed") == packed.find("id", "made/99") == []
        middle = documents[4].text[100:400]
        assert packed.find_passage(middle) == [4] and packed.find_passage("no such words here " * 9) == []
        with pytest.raises(SansiError, match="the passage has"):
            packed.find_passage("one two")
        with pytest.raises(SansiError, match="there is no document 99"):
            packed.text(99)


def test_the_table_takes_less_than_16_bytes_a_document_and_no_answer_is_lost():
    hashes = np.array([hash_of("id", f"source/{i}") for i in range(20_000)], np.uint64)
    table = table_of(hashes, np.arange(20_000, dtype=np.uint32))
    assert 3 * sum(array.nbytes for array in table.values()) < 16 * 20_000
    found = [look_up(table, int(hashes[i])) for i in range(0, 20_000, 37)]
    assert all(37 * i in values for i, values in enumerate(found))
    assert sum(map(len, found)) < 1.3 * len(found)
    assert look_up(table_of(hashes[:0], np.zeros(0, np.uint32)), 5) == []


def test_steps_that_a_run_has_taken(tmp_path: Path):
    assert steps_taken(tmp_path) == 0
    (tmp_path / "metrics.jsonl").write_text('{"step": 5, "loss": 1}\n{"step": 10, "loss": 1}\n{"st')
    assert steps_taken(tmp_path) == 10
    (tmp_path / "checkpoints" / "step-12").mkdir(parents=True)
    assert steps_taken(tmp_path) == 12


def test_a_run_is_found_again_where_it_was_moved_to_and_refused_with_other_data(tmp_path: Path, tokenizer: Tokenizer):
    pack(named(5), tokenizer, tmp_path / "a" / "text")
    data = PackedDataset(tmp_path / "a" / "text", 32, 2)
    run(tmp_path / "a" / "run", data, 3)
    (tmp_path / "a").rename(tmp_path / "b")
    before = [one.document for one in Steps.of_run(tmp_path / "b" / "run").documents(2)]
    assert before
    pack(named(6), tokenizer, tmp_path / "c")
    (tmp_path / "b" / "text").rename(tmp_path / "d")
    (tmp_path / "c").rename(tmp_path / "b" / "text")
    with pytest.raises(SansiError, match=r"can not be opened: the saved place belongs to other data: digest"):
        Steps.of_run(tmp_path / "b" / "run")
    run(tmp_path / "memory", PackedDataset(np.arange(90), 8, 2), 3)
    with pytest.raises(SansiError, match="its data was in memory"):
        Steps.of_run(tmp_path / "memory")
    with pytest.raises(SansiError, match=r"no run that has written down what it read \(data.json is missing\)"):
        Steps.of_run(tmp_path)


# ---- commands -------------------------------------------------------------------------------------------------------


@pytest.fixture
def sansi(monkeypatch, capsys):
    def call(*arguments: object) -> Any:
        monkeypatch.setattr(sys, "argv", ["sansi", "data", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        return types.SimpleNamespace(code=caught.value.code or 0, out=captured.out, err=captured.err)

    return call


def test_find_and_steps_as_commands(sansi, folder: Path):
    told = json.loads(sansi("find", folder / "run-mixed", "--id", "other/4", "--json").out)
    (one,) = told["found"]
    assert told["steps"] == 6 and one["id"] == "other/4" and one["folder"].endswith("rows")
    steps = [step for each in one["passes"] for step in each["steps"]]
    for step in range(1, 7):
        read = json.loads(sansi("steps", folder / "run-mixed", "--step", step, "--json").out)["documents"]
        assert ("other/4" in {each["id"] for each in read}) == (step in steps)
    shown = sansi("find", folder / "run-cut", "--url", "https://x/made/3")
    assert shown.code == 0 and "made/3 · de · CC0-1.0 · https://x/made/3" in shown.out and "steps" in shown.out
    shown = sansi("find", folder / "cut", "never packed")
    assert shown.code == 1 and shown.out.startswith("not in ")
    shown = sansi("steps", folder / "cut", "--step", 1, "--batch-size", 2, "--sequence-length", 64, "--texts")
    assert shown.code == 0 and "2 rows" in shown.out and "(65 tokens" in shown.out
    assert sansi("steps", folder / "run-samples", "--step", 2).out.count("sample") >= 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["find", "cut"], "give a text, --file, --id or --url, one of them; nothing was given"),
        (["find", "cut", "a", "--id", "b"], "text and --id were given"),
        (["find", "run-samples", "--id", "b"], "read samples of chats, which have no ids"),
        (["steps", "cut", "--step", 1], "give --batch-size"),
        (["steps", "run-cut", "--step", 1, "--seed", 3], "a run says itself how it reads"),
        (["show", "cut"], "say which: --row N"),
        (["show", "cut", "--row", 1, "--doc", "x"], "say which: --row N"),
        (["show", "cut", "--row", 10**6], "there is no row 1,000,000"),
        (["show", "cut", "--doc", "made/99"], 'no document has the id "made/99"'),
        (["show", "cut", "--language", "xx"], 'no document has the language "xx"; there are de, en'),
        (["show", "samples", "--row", 0], "does not say which tokenizer its ids are of"),
        (["show", "samples", "--doc", "x"], "give --row N or --random"),
        (["show", "run-cut", "--random"], "no shards, samples or corpus here"),
        (["inspect", "."], "no shards, samples, mixture, run or corpus here"),
        (["inspect", "samples", "--verify"], "has no shards to verify"),
    ],
)
def test_what_can_not_be_told_is_said(sansi, folder: Path, monkeypatch, arguments: list[Any], message: str):
    monkeypatch.chdir(folder)
    shown = sansi(*arguments)
    assert shown.code == 1 and message in shown.err and len(shown.err.splitlines()) == 1


def test_the_fate_of_a_record_of_a_corpus(sansi, tmp_path: Path):
    write_corpus(tmp_path / "corpus", Origin("made", "made", "1", "CC0-1.0"), named(3))
    shown = sansi("find", tmp_path / "corpus", "--id", "made/1")
    assert shown.code == 0 and shown.out == "made/1: kept, in the step write\n"
    shown = sansi("find", tmp_path / "corpus", "--id", "made/7")
    assert shown.code == 1 and shown.out.startswith("not among the records")
    assert "give --id" in sansi("find", tmp_path / "corpus", "a text").err
    assert " 2 documents" in sansi("inspect", tmp_path / "corpus").out  # in English, and one in German
    assert json.loads(sansi("inspect", tmp_path / "corpus", "--json").out)["documents"] == 3
    assert named(3)[1].text in sansi("show", tmp_path / "corpus", "--doc", "made/1").out


def test_show_tells_documents_and_masks(sansi, folder: Path, tokenizer: Tokenizer):
    shown = sansi("show", folder / "rows", "--row", 0, "--mask")
    assert shown.code == 0 and "\x1b" not in shown.out and "⟦" in shown.out and "--- other/" in shown.out
    told = json.loads(sansi("show", folder / "rows", "--row", 0, "--json").out)
    data = PackedDataset(folder / "rows", None, 1)
    row, at = data.build(0), 0
    for one, piece in zip(told["documents"], data.pieces(0), strict=True):
        assert (one["document"], one["begin"], len(one["pieces"])) == (piece.document, piece.begin, piece.length)
        part = slice(at, at + piece.length)
        assert [token["learned"] for token in one["pieces"]] == row.loss_mask[part].tolist()
        at += piece.length
    whole = named(20)[5]
    assert whole.text in sansi("show", folder / "cut", "--doc", "made/5").out
    assert whole.text in sansi("show", folder / "cut", "--doc", "5").out
    again = [sansi("show", folder / "cut", "--random", "--language", "de", "--seed", 3).out for _ in range(2)]
    assert again[0] == again[1] and " de\n" in again[0]
    tokenizer.save(folder / "tokenizer")
    shown = sansi("show", folder / "samples", "--row", 1, "--mask", "--tokenizer", folder / "tokenizer")
    assert "sample 1 of 12: 9 tokens, 5 of them learned" in shown.out and shown.out.count("⟦") == 1


def test_show_colours_tokens_in_a_terminal(sansi, folder: Path, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = sansi("show", folder / "rows", "--row", 0, "--mask").out
    assert "\x1b[32m" in shown and "\x1b[90m" in shown and "▌" in shown and "⟦" not in shown


def test_inspect_tells_what_is_in_a_folder(sansi, folder: Path):
    shown = sansi("inspect", folder / "rows", "--verify")
    assert shown.code == 0
    for text in (
        "rows: shards",
        "documents       15",
        "padding",
        "CC0-1.0",
        "verified",
        "lengths in tokens",
        "other/0",
    ):
        assert text in shown.out
    told = json.loads(sansi("inspect", folder / "cut", "--json").out)
    assert told["layout"] == "concat" and sum(told["lengths"].values()) == told["documents"] == 20
    assert told["languages"]["de"]["documents"] == 10
    assert "6" in sansi("inspect", folder / "run-mixed").out and "12" in sansi("inspect", folder / "samples").out
