"""Replies that announce a call and make none, and replies that claim what no call has done.

English, Chinese, German, French and Spanish are read.

**Planned, unmade**: the reply has no call, and
1. its text holds a call that is written out (a `<tool_call>` tag, JSON with the name of a tool that was offered and its
   arguments, `Action: TOOL`), or ends with one as in a program, or
2. its last sentence says in the first person that something is about to be done ("Let me check …", "I'll call …",
   "我来查一下…") with a verb of what tools do, or asks for a moment. A sentence that
   asks, or waits for the user ("if you like, …"), is none.

**Claimed, unmade**: the reply has no call, and a sentence of it says
1. that a tool which was offered was used, by its name, and no call of that tool has succeeded (a name of one short
   word, such as "time", counts only before "tool" or "function");
2. that something outside of the conversation was changed (a file saved, a mail sent, an order cancelled), and no call
   has succeeded of a tool that may change things, or whose name has that verb. What the user has told first is no claim
   ("Your order has been cancelled, so …"), nor is a text that follows ("I have written an email: …");
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

from sansi.agents.loop.phrases import LANGUAGES, Language, written
from sansi.agents.tool import Tool
from sansi.base.words import in_a_line
from sansi.text import Message

LONGEST_SENTENCE = 1_000  # characters; what is longer is data
LONGEST_QUOTE = 120  # characters
SHORT_NAME = 5  # characters: names of tools that are as likely to be words of the sentence


@dataclass(frozen=True)
class Unmade:
    """What a reply says and no call does."""

    kind: Literal["planned", "claimed"]
    quote: str
    language: Language

    @property
    def request(self) -> str:
        """What the model is asked, in the language of its reply."""
        return self.language.requests[self.kind].format(self.quote)


def unmade(message: Message, history: Sequence[Message], tools: Mapping[str, Tool]) -> Unmade | None:
    """What is planned or claimed in a reply without calls, and not done. history: the conversation before it."""
    if not tools or message.tool_calls or not message.content.strip():
        return None
    if (call := _written_call(message.content, tools)) is not None:
        return Unmade("planned", in_a_line(call, LONGEST_QUOTE), _language_of(message.content))
    sentences = _sentences(written.CODE.sub(" ", written.NAME_IN_CODE.sub(r"\1", message.content)))
    known = _Known(tools, _succeeded(history), _told(history))
    for number, sentence in enumerate(sentences, 1):
        for language in LANGUAGES:
            if known.is_claimed(sentence, language, number < len(sentences)):
                return Unmade("claimed", in_a_line(sentence, LONGEST_QUOTE), language)
    for language in LANGUAGES:
        if sentences and _is_plan(sentences[-1], language):
            return Unmade("planned", in_a_line(sentences[-1], LONGEST_QUOTE), language)
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


def _told(history: Iterable[Message]) -> str:
    """What the user has said."""
    return "\n".join(
        message.content for message in history if message.role == "user" and message.origin is None
    ).lower()


def _written_call(text: str, tools: Collection[str]) -> str | None:
    if found := written.TAG.search(plain := written.INLINE.sub(" ", text)):
        return plain[found.start() :]
    for pattern in (written.REACT, written.JSON_CALL):
        for found in pattern.finditer(text):
            if found[1] in tools:
                return text[found.start() :] if pattern is written.REACT else found[0]
    found = written.LAST_LINE.search(text)
    if found and found[1] in tools and not written.EXAMPLE.search(text):
        return found[0]
    return None


def _sentences(text: str) -> list[str]:
    parts = (part.strip(" \t*_>-#") for part in written.END.split(text) if part)
    return [part for part in parts if 0 < len(part) <= LONGEST_SENTENCE]


def _language_of(text: str) -> Language:
    return max(LANGUAGES, key=lambda language: len(language.own.findall(text)))


def _is_question(sentence: str) -> bool:
    return sentence.endswith(("?", "？"))


def _is_plan(sentence: str, language: Language) -> bool:
    return not _is_question(sentence) and not language.waits.search(sentence) and bool(language.plan.search(sentence))


@dataclass(frozen=True)
class _Known:
    """What is known of a conversation: the tools, those that have succeeded, and what the user told."""

    tools: Mapping[str, Tool]
    succeeded: Collection[str]
    told: str

    def is_claimed(self, sentence: str, language: Language, goes_on: bool) -> bool:
        """goes_on: more follows after the sentence."""
        if _is_question(sentence) or language.draft.search(sentence):
            return False
        for claim in _said(sentence, language.used, language):
            named = {name for name in self.tools if _names(name, claim)}
            if named and not named & set(self.succeeded):
                return True
        follows = goes_on and sentence.endswith((":", "："))
        changed = [
            claim
            for claim in _said(sentence, language.changed, language)
            if not (follows and language.written.search(claim))
        ]
        changed += [
            claim
            for claim in _said(sentence, language.passive, language)
            if not any(word.lower() in self.told for word in language.done.findall(claim))
        ]
        if any(not any(self._may_have_changed(name, claim, language) for name in self.succeeded) for claim in changed):
            return True
        return not self.succeeded and bool(_said(sentence, language.looked, language))

    def _may_have_changed(self, name: str, claim: str, language: Language) -> bool:
        tool = self.tools.get(name)
        if tool is None or tool.effects - {"read"}:
            return True
        said = claim.lower()
        return any(
            stem in name.lower() and any(word in said for word in words) for stem, words in language.stems.items()
        )


def _said(sentence: str, pattern: re.Pattern[str], language: Language) -> list[str]:
    """What is claimed by a pattern, and not negated or supposed before it is said."""
    return [claim[0] for claim in pattern.finditer(sentence) if not language.negated.search(sentence[: claim.end()])]


def _names(tool: str, text: str) -> bool:
    spoken = "[ _-]?".join(re.escape(part) for part in re.split(r"[_-]+", tool) if part)
    kind = r"\s+(?:tool|function|command)" if len(tool) <= SHORT_NAME and tool.isalpha() else r"(?![A-Za-z0-9])"
    return bool(re.search(rf"(?<![A-Za-z0-9]){spoken}{kind}", text, re.IGNORECASE))
