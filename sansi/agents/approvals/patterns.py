"""Patterns of rules: `*` stands for any text, `?` for one character, a backslash takes the next one as it is.

What is approved must be what was meant, and what is forbidden must be so however it is spelled. So the same pattern is
narrow where it approves (`approves`) and wide where it stops (`stops`):

- `approves`: `*` neither leaves a command (no `;`, `|`, `&`, `<`, `>`, `$`, backquote, bracket, line break) nor a
  folder (no `..`), and in an address it does not leave the host.
- `stops`: case, width, runs of blanks and characters that are not seen do not count; escaped characters of addresses
  are read, numbers are the IP addresses that they stand for, `.` and `..` in paths are gone along. Of a command each
  part is looked at, too, without its quotes and without the folder of its program.
"""

from __future__ import annotations

import functools
import posixpath
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from sansi.base import SansiError

_ANY = "(?s:.)"
_WITHIN_COMMAND = r"[^;&|<>`$\n\r(){}\\\x00]"
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#]*)(.*)", re.DOTALL | re.IGNORECASE)
_PARTS = re.compile(r"[;&|\n\r(){}`]+|\$\(")
_BLANKS = re.compile(r"\s+")
_STEPS = re.compile(r"[/\\]")
_QUOTES = re.compile(r"['\"\\]")
_FOLDER = re.compile(r"^\S*/")  # of the program that a command begins with


def approves(pattern: str, value: str, command: bool) -> bool:
    """Whether an approval of `pattern` covers `value`. command: the value is run by a shell or an interpreter."""
    if not has_stars(pattern):
        return _literal(pattern) == value
    if command:
        return bool(_compiled(pattern, _WITHIN_COMMAND).fullmatch(value))
    if address := _ADDRESS.fullmatch(pattern):
        return _approves_address(address, value)
    return stays_inside(value) and bool(_compiled(pattern, _ANY).fullmatch(value))


def stops(pattern: str, value: str, command: bool) -> bool:
    """Whether what is said of `pattern`, to ask or to refuse, is said of `value`."""
    wanted = _compiled(_folded(pattern), _ANY)
    return any(wanted.fullmatch(reading) for reading in _readings(value, command))


def escaped(name: str) -> str:
    """The pattern that is meant for this one text."""
    return re.sub(r"([\\*?])", r"\\\1", name)


def has_stars(pattern: str) -> bool:
    """Whether a pattern is meant for more than one text."""
    return "*" in pattern or "?" in pattern


def names(pattern: str, name: str) -> bool:
    """Whether a name is meant by a pattern of names."""
    return bool(_compiled(pattern, _ANY).fullmatch(name))


def problem_of(pattern: str) -> str | None:
    """What is wrong with a pattern of values, in one clause; None where nothing is."""
    address = _ADDRESS.fullmatch(pattern)
    if address and "*" in address[2].removeprefix("*."):
        return 'the host of an address may begin with "*." and holds no other "*"; write https://example.com/*'
    return None


def _approves_address(pattern: re.Match[str], value: str) -> bool:
    """Scheme, host and the rest are compared each on its own, so that no `*` reaches into another's house."""
    if any(character in value for character in "\\ \t\r\n") or not value.isprintable():
        return False
    try:
        address = urlsplit(value)
        host = (address.hostname or "") + (f":{address.port}" if address.port is not None else "")
    except ValueError:
        return False
    if "@" in address.netloc or address.scheme != pattern[1].lower() or not _is_host(pattern[2].lower(), host):
        return False
    rest = value[value.index("://") + 3 + len(address.netloc) :] or "/"
    return stays_inside(unquote(rest)) and bool(_compiled(pattern[3] or "/", _ANY).fullmatch(rest))


def _is_host(pattern: str, host: str) -> bool:
    return host.endswith(pattern[1:]) and len(host) > len(pattern) - 1 if pattern.startswith("*.") else host == pattern


def stays_inside(value: str) -> bool:
    """Whether no step of a path goes up."""
    return ".." not in _STEPS.split(value)


def _readings(value: str, command: bool) -> Iterator[str]:
    yield _folded(value)
    if "%" in value:
        yield _folded(unquote(value))
    for text in (value.strip(), _as_fetched(value)):
        if address := _ADDRESS.fullmatch(text):  # less a user's name and a port, which do not change whose house it is
            host = re.sub(r":\d*$", "", address[2].rpartition("@")[2])
            rest = address[3] if address[3].startswith("/") else f"/{address[3]}"
            yield _folded(f"{address[1]}://{host.rstrip('.')}{rest}")
    if not command:
        yield _folded(posixpath.normpath(value.strip().replace("\\", "/")))
        return
    for part in _PARTS.split(value):
        yield _folded(part)
        bare = _QUOTES.sub("", part).strip()
        yield _folded(bare)
        yield _folded(_FOLDER.sub("", bare))


def _as_fetched(value: str) -> str:
    """The address that `fetch` makes of a text: numbers as the IP address that they are, hosts in ASCII."""
    from sansi.agents.tools.web.urls import read_address

    try:
        return str(read_address(value)) if ":" in value[:8] else ""
    except SansiError:
        return ""


def _folded(text: str) -> str:
    """In one case, width and kind of blank, with the stops of other scripts as dots and without what is not seen."""
    plain = unicodedata.normalize("NFKC", text).replace("\u3002", ".")
    seen = "".join(c for c in plain if c.isascii() or unicodedata.category(c) != "Cf")
    return _BLANKS.sub(" ", seen).strip().casefold()


def _literal(pattern: str) -> str:
    return re.sub(r"\\(.)", r"\1", pattern, flags=re.DOTALL)


@functools.lru_cache(maxsize=1024)
def _compiled(pattern: str, character: str) -> re.Pattern[str]:
    """The pattern as an expression; what stands between two stars is looked for once, so that none takes long."""
    parts = [""]
    for token in re.findall(r"\\.|\*+|.", pattern, flags=re.DOTALL):
        if token[0] == "*":
            parts.append("")
        else:
            parts[-1] += character if token == "?" else re.escape(_literal(token))
    head, *rest = parts
    stars = "".join(f"(?>{character}*?{part})" for part in rest[:-1])
    return re.compile(head + stars + (f"{character}*{rest[-1]}" if rest else ""))
