"""Regular expressions and formats of strings: whether the compiler knows them, and what they match.

Each is compiled alone for that, over the bytes as vocabulary, which takes a millisecond or so.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Any, Literal

import llguidance

from sansi.engine.rehearsal import LIMITS, ByteVocabulary

MOST_JOINED = 2  # expressions that are compiled as one without watching the time
RAW = r'[^"\\\x00-\x1f]'
"""A character that stands in JSON as it is."""


@functools.lru_cache(maxsize=1024)
def is_known(keyword: str, value: str) -> bool:
    """Whether a grammar can hold strings to a `pattern`, or to a `format`."""
    return _matcher(keyword, value) is not None


@functools.lru_cache(maxsize=4096)
def matches(pattern: str, text: str) -> bool:
    """Whether an expression is found in a text; one that is not known is found in none."""
    matcher = _matcher("pattern", pattern)
    if matcher is None:
        return False
    ids = list(json.dumps(text, ensure_ascii=False).encode(errors="replace"))
    matcher = matcher.deep_copy()
    return matcher.validate_tokens(ids) == len(ids) and matcher.consume_tokens(ids) and matcher.is_accepting()


def is_empty(schema: Mapping[str, Any]) -> bool:
    """Whether no string fits; where finding that may take long, as with several expressions, it is not looked for."""
    if len(schema.get("allOf", ())) > MOST_JOINED:
        return False
    return "allOf" in schema and _compiled(json.dumps(schema)) == "empty"


def searched(pattern: str) -> str | None:
    """An expression of the whole text in which `pattern` is found; None where it is not known, or its anchors stand
    inside it."""
    if not is_known("pattern", pattern):
        return None
    starts, ends = pattern.startswith("^"), bool(re.search(r"(?<!\\)(\\\\)*\$$", pattern))
    body = pattern[starts : len(pattern) - ends]
    bare = re.sub(r"\\.|\[(?:\\.|[^\]\\])*\]", "_", body, flags=re.DOTALL)  # without escapes and classes
    if "^" in bare or "$" in bare or ((starts or ends) and "|" in _outside(bare)):
        return None
    return f"{'' if starts else '(?s:.*)'}(?:{llguidance.regex_to_lark(body, 'dw')}){'' if ends else '(?s:.*)'}"


def _outside(text: str) -> str:
    """What stands in no parentheses."""
    depth, found = 0, []
    for char in text:
        depth += (char == "(") - (char == ")")
        found.append(char if not depth else "")
    return "".join(found)


def _matcher(keyword: str, value: str) -> llguidance.LLMatcher | None:
    found = _compiled(json.dumps({"type": "string", keyword: value}))
    return None if isinstance(found, str) else found


@functools.lru_cache(maxsize=512)
def _compiled(schema: str) -> llguidance.LLMatcher | Literal["empty", "unknown"]:
    bounds = llguidance.LLParserLimits(verbose_errors=False, **LIMITS)
    source = '%llguidance {"no_forcing": true}\nstart: %json ' + schema
    matcher = llguidance.LLMatcher(_tokenizer(), source, limits=bounds, log_level=0)
    if not matcher.is_error():
        matcher.compute_bitmask()
    if not matcher.is_error():
        return matcher
    return "empty" if "Unsatisfiable" in matcher.get_error() else "unknown"


@functools.cache
def _tokenizer() -> llguidance.LLTokenizer:
    return llguidance.LLTokenizer(llguidance.TokenizerWrapper(ByteVocabulary()))
