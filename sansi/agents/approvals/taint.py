"""Taint: text of strangers may hold orders that nobody gave, so where it is read, calls with effects look to whose
words they are made of.

The rule. Once text of strangers (a web page, a passage, a result of a server that is not trusted) is in the context, a
call that writes, uses the network or executes is asked about, unless what it does comes from the user:

1. Every address in it (e-mail, web, account, telephone, host) stands in the user's words, or is a page below one.
2. No value that is one word (a name, an id, a path, a password) stands in the running text of strangers, unless the
   user wrote it too. Of what is executed, no line and no path does.
3. At least one value is made of the user's words, or the user named the action. For what destroys it
   is not enough that the user named a record, unless the verb was said, too.

The user's words are the messages of the user and of the system, less what they say not to do (and but for those that a
program has made of other text, which name its origin), results of tools that came before any stranger spoke, values
that a rule of the user's approves by a pattern, values that the user saw in a question of this tool's and approved, and
what stands as a single word in a record that the user named: who says "Sarah Baker" means the address beside her name.
Where results hold no running text, there is no room for orders.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sansi.agents.approvals.questions import Copied
from sansi.agents.approvals.rules import Described
from sansi.agents.approvals.words import Strangers, Trusted, addresses, affirmed, names_host, nouns
from sansi.text import Message
from sansi.text.render import Span

NOBODY = "nobody that was heard"
HOME = ("user", "system")
_LINES = re.compile(r"[\n;]|&&|\|\|?")
_TOKENS = re.compile(r"[^\s\"'`()\[\]{}=,;|&<>]+")
_PLACES = re.compile(r"host|domain|server|site|ur[li]|endpoint|addr|recipient|target|proxy|webhook|remote|^to$", re.I)
DESTROYING = frozenset(("cancel", "clear", "delete", "destroy", "drop", "erase", "purge", "remove", "revoke", "wipe"))
"""Verbs for what cannot be undone: who asks about a thing has not asked for its end."""
SHORTEST_LINE, SHORTEST_OWN = 4, 3  # characters; bytes, of which other scripts need fewer characters


@dataclass(frozen=True)
class Suspicion:
    """What speaks against a call in a tainted context."""

    copied: tuple[Copied, ...] = ()
    origin: str = ""
    """Whose text was read, where nothing in the call comes from the user; else empty."""

    def __bool__(self) -> bool:
        return bool(self.copied or self.origin)

    @property
    def reasons(self) -> tuple[str, ...]:
        """A sentence each, for the user."""
        named = tuple(_sentence(copied) for copied in self.copied)
        if self.origin:
            named += (f"text of {whose(self.origin)} has been read, and nothing in this call comes from you",)
        return named


def _sentence(copied: Copied) -> str:
    if copied.origin == NOBODY:
        return f'{copied.argument}: the address "{copied.value:.200}" does not come from you'
    told = f'{copied.argument}: "{copied.value:.200}" stands in text of {whose(copied.origin)}'
    return f"{told}, and does not come from you"


def whose(origin: str) -> str:
    """An origin in words: what a tool said of its text, else which tool it was."""
    tool, _, where = origin.partition(" ")
    if tool.startswith("mcp:"):
        server = f"the MCP server {tool[4:]}"
        return f"{where} ({server})" if where else server
    if tool in ("python", "built-in"):
        return where or f"a {'tool' if tool == 'python' else 'built-in tool'}"
    return origin


class Provenance:
    """Who said what in a conversation.

    approved: values that the user has approved. What a tool says after strangers have spoken may be what they said (a
    note, a file, decoded text), so it vouches for nothing.
    """

    def __init__(self, messages: Sequence[Message], approved: Iterable[str] = ()):
        own: list[str] = [*approved]
        theirs: list[tuple[str, str]] = []
        results: list[tuple[str, str]] = []
        for message in messages:
            if message.tainted:
                theirs.append((message.origin or message.name or "a tool", message.content))
                results.append((message.name or "", message.content))
            elif message.role == "tool" and not theirs:
                own.append(message.content)
            elif message.role in HOME and message.origin is None:
                own.append(affirmed(message.content))
        self._own, self._theirs, self._strangers = own, theirs, Strangers(theirs)
        self._results = results

    @cached_property
    def _trusted(self) -> Trusted:
        """Made when it is looked up: of most calls nothing is, since no stranger has spoken or the tool only reads."""
        return Trusted(self._own, self._results)

    def suspicion(self, tool: Described, arguments: Mapping[str, Any], vouched: Iterable[str] = ()) -> Suspicion:
        """What the rule above finds in a call. vouched: names of arguments that a rule of the user's approves."""
        if not self._strangers or not tool.effects - {"read"}:
            return Suspicion()
        vouched = set(vouched)
        values = [item for item in walk(arguments) if _top(item[0]) not in vouched]
        copied = tuple(found for where, value in values for found in self._copied(where, value, tool))
        if copied or vouched & arguments.keys() or self._is_users(tool, values):
            return Suspicion(copied)
        return Suspicion((), self._strangers.last)

    def may_look_up(self, host: str) -> bool:
        """Whether name servers may be told a host's name: no stranger can have chosen it, or the user named it."""
        return not self._theirs or self._trusted.knows_host(host)

    def _copied(self, where: str, value: Any, tool: Described) -> Iterator[Copied]:
        text, execute = value if isinstance(value, str) else json.dumps(value), "execute" in tool.effects
        named = dict.fromkeys((*addresses(text), *_hosts(where, text, tool)))
        foreign = [address for address in named if not self._trusted.knows(address)]
        for address in foreign:
            yield Copied(where, address, self._strangers.origin_of(address) or NOBODY)
        if foreign or isinstance(value, bool | float) or value is None:
            return
        for part in _pointers(text, execute):
            known = self._trusted.holds(part) or self._trusted.is_handle(part, _about(where, tool))
            if not known and (origin := self._strangers.origin_of(part)) is not None:
                yield Copied(where, part, origin)

    def _is_users(self, tool: Described, values: Iterable[tuple[str, Any]]) -> bool:
        named = tool.title or tool.name
        verb = named.partition("_")[0].lower()
        destroys = verb in DESTROYING and not self._trusted.begins(verb)
        texts = [(w, str(v)) for w, v in values if isinstance(v, str | int) and not isinstance(v, bool)]
        if not destroys and any(self._trusted.is_handle(text, _about(where, tool)) for where, text in texts):
            return True
        long = (text for _, text in texts if len(text.encode()) >= SHORTEST_OWN)
        return any(self._trusted.says(text, handles=not destroys) for text in long) or self._trusted.names(named)


