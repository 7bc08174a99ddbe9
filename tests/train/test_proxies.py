"""Proxies: what they read, that they learn it, and what is measured of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sansi.base.config import config_to_dict
from sansi.base.errors import ConfigError
from sansi.base.files import read_json
from sansi.model import Transformer
from sansi.train.proxies import (
    ByteTokenizer,
    ProxyData,
    ProxyShape,
    bits_per_byte,
    measure_proxy,
    read_losses,
)

SHAPE = ProxyShape(hidden_size=16, num_hidden_layers=1, sequence_length=32, batch_size=4)


@pytest.fixture
def data(tmp_path) -> ProxyData:
    pieces = ["abcabcabc " * 12, "xyz xyz " * 12, "0123456789 " * 12]
    found = ProxyData.of(pieces, {"abc": ["abcabcabc " * 20], "Ünï": ["xyz Ünï " * 20, "zyx " * 5]}, ByteTokenizer())
    found.save(tmp_path / "data.npz")
    return found


def test_data_come_back_as_they_were(data, tmp_path):
    loaded = ProxyData.load(tmp_path / "data.npz")
    assert loaded.tokens.tolist() == data.tokens.tolist() and loaded.starts.tolist() == data.starts.tolist()
    assert list(loaded.evaluation) == ["abc", "Ünï"]
    assert loaded.evaluation["Ünï"].bytes == len("xyz Ünï ".encode()) * 20 + 20
    before = (tmp_path / "data.npz").read_bytes()
    loaded.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == before


def test_every_piece_is_read_as_often_as_is_asked(data):
    shard = data.shard(np.array([2, 0, 1]), seed=3)
    text = "".join(map(chr, shard.tokens.tolist()))
    assert len(shard.starts) == 3
    assert text.count("abcabcabc " * 12) == 2 and text.count("0123456789 " * 12) == 1 and "xyz" not in text


def test_a_model_without_a_preference_needs_the_logarithm_of_its_vocabulary(data):
    model = Transformer(SHAPE.config(257))
    model.init_weights(0)
    model.lm_head_weight.data.zero_()  # tied: the embedding, too
    found = bits_per_byte(model, data.evaluation, SHAPE.rows)
    assert found["abc"] == pytest.approx(math.log2(257), rel=1e-5)
    assert found["Ünï"] == pytest.approx(math.log2(257), rel=1e-5)  # per byte, of characters of two


def test_a_proxy_learns_what_it_reads_and_leaves_one_file(data, tmp_path):
    training = {"steps": 60, "learning_rate": 2e-2, "compile": False}
    losses = []
    for name, counts in (("abc", [1, 0, 0]), ("xyz", [0, 1, 0]), ("again", [0, 1, 0])):
        np.save(tmp_path / f"{name}.npy", np.array(counts))
        output = tmp_path / f"{name}.json"
        paths = str(tmp_path / "data.npz"), str(tmp_path / f"{name}.npy")
        measure_proxy(output, *paths, 5, config_to_dict(SHAPE.config(257)), training, SHAPE.rows)
        losses.append(read_losses(output))
    assert losses[0]["abc"] < 3 < losses[1]["abc"]
    assert losses[1]["Ünï"] < losses[0]["Ünï"]
    assert read_json(tmp_path / "again.json") == read_json(tmp_path / "xyz.json")
    assert not list(tmp_path.glob("*.run"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden_size": 30}, r'"hidden_size" \(30\) must be a multiple of "head_dim" \(16\)'),
        ({"head_dim": 5, "hidden_size": 20}, "and that even"),
        ({"sequence_length": 0}, '"sequence_length" must be at least 1'),
    ],
)
def test_impossible_shapes_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        ProxyShape(**values)
