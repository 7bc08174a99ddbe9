"""Ollama's Modelfile: the template in Go's template language, with thinking, tools, parameters and context.

Ollama finds out that a model thinks by its template: `.Thinking` between two texts names the tags. Numbers without a
context would be cut at 4,096 tokens on small cards, thoughts and all, so `num_ctx` stands in the file.
"""

from __future__ import annotations

from sansi.deploy.packages.facts import ModelFacts
from sansi.text.go_template import go_template
from sansi.text.tokenizer import CONTROL_TEXT

SHORTEST_CONTEXT = 32_768
"""Where the model has it: below, thoughts are cut."""


def modelfile(model: ModelFacts, weights: str = "./model.gguf", adapter: str | None = None) -> str:
    """A Modelfile for a GGUF file beside it."""
    lines = [f"# {model.name}: ollama create {model.name.lower()} -f Modelfile", f"FROM {weights}"]
    lines += [f"ADAPTER {adapter}"] if adapter else []
    lines += [f'TEMPLATE """{go_template()}"""']
    lines += [f"PARAMETER num_ctx {min(model.context_length, max(SHORTEST_CONTEXT, model.context or 0))}"]
    names = {"repetition_penalty": "repeat_penalty"}
    whole = ("top_k",)
    for key, value in {"repetition_penalty": 1.0, **model.sampling}.items():
        shown = int(value) if key in whole else f"{value:g}"
        lines.append(f"PARAMETER {names.get(key, key)} {shown}")
    lines += [f'PARAMETER stop "{stop}"' for stop in (CONTROL_TEXT["im_start"], CONTROL_TEXT["im_end"])]
    if model.licence:
        lines.append(f'LICENSE """{model.licence}"""')
    return "\n".join(lines) + "\n"
