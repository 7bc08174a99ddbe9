"""Exports weights, and what a program wants beside them, with a receipt."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sansi import __version__
from sansi.base.errors import SansiError
from sansi.base.files import check_place, make_folder, mark, write_text
from sansi.deploy.export.calibration import Calibration
from sansi.deploy.export.proof import compare
from sansi.deploy.export.reference import chat_of, model_of, source_of
from sansi.deploy.export.targets import Target
from sansi.deploy.packages import facts_of
from sansi.deploy.packages.lmstudio import model_yaml
from sansi.deploy.packages.ollama import modelfile
from sansi.deploy.receipt import Divergence, Receipt, digests_of, receipt_path, write_receipt
from sansi.model.adapters import Merged, erasure
from sansi.model.bundle import ModelBundle
from sansi.model.formats.files import gguf_of, weight_names
from sansi.model.formats.gguf.file import split_files
from sansi.model.formats.gguf.write import write_gguf
from sansi.model.formats.importance import measure_importance
from sansi.model.formats.source import WeightSource, open_source
from sansi.model.formats.writers import write_folder
from sansi.model.hub.repository import licence_of
from sansi.text.foreign import templates_in

Told = Callable[[str], None]
GGUF_METADATA = "sansi.receipt"
"""The entry of a GGUF file with what is known of it before its data are: source, template, calibration."""
FOUR_BITS = ("Q4_0", "Q4_K_M", "4bit", "int4")
EIGHT_BITS = ("Q8_0", "8bit", "int8", "fp8")
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")


@dataclass(frozen=True)
class Order:
    """What is to be exported, how, and where to."""

    folder: Path
    """Of the model."""
    name: str
    target: Target
    kind: str
    out: Path
    """A folder, or a file that ends in .gguf."""
    base_model: str = ""
    """Its name on a hub; empty: `name`."""
    merge: tuple[str, ...] = ()
    """PEFT folders, merged one after the other."""
    calibration: Calibration | None = None
    split_bytes: int | None = None
    """The largest file."""
    group_size: int | None = None
    """Inputs that share a scale; None: the format's usual."""
    context: int | None = None
    """Tokens that a package asks its program for."""
    publisher: str = "local"
    """Of an LM Studio package."""
    overwrite: bool = False
    compared: bool = True
    """Whether the export is opened and compared with its source: the memory of both."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    path: Path
    files: tuple[Path, ...]
    receipt: Receipt
    notes: tuple[str, ...] = field(default=())
    """What the user has to know of it."""


@dataclass(frozen=True)
class _Written:
    files: tuple[Path, ...]
    opened: Path
    """What Sansi opens of it."""
    format: str
    bits: float
    tensors: tuple[Any, ...]
    coverage: Mapping[str, int] = field(default_factory=dict)


def default_out(target: Target, name: str, kind: str) -> Path:
    """Where an export goes unless the user says: beside him, named after model and kind."""
    suffix = {"hf": kind, "fp8": "FP8", "awq": "AWQ", "mlx": f"MLX-{kind}"}.get(target.name)
    if target.name == "gguf":
        return Path(f"{name}-{kind}.gguf")
    if suffix is None:
        label = {"gptq": "GPTQ", "compressed-tensors": "CT"}.get(target.name)
        suffix = f"{label}-{kind.capitalize()}" if label else target.name
    return Path(f"{name}-{suffix}")


def export(order: Order, told: Told = lambda note: None, progress: Callable[[int], None] | None = None) -> Exported:
    """Write what `order` says, whole or not at all, and its receipt.

    told: gets a line on each thing that a user has to know while it happens. progress: gets the bytes written so far.
    Raises SansiError for what is there already, a full disk, weights or a model that the target can not hold.
    """
    check_out(order)
    if order.target.calibration == "needed" and order.calibration is None:
        raise SansiError(f"{order.target.name} rounds by a text; give one with --calibration FILE, or own")
    source = source_of(order.folder, order.merge)
    if source.format.name not in ("bf16", "fp16", "fp32"):
        told(f"{order.name} is in {source.format.name} already: what its rounding lost stays lost, and this adds to it")
    bundle = ModelBundle.from_folder(order.folder).without(["README.md"])
    before = _before(order, source)
    written = _write(order, source, bundle, before, progress)
    receipt_path(order.out).unlink(missing_ok=True)  # that of an older export, until this one has been compared
    divergence = _compared(order, source, written.opened, told) if order.compared else {}
    receipt = Receipt(
        **before,
        format=written.format,
        bits=round(written.bits, 4),
        files=digests_of(written.files),
        tensors=tuple({"name": t.name, "kind": t.kind, "error": float(f"{t.error:.4g}")} for t in written.tensors),
        coverage=dict(written.coverage),
        divergence=divergence,
    )
    path = write_receipt(order.out, receipt)
    if order.out.is_dir():
        mark(order.out, [path.name])
    return Exported(order.out, (*written.files, path), receipt, _notes(order, receipt))


def _compared(order: Order, source: WeightSource, opened: Path, told: Told) -> dict[str, Divergence]:
    """What can not be compared is written all the same."""
    try:
        with chat_of(order.folder, source) as chat:
            return compare(chat, opened, told)
    except SansiError as error:
        told(f"not compared with its source: {error}")
        return {}


def check_out(order: Order) -> None:
    """Raise SansiError, before any work, where something is in the way of `order.out`."""
    is_file = order.target.name == "gguf"
    if is_file != (order.out.suffix.lower() == ".gguf"):
        wanted = "a file; let its name end in .gguf" if is_file else "a folder, and its name can not end in .gguf"
        raise SansiError(f"-o {order.out}: {order.target.name} is {wanted}")
    if _is_source(order):
        raise SansiError(f"-o {order.out} is the model itself; give another {'file' if is_file else 'folder'}")
    if is_file:
        return
    check_place(order.out)
    if order.out.is_dir() and any(order.out.iterdir()) and not order.overwrite:
        raise SansiError(f"{order.out} is there already, with files in it; give another folder, or --force")


def _is_source(order: Order) -> bool:
    """Whether the export would take the place of what it is made of: of a GGUF file, its parts or its receipt."""
    file = gguf_of(order.folder)
    if file and order.target.name == "gguf":
        return receipt_path(order.out.resolve()) == receipt_path(file.resolve())
    return order.out.resolve() == order.folder.resolve()


def _before(order: Order, source: WeightSource) -> dict[str, Any]:
    """What the receipt says that is known before the work."""
    return {
        "model": order.name,
        "base_model": order.base_model or order.name,
        "source": digests_of(_sources(order.folder)),
        "source_format": source.format.name,
        "licence": licence_of(order.folder),
        "template_sha256": _template(order.folder),
        "calibration": order.calibration.to_dict() if order.calibration else None,
        "merged": _merged(order, source),
    }


def _merged(order: Order, source: WeightSource) -> dict[str, Any] | None:
    """The adapters, how many tensors they changed, and what few bits leave of that."""
    if not isinstance(source, Merged):
        return None
    bits = 4 if order.kind in FOUR_BITS else 8 if order.kind in EIGHT_BITS else None
    lost = erasure(open_source(order.folder), source, f"int{bits}") if bits else None
    files = [file for folder in order.merge for file in sorted(Path(folder).iterdir()) if file.name in ADAPTER_FILES]
    told = {"erased": round(lost.erased, 4), "noise": round(lost.noise, 4), "kind": lost.kind} if lost else None
    digests = {f"{file.parent.name}/{file.name}": digest for file in files for digest in digests_of([file]).values()}
    return {"adapters": digests, "changed": len(source.changed), "erasure": told}


def _sources(folder: Path) -> list[Path]:
    """The files with the weights, and config.json where it is the model's own."""
    if file := gguf_of(folder):
        return split_files(file)
    return [folder / name for name in (*weight_names(folder), "config.json")]


