"""Ollama's Modelfile: the template in Go's template language, with thinking, tools, parameters and context.

Ollama finds out that a model thinks by its template: `.Thinking` between two texts names the tags. Numbers without a
context would be cut at 4,096 tokens on small cards, thoughts and all, so `num_ctx` stands in the file.
"""

from __future__ import annotations

from sansi.deploy.packages.facts import ModelFacts
from sansi.text.template import TOOLS_HEAD, TOOLS_TAIL

SHORTEST_CONTEXT = 32_768
"""Where the model has it: below, thoughts are cut."""

_TURNS = r"""{{- $query := -1 -}}
{{- range $i, $m := .Messages -}}{{- if eq $m.Role "user" -}}{{- $query = $i -}}{{- end -}}{{- end -}}
{{- if or .System .Tools -}}
<|im_start|>system
{{ .System -}}
{{- if .Tools -}}
{{- if .System -}}{{ "\n\n" }}{{- end -}}
@BEFORE@
{{- range .Tools -}}{{ "\n" }}{{ . }}{{- end -}}
@AFTER@
{{- end -}}
<|im_end|>{{ "\n" }}
{{- end -}}
{{- $previous := "" -}}
{{- range $i, $m := .Messages -}}
{{- if and (eq $previous "tool") (ne $m.Role "tool") -}}<|im_end|>{{ "\n" }}{{- end -}}
{{- if eq $m.Role "user" -}}
<|im_start|>user{{ "\n" }}{{ $m.Content }}<|im_end|>{{ "\n" }}
{{- else if and (eq $m.Role "system") (gt $i 0) -}}
<|im_start|>system{{ "\n" }}{{ $m.Content }}<|im_end|>{{ "\n" }}
{{- else if eq $m.Role "tool" -}}
{{- if ne $previous "tool" -}}<|im_start|>user{{- end -}}
{{ "\n" }}<tool_response>{{ "\n" }}{{ $m.Content }}{{ "\n" }}</tool_response>
{{- else if eq $m.Role "assistant" -}}
<|im_start|>assistant{{ "\n" }}
{{- if and $m.Thinking (gt $i $query) -}}
<think>{{ "\n" }}{{ $m.Thinking }}{{ "\n" }}</think>{{ "\n\n" }}
{{- end -}}
{{ $m.Content }}
{{- range $n, $call := $m.ToolCalls -}}
{{- if or $m.Content (gt $n 0) -}}{{ "\n" }}{{- end -}}
<tool_call>{{ "\n" -}}
{"name": "{{ $call.Function.Name }}", "arguments": {{ $call.Function.Arguments }}}
{{- "\n" }}</tool_call>
{{- end -}}
<|im_end|>{{ "\n" }}
{{- end -}}
{{- $previous = $m.Role -}}
{{- end -}}
{{- if eq $previous "tool" -}}<|im_end|>{{ "\n" }}{{- end -}}
<|im_start|>assistant{{ "\n" }}
{{- if and .IsThinkSet (not .Think) -}}<think>{{ "\n\n" }}</think>{{ "\n\n" }}{{- end -}}
"""


def go_template() -> str:
    """The published template in Go's language, as Ollama fills it in (.Messages, .Tools, .System, .Think)."""
    return _TURNS.replace("@BEFORE@", _quoted(TOOLS_HEAD)).replace("@AFTER@", _quoted(TOOLS_TAIL)).rstrip("\n")


def _quoted(text: str) -> str:
    """A text as a Go action: line breaks and quotes survive the trimming around it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{{{{- "{escaped}" -}}}}'


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
    lines += [f'PARAMETER stop "{stop}"' for stop in ("<|im_start|>", "<|im_end|>")]
    if model.licence:
        lines.append(f'LICENSE """{model.licence}"""')
    return "\n".join(lines) + "\n"
