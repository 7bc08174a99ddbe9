"""Two gloo ranks in a test: this process is rank 0, and one other, started once for all tests, is rank 1."""

from __future__ import annotations

import multiprocessing
import tempfile
import traceback
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch.distributed as dist

PATIENCE = timedelta(seconds=300)


def on_two_ranks(function: Callable[..., Any], *arguments: Any) -> Any:
    """What `function(*arguments)` returns on rank 0 while it runs on rank 1 too. It must be importable by name."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"file://{Path(folder) / 'store'}"
        other = _other_rank()
        other.send((store, function, arguments))
        try:
            result = _as_rank(0, store, function, arguments)
        finally:
            assert other.poll(PATIENCE.total_seconds()), "rank 1 does not answer"
            problem = other.recv()
    assert problem is None, problem
    return result


@cache
def _other_rank() -> Connection:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    context.Process(target=_serve, args=(there,), daemon=True).start()
    return here


def _serve(connection: Connection) -> None:
    while True:
        store, function, arguments = connection.recv()
        problem = None
        try:
            _as_rank(1, store, function, arguments)
        except Exception:
            problem = traceback.format_exc()
        connection.send(problem)


def _as_rank(rank: int, store: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2, timeout=PATIENCE)
    try:
        return function(*arguments)
    finally:
        dist.destroy_process_group()
