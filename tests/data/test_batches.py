"""Packing loses no token and crosses no document; a resumed stream equals an uninterrupted one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.base import SansiError
from sansi.data import Mixture, PackedDataset, SampleDataset, TokenShard, pack, shard_paths
from sansi.data.shards.bins import best_fit
from sansi.data.shards.shard import open_shard
from sansi.data.shards.streams import RowStream

few = settings(max_examples=40, derandomize=True, deadline=None)
documents_strategy = st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=12), min_size=2, max_size=12)


def packed(documents: list[list[int]], shards: int = 1, **options: int) -> PackedDataset:
    parts = [TokenShard.from_documents(documents[i::shards]) for i in range(shards)]
    return PackedDataset(parts, **{"sequence_length": 5, "batch_size": 2, **options})


def rows_of_one_epoch(dataset: PackedDataset | SampleDataset) -> list[dict[str, np.ndarray]]:
    rows = [dataset.take() for _ in range(dataset.rows_per_epoch)]
    assert dataset.epoch == 0
    return [{"ids": r.ids, "document": r.document, "loss_mask": r.loss_mask} for r in rows]


@few
@given(documents_strategy, st.integers(1, 3), st.integers(1, 9))
def test_packed_rows_hold_each_target_once_with_its_own_predecessor(documents, shards, length):
    dataset = packed(documents, shards, sequence_length=length)
    expected: Counter[tuple[int, int]] = Counter()
    for ids in documents:
        expected.update(pairwise(ids))
    found: Counter[tuple[int, int]] = Counter()
    for row in rows_of_one_epoch(dataset):
        for t in np.flatnonzero(row["loss_mask"]):
            assert row["document"][t] == row["document"][t - 1]
            found[(int(row["ids"][t - 1]), int(row["ids"][t]))] += 1
    assert found == expected


@few
@given(documents_strategy, st.integers(1, 9))
def test_packed_rows_number_documents_as_they_lie_in_the_shard(documents, length):
    dataset = packed(documents, sequence_length=length)
    tokens = np.concatenate(documents)
    owner = np.repeat(np.arange(len(documents)), [len(ids) for ids in documents])
    for index in range(dataset.rows_per_epoch):
        row, begin = dataset.build(index), index * length
        size = min(length + 1, len(tokens) - begin)
        assert row.ids[:size].tolist() == tokens[begin : begin + size].tolist()
        assert row.document[:size].tolist() == (owner[begin : begin + size] - owner[begin]).tolist()
        padding = row.document[size:]
        assert not row.loss_mask[size:].any() and (padding == row.document[size - 1] + 1).all()


samples_strategy = st.lists(
    st.lists(st.tuples(st.integers(1, 99), st.booleans()), min_size=1, max_size=9), min_size=1, max_size=20
).filter(lambda samples: any(learned for sample in samples for _, learned in sample[1:]))  # else they teach nothing


@few
@given(samples_strategy, st.integers(8, 20), st.integers(0, 3))
def test_sample_rows_hold_every_sample_whole_and_once(raw, length, seed):
    samples = [([i for i, _ in sample], [False, *(m for _, m in sample[1:])]) for sample in raw]
    found = []
    for row in rows_of_one_epoch(SampleDataset(samples, length, 1, seed, pad_id=0)):
        for number in range(int(row["document"].max()) + 1):
            here = row["document"] == number
            if row["ids"][here][0] != 0:
                found.append((row["ids"][here].tolist(), row["loss_mask"][here].tolist()))
            else:
                assert not row["loss_mask"][here].any() and not row["ids"][here].any()
    assert sorted(found) == sorted(samples)


@few
@given(st.lists(st.integers(1, 10), max_size=40))
def test_best_fit_places_each_item_once_within_capacity(lengths):
    bins = best_fit(lengths, 10)
    assert sorted(i for items in bins for i in items) == list(range(len(lengths)))
    filled = [sum(lengths[i] for i in items) for items in bins]
    assert all(size <= 10 for size in filled)
    assert sum(size <= 5 for size in filled) <= 1  # two half-empty bins would have been one


def make_packed() -> RowStream:
    return packed([[i] * (i % 7 + 1) for i in range(1, 40)], 2, seed=3)


def make_samples() -> RowStream:
    return SampleDataset([([i] * (i % 5 + 1), [True] * (i % 5 + 1)) for i in range(1, 30)], 5, 2, seed=3)


def make_mixture() -> RowStream:
    return Mixture([(make_packed(), 0.7), (make_samples(), 0.3)], batch_size=3)


@pytest.mark.parametrize("make", [make_packed, make_samples, make_mixture])
@pytest.mark.parametrize("stop", [0, 1, 9, 33])
def test_resume_equals_uninterrupted(make: Callable[[], RowStream], stop: int):
    whole, first, second = make(), make(), make()
    for _ in range(stop):
        next(whole), next(first)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for _ in range(40):
        expected, actual = next(whole), next(second)
        assert torch.equal(actual.ids, expected.ids) and torch.equal(actual.loss_mask, expected.loss_mask)
        assert actual.documents == expected.documents


def test_batch_shapes_dtypes_and_epoch_shuffling():
    dataset = make_packed()
    batch = next(dataset)
    assert (batch.ids.shape, batch.ids.dtype, batch.loss_mask.dtype) == ((2, 6), torch.int64, torch.bool)
    assert [sum(lengths) for lengths in batch.documents] == [6, 6]
    dataset = make_packed()
    orders = [[tuple(dataset.take().ids) for _ in range(dataset.rows_per_epoch)] for _ in range(2)]
    assert orders[0] != orders[1] and sorted(orders[0]) == sorted(orders[1])


def test_ranks_share_the_same_global_batches():
    documents = [[i] * (i % 7 + 1) for i in range(1, 40)]
    whole = packed(documents, batch_size=4)
    ranks = [packed(documents, batch_size=2, rank=r, world_size=2) for r in range(2)]
    for _ in range(8):
        assert torch.equal(torch.cat([next(rank).ids for rank in ranks]), next(whole).ids)
    assert ranks[0].state_dict() == ranks[1].state_dict() == whole.state_dict()


def test_mixture_keeps_to_its_weights():
    mixture = make_mixture()
    for rows in range(1, 200):
        mixture.skip()
        assert np.all(np.abs(mixture.counts - rows * np.array([0.7, 0.3])) <= 1)


def test_a_state_of_other_data_is_refused():
    with pytest.raises(SansiError, match="other data"):
        packed([[1, 2, 3], [4, 5]]).load_state_dict(make_packed().state_dict())
    with pytest.raises(SansiError, match="other data"):
        packed([[1, 2, 3]], seed=1).load_state_dict(packed([[1, 2, 3]], seed=2).state_dict())


def test_user_mistakes_are_named():
    with pytest.raises(SansiError, match="sample 1 has 9 tokens, a row 6"):
        SampleDataset([([1, 2], [1, 1]), ([1] * 9, [1] * 9)], 5, 1)
    assert SampleDataset([([1, 2], [1, 1]), ([1] * 9, [1] * 9)], 5, 1, too_long="drop").dropped == 1
    with pytest.raises(SansiError, match="sample 0"):
        SampleDataset([([1, 2], [1])], 5, 1)
    with pytest.raises(SansiError, match="no text"):
        PackedDataset([], 5, 1)
    with pytest.raises(SansiError, match="sequence lengths"):
        Mixture([(packed([[1, 2]]), 1), (packed([[1, 2]], sequence_length=3), 1)])
    with pytest.raises(SansiError, match="above 0"):
        Mixture([(packed([[1, 2]]), 0.0)])
    with pytest.raises(SansiError, match="rank"):
        packed([[1, 2]], rank=2, world_size=2)


def test_bare_arrays_split_at_end_of_text():
    dataset = PackedDataset([np.array([5, 6, 0, 7, 0])], 4, 1, end_of_text_id=0, pad_id=9)
    assert dataset.documents == 2
    assert dataset.build(0).document.tolist() == [0, 0, 0, 1, 1]


class ByteTokenizer:
    vocab_size, end_of_text_id = 257, 256

    def encode(self, text: str) -> list[int]:
        return list(text.encode())


@settings(max_examples=8, derandomize=True, deadline=None)
@given(st.lists(st.text(max_size=12), min_size=1, max_size=6).filter(any), st.integers(5, 30))
def test_pack_writes_every_document_whole(tmp_path_factory, texts, shard_tokens):
    out = tmp_path_factory.mktemp("pack") / "packed"
    report = pack(texts, ByteTokenizer(), out, shard_tokens)
    shards = [open_shard(path) for path in shard_paths(out)]
    documents = [ids.tolist() for shard in shards for ids in np.split(shard.tokens, shard.starts[1:])]
    assert documents == [[*text.encode(), 256] for text in texts if text]
    assert report.left_out == ({"empty": texts.count("")} if "" in texts else {})
    assert report.documents == len(documents) and report.tokens == sum(map(len, documents)) and report.dtype == "uint16"
    assert all(len(s.tokens) <= shard_tokens or len(s.starts) == 1 for s in shards)


def test_packed_files_train_like_arrays(tmp_path: Path):
    texts = ["hello world", "你好", "x" * 30]
    pack(texts, ByteTokenizer(), tmp_path / "p", shard_tokens=20)
    from_disk = PackedDataset([tmp_path / "p"], 7, 2, seed=1)
    in_memory = PackedDataset([TokenShard.from_documents([[*t.encode(), 256] for t in texts])], 7, 2, seed=1)
    for _ in range(10):
        assert torch.equal(next(from_disk).ids, next(in_memory).ids)


def test_a_damaged_shard_is_named(tmp_path: Path):
    report = pack(["hello"], ByteTokenizer(), tmp_path / "p")
    report.shards[0].unlink()
    with pytest.raises(SansiError, match=r"shard-00000\.safetensors is missing"):
        PackedDataset([tmp_path / "p"], 7, 2)
