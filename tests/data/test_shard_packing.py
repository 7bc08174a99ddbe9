"""Packed rows lose no token, bytes do not depend on who packs, and the order of training not on ranks."""

from __future__ import annotations

import errno
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from documents_made import document, prose
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.base import SansiError
from sansi.base.files import write_json
from sansi.data import Mixture, PackedDataset, Packing, SampleDataset, pack, pack_corpus, read_corpus
from sansi.data.corpus import CorpusReport, Origin, write_corpus
from sansi.data.documents import Document
from sansi.data.mixture import DocumentWeights, times_included
from sansi.data.mixture.features import FeatureSpace
from sansi.data.mixture.shares import Bounds
from sansi.data.shards import encoding, packing
from sansi.data.shards.bins import best_fit, best_fit_decreasing
from sansi.data.shards.building import build
from sansi.data.shards.encoding import Encoded, Encoder, slices
from sansi.data.shards.folder import PackedFolder
from sansi.data.shards.manifest import Manifest
from sansi.data.shards.mixed import Shares
from sansi.data.shards.order import BlockOrder
from sansi.data.shards.packing import shard_paths, verify_shards
from sansi.data.work import LocalExecutor
from sansi.text import Tokenizer

few = settings(max_examples=30, derandomize=True, deadline=None)
on_disk = settings(max_examples=10, derandomize=True, deadline=None)


class ByteTokenizer:
    vocab_size, end_of_text_id, hash = 257, 256, "a" * 64

    def encode(self, text: str) -> list[int]:
        return list(text.encode())


def targets(data: PackedDataset) -> Counter[tuple[int, int]]:
    """Every learned token of an epoch with the one before it."""
    found: Counter[tuple[int, int]] = Counter()
    for index in range(data.rows_per_epoch):
        row = data.build(index)
        for place in np.flatnonzero(row.loss_mask):
            assert row.document[place] == row.document[place - 1]
            found[int(row.ids[place - 1]), int(row.ids[place])] += 1
    return found


