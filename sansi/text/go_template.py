"""The same rendering once more, in Go's template language: `sansi.deploy.packages.ollama` makes a file of it.

Ollama fills in .Messages, .Tools, .System and .Think; that its texts are those of the codec is a property test.
"""

from __future__ import annotations

from sansi.text.template import TOOLS_HEAD, TOOLS_TAIL

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
