"""The matrix: every format that Sansi writes gives the same logits in Sansi and in programs that are not ours."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Any

import foreign_formats
import independent_readers as readers
import pytest
import torch
import transformers
from round_trips import MODELS, READERS, TRIPS, RoundTrip
from sansi.model import Transformer, load
from sansi.model.formats.gguf.write import write_gguf
from sansi.model.formats.writers import WRITERS, write_folder
from sansi.model.native import NativeModel
from tiny_models import random_ids, tiny_config, tiny_model
from torch import Tensor

import llama_cpp

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
CELLS = [(trip, reader) for trip in TRIPS for reader in trip.readers]


@cache
def full(name: str) -> Transformer:
    return tiny_model(tiny_config(**MODELS[name]))


@cache
def ids() -> Tensor:
    return random_ids(full("dense").config, 1, 24)


@torch.no_grad()
def logits(model: Transformer) -> Tensor:
    return model(ids())[0]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Each model in each format, once."""
    root = tmp_path_factory.mktemp("written")

    @cache
    def write(trip: RoundTrip, name: str) -> Path:
        target = root / f"{name} {trip.name}"
        if trip.format == "gguf":
            return write_gguf(full(name), target.with_suffix(".gguf"), trip.kind).files[0]
        read = [random_ids(full(name).config, 8, 96, seed=1)] if WRITERS[trip.format].calibrated == "needed" else None
        options = dict(trip.options)
        return write_folder(full(name), target, trip.format, calibration=read, options=options).folder

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sansi.model.formats.gguf.folder.gguf_cache", lambda: root / "cache")
        yield write


@pytest.fixture(scope="module")
def ours(written: Any) -> Any:
    """Logits of a file as Sansi reads it, in float32."""
    return cache(lambda trip, name: logits(load(written(trip, name), "cpu", "float32")))


def relative(expected: Tensor, found: Tensor) -> float:
    """Of the token in the middle: a token that goes to another expert says nothing about a format."""
    return ((expected - found).norm(dim=-1) / expected.norm(dim=-1)).median().item()


@pytest.mark.parametrize("trip", TRIPS, ids=lambda trip: trip.name)
@pytest.mark.parametrize("name", MODELS)
def test_sansi_opens_what_it_wrote(trip: RoundTrip, name: str, written: Any, ours: Any) -> None:
    expected = logits(full(name))
    assert expected.std() > 0.3  # logits that are all alike would prove nothing
    error = relative(expected, ours(trip, name))
    assert trip.loss / 4 <= error <= trip.loss  # a bound that says nothing is wrong, too


@pytest.mark.parametrize("trip", TRIPS, ids=lambda trip: trip.name)
@pytest.mark.parametrize("name", MODELS)
def test_the_kernels_compute_with_its_values(trip: RoundTrip, name: str, written: Any, ours: Any) -> None:
    native = NativeModel.from_pretrained(written(trip, name), threads=1)
    native.allocate(2)
    steps, count = torch.arange(24, dtype=torch.int32), torch.tensor([24], dtype=torch.int32)
    table, ends = torch.arange(2, dtype=torch.int32)[None], torch.tensor([0, 24], dtype=torch.int32)
    found = native.forward(ids()[0].to(torch.int32), steps, ends, count, table, steps)
    assert relative(ours(trip, name), found) <= trip.kernels


@pytest.mark.parametrize(("trip", "reader"), CELLS, ids=lambda part: part if isinstance(part, str) else part.name)
@pytest.mark.parametrize("name", MODELS)
def test_others_read_the_same(trip: RoundTrip, reader: str, name: str, written: Any, ours: Any, tmp_path: Path) -> None:
    path = written(trip, name)
    found = READ[reader](path, name, tmp_path / "plain")
    assert relative(ours(trip, name), found) <= READERS[reader][0]


FOREIGN: dict[str, tuple[Any, dict[str, Any], Any]] = {
    "awq": (foreign_formats.awq, {"group_size": 128}, readers.awq),
    "gptq": (foreign_formats.gptq, {"bits": 4}, readers.gptq),
    "gptq_v2": (partial(foreign_formats.gptq, version=2), {"bits": 4, "checkpoint_format": "gptq_v2"}, readers.gptq),
    "mlx": (foreign_formats.mlx, {"bits": 4, "group_size": 64}, readers.mlx),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_the_readers_read_what_others_wrote(kind: str, written: Any, tmp_path: Path) -> None:
    """The readers here are right themselves: MLX's kernels and our writers of its format by its definition agree."""
    writer, described, reader = FOREIGN[kind]
    if kind == "mlx":
        pytest.importorskip("mlx.core", reason="MLX is not installed")
    meant = foreign_formats.rewrite(written(TRIPS[0], "moe"), tmp_path / "q", writer, described)
    found = reader(tmp_path / "q")
    assert set(found) == set(meant)
    assert all(torch.allclose(found[name], meant[name].float(), atol=1e-6) for name in meant)


def by_transformers(path: Path, name: str, scratch: Path) -> Tensor:
    return readers.logits(readers.transformers_model(path), ids())[0]


def by_gguf_py(path: Path, name: str, scratch: Path) -> Tensor:
    pytest.importorskip("gguf", reason="gguf-py is not installed")
    weights, config = readers.gguf_py(path)
    return readers.computed(weights, config, ids(), scratch)[0]


def by_llama_cpp(path: Path, name: str, scratch: Path) -> Tensor:
    if llama_cpp.libraries() is None:
        pytest.skip("llama.cpp is not there; `make formats` fetches it")
    with llama_cpp.Llama(path) as other:
        return torch.from_numpy(other.logits(ids()[0].tolist()))


def by_mlx(path: Path, name: str, scratch: Path) -> Tensor:
    pytest.importorskip("mlx.core", reason="MLX is not installed")
    return readers.computed(readers.mlx(path), readers.described(path), ids(), scratch)[0]


def by_definition(path: Path, name: str, scratch: Path) -> Tensor:
    described = readers.described(path)
    read = {"awq": readers.awq, "gptq": readers.gptq}[described["quantization_config"]["quant_method"]]
    return readers.computed(read(path), described, ids(), scratch)[0]


READ = {
    "transformers": by_transformers,
    "transformers, activations too": by_transformers,
    "gguf-py": by_gguf_py,
    "llama.cpp": by_llama_cpp,
    "MLX": by_mlx,
    "definition": by_definition,
}
