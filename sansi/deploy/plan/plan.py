"""The plan: does it fit, how is it split, how fast is it, what does it cost."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sansi.base.config import Config
from sansi.base.errors import SansiError
from sansi.deploy.plan.devices import DEVICES, Device, device_called
from sansi.deploy.plan.estimate import Estimate, estimate
from sansi.deploy.plan.memory import Memory, serving_memory
from sansi.deploy.plan.precision import PRECISIONS, Precision, legal_splits, precision_called, why_not_split
from sansi.deploy.plan.speed import Load
from sansi.deploy.plan.work import Work
from sansi.model.config import ModelConfig

MOST_DEVICES = 64
"""That are looked at for advice."""
ENGINES = ("vllm", "sglang", "trtllm", "llama.cpp", "mlx", "sansi")


@dataclass(frozen=True)
class Ask(Config):
    """What is to be run on what."""

    gpu: str = "here"
    """A device of `DEVICES`, or this machine."""
    count: int = 1
    """Devices."""
    dtype: str = "bf16"
    """Format of the weights."""
    context: int = 8192
    """Tokens of each request, prompt and answer."""
    output: int = 1024
    """Of these, tokens of the answer, thoughts included."""
    concurrency: int = 1
    """Requests at once."""
    engine: str | None = None
    """Default: the usual one of the device."""
    price: float | None = None
    """Of one device for an hour, in any currency."""

    def problems(self) -> list[str]:
        sizes = ("count", "context", "output", "concurrency")
        found = [f'"{name}" must be 1 or more, not {getattr(self, name)}' for name in sizes if getattr(self, name) < 1]
        if self.output >= self.context and not found:
            found.append(f'"output" ({self.output:,}) must leave room for a prompt in "context" ({self.context:,})')
        if self.price is not None and not self.price >= 0:
            found.append(f'"price" must be 0 or more, not {self.price}')
        if self.engine is not None and self.engine not in ENGINES:
            found.append(f'"engine" is {self.engine!r}; known: {", ".join(ENGINES)}')
        return found


@dataclass(frozen=True)
class Layout:
    """How devices share a model."""

    tp: int
    """Tensor parallel: each holds a part of every matrix."""
    pp: int = 1
    """Pipeline parallel: each holds some of the layers."""
    replicas: int = 1
    expert_parallel: bool = False
    """The experts are dealt out whole over the same devices, where their width can not be split."""

    @property
    def devices(self) -> int:
        """Of one replica."""
        return self.tp * self.pp

    def __str__(self) -> str:
        words = [f"{self.replicas} replicas of" if self.replicas > 1 else ""]
        words += [f"TP {self.tp}"] + ([f"PP {self.pp}"] if self.pp > 1 else [])
        words += ["with expert parallel (EP)" if self.expert_parallel else ""]
        return " ".join(word for word in words if word)


@dataclass(frozen=True)
class Plan:
    """Everything that was worked out."""

    model: str
    ask: Ask
    device: Device
    precision: Precision
    layout: Layout
    memory: Memory
    speed: Estimate | None
    """None where it does not fit."""
    legal_splits: tuple[int, ...]
    warnings: tuple[str, ...]
    advice: tuple[str, ...]
    """What to change so that it fits; empty where it does."""

    @property
    def fits(self) -> bool:
        return self.memory.fits and not any(w.startswith("does not run") for w in self.warnings)

    @property
    def tokens_per_second(self) -> float | None:
        """Answers' tokens of all requests and replicas together."""
        if self.speed is None:
            return None
        each = self.ask.output / self.speed.request_seconds(self.ask.output)
        return each * self.ask.concurrency

    @property
    def cost_per_million(self) -> float | None:
        """Of a million tokens of answers, at `ask.price` for each device and hour."""
        if self.ask.price is None or not self.tokens_per_second:
            return None
        return self.ask.price * self.ask.count / (self.tokens_per_second * 3600) * 1e6


def make_plan(config: ModelConfig, ask: Ask, model: str = "model", device: Device | None = None) -> Plan:
    """The plan for a model of this shape. device: in the place of the one that `ask` names.

    Raises SansiError for a device or format that is unknown, and for a context beyond the model's.
    """
    device = device or device_of(ask.gpu)
    precision = precision_called(ask.dtype)
    most = _longest(config)
    if ask.context > most:
        raise SansiError(
            f"a context of {ask.context:,} tokens is more than {model} has positions for ({most:,} with YaRN)",
            param="context",
        )
    work = Work(config, precision)
    layout = _layout(work, device, ask)
    memory = _memory(work, device, ask, layout)
    warnings = tuple(_warnings(config, precision, device, layout, ask))
    runs = memory.fits and not any(w.startswith("does not run") for w in warnings)
    engine = ask.engine or ("vllm" if device.kind == "server" else "llama.cpp")
    load = Load(ask.context - ask.output, ask.output, _share(ask, layout), layout.tp, engine)
    return Plan(
        model,
        ask,
        device,
        precision,
        layout,
        memory,
        estimate(work, device, load) if runs else None,
        tuple(legal_splits(config, precision)),
        warnings,
        () if memory.fits else tuple(_advice(config, ask, device, precision)),
    )


def device_of(name: str) -> Device:
    """This machine for "here", else the device of that name. Raises SansiError with the nearest."""
    if name != "here":
        return device_called(name)
    from sansi.deploy.plan.here import here

    return here()


YARN = 4.0
"""Qwen3 is published for 131,072 tokens: its 32,768 times four."""


def _longest(config: ModelConfig) -> int:
    return max(config.context_length, int(32_768 * YARN) if config.max_position_embeddings >= 32_768 else 0)


