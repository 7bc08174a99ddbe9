"""`sansi quantize`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sansi.base.errors import SansiError
from sansi.base.progress import status
from sansi.base.sizes import size_text
from sansi.cli.models import Found, find_model
from sansi.cli.options import Hub, Model

if TYPE_CHECKING:
    from sansi.chat import ChatModel
    from sansi.model.quantize import KLReport, QuantizedWeights


def quantize(
    model: Model,
    out: Annotated[str, typer.Argument(metavar="OUT", help="Folder to write.")],
    kind: Annotated[str, typer.Option(help="int4 or int8.")] = "int4",
    outer: Annotated[str | None, typer.Option(help="The same for embedding and LM head. Default: int8.")] = None,
    text: Annotated[
        str | None, typer.Option(help="File to compare the two on; default: what the model answers to its examples.")
    ] = None,
    tokens: Annotated[int, typer.Option(min=1, help="Most tokens to compare on.")] = 1024,
    report: Annotated[bool, typer.Option(help="Compare; needs the memory and the time of the full model.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace quantised weights that are in OUT.")] = False,
    hub: Hub = "huggingface",
) -> None:
    """Write a model with smaller weights, for the CPU, and say what that costs.

    Examples:

      sansi quantize my/checkpoint my/checkpoint-int4

      sansi quantize Qwen/Qwen3-0.6B qwen3-0.6b-int8 --kind int8 --text book.txt

    Then: sansi serve my/checkpoint-int4. It takes a fraction of the memory, loads faster, and answers faster.
    """
    from sansi.model.bundle import ModelBundle
    from sansi.model.formats.files import stored_bytes
    from sansi.model.formats.quantized import DEFAULT_OUTER
    from sansi.model.formats.target import check_target
    from sansi.model.quantize import check_kinds
    from sansi.model.quantize import quantize as quantised

    check_kinds(kind, outer or DEFAULT_OUTER)
    check_target(Path(out), ModelBundle(), quantised=True)
    _check_free(out, force)
    given = None if text is None else _read_text(text)
    # Before the wait for a download: the rounded weights have to fit, and for a report the full ones beside them.
    found = find_model(model, hub, device="cpu", quantize=None if report else kind)
    with status(f"rounding {found.name} to {kind}"):
        weights = quantised(found.folder, kind, outer)
        bundle = ModelBundle.from_folder(found.folder).without(["README.md"])  # its card is written anew
        weights.save(out, bundle)
    full, small = stored_bytes(found.folder), stored_bytes(out)
    bits = f"{weights.bits_per_weight:.2f} bits a weight"
    typer.echo(f"{out}: {weights.kind}, {size_text(small)} in the place of {size_text(full)}, {bits}")
    compared = None
    if report:
        source = "its own answers" if text is None else text
        with status("comparing the two"):
            compared = _compared(found.folder, out, given, tokens)
        typer.echo(f"{compared.judgement}: {compared} of {source}")
    _write_card(out, found, weights, compared)


_QUESTIONS = ("How much is 17 times 23?", "Why is the sky blue?", "Write a short poem about a river.")
FULL_CARD = "FULL_MODEL.md"


def _check_free(out: str, force: bool) -> None:
    if not force and (Path(out) / "config.json").is_file():
        raise SansiError(f"{out} holds quantised weights already; give another folder, or --force to replace them")


def _write_card(out: str, found: Found, weights: QuantizedWeights, compared: KLReport | None) -> None:
    """A card that says what this folder is; what is said of the full model goes with it as a file of its own."""
    from sansi.base.files import updated_folder, write_text
    from sansi.base.marker import others_files
    from sansi.model.hub.repository import licence_of

    source, folder = Path(found.folder) / "README.md", Path(out)
    if "README.md" in others_files(folder):
        typer.echo(
            f"{folder / 'README.md'} was written by somebody else and is kept: look whether it still holds", err=True
        )
        return
    licence = licence_of(Path(found.folder))
    stated = [f"license: {licence}"] if licence else []
    front = [*stated, f"base_model: {found.name}", f"tags: [sansi, {weights.kind}]"]
    cost = "Not compared with the full model."
    if compared is not None:
        cost = f"Beside the full model: {compared.judgement} ({compared})."
    lines = [
        *("---", *front, "---"),
        f"# {found.name}, {weights.kind}",
        "",
        f"The weights of {found.name}, rounded by Sansi: {weights.kind} in groups of 32 inputs with a scale each, "
        f"embedding and LM head {weights.outer}; {weights.bits_per_weight:.2f} bits a weight.",
        "",
        cost,
        "",
        f"    sansi serve {folder.resolve().name}",
        "",
        "For inference with Sansi, on the CPU. Other programs refuse this folder, and training needs the full model.",
    ]
    with updated_folder(folder) as draft:
        if source.is_file():
            write_text(draft / FULL_CARD, source.read_text(encoding="utf-8", errors="replace"))
            told = "its numbers are those of the full weights."
            lines += ["", f"What is said of the full model is in {FULL_CARD}; {told}"]
        write_text(draft / "README.md", "\n".join(lines) + "\n")


def _compared(folder: str, out: str, given: str | None, tokens: int) -> KLReport:
    """The divergence of the two folders on the given text or their own."""
    from sansi.chat import ChatModel
    from sansi.engine.backends import load_backend
    from sansi.engine.compare import divergence

    with ChatModel.from_pretrained(folder, device="cpu", max_batch=4) as chat:
        texts = _own_texts(chat, folder, tokens) if given is None else [chat.ids_of(given)[:tokens]]
        other, _ = load_backend(out, device="cpu")
        return divergence(chat.engine.backend, other, texts)


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
    from sansi.deploy.export.reference import answered
    from sansi.engine import SamplingParams

    questions = (read_card(folder).examples_in() or list(_QUESTIONS))[:4]
    each = max(1, tokens // len(questions))
    prompts = [list(chat.codec.render([{"role": "user", "content": q}]).ids) for q in questions]
    params = SamplingParams(seed=0, max_tokens=each, stop_ids=chat.codec.stop_ids)
    return [ids[:each] for ids in answered(chat, prompts, params)]