@on_disk
@given(st.lists(st.text("abcdef", max_size=40), min_size=1, max_size=12).filter(any), st.integers(1, 17))
def test_rows_hold_each_target_once_with_its_own_predecessor(tmp_path_factory, texts, length):
    folder = tmp_path_factory.mktemp("rows") / "p"
    report = pack(texts, ByteTokenizer(), folder, 60, {"sequence_length": length})
    expected: Counter[tuple[int, int]] = Counter()
    for text in filter(None, texts):
        expected.update(pairwise([*text.encode(), 256]))
    data = PackedDataset(folder, None, 1)
    assert targets(data) == expected and report.cropped == 0
    filled = sum(piece.length for index in range(data.rows_per_epoch) for piece in data.pieces(index))
    assert filled == report.tokens and report.rows == data.rows_per_epoch
    assert report.padding_share == pytest.approx(1 - filled / (data.rows_per_epoch * (length + 1)))
    for number, text in enumerate(filter(None, texts)):  # a document's rows are those that have a piece of it
        rows = data.rows_of(number)
        assert rows == sorted(set(rows), key=rows.index) and rows
        here = [index for index in range(data.rows_per_epoch) if number in {p.document for p in data.pieces(index)}]
        assert sorted(rows) == here and len(rows) == max(1, -(-len(text) // length))


@on_disk
@given(st.lists(st.text("abc", min_size=1, max_size=30), min_size=1, max_size=9), st.integers(1, 9))
def test_end_to_end_every_row_knows_its_documents_and_every_document_its_rows(tmp_path_factory, texts, length):
    folder = tmp_path_factory.mktemp("cut") / "p"
    pack(texts, ByteTokenizer(), folder, 20)
    data = PackedDataset(folder, length, 1)
    learned: dict[int, set[int]] = {}
    for index in range(data.rows_per_epoch):
        row, at = data.build(index), 0
        for piece in data.pieces(index):
            ids = [*texts[piece.document].encode(), 256][piece.begin : piece.begin + piece.length]
            assert row.ids[at : at + piece.length].tolist() == ids
            if row.loss_mask[at : at + piece.length].any():
                learned.setdefault(piece.document, set()).add(index)
            at += piece.length
    assert learned == {number: set(data.rows_of(number)) for number in range(len(texts))}


def test_long_documents_are_split_cropped_or_dropped(tmp_path: Path):
    texts = ["a" * 25, "b" * 7, "c" * 3]
    found = {}
    for how in ("split", "crop", "drop"):
        pack(texts, ByteTokenizer(), tmp_path / how, packing=Packing(sequence_length=9, long_documents=how))
        manifest = Manifest.load(tmp_path / how)
        found[how] = (manifest.documents, manifest.cropped, manifest.left_out)
        begun = [p.begin for i in range(manifest.rows) for p in PackedDataset(tmp_path / how, 9, 1).pieces(i)]
        assert any(begun) == (how == "split")
    assert found == {"split": (3, 0, {}), "crop": (3, 16, {}), "drop": (2, 0, {"too long": 1})}
    with pytest.raises(SansiError, match='"long_documents" is "crop", which is of rows; give "sequence_length"'):
        Packing(long_documents="crop")
    with pytest.raises(SansiError, match='"sequence_length" is 8, but the shards were packed in rows of 9'):
        PackedDataset(tmp_path / "split", 8, 1)
    with pytest.raises(SansiError, match='"sequence_length" is missing'):
        PackedDataset(np.arange(9), None, 1)


def test_samples_keep_their_loss_masks_and_weights_of_nothing(tmp_path: Path):
    samples = [type("S", (), {"ids": [1, 2, 3, 4], "loss_mask": [0, 0, 1, i % 2]})() for i in range(5)]
    for options in ({}, {"sequence_length": 5}):
        out = tmp_path / str(len(options))
        pack(samples, ByteTokenizer(), out, packing=options)
        data = PackedDataset(out, 5, 1)
        learned = sum(int(data.build(index).loss_mask.sum()) for index in range(data.rows_per_epoch))
        assert Manifest.load(out).loss_mask and learned == 5 + 2
        verify_shards(out)


@few
@given(st.lists(st.integers(1, 12), max_size=60))
def test_best_fit_is_the_fullest_bin_with_room_the_oldest_of_them(lengths):
    slow: list[list[int]] = []
    for index, length in enumerate(lengths):
        left = [12 - sum(lengths[i] for i in held) for held in slow]
        fits = sorted((space, number) for number, space in enumerate(left) if space >= length)
        if fits:
            slow[fits[0][1]].append(index)
        else:
            slow.append([index])
    assert best_fit(lengths, 12) == slow
    assert sorted(i for held in best_fit_decreasing(lengths, 12) for i in held) == list(range(len(lengths)))


# ---- the order of training ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "block", "group"), [(1, 1, 64), (97, 8, 2), (1000, 8, 4), (1001, 7, 3), (64, 64, 2)])
def test_a_block_order_is_a_permutation_with_an_inverse(size: int, block: int, group: int):
    orders = [BlockOrder(size, seed, epoch, block, group) for seed, epoch in ((0, 0), (0, 1), (5, 0))]
    for order in orders:
        rows = [order[place] for place in range(size)]
        assert sorted(rows) == list(range(size)) and [order.place_of(row) for row in rows] == list(range(size))
    if size > 90:
        assert len({tuple(order[i] for i in range(size)) for order in orders}) == 3


def test_a_block_order_reads_few_places_at_a_time_and_is_a_plan():
    order = BlockOrder(100_000, 0, 0, 64, 16)
    rows = [order[place] for place in range(1024)]  # of one group of 16 blocks
    assert len({(row - order._begin) % 100_000 // 64 for row in rows}) == 16
    huge = BlockOrder(36 * 10**12 // 4096, 3, 7, 64)
    for place in (0, 12_345_678_901 % huge.size, huge.size - 1):
        assert huge.place_of(huge[place]) == place


def global_rows(make: Any, worlds: list[int], batches: int, rows: int = 4) -> list[list[int]]:
    """The first id of every row in the order of the global batches, the number of ranks another from stop to stop."""
    state, found = None, []
    for world in worlds:
        ranks = [make(batch_size=rows // world, rank=rank, world_size=world) for rank in range(world)]
        for rank in ranks:
            if state is not None:
                rank.load_state_dict(json.loads(json.dumps(state)))
        for _ in range(batches):
            found += torch.cat([next(rank).ids for rank in ranks]).tolist()
        states = [rank.state_dict() for rank in ranks]
        assert all(one == states[0] for one in states)
        state = states[0]
    return found


@settings(max_examples=12, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from([1, 2, 4]), min_size=2, max_size=4), st.integers(1, 9), st.integers(0, 3))
def test_the_global_sequence_is_the_same_however_often_and_with_how_many_ranks_it_is_resumed(worlds, batches, kind):
    documents = [np.full(i % 7 + 1, i) for i in range(1, 40)]

    def packed(block: int, **options: Any) -> PackedDataset:
        return PackedDataset(documents, 5, seed=3, block_rows=block, **options)

    def samples(**options: Any) -> SampleDataset:
        pairs = [([i] * (i % 5 + 1), [True] * (i % 5 + 1)) for i in range(1, 30)]
        return SampleDataset(pairs, 5, seed=3, **options)

    def make(**options: Any) -> Any:
        if kind < 2:
            return packed((1, 3)[kind], **options)
        if kind == 2:
            return samples(**options)
        return Mixture([(packed(1, **options), 0.6), (samples(**options), 0.3), (packed(2, **options), 0.1)])

    assert global_rows(make, worlds, batches) == global_rows(make, [1], batches * len(worlds))
    if kind < 2:
        assert make(batch_size=1).state_dict().keys() == {"data", "row"}


def test_all_ranks_end_with_the_same_batch():
    for world in (1, 2, 3):
        ranks = [PackedDataset(np.arange(100), 4, 2, rank=rank, world_size=world, epochs=2) for rank in range(world)]
        counts = [sum(1 for _ in rank) for rank in ranks]
        assert counts == [2 * 25 // (2 * world)] * world
    mixed = Mixture([(PackedDataset(np.arange(100), 4, 1, epochs=1), 0.5), (PackedDataset(np.arange(9), 4, 1), 0.5)])
    assert sum(1 for _ in mixed) in (49, 50) and Mixture([(PackedDataset(np.arange(9), 4, 1), 1)]).rows_left is None


@few
@given(st.lists(st.floats(0.01, 9.0), min_size=1, max_size=5), st.integers(0, 400))
def test_who_gives_a_row_of_a_mixture_is_known_without_walking_there(weights, rows):
    shares, counts = Shares(weights), [0] * len(weights)
    for row in range(rows):
        drawn = shares.drawn(row)
        assert drawn.row == counts[drawn.dataset]
        counts[drawn.dataset] += 1
        assert shares.place_of(drawn) == row
    assert shares.counts(rows) == counts
    exact = np.array(weights) / sum(weights) * rows
    assert np.all(np.abs(np.array(counts) - exact) < 2)
    assert sum(shares.counts(10**15)) == 10**15


def test_two_parts_are_mixed_as_the_one_that_is_furthest_behind():
    for weight in (0.8, 0.3, 0.57):
        shares, counts = Shares([weight, 1 - weight]), np.zeros(2)
        for row in range(3000):
            behind = np.array([weight, 1 - weight]) * (row + 1) - counts
            assert shares.drawn(row).dataset == int(np.argmax(behind))
            counts[int(np.argmax(behind))] += 1


# ---- by parts -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """A corpus of five sources, each in a file."""
    folder = tmp_path_factory.mktemp("corpus") / "made"
    reports = []
    for number, name in enumerate(("b", "a", "e", "d", "c")):
        texts = [prose(100 * number + i, 1 + 7 * (i % 5)) for i in range(12)]
        made = [document(text, url=f"https://x/{name}/{i}") for i, text in enumerate(texts)]
        named = [Document(**{**vars(one), "id": f"{name}/{i}", "source": name}) for i, one in enumerate(made)]
        report = write_corpus(folder.parent / name, Origin(name, name, "1", "CC0-1.0"), named)
        reports += report.sources
        for part in ("documents", "ledger"):
            (folder / part).mkdir(parents=True, exist_ok=True)
            (folder.parent / name / part / name).rename(folder / part / name)
    CorpusReport(folder, tuple(reports), report.inputs).write()
    return folder


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    Tokenizer.train([prose(i) for i in range(20)], 400).save(folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if not file.name.startswith(".")}


class Killed(Exception):
    pass


class Killer(LocalExecutor):
    """Is killed after some jobs, in no order."""

    def __init__(self, after: int):
        super().__init__(0)
        self.after = after

    def run(self, jobs: Any, title: str) -> None:
        jobs = [job for job in jobs if not job.is_done]
        super().run(list(reversed(jobs))[: self.after], title)
        if len(jobs) > self.after:
            raise Killed


@pytest.mark.parametrize("options", [{}, {"sequence_length": 64}])
def test_the_bytes_do_not_depend_on_workers_or_kills(tmp_path: Path, corpus: Path, tokenizer: Path, options: Any):
    pack_corpus(corpus, tokenizer, tmp_path / "one", options, executor=LocalExecutor(0), part_bytes=1)
    for _ in range(3):
        try:
            pack_corpus(corpus, tokenizer, tmp_path / "killed", options, executor=Killer(2), part_bytes=1)
        except Killed:
            assert not (tmp_path / "killed" / "shards.json").exists()
    assert contents(tmp_path / "one") == contents(tmp_path / "killed")
    assert len(shard_paths(tmp_path / "one")) == 5
    verify_shards(tmp_path / "one")
    if not options:
        pack_corpus(corpus, tokenizer, tmp_path / "two", options, executor=LocalExecutor(2), part_bytes=1)
        assert contents(tmp_path / "one") == contents(tmp_path / "two")
        whole = Tokenizer.from_pretrained(tokenizer)
        pack(packing_order(corpus), whole, tmp_path / "whole")
        rows = [PackedDataset(tmp_path / name, 32, 1).build(7).ids for name in ("one", "whole")]
        np.testing.assert_array_equal(*rows)


def packing_order(corpus: Path) -> list[Document]:
    return list(read_corpus(corpus))


@pytest.mark.slow
def test_packing_is_killed_again_and_again_and_ends_with_the_same_bytes(tmp_path: Path, corpus: Path, tokenizer: Path):
    (tmp_path / "one").mkdir()
    pack_corpus(corpus, tokenizer, tmp_path / "one", executor=LocalExecutor(0), part_bytes=1)
    code = (
        "import sys; from pathlib import Path; from sansi.data import pack_corpus; "
        "pack_corpus(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), part_bytes=1)"
    )
    command = [sys.executable, "-c", code, str(corpus), str(tokenizer), str(tmp_path / "killed")]
    rng = random.Random(0)
    for _ in range(20):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.3, 4))
        process.send_signal(signal.SIGKILL)
        if process.wait() == 0:
            break
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert contents(tmp_path / "one") == contents(tmp_path / "killed")


def test_a_folder_that_was_begun_otherwise_is_refused(tmp_path: Path, corpus: Path, tokenizer: Path):
    with pytest.raises(Killed):
        pack_corpus(corpus, tokenizer, tmp_path / "p", executor=Killer(1), part_bytes=1)
    with pytest.raises(SansiError, match="begun with other settings: min_tokens: 0 there, 9 here"):
        pack_corpus(corpus, tokenizer, tmp_path / "p", {"min_tokens": 9}, executor=LocalExecutor(0), part_bytes=1)
    (tmp_path / "q").mkdir()
    (tmp_path / "q" / "mine.txt").write_text("x")
    with pytest.raises(SansiError, match=r"holds mine\.txt, which packing did not write"):
        pack_corpus(corpus, tokenizer, tmp_path / "q", executor=LocalExecutor(0))
    with pytest.raises(SansiError, match="no corpus here"):
        pack_corpus(tmp_path, tokenizer, tmp_path / "r", executor=LocalExecutor(0))
    with pytest.raises(SansiError, match=r"there are no texts to pack \(60 too short were left out\)"):
        pack_corpus(corpus, tokenizer, tmp_path / "s", {"min_tokens": 10**6}, executor=LocalExecutor(0))


def test_a_full_disk_leaves_nothing_half_written_and_packing_goes_on(tmp_path: Path, corpus, tokenizer, monkeypatch):
    write, calls = packing.write_arrays, []

    def full(path: Path, *others: Any) -> None:
        calls.append(path)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, *others)

    monkeypatch.setattr(packing, "write_arrays", full)
    with pytest.raises(OSError, match="No space left"):
        pack_corpus(corpus, tokenizer, tmp_path / "p", executor=LocalExecutor(0), part_bytes=1)
    assert not (tmp_path / "p" / "shards.json").exists() and len(list((tmp_path / "p").glob("shard-*"))) == 2
    pack_corpus(corpus, tokenizer, tmp_path / "p", executor=LocalExecutor(0), part_bytes=1)
    assert len(calls) == 3 + 3
    verify_shards(tmp_path / "p")


def test_a_document_is_there_as_often_as_it_is_to_be_and_never_twice_in_a_row_of_tokens():
    encoder = Encoder(ByteTokenizer(), times=lambda one: int(one.id[-1]))
    made = [document("x" * (20 + i)) for i in range(4)]
    named = [Document(**{**vars(one), "id": f"d{i}"}) for i, one in enumerate(made)]
    encoded = list(encoder.encode(named))
    assert Counter(one.document.id for one in encoded) == {"d1": 1, "d2": 2, "d3": 3}
    assert encoder.left_out == {"weight": 1} and encoder.read == encoder.packed + 1
    built = build(encoded, Packing(sequence_length=200), encoder.dtype, 0)
    for row in range(len(built.shard.ids)):
        ids = [built.documents[piece.document].document.id for piece in built.shard.pieces(row)]
        assert len(set(ids)) == len(ids)


def test_weights_say_how_often_a_document_is_there(tmp_path: Path, corpus: Path, tokenizer: Path):
    """As the kind `document_weights` leaves them: floor(weight + u), the same whoever packs."""
    space = FeatureSpace({}, ())
    weights = DocumentWeights(space, (), np.log(1.5), Bounds(0.0, 9.0), 1.0, {})
    weights.save(tmp_path)
    out = tmp_path / "p"
    pack_corpus(corpus, tokenizer, out, {"seed": 3}, weights=tmp_path, executor=LocalExecutor(0), part_bytes=1)
    folder, documents = PackedFolder(out), list(read_corpus(corpus))
    expected = {one.id: times_included(weights(one), one.id, 3) for one in documents}
    assert {one.id: len(folder.find("id", one.id)) for one in documents} == expected
    assert set(expected.values()) == {1, 2} and 1.3 < np.mean(list(expected.values())) < 1.7
    with pytest.raises(SansiError, match=r"weights\.json: no such file"):
        pack_corpus(corpus, tokenizer, tmp_path / "q", weights=corpus, executor=LocalExecutor(0))


# ---- tokenizers and hostile texts -----------------------------------------------------------------------------------


def test_another_tokenizer_is_refused_with_what_differs(tmp_path: Path):
    pack(["hello"], ByteTokenizer(), tmp_path / "p")
    other = type("Other", (ByteTokenizer,), {"hash": "b" * 64, "encode": lambda _, text: list(text.encode()[::-1])})()
    with pytest.raises(SansiError, match=r"another tokenizer \(a{12}… there, b{12}… here; .*The quick brown.*token 0"):
        PackedDataset(tmp_path / "p", 4, 1, tokenizer=other)
    same = type("Same", (ByteTokenizer,), {"hash": "c" * 64})()
    with pytest.raises(SansiError, match="the probed texts become the same ids"):
        PackedDataset(tmp_path / "p", 4, 1, tokenizer=same)
    ends = type("Ends", (ByteTokenizer,), {"hash": None, "end_of_text_id": 255})()
    with pytest.raises(SansiError, match='"end_of_text_id": 256 there, 255 here'):
        PackedDataset(tmp_path / "p", 4, 1, tokenizer=ends)
    PackedDataset(tmp_path / "p", 4, 1, tokenizer=ByteTokenizer())


def test_the_separator_is_asserted_when_it_is_written_and_when_it_is_read(tmp_path: Path):
    inside = type("Inside", (ByteTokenizer,), {"encode": lambda _, text: [*text.encode(), 256, 1]})()
    with pytest.raises(SansiError, match="becomes the separator of documents"):
        pack(["hello"], inside, tmp_path / "p")
    for options in ({}, {"sequence_length": 8}):
        out = tmp_path / str(len(options))
        pack(["hello", "you"], ByteTokenizer(), out, packing=options)
        index = json.loads((out / "shards.json").read_text())
        write_json(out / "shards.json", {**index, "end_of_text_id": 255})
        with pytest.raises(SansiError, match="does not end with the separator 255"):
            [PackedDataset(out, 8, 1).build(index) for index in range(2)]


def test_texts_beyond_all_measure_are_encoded_in_parts_as_they_would_be_as_a_whole(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(encoding, "SLICE", 500)
    text = "\n".join(prose(i, 2) for i in range(40)) + "\n\n  x = 1\n" * 30
    whole = Tokenizer.train([text], 400)
    assert len(text) > 4000 and "".join(slices(text)) == text and max(map(len, slices(text))) <= 500
    (encoded,) = Encoder(whole).encode([text])
    assert encoded.ids.tolist() == [*whole.encode(text), whole.end_of_text_id]
    assert "".join(slices("a" * 1234)) == "a" * 1234  # a line without an end is cut somewhere
    report = pack(["", text, "", "a" * 3000], whole, tmp_path / "p", packing={"sequence_length": 100})
    assert report.left_out == {"empty": 2} and report.documents == 2 and isinstance(encoded, Encoded)
