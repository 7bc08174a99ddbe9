"""The kernels compile for an H100, with or without one here, and fit it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

if importlib.util.find_spec("triton") is None:  # to import it here would load it before `triton_device` sets it up
    pytest.skip("Triton is for Linux", allow_module_level=True)
ROOT = Path(__file__).parents[2]
SHARED = 227 * 1024  # bytes of a multiprocessor that a program may have


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path_factory.mktemp("triton"))
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "model" / "triton_compile.py"],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_all_kernels_compile_without_spills(kernels: list[dict]):
    assert len({kernel["name"] for kernel in kernels}) == 7
    for kernel in kernels:
        assert kernel["stack"] == 0 and kernel["shared"] <= SHARED, kernel


def test_products_use_tensor_cores(kernels: list[dict]):
    for kernel in kernels:
        if kernel["name"] == "_chunk_kernel":
            assert kernel["wgmma"] and not kernel["mma"], kernel
        elif kernel["name"] in ("_split_kernel", "_grouped_kernel"):
            assert kernel["mma"] or kernel["wgmma"], kernel


def test_enough_is_under_way_when_decoding(kernels: list[dict]):
    """Programs that share a multiprocessor, times their tiles, exceed 600 ns of 3.35 TB/s over 132 multiprocessors."""
    for kernel in kernels:
        if kernel["name"] == "_split_kernel":
            programs = min(65536 // (kernel["registers"] * 128), SHARED // kernel["shared"])
            assert programs * kernel["shared"] > 2 * 600e-9 * 3.35e12 / 132, kernel
