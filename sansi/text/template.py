"""The fixed words of a rendered chat, and the same rendering as a Jinja template for other programs."""

from __future__ import annotations

import json

# What the published models were trained to read and write; every character counts.
TOOLS_HEAD = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>"
)
TOOLS_TAIL = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments within "
    "<tool_call></tool_call> XML tags:\n<tool_call>\n"
    '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
)
# What a person writes in a message to switch the mode; `select_mode` says when it counts.
THINK_FLAG, NO_THINK_FLAG = "/think", "/no_think"
# What closes a cut thought, before the tag and the two line breaks after it: Qwen3's own, as its documentation has it.
BUDGET_PHRASE = (
    "\n\nConsidering the limited time by the user, I have to give the solution based on the thinking directly now.\n"
)

_JINJA = r"""
{%- macro body(message) -%}
    {%- if message.content is string -%}
        {{- message.content -}}
    {%- elif message.content is iterable and message.content is not mapping -%}
        {%- for part in message.content -%}{{- part.text -}}{%- endfor -%}
    {%- endif -%}
{%- endmacro -%}

{%- set chat = namespace(query=messages | length - 1) -%}
{%- for message in messages -%}
    {%- set text = body(message) -%}
    {%- set is_result = text.startswith('<tool_response>') and text.endswith('</tool_response>') -%}
    {%- if message.role == 'user' and not is_result -%}
        {%- set chat.query = loop.index0 -%}
    {%- endif -%}
{%- endfor -%}

{%- set has_system = messages[0].role == 'system' -%}
{%- if has_system or tools -%}
    {{- '<|im_start|>system\n' -}}
    {%- if has_system -%}{{- body(messages[0]) -}}{%- endif -%}
    {%- if tools -%}
        {%- if has_system -%}{{- '\n\n' -}}{%- endif -%}
        {{- TOOLS_HEAD -}}
        {%- for tool in tools -%}
            {{- '\n' -}}{{- tool | tojson -}}
        {%- endfor -%}
        {{- TOOLS_TAIL -}}
    {%- endif -%}
    {{- '<|im_end|>\n' -}}
{%- endif -%}

{%- for message in messages -%}
    {%- set text = body(message) -%}
    {%- if message.role == 'user' or (message.role == 'system' and not loop.first) -%}
        {{- '<|im_start|>' + message.role + '\n' + text + '<|im_end|>\n' -}}
    {%- elif message.role == 'tool' -%}
        {%- if loop.first or loop.previtem.role != 'tool' -%}{{- '<|im_start|>user' -}}{%- endif -%}
        {{- '\n<tool_response>\n' + text + '\n</tool_response>' -}}
        {%- if loop.last or loop.nextitem.role != 'tool' -%}{{- '<|im_end|>\n' -}}{%- endif -%}
    {%- elif message.role == 'assistant' -%}
        {%- set given = message.reasoning_content if message.reasoning_content is string else message.reasoning -%}
        {%- set turn = namespace(thought='', answer=text) -%}
        {%- if given is string -%}
            {%- set turn.thought = given -%}
        {%- elif '</think>' in text -%}
            {%- set turn.thought = text.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') -%}
            {%- set turn.answer = text.split('</think>')[-1].lstrip('\n') -%}
        {%- endif -%}
        {{- '<|im_start|>assistant\n' -}}
        {%- if loop.index0 > chat.query and (loop.last or turn.thought) -%}
            {{- '<think>\n' + turn.thought.strip('\n') + '\n</think>\n\n' + turn.answer.lstrip('\n') -}}
        {%- else -%}
            {{- turn.answer -}}
        {%- endif -%}
        {%- for call in message.tool_calls or [] -%}
            {%- set function = call.function or call -%}
            {%- if turn.answer or not loop.first -%}{{- '\n' -}}{%- endif -%}
            {{- '<tool_call>\n{"name": "' + function.name + '", "arguments": ' -}}
            {%- if function.arguments is string and function.arguments -%}
                {{- function.arguments -}}
            {%- else -%}
                {{- (function.arguments or {}) | tojson -}}
            {%- endif -%}
            {{- '}\n</tool_call>' -}}
        {%- endfor -%}
        {{- '<|im_end|>\n' -}}
    {%- endif -%}
{%- endfor -%}

{%- if add_generation_prompt -%}
    {{- '<|im_start|>assistant\n' -}}
    {%- if enable_thinking is defined and enable_thinking is false -%}
        {{- '<think>\n\n</think>\n\n' -}}
    {%- endif -%}
{%- endif -%}
"""

# The same rendering for programs that know Jinja only. Equal to Codec.render with history="official" and
# soft_switch="model": under /no_think the empty think block is left to the model, as in the published template.
CHAT_TEMPLATE = (
    _JINJA.replace("TOOLS_HEAD", json.dumps(TOOLS_HEAD)).replace("TOOLS_TAIL", json.dumps(TOOLS_TAIL)).strip()
)