def _template(folder: Path) -> str | None:
    """The digest of the chat template, wherever it stands."""
    try:
        text = templates_in(folder).get("default")
    except SansiError:  # a damaged one is told by whoever needs it
        return None
    return hashlib.sha256(text.encode()).hexdigest() if text else None


def _write(
    order: Order, source: WeightSource, bundle: ModelBundle, before: Mapping[str, Any], progress: Any
) -> _Written:
    if order.target.name == "gguf":
        return _gguf(order, order.out, source, bundle, before, progress)
    if order.target.form == "package":
        return _package(order, source, bundle, before, progress)
    return _folder(order, source, bundle, progress)


def _folder(order: Order, source: WeightSource, bundle: ModelBundle, progress: Any) -> _Written:
    name = order.target.name
    given = {"shard_bytes": order.split_bytes, "group_size": order.group_size}
    chosen = {key: value for key, value in given.items() if value is not None}
    made = write_folder(
        source,
        order.out,
        name,
        bundle,
        calibration=order.calibration.batches if order.calibration else None,
        options={**order.target.kinds[order.kind], **chosen},
        overwrite=order.overwrite,
        progress=progress,
    )
    files = tuple(made.folder / file for file in (*weight_names(made.folder), "config.json"))
    kind = "" if order.kind in (name, "int4") and name != "gptq" else f" {order.kind}"
    return _Written(files, made.folder, f"{name}{kind}", made.bits, made.tensors, made.coverage)


