"""As much of Go's text/template as a chat template needs: actions, trimming, range, if, variables, and some functions.

Semantics from the package's documentation (pkg.go.dev/text/template): `{{-` and `-}}` eat white space, `$` is the root,
and a variable that is assigned in an inner block with `=` keeps its value outside.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

ACTION = re.compile(r"\{\{(-?)\s?((?:\"(?:\\.|[^\"\\])*\"|[^\"}]|\}(?!\}))*?)\s?(-?)\}\}", re.DOTALL)
WORD = re.compile(r'"(?:\\.|[^"\\])*"|\(|\)|:=|=|,|\||[^\s(),|]+')


@dataclass
class Block:
    kind: str
    head: list[str] = field(default_factory=list)
    body: list[Any] = field(default_factory=list)
    other: list[Any] = field(default_factory=list)


def render(source: str, data: dict[str, Any]) -> str:
    return _run(_parse(_tokens(source)), data, [{"$": data}])


def _tokens(source: str) -> list[tuple[str, str]]:
    found, at, eat = [], 0, False
    for match in ACTION.finditer(source):
        text = source[at : match.start()]
        text = text.lstrip() if eat else text
        text = text.rstrip() if match[1] else text
        found += [("text", text)] if text else []
        found.append(("action", match[2].strip()))
        at, eat = match.end(), bool(match[3])
    rest = source[at:].lstrip() if eat else source[at:]
    return found + ([("text", rest)] if rest else [])


def _parse(tokens: list[tuple[str, str]]) -> list[Any]:
    root = Block("root")
    stack, targets = [root], [root.body]
    for kind, text in tokens:
        words = WORD.findall(text) if kind == "action" else []
        if kind == "text":
            targets[-1].append(text)
        elif words[0] in ("if", "range"):
            block = Block(words[0], words[1:])
            targets[-1].append(block)
            stack.append(block)
            targets.append(block.body)
        elif words[0] == "else":
            targets[-1] = stack[-1].other
            if words[1:2] == ["if"]:
                inner = Block("elif", words[2:])
                targets[-1].append(inner)
                stack.append(inner)
                targets.append(inner.body)
        elif words[0] == "end":
            while stack.pop().kind == "elif":
                targets.pop()
            targets.pop()
        else:
            targets[-1].append(Block("do", words))
    assert stack == [root], "an action without its end"
    return root.body


def _run(nodes: list[Any], dot: Any, scopes: list[dict[str, Any]]) -> str:
    written = []
    for node in nodes:
        if isinstance(node, str):
            written.append(node)
        elif node.kind == "do":
            written.append(_do(node.head, dot, scopes))
        elif node.kind == "range":
            written.append(_range(node, dot, scopes))
        else:
            chosen = node.body if _true(_value(node.head, dot, scopes)) else node.other
            written.append(_run(chosen, dot, [*scopes, {}]))
    return "".join(written)


def _do(words: list[str], dot: Any, scopes: list[dict[str, Any]]) -> str:
    if words[1:2] == [":="]:
        scopes[-1][words[0]] = _value(words[2:], dot, scopes)
        return ""
    if words[1:2] == ["="]:
        next(scope for scope in reversed(scopes) if words[0] in scope)[words[0]] = _value(words[2:], dot, scopes)
        return ""
    return _text(_value(words, dot, scopes))


def _range(node: Block, dot: Any, scopes: list[dict[str, Any]]) -> str:
    names, head = [], node.head
    if ":=" in head:
        at = head.index(":=")
        names, head = [word for word in head[:at] if word != ","], head[at + 1 :]
    written = []
    for number, item in enumerate(_value(head, dot, scopes) or []):
        own = dict(zip(names[::-1], [item, number], strict=False)) if names else {}
        written.append(_run(node.body, item, [*scopes, own]))
    return "".join(written)


def _value(words: list[str], dot: Any, scopes: list[dict[str, Any]]) -> Any:
    terms, at = [], 0
    while at < len(words):
        if words[at] == "(":
            depth, end = 1, at + 1
            while depth:
                depth += {"(": 1, ")": -1}.get(words[end], 0)
                end += 1
            terms.append(("value", _value(words[at + 1 : end - 1], dot, scopes)))
            at = end
        else:
            terms.append(("word", words[at]))
            at += 1
    kind, first = terms[0]
    if kind == "word" and first in FUNCTIONS:
        return FUNCTIONS[first](*[_term(term, dot, scopes) for term in terms[1:]])
    assert len(terms) == 1, words
    return _term(terms[0], dot, scopes)


def _term(term: tuple[str, Any], dot: Any, scopes: list[dict[str, Any]]) -> Any:
    kind, word = term
    if kind == "value":
        return word
    if word.startswith('"'):
        return json.loads(word)
    if re.fullmatch(r"-?\d+", word):
        return int(word)
    if word in ("true", "false"):
        return word == "true"
    start, *path = word.split(".")
    value = dot if start == "" else next(scope for scope in reversed(scopes) if start in scope)[start]
    for name in filter(None, path):
        value = value[name]
    return value


def _true(value: Any) -> bool:
    return bool(value)


def _and(*values: Any) -> Any:
    return next((value for value in values if not _true(value)), values[-1])


def _or(*values: Any) -> Any:
    return next((value for value in values if _true(value)), values[-1])


FUNCTIONS = {
    "and": _and,
    "or": _or,
    "not": lambda value: not _true(value),
    "eq": lambda a, *others: any(a == b for b in others),
    "ne": lambda a, b: a != b,
    "gt": lambda a, b: a > b,
    "lt": lambda a, b: a < b,
    "len": len,
}


def _text(value: Any) -> str:
    """As Ollama prints: tools and arguments are JSON without spaces."""
    if isinstance(value, dict | list):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return "" if value is None else str(value)
