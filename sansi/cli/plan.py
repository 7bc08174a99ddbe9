"""`sansi plan`."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import TYPE_CHECKING, Annotated

import typer

from sansi.base.errors import SansiError
from sansi.cli.info import subject_of
from sansi.cli.options import AsJson, Hub

if TYPE_CHECKING:
    from sansi.deploy.plan import Ask
    from sansi.model import ModelConfig

TRAINING = ("train", "lora", "rl")
PURPOSES = ("serve", *TRAINING)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kKmM]?)")


def tokens_in(text: str) -> int:
    """ "32k" is 32,768, as contexts are counted. Raises SansiError for what is no number."""
    match = _SIZE.fullmatch(text.strip().replace(",", ""))
    if match is None:
        raise SansiError(f'"{text}" is no number of tokens; write 8192 or 32k')
    return int(float(match[1]) * {"": 1, "k": 1024, "m": 1024**2}[match[2].lower()])


Model = Annotated[
    str | None, typer.Argument(metavar="MODEL", help="A folder, a published shape such as Qwen3-32B, or OWNER/NAME.")
]
Gpu = Annotated[
    str, typer.Option("--gpu", "-g", help="A device (--devices lists them), or here: this machine, measured.")
]
Count = Annotated[int, typer.Option("--count", "-n", help="How many of them.")]
Dtype = Annotated[
    str | None, typer.Option("--dtype", "-d", help="Format: bf16, fp8, awq, gptq-int4, q4_k_m, mlx-4bit, int4, ….")
]
Context = Annotated[
    str | None,
    typer.Option(
        "--context", "-c", help="Tokens of a request, prompt and answer: 8192 or 32k. Default: 8k, or all that fit."
    ),
]
Output = Annotated[
    str | None, typer.Option("--output", "-o", help="Of these, tokens of the answer. Default: 1k, or half.")
]
Concurrency = Annotated[int, typer.Option(help="Requests at once.")]
EngineName = Annotated[str | None, typer.Option("--engine", help="vllm, sglang or trtllm on server GPUs.")]
Price = Annotated[
    float | None, typer.Option(help="Of one device for an hour; then the cost of a million tokens is told.")
]
Purpose = Annotated[str, typer.Option("--for", help="serve, train, lora or rl (reinforcement learning).")]


def plan(
    model: Model = None,
    gpu: Gpu = "here",
    count: Count = 1,
    dtype: Dtype = None,
    context: Context = None,
    output: Output = None,
    concurrency: Concurrency = 1,
    engine: EngineName = None,
    price: Price = None,
    purpose: Purpose = "serve",
    devices: Annotated[bool, typer.Option("--devices", help="List the devices, and where MODEL fits.")] = False,
    as_json: AsJson = False,
    hub: Hub = "huggingface",
) -> None:
    """Will it run there, how is it split, how fast, and what does it cost? Reads the model's configuration only.

    Each figure comes with its error: the published measurements that are nearest, and what this plan says of them.

    Examples:

      sansi plan Qwen3-235B-A22B --gpu h20 --count 4 --dtype fp8

      sansi plan Qwen3-32B --gpu h100 --count 2 --context 32k --concurrency 16 --price 2.5

      sansi plan Qwen3-30B-A3B --gpu m4-max --dtype mlx-4bit

      sansi plan Qwen3-8B --devices --dtype q4_k_m

      sansi plan Qwen3-8B --gpu h100 --for lora

    Exit code 1 where it does not fit.
    """
    from sansi.deploy.plan import Ask

    if purpose not in PURPOSES:
        raise SansiError(f'--for "{purpose}" is unknown; known: {", ".join(PURPOSES)}')
    name, config = _shape(model, hub, devices)
    length = tokens_in(context) if context else _usual(config)
    answer = tokens_in(output) if output else min(1024, length // 2)
    chosen = dtype or ("int8" if gpu == "here" and purpose == "serve" else "bf16")
    ask = Ask(gpu, count, chosen, length, answer, concurrency, engine, price)
    if devices:
        _list_devices(name, config, ask, as_json)
    elif purpose in TRAINING:
        _training(name, config, ask, purpose, as_json)
    else:
        _serving(name, config, ask, as_json)


def _usual(config: ModelConfig | None) -> int:
    """8,192 tokens, or as many as a shorter model has positions for."""
    return min(8192, config.max_position_embeddings) if config else 8192


def _shape(model: str | None, hub: str, devices: bool) -> tuple[str, ModelConfig | None]:
    if model is None and not devices:
        raise SansiError("name a model: sansi plan Qwen3-8B --gpu h100; --devices lists devices")
    if model is None:
        return "", None
    subject = subject_of(model, hub)
    return subject.name, subject.stored.config


def _serving(name: str, config: ModelConfig | None, ask: Ask, as_json: bool) -> None:
    from sansi.deploy.plan import make_plan
    from sansi.deploy.plan.report import as_dict, described

    assert config is not None
    made = make_plan(config, ask, name)
    typer.echo(json.dumps(as_dict(made), indent=2) if as_json else described(made))
    if not made.fits:
        raise typer.Exit(1)


def _training(name: str, config: ModelConfig | None, ask: Ask, purpose: str, as_json: bool) -> None:
    from sansi.deploy.plan.plan import device_of
    from sansi.deploy.plan.training import training_memory

    assert config is not None
    device = device_of(ask.gpu)
    needed = training_memory(config, device, ask.count, purpose, tokens=ask.context)
    if as_json:
        typer.echo(json.dumps({**dataclasses.asdict(needed), "total": needed.total, "fits": needed.fits}, indent=2))
    else:
        verdict = "fits" if needed.fits else "does not fit"
        typer.echo(f"{name}, {purpose}, on {ask.count} x {device.title}: {verdict}\n  {needed}")
        typer.echo(
            f"  with gradient checkpointing, {ask.context:,} tokens a micro-batch, states sharded over all devices"
        )
    if not needed.fits:
        raise typer.Exit(1)


def _list_devices(name: str, config: ModelConfig | None, ask: Ask, as_json: bool) -> None:
    from sansi.base.sizes import size_text
    from sansi.deploy.plan import DEVICES
    from sansi.deploy.plan.plan import devices_that_fit

    fits = devices_that_fit(config, ask) if config is not None else {}
    if as_json:
        typer.echo(
            json.dumps([{**dataclasses.asdict(d), "fits": fits.get(d.name)} for d in DEVICES.values()], indent=2)
        )
        return
    if config is not None:
        typer.echo(f"{name} in {ask.dtype}, {ask.concurrency} x {ask.context:,} tokens, on {ask.count} of each:")
    for device in DEVICES.values():
        fit = "" if config is None else "fits      " if fits[device.name] else "too large "
        rates = f"{device.bandwidth:>6,.4g} GB/s  {device.tflops:>5,.4g} TFLOPS"
        typer.echo(f"  {device.name:<14}{fit}{size_text(device.memory):>10}  {rates}  {device.title}")
