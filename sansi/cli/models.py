"""From what a user calls a model to a folder, and to the model in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sansi.base.errors import SansiError, did_you_mean

if TYPE_CHECKING:
    from sansi.chat import ChatModel


def model_folder(model: str) -> str:
    """The folder itself. Raises SansiError with the nearest sensible next step when it is not one."""
    folder = Path(model)
    if folder.is_dir():
        return model
    siblings = [str(path) for path in folder.parent.glob("*") if (path / "config.json").exists()]
    hint = (
        did_you_mean(model, siblings) if siblings else "; give the folder of a checkpoint (config.json, *.safetensors)"
    )
    raise SansiError(f"{model}: no such model folder{hint}")


@contextlib.contextmanager
def loaded(model: str, device: str, quantize: str | None = None) -> Iterator[ChatModel]:
    """The model of a folder, closed at the end."""
    folder = model_folder(model)
    with status(f"loading {folder}"):
        from sansi.chat import ChatModel

        chat_model = ChatModel.from_pretrained(folder, device=device, quantize=quantize)
    with chat_model:
        yield chat_model


def status(text: str) -> contextlib.AbstractContextManager[Any]:
    """A line that says what takes so long, for somebody who watches."""
    from rich.console import Console

    console = Console(stderr=True)
    return console.status(text) if console.is_terminal else contextlib.nullcontext()
