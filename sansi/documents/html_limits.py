"""Bounds on a web page, counted before it is parsed: parsers take time with the square of some of its sizes."""

from __future__ import annotations

import re

from sansi.documents.document import DocumentError, named

MAX_TAGS = 1_000_000
MAX_DEPTH = 4_000  # of elements in elements
MAX_ATTRIBUTES = 1_000  # of one element
_LONG = 2 * MAX_ATTRIBUTES  # characters that as many attributes take
_LONG_TAG = re.compile(r"[a-zA-Z](?:[^>\"']|\"[^\"]{0,999}\"|'[^']{0,999}')*+")
_NAMES = re.compile(r"<(/?[a-zA-Z][\w:-]*)")
_TAGS = re.compile(r"<(/?[a-zA-Z][\w:-]*)[^<>]*?(/?)>")
# Elements that end by themselves, hold nothing, or nest without any rule that looks at what is around them.
_NO_DEPTH_NAMES = (
    "p li dt dd tr td th tbody thead tfoot option optgroup colgroup col rb rt rp rtc body html head caption "
    "area base br embed hr img input link meta param source track wbr basefont bgsound frame keygen "
    "a b big code em font i nobr s small strike strong tt u span abbr cite sup sub q label "
    "script style title textarea noscript"
)
_NO_DEPTH = frozenset(_NO_DEPTH_NAMES.split())


def check_page(source: str, name: str | None = None) -> None:
    """Raises DocumentError for a page that would keep a parser busy, whatever the machine."""
    tags = source.count("<")
    if tags > MAX_TAGS:
        raise _too_much(name, f"it has {tags:,} tags; at most {MAX_TAGS:,} are read")
    if tags > MAX_DEPTH and (depth := _depth(source)) > MAX_DEPTH:
        raise _too_much(name, f"its elements nest {depth:,} deep; at most {MAX_DEPTH:,} levels are read")
    pieces = source.split("<")
    if max(map(len, pieces)) <= _LONG:
        return
    for piece in pieces:
        if len(piece) > _LONG and (attributes := _attributes(piece)) > MAX_ATTRIBUTES:
            said = f"one of its elements has {attributes:,} attributes; at most {MAX_ATTRIBUTES:,} are read"
            raise _too_much(name, said)


def _too_much(name: str | None, why: str) -> DocumentError:
    return DocumentError(f"{named(name)} is no page that anybody wrote: {why}", code="broken")


def _attributes(piece: str) -> int:
    """How many attributes a tag has. piece: what follows its `<`."""
    found = _LONG_TAG.match(piece)
    return len(found[0].split()) - 1 if found else 0


def _depth(source: str) -> int:
    """How deep elements nest at most, by their tags alone."""
    deepest = _deepest(_NAMES.findall(source))
    if deepest <= MAX_DEPTH:
        return deepest
    return _deepest([name for name, alone in _TAGS.findall(source) if not alone])  # pictures have thousands of <path/>


def _deepest(names: list[str]) -> int:
    steps: dict[str, int] = {}
    depth = deepest = 0
    for name in names:
        step = steps.get(name)
        if step is None:
            closes, tag = name.startswith("/"), name.strip("/").lower()
            step = steps[name] = 0 if tag in _NO_DEPTH else -1 if closes else 1
        if step > 0:
            depth += 1
            deepest = max(deepest, depth)
        elif step and depth:
            depth -= 1
    return deepest
