"""Where in a message's text the final answer stands: one rule for every task whose answer is a part of the text."""

from __future__ import annotations

import re

_TAGGED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")


def final_answer(text: str) -> str:
    r"""The last `<answer>…</answer>`; else the content of the last `\boxed{…}`; else the whole text. Stripped."""
    if tagged := _TAGGED.findall(text):
        return str(tagged[-1]).strip()
    boxed = last_boxed(text)
    return (text if boxed is None else boxed).strip()


def last_boxed(text: str) -> str | None:
    r"""The content of the last `\boxed{…}` whose brace closes; None where there is none."""
    for found in reversed(list(_BOXED.finditer(text))):
        depth = 1
        for i in range(found.end(), len(text)):
            depth += {"{": 1, "}": -1}.get(text[i], 0) if text[i - 1] != "\\" else 0
            if depth == 0:
                return text[found.end() : i]
    return None
