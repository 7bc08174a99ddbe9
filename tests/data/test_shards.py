"""Ids that fit, shards that are what their manifest says, and streams that know their data by its whole content."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from documents_made import document, prose
from sansi.base import SansiError
from sansi.data import Mixture, PackedDataset, SampleDataset, TokenShard, pack
from sansi.data.shards.ids import as_ids, dtype_for
from sansi.data.shards.manifest import Manifest
from sansi.data.shards.order import Shuffle
from sansi.data.shards.packing import shard_paths, verify_shards


class ByteTokenizer:
    vocab_size, end_of_text_id, hash = 257, 256, "a" * 64

    def encode(self, text: str) -> list[int]:
        return list(text.encode())


class WideTokenizer(ByteTokenizer):
    vocab_size, end_of_text_id = 70_001, 70_000

    def encode(self, text: str) -> list[int]:
        return [69_999] * len(text)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("values", "dtype", "message"),
    [
        ([70_000], np.uint16, "70000 does not fit uint16"),
        (np.array([70_000]), np.uint16, "70000 does not fit uint16"),
        ([1 << 40], np.uint32, "does not fit uint32"),
        ([-1, 2], np.uint16, "-1 is negative"),
        (np.array([1 << 63], np.uint64), np.int64, "does not fit int64"),
        ([1 << 70], np.int64, "no list of token ids|not a flat list"),
        ([1.5], np.uint16, "float64"),
        ([True, False], np.uint16, "bool"),
        (["a"], np.uint16, "no list of token ids"),
        ([[1, 2], [3, 4]], np.uint16, r"shape \[2, 2\]"),
        ([[1], [2, 3]], np.uint16, "not a flat list"),
        (None, np.uint16, "no list of token ids"),
    ],
)
def test_ids_that_do_not_fit_are_refused(values: Any, dtype: Any, message: str):
    with pytest.raises(SansiError, match=message):
        as_ids(values, dtype)
    with pytest.raises(SansiError, match=message):
        TokenShard.from_documents([values], dtype)


@pytest.mark.parametrize("dtype", [np.float32, bool, "uint17", object])
def test_ids_need_a_type_of_whole_numbers(dtype: Any):
    with pytest.raises(SansiError, match=r'"dtype" is .*; token ids need a type of whole numbers'):
        TokenShard.from_documents([[1, 2]], dtype)


def test_types_of_ids():
    assert [dtype_for(n).name for n in (1, 1 << 16, (1 << 16) + 1, 1 << 32, (1 << 32) + 1)] == [
        "uint16", "uint16", "uint32", "uint32", "int64",
    ]  # fmt: skip
    assert as_ids([], np.uint16).dtype == np.uint16 and as_ids(np.array([3], np.int8), np.uint32).dtype == np.uint32
    assert as_ids([65_535], np.uint16).tolist() == [65_535]


def test_every_array_of_ids_is_checked(tmp_path: Path):
    for make in (
        lambda: PackedDataset([np.array([1, -2, 3])], 2, 1),
        lambda: PackedDataset([TokenShard(np.array([1, -2, 3]), np.array([0]))], 2, 1),
        lambda: PackedDataset([np.array([1.0, 2.0])], 2, 1),
        lambda: SampleDataset([([1, -2], [1, 1])], 4, 1),
        lambda: SampleDataset([([1.5, 2], [1, 1])], 4, 1),
        lambda: PackedDataset([np.array([1, 2])], 2, 1, pad_id=-1),
    ):
        with pytest.raises(SansiError):
            make()
    assert pack(["ab"], WideTokenizer(), tmp_path / "wide").dtype == "uint32"
    assert PackedDataset(tmp_path / "wide", 1, 1).largest_id == 70_000
    narrow = type("Narrow", (WideTokenizer,), {"vocab_size": 300})()
    with pytest.raises(
        SansiError, match=r'the separator has the token id 70000, but "vocab_size" of the tokenizer is 300'
    ):
        pack(["ab"], narrow, tmp_path / "narrow")
    spelled = type("Spelled", (WideTokenizer,), {"vocab_size": 300, "end_of_text_id": 299})()
    with pytest.raises(SansiError, match="text 0 has the token id 69999"):
        pack(["ab"], spelled, tmp_path / "narrow")
    assert not (tmp_path / "narrow").exists()


def test_the_manifest_tells_what_was_packed(tmp_path: Path):
    documents = [
        document(prose(1), language="en"),
        document(prose(2), language="en"),
        document("你好。" * 9, language="zh"),
    ]
    pack([*documents, "plain"], ByteTokenizer(), tmp_path / "p", shard_tokens=700)
    manifest = Manifest.load(tmp_path / "p")
    assert {name: count["documents"] for name, count in manifest.languages.items()} == {"en": 2, "zh": 1}
    assert manifest.sources["made"]["documents"] == manifest.kinds["prose"]["documents"] == 3
    assert manifest.sources["made"]["tokens"] == manifest.tokens - len("plain") - 1
    assert manifest.tokenizer == "a" * 64 and manifest.largest_id == 256
    assert sum(entry.documents for entry in manifest.shards) == manifest.documents == 4 and len(manifest.shards) > 1
    verify_shards(tmp_path / "p")
    PackedDataset([tmp_path / "p"], 4, 1, tokenizer="a" * 64)
    with pytest.raises(SansiError, match="another tokenizer"):
        PackedDataset([tmp_path / "p"], 4, 1, tokenizer="b" * 64)


def test_the_manifest_of_a_folder_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pack(["ab"] * 5, ByteTokenizer(), tmp_path / "p", shard_tokens=1)
    paths, manifest, read = shard_paths(tmp_path / "p"), Manifest.load(tmp_path / "p"), []
    monkeypatch.setattr(Manifest, "load", lambda folder: read.append(Path(folder)) or manifest)
    PackedDataset(tmp_path / "p", 4, 1)
    PackedDataset(paths, 4, 1)
    verify_shards(tmp_path / "p")
    assert len(paths) == 5 and read == [tmp_path / "p"] * 3


def flip(path: Path, place: int = -1) -> None:
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.write_bytes(bytes(raw))


@pytest.mark.parametrize("packing", [{}, {"sequence_length": 4}])
@pytest.mark.parametrize("part", ["tokens", "tables", "cut", "other", "unknown", "missing", "index", "no index"])
def test_a_damaged_or_foreign_shard_is_refused(tmp_path: Path, part: str, packing: dict[str, Any]):
    pack(["hello", "world"], ByteTokenizer(), tmp_path / "p", packing=packing)
    pack(["hallo", "world!"], ByteTokenizer(), tmp_path / "q", packing=packing)
    (shard,) = shard_paths(tmp_path / "p")
    raw = shard.read_bytes()
    arrays = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    begin = len(raw) - max(entry["data_offsets"][1] for name, entry in arrays.items() if name != "__metadata__")
    if part in ("tokens", "tables"):
        table = "starts" if not packing else "piece_length"
        flip(shard, begin + arrays["ids" if part == "tokens" else table]["data_offsets"][0])
    elif part == "cut":
        shard.write_bytes(raw[:-3])
    elif part == "other":
        shard.write_bytes((tmp_path / "q" / shard.name).read_bytes())
    elif part == "unknown":
        shard = shard.with_name("shard-00007.safetensors")
        shard.write_bytes(raw)
    elif part == "missing":
        shard.unlink()
        shard = tmp_path / "p"
    elif part == "index":
        (tmp_path / "p" / "shards.json").write_text(json.dumps({"shards": [shard.name]}))
    else:
        (tmp_path / "p" / "shards.json").unlink()
        shard = tmp_path / "p"
    with pytest.raises(SansiError, match=r"pack the corpus again|pack a corpus into it|another folder|pack again"):
        next(PackedDataset([shard], 4, 4))


@pytest.mark.parametrize("packing", [{}, {"sequence_length": 99}])
def test_damage_is_found_where_it_is_read_and_by_reading_all(tmp_path: Path, packing: dict[str, Any]):
    pack(["x" * 9000, "y" * 900], ByteTokenizer(), tmp_path / "p", packing=packing)
    (shard,) = shard_paths(tmp_path / "p")
    flip(shard, shard.read_bytes().rindex(b"x\0x\0"))
    data = PackedDataset([tmp_path / "p"], 99, 1)  # opens
    damaged = 0
    for index in range(data.rows_per_epoch):
        try:
            data.build(index)
        except SansiError as error:
            assert "not what was packed" in str(error)
            damaged += 1
    assert 1 <= damaged < data.rows_per_epoch
    with pytest.raises(SansiError, match="its content is not what was packed"):
        verify_shards(tmp_path / "p")


def states() -> dict[str, tuple[Any, Any]]:
    ids = [rng(i).integers(0, 97, 12) for i in range(20)]
    whole, half = np.ones(12), np.r_[np.zeros(6), np.ones(6)]

    def samples(parts: list[list[int]]) -> SampleDataset:
        return SampleDataset([(np.array(part), np.ones(len(part))) for part in parts], 16, 1)

    def packed(content: int, **changes: Any) -> PackedDataset:
        return PackedDataset(
            [rng(content).integers(0, 97, 4000)], **{"sequence_length": 16, "batch_size": 2, **changes}
        )

    def mixed(*parts: Any) -> Mixture:
        return Mixture([(part, 1.0) for part in parts])

    one = rng(0).integers(0, 97, 4000)
    changed = one.copy()
    changed[1234] += 1
    return {
        "another corpus of the same length": (packed(0), packed(9)),
        "one id": (PackedDataset([one], 16, 2), PackedDataset([changed], 16, 2)),
        "other borders of documents": (
            PackedDataset([one], 16, 2, end_of_text_id=5),
            PackedDataset([one], 16, 2, end_of_text_id=6),
        ),
        "the order of shards": (PackedDataset([one, one[:9]], 16, 2), PackedDataset([one[:9], one], 16, 2)),
        "other loss masks": (
            SampleDataset([(i, whole) for i in ids], 16, 2),
            SampleDataset([(i, half) for i in ids], 16, 2),
        ),
        "other borders of samples": (samples([[1, 2, 3], [4, 5]]), samples([[1, 2], [3, 4, 5]])),
        "another order of samples": (samples([[1, 2, 3], [4, 5]]), samples([[4, 5], [1, 2, 3]])),
        "another seed": (packed(0), packed(0, seed=1)),
        "another length": (packed(0), packed(0, sequence_length=8)),
        "another kind": (packed(0), samples([[1, 2]])),
        "one part of a mixture": (mixed(packed(0), packed(1)), mixed(packed(0), packed(2))),
        "another number of parts": (mixed(packed(0), packed(1)), mixed(packed(0))),
        "a mixture": (mixed(packed(0)), packed(0)),
    }


@pytest.mark.parametrize("name", states())
def test_a_state_of_other_data_is_refused(name: str):
    first, second = states()[name]
    next(first)
    with pytest.raises(SansiError, match=r"belongs to (other data|another mixture)"):
        second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    with pytest.raises(SansiError):
        first.load_state_dict(second.state_dict())
    fresh = states()[name][1]
    np.testing.assert_array_equal(next(second).ids, next(fresh).ids)  # a refused state changes nothing


@pytest.mark.parametrize(
    "change",
    [{"position": -1, "row": -1}, {"position": 10**9, "row": 1.5}, {"epoch": "1", "row": None}, {"data": None}],
)
@pytest.mark.parametrize(
    "make", [lambda: PackedDataset([np.arange(50)], 4, 1), lambda: SampleDataset([([1, 2], [0, 1])], 4, 1)]
)
def test_a_damaged_state_is_refused(change: dict[str, Any], make: Any):
    dataset = make()
    with pytest.raises(SansiError):
        dataset.load_state_dict({**dataset.state_dict(), **change})
    with pytest.raises(SansiError):
        dataset.load_state_dict([])  # type: ignore[arg-type]


def test_files_and_arrays_of_the_same_content_are_the_same_data(tmp_path: Path):
    texts = ["hello", "world, hello"]
    pack(texts, ByteTokenizer(), tmp_path / "p")
    shard = TokenShard.from_documents([[*text.encode(), 256] for text in texts], np.int64)
    PackedDataset(tmp_path / "p", 4, 1).load_state_dict(PackedDataset([shard], 4, 1).state_dict())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000, 4097])
def test_a_shuffle_is_a_permutation_that_differs_by_seed_and_epoch(size: int):
    orders = [[Shuffle(size, seed, epoch)[i] for i in range(size)] for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert all(sorted(order) == list(range(size)) for order in orders)
    if size > 60:
        assert len({tuple(order) for order in orders}) == 3
        moves = np.abs(np.array(orders[0]) - np.arange(size)).mean() / size
        assert 0.25 < moves < 0.42  # a third for a random order


def test_skipping_is_arithmetic():
    data = PackedDataset([np.arange(100_000) % 97], 4, 2, seed=1)
    walked = PackedDataset([np.arange(100_000) % 97], 4, 2, seed=1)
    for _ in range(26_000):
        walked.skip()
    data.skip(26_000)
    assert data.state_dict() == walked.state_dict() and data.epoch == 1
    far = PackedDataset([np.arange(100_000) % 97], 4, 2, rank=10**9, world_size=10**9 + 1)
    assert next(far).ids.shape == (2, 5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda t: PackedDataset(t, 8, 1), "no token shards here"),
        (lambda t: PackedDataset(7, 8, 1), "shards of type int"),
        (lambda t: PackedDataset([None], 8, 1), "no list of token ids"),
        (lambda t: PackedDataset([np.arange(9)], "8", 1), "\"sequence_length\" is '8'"),
        (lambda t: PackedDataset([np.arange(9)], 8, 0), '"batch_size" is 0'),
        (lambda t: PackedDataset([np.arange(9)], 8, 1, end_of_text_id="<end>"), '"end_of_text_id": an array of <U5'),
        (lambda t: SampleDataset([([1, 2], [0, 1])], 8, 1, pad_id=-1), '"pad_id": the token id -1 is negative'),
        (lambda t: SampleDataset([([1, 2], [0, 1])], 8, 1, pad_id="0"), '"pad_id": an array of <U1'),
        (lambda t: SampleDataset([([1, 2], [[0], [0, 1]])], 8, 1), "sample 0: the loss mask is no flat list"),
        (lambda t: PackedDataset([np.arange(9)], 8, 1, seed=-1), '"seed" is -1'),
        (lambda t: SampleDataset([{"ids": [1, 2]}], 8, 1), "sample 0 is a dict of ids"),
        (lambda t: SampleDataset({"ids": [1], "loss_mask": [1]}, 8, 1), "samples of type dict"),
        (lambda t: SampleDataset(["ab"], 8, 1), "sample 0 is str"),
        (lambda t: SampleDataset([([1, 2], [0.5, 1])], 8, 1), "neither true nor false"),
        (lambda t: SampleDataset([([1, 2], [1, float("nan")])], 8, 1), "neither true nor false"),
        (lambda t: SampleDataset([([1] * 20, [1] * 20)], 8, 1, too_long="cut"), "\"too_long\" is 'cut'"),
        (lambda t: Mixture([PackedDataset([np.arange(9)], 8, 1)]), "pairs"),
        (lambda t: Mixture([(PackedDataset([np.arange(9)], 8, 1), "a")]), "must be numbers"),
        (lambda t: Mixture([(PackedDataset([np.arange(9)], 8, 1), "1")]), 'must be numbers, not "1"'),
        (lambda t: Mixture([(PackedDataset([np.arange(9)], 8, 1), 1)], 0), '"batch_size" is 0'),
        (lambda t: pack("abc", ByteTokenizer(), t / "x"), '"texts" is one text'),
        (lambda t: pack([b"abc"], ByteTokenizer(), t / "x"), "text 0 is bytes"),
        (lambda t: pack(["abc"], ByteTokenizer(), t / "x", 0), '"shard_tokens" is 0'),
        (lambda t: pack(["abc"], ByteTokenizer(), t / "x", "3"), "\"shard_tokens\" is '3'"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, make: Any, message: str):
    with pytest.raises(SansiError, match=message):
        make(tmp_path)


def test_samples_may_be_dicts_or_objects_and_one_shard_needs_no_list():
    pair, mapping = ([1, 2], [0, 1]), {"ids": [1, 2], "loss_mask": [0, 1]}
    sets = [SampleDataset([sample], 4, 1) for sample in (pair, mapping, [*pair])]
    assert len({json.dumps(dataset.state_dict()) for dataset in sets}) == 1 and sets[0].largest_id == 2
    shard = TokenShard.from_documents([[1, 2, 3]])
    assert PackedDataset(shard, 2, 1).tokens == PackedDataset(np.arange(3), 2, 1).tokens == 3


def test_masks_that_teach_nothing_are_named(caplog):
    with pytest.raises(SansiError, match="no sample has a token to learn: their loss masks are 0 everywhere"):
        SampleDataset([([1, 2], [0, 0]), ([3, 4, 5], [1, 0, 0])], 4, 1)  # nothing comes before a first token
    with pytest.raises(SansiError, match="no sample has a token to learn"):
        SampleDataset([([1, 2], [0, 0]), ([3, 4], [0, 1], 0.0), ([3, 4], [0, 0], 1.0)], 4, 1)
    SampleDataset([([1, 2], [0, 1]), ([3, 4, 5], [0, 0, 0])], 4, 1)
    assert "1 of 2 samples have no token to learn (sample 1 is the first)" in caplog.text


@pytest.mark.parametrize("texts", [[], iter(())])
def test_nothing_is_not_packed(tmp_path: Path, texts: Any):
    with pytest.raises(SansiError, match="no texts to pack"):
        pack(texts, ByteTokenizer(), tmp_path / "packed")
    assert not (tmp_path / "packed").exists()
