"""`sansi info`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from sansi.base.errors import SansiError, did_you_mean
from sansi.cli.options import DEFAULT_MODEL
from sansi.cli.sizes import show_bytes


def info(
    model: Annotated[str, typer.Argument(help="Checkpoint folder, or the name of a preset.")] = DEFAULT_MODEL,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Show a model's size, shape, context and memory. Reads its configuration only, no weights.

    Examples:

      sansi info checkpoints/nano

      sansi info Qwen3-30B-A3B

      sansi info Qwen3-8B --json
    """
    facts = _facts(model)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    typer.secho(model, bold=True)
    for name, text in _described(facts).items():
        typer.echo(f"  {typer.style(name.ljust(10), dim=True)}  {text}")


def _facts(model: str) -> dict[str, Any]:
    """What `sansi info` tells, from config.json and the tokenizer or from a preset."""
    from sansi.model import PRESETS, ModelConfig
    from sansi.model.formats.hf import read_config

    folder = Path(model)
    if folder.is_dir():
        config, modes = read_config(folder), _modes(folder)
    elif model.removeprefix("Qwen/") in PRESETS:
        config, modes = ModelConfig.preset(model), ["thinking", "non-thinking"]
    else:
        raise SansiError(f"{model}: neither a checkpoint folder nor a preset{did_you_mean(model, PRESETS)}")
    parameters = config.num_parameters()
    kv_values = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim  # keys and values
    return {
        "model": model,
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
        "weights_bytes_bf16": 2 * parameters,
        "kv_cache_bytes_per_token_bf16": 2 * kv_values,
        "kv_cache_bytes_full_context_bf16": 2 * kv_values * config.context_length,
        "modes": modes,
    }


def _described(facts: dict[str, Any]) -> dict[str, str]:
    """The facts in words, a line per subject."""
    f = facts
    moe = f["experts"] > 0
    active = f", {_count(f['active_parameters'])} active per token" if moe else ""
    ffn = f"{f['experts']} experts of {f['ffn_size']:,}, {f['active_experts']} active" if moe else f"{f['ffn_size']:,}"
    heads = f"{f['query_heads']} query and {f['key_value_heads']} key-value heads of {f['head_dim']}"
    per_token, full = show_bytes(f["kv_cache_bytes_per_token_bf16"]), show_bytes(f["kv_cache_bytes_full_context_bf16"])
    return {
        "parameters": f"{_count(f['parameters'])} ({f['parameters']:,}){active}",
        "layers": f"{f['layers']}, {f['hidden_size']:,} wide",
        "attention": heads,
        "FFN": ffn,
        "vocabulary": f"{f['vocabulary']:,}, {'tied' if f['tied_embeddings'] else 'untied'} embeddings",
        "context": f"{f['context']:,} tokens, RoPE base {f['rope_theta']:,.0f}",
        "weights": f"{show_bytes(f['weights_bytes_bf16'])} in bfloat16, twice that in float32",
        "KV cache": f"{per_token} per token, {full} for a full context, in bfloat16",
        "modes": ", ".join(f["modes"]),
    }


def _modes(folder: Path) -> list[str]:
    """A checkpoint can chat, and think, when its tokenizer has the control tokens for it."""
    from sansi.text import Tokenizer

    file = folder / "tokenizer.json"
    if not file.exists():
        return ["no tokenizer: token ids only"]
    return ["thinking", "non-thinking"] if Tokenizer.from_pretrained(file).has_control else ["plain text"]


def _count(number: int) -> str:
    for size, unit in ((10**12, "T"), (10**9, "B"), (10**6, "M")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:,}"
