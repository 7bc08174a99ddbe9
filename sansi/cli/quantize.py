"""`sansi quantize`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sansi.base.errors import SansiError
from sansi.cli.models import model_folder
from sansi.cli.sizes import show_bytes

if TYPE_CHECKING:
    from sansi.chat import ChatModel


def quantize(
    model: Annotated[str, typer.Argument(help="Checkpoint folder with full weights.")],
    out: Annotated[str, typer.Argument(help="Folder to write.")],
    kind: Annotated[str, typer.Option(help="int4 or int8.")] = "int4",
    outer: Annotated[str | None, typer.Option(help="The same for embedding and LM head. Default: int8.")] = None,
    text: Annotated[
        str | None, typer.Option(help="File to compare the two on; default: what the model answers to its examples.")
    ] = None,
    tokens: Annotated[int, typer.Option(min=1, help="Most tokens to compare on.")] = 1024,
    report: Annotated[bool, typer.Option(help="Compare; needs the memory and the time of the full model.")] = True,
) -> None:
    """Write a model with smaller weights, for the CPU, and say what that costs.

    Examples:

      sansi quantize my/checkpoint my/checkpoint-int4

      sansi quantize my/checkpoint my/checkpoint-int8 --kind int8 --text book.txt

    Then: sansi serve my/checkpoint-int4. It takes a fraction of the memory, loads faster, and answers faster.
    """
    folder = model_folder(model)
    from sansi.model.quantize import check_target
    from sansi.model.quantize import quantize as quantised

    check_target(out)
    given = None if text is None else _read_text(text)
    weights = quantised(folder, kind, outer)
    weights.save(out, _companions(Path(folder)))
    full, small = (sum(file.stat().st_size for file in Path(f).glob("*.safetensors")) for f in (folder, out))
    bits = f"{weights.bits_per_weight:.2f} bits a weight"
    typer.echo(f"{out}: {weights.kind}, {show_bytes(small)} in the place of {show_bytes(full)}, {bits}")
    if report:
        source = "its own answers" if text is None else text
        typer.echo(f"{_compared(folder, out, given, tokens)} of {source}")


_COMPANIONS = (
    *("*token*.json", "vocab.json", "merges.txt", "*.tiktoken", "chat_template*"),
    *("generation_config.json", "model_card.json", "README*", "LICENSE*"),
)
_QUESTIONS = ("How much is 17 times 23?", "Why is the sky blue?", "Write a short poem about a river.")


def _companions(folder: Path) -> list[Path]:
    """What belongs to a checkpoint whatever form its weights have."""
    return sorted({file for pattern in _COMPANIONS for file in folder.glob(pattern) if file.is_file()})


def _compared(folder: str, out: str, given: str | None, tokens: int) -> str:
    """The divergence of the two folders on the given text or their own, in words."""
    from sansi.chat import ChatModel
    from sansi.engine.backends import load_backend
    from sansi.engine.compare import divergence

    with ChatModel.from_pretrained(folder, device="cpu", max_batch=4) as chat:
        texts = _own_texts(chat, folder, tokens) if given is None else [chat.ids_of(given)[:tokens]]
        other, _ = load_backend(out, device="cpu")
        return str(divergence(chat.engine.backend, other, texts))


def _read_text(file: str) -> str:
    try:
        text = Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise SansiError(f"--text {file}: {error.strerror}") from error
    if not text.strip():
        raise SansiError(f"--text {file}: there is no text to compare on")
    return text


def _own_texts(chat: ChatModel, folder: str, tokens: int) -> list[list[int]]:
    """Prompts and sampled answers, `tokens` in all at most: where a model is used, it is compared."""
    from sansi.base.model_card import read_card
    from sansi.engine import SamplingParams

    questions = (read_card(folder).examples_in() or list(_QUESTIONS))[:4]
    each = max(1, tokens // len(questions))
    prompts = [list(chat.codec.render([{"role": "user", "content": q}]).ids) for q in questions]
    params = SamplingParams(seed=0, max_tokens=each, stop_ids=chat.codec.stop_ids)
    completions = chat.engine.generate(prompts, params)
    return [[*prompt, *completion.ids][:each] for prompt, completion in zip(prompts, completions, strict=True)]
