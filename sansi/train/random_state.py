"""The random state of a process (torch, numpy, Python) as plain JSON, to be put aside and taken up again."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor


def random_state() -> dict[str, Any]:
    """The state of every generator that a program draws from unless it brings its own."""
    kind, numbers, gauss = random.getstate()
    generator = np.random.get_state(legacy=False)
    assert isinstance(generator, dict)
    inner = generator["state"]
    state = {**generator, "state": {**inner, "key": np.asarray(inner["key"]).tolist()}}
    return {
        "python": [kind, list(numbers), gauss],
        "numpy": state,
        "torch": _text(torch.get_rng_state()),
        "cuda": [_text(one) for one in torch.cuda.get_rng_state_all()] if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Go on from a state that `random_state` returned. That of GPUs counts where there are as many as then."""
    kind, numbers, gauss = state["python"]
    random.setstate((kind, tuple(numbers), gauss))
    inner = state["numpy"]["state"]
    np.random.set_state({**state["numpy"], "state": {**inner, "key": np.array(inner["key"], np.uint32)}})
    torch.set_rng_state(_bytes(state["torch"]))
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([_bytes(one) for one in state["cuda"]])


@contextmanager
def untouched_random_state() -> Iterator[None]:
    """What happens inside draws nothing from the outside's generators, as far as that can be seen afterwards."""
    state = random_state()
    try:
        yield
    finally:
        set_random_state(state)


def _text(state: Tensor) -> str:
    return base64.b64encode(state.cpu().numpy().tobytes()).decode()


def _bytes(text: str) -> Tensor:
    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8)
