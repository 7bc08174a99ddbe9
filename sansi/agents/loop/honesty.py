"""Replies that announce a call and make none, and replies that claim what no call has done; English and Chinese.

**Planned, unmade**: the reply has no call, and
1. its text holds a call that is written out (a `<tool_call>` tag, or JSON with the name of a tool that was offered
   and its arguments), or
2. its last sentence says in the first person that something is about to be done ("Let me check …", "I'll call …",
   "我来查一下…") with a verb of what tools do, or asks for a moment. A sentence that
   asks, or waits for the user ("if you like, …"), is none.

**Claimed, unmade**: the reply has no call, and a sentence of it says
1. that a tool which was offered was used, by its name, and no call of that tool has succeeded (a name of one short
   word, such as "time", counts only before "tool" or "function");
2. that something outside of the conversation was changed (a file saved, a mail sent, an order cancelled), and no call
   has succeeded of a tool that may change things, or whose name has that verb;
3. that something was searched, queried or fetched, and no call at all has succeeded.
Calls of the whole conversation count, not of this run alone. What is quoted, put in code, asked, or negated is no
claim.

Where no tools are offered, nothing is looked for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sansi.agents.loop import phrases
from sansi.agents.tool import Tool
from sansi.text import Message

SHORT_NAME = 5  # characters: names of tools that are as likely to be words of the sentence


@dataclass(frozen=True)
class Unmade:
    """What a reply says and no call does."""

    kind: Literal["planned", "claimed"]
    quote: str

    @property
    def request(self) -> str:
        """What the model is asked, in the language of its reply."""
        chinese = bool(phrases.CHINESE.search(self.quote))
        return phrases.REQUESTS[self.kind, chinese].format(self.quote)


def unmade(message: Message, history: Sequence[Message], tools: Mapping[str, Tool]) -> Unmade | None:
    """What is planned or claimed in a reply without calls, and not done. history: the conversation before it."""
    if not tools or message.tool_calls or not message.content.strip():
        return None
    text = phrases.CODE.sub(" ", phrases.NAME_IN_CODE.sub(r"\1", message.content))
    written = _written_call(message.content, tools)
    if written is not None:
        return Unmade("planned", written)
    sentences = _sentences(text)
    done = _succeeded(history)
    for sentence in sentences:
        if _is_claim(sentence, tools, done):
            return Unmade("claimed", _shortened(sentence))
    if sentences and _is_plan(sentences[-1]):
        return Unmade("planned", _shortened(sentences[-1]))
    return None


def _succeeded(history: Iterable[Message]) -> set[str]:
    """Names of tools with a result that is no error."""
    names: dict[str, str] = {}
    found: set[str] = set()
    for message in history:
        names |= {call.id: call.name for call in message.tool_calls}
        if message.role == "tool" and not message.content.startswith("error:"):
            found.add(message.name or names.get(message.tool_call_id or "", ""))
    return found


def _written_call(text: str, tools: Collection[str]) -> str | None:
    if found := phrases.TAG.search(text):
        return _shortened(text[found.start() :])
    for found in phrases.REACT.finditer(text):
        if found[1] in tools:
            return _shortened(text[found.start() :])
    for found in phrases.JSON_CALL.finditer(text):
        if found[1] in tools:
            return _shortened(found[0])
    return None


def _sentences(text: str) -> list[str]:
    return [part.strip(" \t*_>-#") for part in phrases.END.split(text) if part and part.strip(" \t*_>-#")]


def _is_plan(sentence: str) -> bool:
    if phrases.WAITS.search(sentence) or sentence.endswith(("?", "？")):
        return False
    return bool(phrases.PLAN.search(sentence) or phrases.PLAN_ZH.search(sentence))


def _is_claim(sentence: str, tools: Mapping[str, Tool], done: set[str]) -> bool:
    if sentence.endswith(("?", "？")) or phrases.DRAFT.search(sentence):
        return False
    for claim in _said(sentence, phrases.USED, phrases.USED_ZH):
        named = {name for name in tools if _names(name, claim)}
        if named and not named & done:
            return True
    changed = _said(sentence, phrases.CHANGED, phrases.PASSIVE, phrases.CHANGED_ZH)
    if any(not any(_may_have_changed(name, tools, claim) for name in done) for claim in changed):
        return True
    return not done and bool(_said(sentence, phrases.LOOKED, phrases.LOOKED_ZH))


def _said(sentence: str, *patterns: re.Pattern[str]) -> list[str]:
    """What is claimed by these patterns, and not negated or supposed before it is said."""
    found = [claim for pattern in patterns for claim in pattern.finditer(sentence)]
    return [claim[0] for claim in found if not phrases.NEGATED.search(sentence[: claim.end()])]


def _names(tool: str, text: str) -> bool:
    spoken = "[ _-]?".join(re.escape(part) for part in re.split(r"[_-]+", tool) if part)
    kind = r"\s+(?:tool|function|command)" if len(tool) <= SHORT_NAME and tool.isalpha() else r"(?![A-Za-z0-9])"
    return bool(re.search(rf"(?<![A-Za-z0-9]){spoken}{kind}", text, re.IGNORECASE))


def _may_have_changed(name: str, tools: Mapping[str, Tool], claim: str) -> bool:
    tool = tools.get(name)
    if tool is None or tool.effects - {"read"}:
        return True
    return any(
        stem in name.lower() for stem, words in phrases.STEMS.items() if any(word in claim.lower() for word in words)
    )


def _shortened(text: str, limit: int = 120) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
