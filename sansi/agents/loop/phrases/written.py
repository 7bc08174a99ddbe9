"""Calls that are written out as text, as models do that were trained to call tools in another form."""

from __future__ import annotations

import re

from sansi.text.tokenizer import CONTROL_TEXT

CODE = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|\"[^\"\n]{0,200}\"|“[^”]{0,200}”|„[^“”]{0,200}[“”]|«[^»]{0,200}»|「[^」]{0,200}」",
    re.DOTALL,
)
NAME_IN_CODE = re.compile(r"`([\w.-]{1,64})`")
END = re.compile(r"(?<=[.!?。！？；;:：])\s+|(?<=[。！？；：])|\n+")
INLINE = re.compile(r"`[^`\n]+`")
CALL, CALL_END = (re.escape(CONTROL_TEXT[name]) for name in ("tool_call", "tool_call_end"))
OTHERS = r"<function(?:_call)?[=>]|<invoke\s+name=|</?tool_use>|\[TOOL_CALLS\]|<\|tool_calls?(?:_begin)?\|>"
"""How models of other families begin a call."""
TAG = re.compile(
    rf"^\s*(?:{CALL}|{CALL_END}|{OTHERS})|{CALL}\s*[{{<]|<function=\w",
    re.MULTILINE,
)
"""At the beginning of a line, or with what belongs to it: a tag that is spoken of is no call."""
JSON_CALL = re.compile(
    r"\{\s*\"(?:name|tool|tool_name|function|action)\"\s*:\s*\"([\w-]{1,64})\"\s*,"
    r"\s*\"(?:arguments|parameters|args|input|tool_input|action_input)\"\s*:"
)
REACT = re.compile(r"^\s*Action:\s*`?([\w.-]{1,64})`?\s*(?:[(\[{].*)?(?:\n|$)", re.MULTILINE)
LAST_LINE = re.compile(r"(?:^|\n)[^\n]{0,40}?(?<![\w.])([\w-]{1,64})\([^\n]*\)[;`*]*\s*(?:\n```)?\s*$")
"""A reply whose last line is a call as in a program."""
EXAMPLE = re.compile(
    r"\b(?:you|users?|one) (?:can|could|may|might|would|should)\b|\b(?:for example|e\.g\.|like this|as follows|usage|syntax)\b"
    r"|\b(?:zum Beispiel|z\. ?B\.|so auf|par exemple|por ejemplo|comme (?:ceci|suit)|así)\b|例如|比如|您可以|你可以|用法",
    re.IGNORECASE,
)