def _gguf(
    order: Order, file: Path, source: WeightSource, bundle: ModelBundle, before: Mapping[str, Any], progress: Any
) -> _Written:
    importance = None
    if order.calibration:
        importance = measure_importance(model_of(order.folder, source), order.calibration.batches)
    licence = before["licence"]
    extra = {
        GGUF_METADATA: json.dumps({**before, "kind": order.kind, "sansi": __version__}, sort_keys=True),
        "general.quantized_by": f"Sansi {__version__}",
        **_base(before["base_model"]),
        **({"general.license": licence} if licence else {}),
    }
    made = write_gguf(
        source,
        file,
        order.kind,
        bundle,
        importance,
        name=order.name,
        split_bytes=order.split_bytes,
        overwrite=order.overwrite,
        extra=extra,
        progress=progress,
    )
    coverage = importance.visits if importance else {}
    return _Written(made.files, made.files[0], f"gguf {made.kind}", made.bits, made.tensors, coverage)


def _base(name: str) -> dict[str, Any]:
    """Which model a GGUF file was made of, as the format's own entries say it."""
    owner, slash, model = name.partition("/")
    values: dict[str, Any] = {"general.base_model.0.name": model if slash else name}
    if slash and model and "/" not in model:
        address = f"https://huggingface.co/{name}"
        values |= {"general.base_model.0.organization": owner, "general.base_model.0.repo_url": address}
    return values


def _package(
    order: Order, source: WeightSource, bundle: ModelBundle, before: Mapping[str, Any], progress: Any
) -> _Written:
    """A folder with a GGUF file and the text beside it."""
    facts = facts_of(order.folder, order.name, context=order.context, licence=before["licence"])
    folder = make_folder(order.out)
    made = _gguf(order, folder / f"{order.name}-{order.kind}.gguf", source, bundle, before, progress)
    weights = made.files[0]
    if order.target.name == "ollama":
        beside, text = folder / "Modelfile", modelfile(facts, f"./{weights.name}")
    else:
        size = sum(file.stat().st_size for file in made.files)
        beside, text = folder / "model.yaml", model_yaml(facts, order.publisher, size)
    write_text(beside, text)
    return _Written((*made.files, beside), weights, made.format, made.bits, made.tensors, made.coverage)


def _notes(order: Order, receipt: Receipt) -> tuple[str, ...]:
    unseen = [expert for expert, tokens in receipt.coverage.items() if tokens == 0]
    notes = []
    if order.merge and receipt.merged:
        lost = receipt.merged["erasure"]
        told = f"; {lost['kind']} erases {lost['erased']:.0%} of their change" if lost else ""
        notes.append(f"{receipt.merged['changed']} tensors have the adapters merged in{told}")
    if unseen:
        some = ", ".join(unseen[:3]) + (", …" if len(unseen) > 3 else "")
        count = f"{len(unseen)} of {len(receipt.coverage)} experts"
        notes.append(f"no token of the calibration text went to {count} ({some}); take a longer or more varied text")
    return (*notes, *_next(order))


def _next(order: Order) -> tuple[str, ...]:
    """What to do with it."""
    out, lower = order.out, order.name.lower()
    if order.target.name == "ollama":
        return (f"then: cd {out} && ollama create {lower} -f Modelfile && ollama run {lower}",)
    if order.target.name == "lmstudio":
        place = f"~/.lmstudio/models/{order.publisher}/{order.name}"
        return (f"then: copy {out} to {place}; LM Studio lists it, with a switch for thinking",)
    if order.target.name == "mlx":
        return (f"then: mlx_lm.server --model {out}, on a Mac; or here: sansi serve {out}",)
    if order.target.name == "gguf":
        return (f"then: sansi serve {out}, or llama-server --model {out} --jinja",)
    return (f"then: sansi serve {out}, or sansi export {out} --to vllm for its launch line",)