def tainted_spans(spans: Iterable[Span], messages: Sequence[Message]) -> list[tuple[Span, str]]:
    """Which ids of a rendered prompt (`prompt.spans`) are text of strangers, and whose."""
    theirs = {i: message.origin or message.name or "a tool" for i, message in enumerate(messages) if message.tainted}
    return [(span, theirs[span.message]) for span in spans if span.kind == "tool_response" and span.message in theirs]


def walk(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Each plain value of an object of arguments and its place, as `recipients[0].address`."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from walk(inner, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from walk(inner, f"{where}[{i}]")
    else:
        yield where, value


def _hosts(where: str, text: str, tool: Described) -> list[str]:
    """Hosts that a value names without a scheme: by itself, or in what is run with the network."""
    if tool.effects and "network" not in tool.effects:
        return []
    if "execute" in tool.effects:
        return [token for token in _TOKENS.findall(text) if names_host(token, False)]
    of_place = _PLACES.search(re.sub(r"\[\d+\]", "", where).rpartition(".")[2]) is not None
    return [text] if names_host(text, of_place) else []


def _about(where: str, tool: Described) -> set[str]:
    """What a value is asked for: by the name of its argument, or where that says nothing by the tool's."""
    return nouns(re.sub(r"\[\d+\]", "", where).rpartition(".")[2]) or nouns(tool.title or tool.name)


def _top(where: str) -> str:
    return re.split(r"[.\[]", where, maxsplit=1)[0]


def _pointers(text: str, execute: bool) -> list[str]:
    """What in a value says where to or what with: the value if it is one word; in what is executed lines and paths."""
    if execute:
        lines = [line.strip() for line in _LINES.split(text)]
        paths = [token for token in _TOKENS.findall(text) if "/" in token[:-1] or "\\" in token[:-1]]
        return [line for line in lines if len(line) >= SHORTEST_LINE] + paths
    return [text] if text and len(text.split()) == 1 else []
