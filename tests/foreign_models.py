"""Tokenizers and chat templates of other families, in small: what their codec has to find out of them."""

from __future__ import annotations

import json
from pathlib import Path

from sansi.text import Tokenizer

ASKED = [{"role": "user", "content": "What is 1 + 1?"}]
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {"a": {}}}}}
TEXTS = ["Who? Sansi. What is 1 + 1? The answer is 2.", "user assistant system tool"] * 3

CHATML = """{% for message in messages %}{% if loop.first and message['role'] != 'system' %}{{ '<|im_start|>system
You help.<|im_end|>
' }}{% endif %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""
HEADERS = """{{- bos_token }}
{%- for message in messages %}
    {%- if 'tool_calls' in message %}
        {%- if message.tool_calls | length != 1 %}{{- raise_exception('one call at a time') }}{%- endif %}
        {%- set call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\n\n{"name": "' + call.name + '", "parameters": ' }}
        {{- call.arguments | tojson + '}<|eot_id|>' }}
    {%- else %}
        {{- '<|start_header_id|>' + message.role.replace('tool', 'ipython') + '<|end_header_id|>\n\n' }}
        {%- if loop.first and tools %}{{- 'Functions:\n' + tools | tojson + '\n' }}{%- endif %}
        {{- message.content | trim + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"""
TAGGED = """{%- if tools %}{{- '<|im_start|>system\n# Tools\n' + tools | tojson + '<|im_end|>\n' }}{%- endif %}
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\n' + message.content }}
    {%- for call in message.tool_calls or [] %}
        {{- '\n<tool_call>\n{"name": "' + call.function.name + '", "arguments": ' }}
        {{- call.function.arguments | tojson + '}\n</tool_call>' }}
    {%- endfor %}
    {{- '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"""
ALWAYS = """{%- for message in messages %}{{- '<|im_start|>' + message.role + '\n' }}
{{- message.content.split('</think>')[-1] + '<|im_end|>\n' }}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n<think>\n' }}{%- endif %}"""

_CHATML_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
FAMILIES = {
    "chatml": (_CHATML_TOKENS, CHATML),
    "headers": (
        (
            *("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
            "<|python_tag|>",
        ),
        HEADERS,
    ),
    "tagged": ((*_CHATML_TOKENS, "<tool_call>", "</tool_call>"), TAGGED),
    "always": ((*_CHATML_TOKENS, "<think>", "</think>"), ALWAYS),
    "base": (("<|endoftext|>",), None),
}


def vocabulary(names: tuple[str, ...]) -> Tokenizer:
    """A small byte-level vocabulary with these added tokens."""
    plain = Tokenizer.train(TEXTS, 400).library_copy()
    first = plain.get_vocab_size()
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return Tokenizer(plain, [{"id": first + i, "content": n, **flags, "special": True} for i, n in enumerate(names)])


def write_family(folder: Path, family: str, eos: str | None = None) -> Path:
    """Tokenizer and template of a family; `eos`: the token that generation_config.json names."""
    names, template = FAMILIES[family]
    tokenizer = vocabulary(names)
    tokenizer.save(folder)
    file = folder / "tokenizer_config.json"
    said = {"bos_token": names[0]} | ({"chat_template": template} if template else {})
    file.write_text(json.dumps(json.loads(file.read_text()) | said))
    if eos is not None:
        (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": tokenizer.added[eos]}))
    return folder
