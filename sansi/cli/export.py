"""`sansi export`."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sansi.base.errors import SansiError
from sansi.base.progress import progress_bar, status
from sansi.base.sizes import size_text
from sansi.cli.models import find_local, find_model
from sansi.cli.options import MODEL_HELP, AsJson, Hub
from sansi.cli.plan import tokens_in
from sansi.cli.usage import CommandLineError

if TYPE_CHECKING:
    from sansi.deploy.export import Calibration, Exported, Order, Target
    from sansi.deploy.packages import ModelFacts

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BYTES = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)I?B?", re.IGNORECASE)

To = Annotated[
    str | None,
    typer.Option("--to", "-t", help="gguf, hf, fp8, awq, gptq, compressed-tensors, mlx; ollama, lmstudio; vllm, …."),
]
Out = Annotated[str | None, typer.Option("--out", "-o", help="Folder or file. Default: named after model and kind.")]
Kind = Annotated[
    str | None, typer.Option(help="Of gguf: Q4_K_M, Q8_0, …; hf: bf16, …; mlx: 4bit, 8bit; gptq: int4, ….")
]
Merge = Annotated[
    list[str] | None, typer.Option("--merge", help="A PEFT folder, merged in float32 first; may be given again.")
]
CalibrationText = Annotated[
    str | None, typer.Option("--calibration", help="Text file to weigh inputs by; own: the model's own answers.")
]
CalibrationTokens = Annotated[int, typer.Option(min=64, help="Most tokens of it to read.")]
GroupSize = Annotated[
    int | None, typer.Option(help="Of awq, gptq, compressed-tensors and mlx: inputs that share a scale.")
]
Split = Annotated[str | None, typer.Option(help="The largest file, e.g. 4GB; what is larger becomes several.")]
Context = Annotated[str | None, typer.Option("--context", "-c", help="Of packages and launch lines: tokens, e.g. 32k.")]
Parallel = Annotated[int | None, typer.Option("--tensor-parallel", help="Of launch lines: GPUs that share the model.")]
Report = Annotated[bool, typer.Option(help="Compare with the source; needs the memory of both.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an export that is there.")]


def export(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help=MODEL_HELP)] = None,
    to: To = None,
    out: Out = None,
    kind: Kind = None,
    merge: Merge = None,
    calibration: CalibrationText = None,
    calibration_tokens: CalibrationTokens = 8192,
    group_size: GroupSize = None,
    split: Split = None,
    context: Context = None,
    tensor_parallel: Parallel = None,
    report: Report = True,
    force: Force = False,
    targets: Annotated[bool, typer.Option("--targets", help="List what a model can be exported to.")] = False,
    as_json: AsJson = False,
    hub: Hub = "huggingface",
) -> None:
    """Write a model for another program, with a receipt; or print the line that starts it there.

    Weights: gguf, hf, fp8, awq, gptq, compressed-tensors, mlx. With what the program wants beside them: ollama,
    lmstudio. Launch lines: vllm, sglang, llama-server, mlx-server, ktransformers, openwebui.

    The receipt (sansi_receipt.json, or FILE.receipt.json beside a GGUF file) has the digests of source and export, the
    error of each tensor, and the divergence on fixed prompts in both modes and with a tool.

    Examples:

      sansi export my/checkpoint --to gguf --kind Q4_K_M

      sansi export Qwen/Qwen3-0.6B --to ollama -o qwen3-ollama

      sansi export my/checkpoint --to gptq --calibration own

      sansi export Qwen/Qwen3-4B --merge my/adapter --to hf

      sansi export Qwen/Qwen3-30B-A3B-FP8 --to vllm --context 32k --tensor-parallel 2

    Sansi opens all of them again: sansi serve OUT.
    """
    from sansi.deploy.export import Order, check_out, default_out, kind_of, target_of

    if targets:
        _list(as_json)
        return
    if model is None or to is None:
        raise CommandLineError("say what and to what: sansi export MODEL --to gguf; --targets lists what there is")
    target, tokens = target_of(to), tokens_in(context) if context else None
    replaced, uncompared = force or None, None if report else True
    given: dict[str, object] = {
        "--kind": kind,
        "--calibration": calibration,
        "--split": split,
        "--context": context,
        "--group-size": group_size,
    }
    given |= {"--merge": merge, "--tensor-parallel": tensor_parallel, "--force": replaced, "--no-report": uncompared}
    _refuse_ignored(target, given)
    if target.form == "launch":
        _launch(target, model, hub, out, tokens, tensor_parallel or 1, as_json)
        return
    chosen, split_bytes = kind_of(target, kind), _bytes_in(split) if split else None
    # Before the wait for a download: what is compared has to fit in full, what is not passes through piece by piece.
    found = find_model(model, hub, device="cpu", quantize=None if report else "int4")
    order = Order(
        Path(found.folder),
        found.name,
        target,
        chosen,
        Path(out).expanduser() if out else default_out(target, found.name, chosen),
        base_model="" if find_local(model) else model.partition("@")[0],
        merge=tuple(merge or ()),
        split_bytes=split_bytes,
        group_size=group_size,
        context=tokens,
        overwrite=force,
        compared=report,
    )
    check_out(order)  # and before the text is read, which may take minutes
    text = _text(order, calibration, calibration_tokens)
    _tell(_exported(dataclasses.replace(order, calibration=text)), as_json)


def _refuse_ignored(target: Target, given: Mapping[str, object]) -> None:
    """No option is ignored."""
    launched, written = {"--context", "--tensor-parallel"}, {"--kind", "--merge", "--force", "--no-report"}
    known = launched if target.form == "launch" else written
    known |= {"--context"} if target.form == "package" else set()
    known |= {"--group-size"} if target.grouped else set()
    known |= {"--split"} if target.form != "launch" else set()
    known |= {"--calibration"} if target.calibration != "never" else set()
    if names := [name for name, value in given.items() if value is not None and name not in known]:
        raise CommandLineError(f"{' and '.join(names)}: nothing that {target.name} knows; leave it out")


def _text(order: Order, calibration: str | None, most: int) -> Calibration | None:
    """What is read for the rounding: what the user gave, the model's own answers where it needs a text, or nothing."""
    from sansi.deploy.export import OWN, read_calibration

    if calibration is None and order.target.calibration != "needed":
        return None
    with status(f"reading {calibration or 'its own answers'}"):
        return read_calibration(calibration or OWN, order.folder, most, order.merge)