def _layout(work: Work, device: Device, ask: Ask) -> Layout:
    """The smallest split that fits, with as many replicas as requests can use; pipelines only where nothing else fits.

    Where nothing fits at all, the split over most devices, so that what is missing can be said.
    """
    every = _layouts(work, ask.count)
    found = [layout for layout in every if _fits(work, device, ask, layout)]
    found = [layout for layout in found if layout.pp == 1] or found
    if not found:
        return max(every, key=lambda layout: layout.devices)
    busy = [layout for layout in found if layout.replicas <= ask.concurrency]  # rather faster than idle
    return min(busy or found, key=lambda layout: (layout.devices, layout.pp))


def _layouts(work: Work, count: int) -> list[Layout]:
    """Every split of up to `count` devices that is legal, TP before EP before PP."""
    config, precision = work.config, work.precision
    found = [Layout(tp, 1, count // tp) for tp in range(1, count + 1) if not why_not_split(config, precision, tp)]
    plain = PRECISIONS["bf16"]
    for tp in range(2, count + 1):
        whole = config.is_moe and config.num_experts % tp == 0 and not why_not_split(config, plain, tp)
        if whole and why_not_split(config, precision, tp):
            found.append(Layout(tp, 1, count // tp, expert_parallel=True))
    for pp in range(2, min(count, config.num_hidden_layers) + 1):
        for tp in range(1, count // pp + 1):
            if not why_not_split(config, precision, tp):
                found.append(Layout(tp, pp, count // (tp * pp)))
    return found


def _fits(work: Work, device: Device, ask: Ask, layout: Layout) -> bool:
    return _memory(work, device, ask, layout).fits


def _memory(work: Work, device: Device, ask: Ask, layout: Layout) -> Memory:
    share = _share(ask, layout)
    return serving_memory(work, device, layout.tp, share * ask.context, share, layout.pp)


def _share(ask: Ask, layout: Layout) -> int:
    """Requests of the busiest replica."""
    return -(-ask.concurrency // layout.replicas)


def _warnings(config: ModelConfig, precision: Precision, device: Device, layout: Layout, ask: Ask) -> list[str]:
    found = []
    if precision.name == "fp8" and not device.fp8_weights:
        found.append(f"does not run: {device.title} has no kernels for FP8; take AWQ, GPTQ or BF16")
    elif precision.products == "fp8" and device.fp8_tflops is None:
        found.append(f"{device.title} has no FP8 units: weights are widened as they are read (W8A16)")
    if config.is_moe and precision.name == "gptq-int4":
        found.append("experts in GPTQ-Int4 were 4 to 5 times slower than in BF16 in the official benchmark; take FP8")
    if (reason := why_not_split(config, precision, ask.count)) and ask.count > 1:
        found.append(f"TP {ask.count} is not possible: {reason}")
    if layout.devices * layout.replicas < ask.count:
        found.append(f"{ask.count - layout.devices * layout.replicas} of {ask.count} devices stay idle")
    if ask.context > config.context_length:
        found.append(
            f"{ask.context:,} tokens need YaRN with factor {ask.context / 32_768:.3g} (of 32,768); static YaRN costs "
            "quality on short prompts, so take no more than you need"
        )
    return found


def _advice(config: ModelConfig, ask: Ask, device: Device, precision: Precision) -> list[str]:
    """What would fit: another format, less context, more devices."""
    said = []
    others = [p for p in PRECISIONS.values() if p.bits < precision.bits and _suits(p, device)]
    for other in sorted(others, key=lambda p: -p.bits):
        work = Work(config, other)
        if any(_fits(work, device, ask, layout) for layout in _layouts(work, ask.count)):
            said.append(f"--dtype {other.name} fits")
            break
    if more := _enough(Work(config, precision), device, ask):
        said.append(more)
    work, context = Work(config, precision), ask.context // 2
    while context >= 1024:
        less = replace(ask, context=context, output=min(ask.output, context // 2))
        if any(_fits(work, device, less, layout) for layout in _layouts(work, ask.count)):
            said.append(f"--context {context} fits")
            break
        context //= 2
    return said or ["nothing smaller fits here: take a smaller model"]


def _enough(work: Work, device: Device, ask: Ask) -> str | None:
    """How many devices are enough, rather without a pipeline."""
    for pipelines in (False, True):
        for count in range(ask.count + 1, MOST_DEVICES + 1):
            more = replace(ask, count=count)
            layouts = [one for one in _layouts(work, count) if (one.pp > 1) == pipelines]
            if fitting := [one for one in layouts if _fits(work, device, more, one)]:
                return f"{count} x {device.name} fit ({min(fitting, key=lambda one: one.devices)})"
    return None


def _suits(precision: Precision, device: Device) -> bool:
    """Whether an engine of that kind of device opens the format, and its kernels run."""
    usual = {"server": "vllm", "gpu": "llama.cpp", "mac": "mlx", "phone": "llama.cpp", "cpu": "llama.cpp"}
    engines = {usual[device.kind]} if device.name != "here" else {"sansi"}
    return bool(engines & set(precision.engines)) and (precision.products != "fp8" or device.fp8_weights)


def devices_that_fit(config: ModelConfig, ask: Ask) -> dict[str, bool]:
    """Name of each device -> whether the model fits on `ask.count` of them."""
    found = {}
    for name, device in DEVICES.items():
        work = Work(config, precision_called(ask.dtype))
        found[name] = any(_fits(work, device, ask, layout) for layout in _layouts(work, ask.count))
    return found
