"""The model card: what a hub reads (the head) and what people read (the rest)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sansi.base.model_card import read_card
from sansi.base.sizes import size_text
from sansi.base.words import count
from sansi.deploy.publish.check import is_adapter, receipt_files, receipts_of
from sansi.deploy.publish.contents import Contents
from sansi.deploy.publish.origin import Origin
from sansi.deploy.publish.running import Run
from sansi.deploy.receipt import Divergence, Receipt

WORST = 5  # tensors that are named


def card_of(contents: Contents, origin: Origin, name: str, runs: Sequence[Run], evaluation: str | None = None) -> str:
    """The Markdown of a README.md. name: on the hub; evaluation: a table of results."""
    title = name.split("/")[1] if "/" in name else name
    parts = ["---", *_head(contents, origin), "---", f"# {title}", "", _opening(contents, origin, title), ""]
    parts += _facts(contents, origin)
    parts += _received(contents)
    parts += ["## Evaluation", "", evaluation, ""] if evaluation else []
    parts += ["## Running it", ""]
    for run in runs:
        parts += [f"### {run.title}", "", "```sh", run.lines, "```", ""]
    return "\n".join(parts).rstrip() + "\n"


def _head(contents: Contents, origin: Origin) -> Iterator[str]:
    values: dict[str, Any] = {}
    if origin.licence:
        values["license"] = origin.licence
    if origin.base_model:
        values |= {"base_model": origin.base_model, "base_model_relation": origin.relation}
    if origin.languages:
        values["language"] = list(origin.languages)
    values |= {"pipeline_tag": "text-generation", "library_name": origin.library, "tags": _tags(contents, origin)}
    for key, value in values.items():
        yield f"{key}: {_yaml(value)}"


def _tags(contents: Contents, origin: Origin) -> list[str]:
    config = origin.config
    design = ["lora"] if is_adapter(contents) else []
    if config is not None:
        design = ["moe"] if config.is_moe else []
    method = [origin.quantisation] if origin.quantisation and origin.quantisation != "sansi" else []
    return list(dict.fromkeys(["sansi", *design, *method]))


def _yaml(value: object) -> str:
    """A value in YAML's flow style, quoted where a plain word would be read as something else."""
    if isinstance(value, list):
        return f"[{', '.join(_yaml(one) for one in value)}]"
    text = str(value)
    plain = text.replace("/", "").replace("-", "").replace(".", "").replace("_", "")
    words = ("no", "yes", "on", "off", "true", "false", "null", "y", "n")
    safe = plain.isascii() and plain.isalnum() and plain[0].isalpha() and text.lower() not in words
    return text if safe and not text.startswith(("-", ".")) else json.dumps(text, ensure_ascii=False)


def _opening(contents: Contents, origin: Origin, title: str) -> str:
    """One paragraph: what somebody wrote of it, else what it is."""
    described = read_card(contents.source).description_in() if contents.source.is_dir() else ""
    base = f"[{origin.base_model}](https://huggingface.co/{origin.base_model})" if origin.base_model else None
    relations = {"quantized": "The weights of {}, quantised", "adapter": "An adapter of {}", "merge": "A merge of {}"}
    made = relations.get(origin.relation or "", "Made of {}").format(base) if base else title
    sentence = f"{made} ({origin.format})." if base else f"{title}, stored as {origin.format}."
    return f"{described}\n\n{sentence}" if described else sentence


def _facts(contents: Contents, origin: Origin) -> list[str]:
    rows: dict[str, object] = {}
    if config := origin.config:
        active = f", {config.num_active_parameters():,} active" if config.is_moe else ""
        experts = f"; {config.num_experts} experts, {config.num_experts_per_tok} for a token" if config.is_moe else ""
        heads = f"{config.num_attention_heads} query and {config.num_key_value_heads} key/value heads"
        rows["Parameters"] = f"{config.num_parameters():,}{active}"
        rows["Layers"] = f"{config.num_hidden_layers} of {config.hidden_size}; {heads}{experts}"
        rows["Context"] = f"{config.context_length:,} tokens"
    bits = f", {origin.bits:.4g} bits a weight" if origin.bits else ""
    rows["Weights"] = f"{origin.format}{bits}; {size_text(contents.size)} in {count(len(contents.files), 'file')}"
    return ["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows.items()), ""]


def _received(contents: Contents) -> list[str]:
    """What the receipts of exports say: divergence, the tensors that lost most, experts that saw nothing, the gate."""
    parts: list[str] = []
    for receipt in receipts_of(contents):
        title = f" ({receipt.format})" if len(receipt_files(contents)) > 1 else ""
        parts += [f"## How it was made{title}", "", *_made(receipt), ""]
        parts += ["", *_divergence(receipt.divergence), ""] if receipt.divergence else []
    return parts


def _made(receipt: Receipt) -> Iterator[str]:
    yield f"- from {receipt.base_model} ({receipt.source_format or 'weights'}) by Sansi {receipt.sansi}"
    if receipt.merged:
        yield f"- with adapters merged in float32: {count(int(receipt.merged.get('changed', 0)), 'tensor')} changed"
    if receipt.calibration:
        text, tokens = receipt.calibration.get("text"), receipt.calibration.get("tokens")
        yield f"- rounded by {tokens:,} tokens of {text}" if isinstance(tokens, int) else f"- rounded by {text}"
    if starved := [expert for expert, tokens in receipt.coverage.items() if tokens == 0]:
        yield f"- {len(starved)} of {count(len(receipt.coverage), 'expert')} saw no token of it: {starved[0]}, …"
    worst = sorted((entry for entry in receipt.tensors if entry.get("error")), key=lambda entry: -entry["error"])
    if worst:
        named = "; ".join(f"{entry['name']} ({entry['kind']}) {entry['error']:.3g}" for entry in worst[:WORST])
        yield f"- largest relative errors of {count(len(receipt.tensors), 'tensor')}: {named}"
    yield "- gate of the evaluation: none was run" if receipt.gate is None else f"- gate: {receipt.gate}"
    yield "- digests of all files, and all of the above: in the receipt beside the weights"


def _divergence(by_kind: Mapping[str, Divergence]) -> Iterator[str]:
    yield "| prompts | KL to the source, mean | 99th percentile | same likeliest token | tokens |"
    yield "|---|---|---|---|---|"
    for kind, one in by_kind.items():
        yield f"| {kind.replace('_', ' ')} | {one.mean:.4g} | {one.p99:.4g} | {one.same_top:.1%} | {one.tokens:,} |"