def _list(as_json: bool) -> None:
    from sansi.deploy.export import TARGETS

    if as_json:
        typer.echo(
            json.dumps({t.name: {"form": t.form, "kinds": list(t.kinds), "help": t.help} for t in TARGETS.values()})
        )
        return
    for target in TARGETS.values():
        kinds = f" ({', '.join(target.kinds)})" if len(target.kinds) > 1 else ""
        typer.echo(f"{target.name.ljust(20)}{target.form.ljust(10)}{target.help}{kinds}")


def _launch(
    target: Target, model: str, hub: str, out: str | None, context: int | None, parallel: int, as_json: bool
) -> None:
    from sansi.deploy.packages import launch_for

    launch = launch_for(target.name, _facts(model, hub, context, parallel))
    text = str(launch)
    if as_json:
        told = {"runtime": launch.runtime, "version": launch.version, "command": launch.command}
        text = json.dumps({**told, "environment": dict(launch.environment), "notes": launch.notes}, indent=2) + "\n"
    if out is None:
        typer.echo(text, nl=False)
        return
    from sansi.base.files import write_text

    if Path(out).exists():
        raise SansiError(f"{out} is there already; give another name")
    write_text(Path(out), text)
    typer.echo(f"{out}: how {launch.runtime} {launch.version} is started")


def _facts(model: str, hub: str, context: int | None, parallel: int) -> ModelFacts:
    """What a launch line says of a model: of one on a hub only the configuration is fetched."""
    from sansi.cli.info import subject_of
    from sansi.deploy.packages import ModelFacts, facts_of
    from sansi.model.formats.files import gguf_of
    from sansi.model.presets import preset_of

    said: dict[str, Any] = {"context": context, "tensor_parallel": parallel}
    found = find_local(model)
    if found is None:
        preset = preset_of(model)
        subject = subject_of(model, hub)
        place = f"Qwen/{preset}" if preset and preset != "nano" else model.partition("@")[0]
        name = place.rpartition("/")[2]
        method = subject.dtype if subject.dtype in ("fp8", "awq", "gptq", "compressed-tensors", "mlx") else None
        return ModelFacts(name, place, subject.stored.config, quantisation=method, licence=subject.licence, **said)
    facts = facts_of(found.folder, found.name, **said)
    file = gguf_of(Path(found.folder))
    return dataclasses.replace(facts, path=str(file)) if file else facts


def _exported(order: Order) -> Exported:
    """With a bar."""
    from sansi.deploy.export import export

    done = 0
    with progress_bar(f"writing {order.out.name}", _expected(order), unit="bytes", lines=False) as bar:

        def moved(count: int) -> None:
            nonlocal done
            bar.update(count - done)
            done = count

        return export(order, lambda note: typer.echo(note, err=True), moved)


def _expected(order: Order) -> int:
    """Bytes, as nearly as the kind tells: the bar is done a little early or late."""
    from sansi.model.formats.folders import read_config

    bits = {"F32": 32.0, "fp32": 32.0, "F16": 16.0, "BF16": 16.0, "bf16": 16.0, "fp16": 16.0, "Q8_0": 8.5, "Q6_K": 6.6}
    bits |= {"8bit": 8.5, "int8": 8.5, "fp8": 8.1, "Q5_K_M": 5.7}
    return int(read_config(order.folder).num_parameters() * bits.get(order.kind, 4.9) / 8)


def _tell(made: Exported, as_json: bool) -> None:
    receipt = made.receipt
    if as_json:
        facts = {"path": str(made.path), "files": [str(file) for file in made.files]}
        typer.echo(json.dumps(facts | {"receipt": receipt.to_dict(), "notes": made.notes}, indent=2))
        return
    size = sum(entry["bytes"] for entry in receipt.files.values())
    typer.echo(f"{made.path}: {receipt.format}, {size_text(size)}, {receipt.bits:.2f} bits a weight")
    worst = max(receipt.tensors, key=lambda tensor: tensor["error"], default=None)
    if worst and worst["error"]:
        typer.echo(f"largest error of a tensor: {worst['error']:.2%} ({worst['name']}, {worst['kind']})")
    for name, report in receipt.divergence.items():
        same = f"same first choice {report.same_top:.2%} of {report.tokens:,} tokens"
        typer.echo(f"{name.replace('_', '-').ljust(13)} KL {report.mean:.5f} nats, {same}")
    typer.echo(f"receipt: {made.files[-1]}")
    for note in made.notes:
        typer.echo(note)


def _bytes_in(text: str) -> int:
    """ "4GB" is 4·10⁹, as disks are sold. Raises CommandLineError for what is no size."""
    match = _BYTES.fullmatch(text.strip())
    if match is None or not float(match[1]):
        raise CommandLineError(f'--split "{text}" is no size; write 4GB')
    return int(float(match[1]) * _UNITS[match[2].upper()])
