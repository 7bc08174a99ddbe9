"""The fixed words of a rendered chat, and the same rendering as a Jinja template for other programs."""

from __future__ import annotations

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
BUDGET_PHRASE = (
    "Considering the limited time by the user, I have to give the solution based on the thinking directly now.\n"
)

CHAT_TEMPLATE = ""
