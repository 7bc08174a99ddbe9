"""What the configuration of a server holds that is told to nobody: neither to people nor, with an error, to a model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from urllib.parse import parse_qsl, urlsplit

from sansi.agents.mcp.config import ServerConfig
from sansi.agents.mcp.environment import environment_of

SHORTEST = 6  # characters: what is shorter is no secret, and stands in other words
HIDDEN = "***"
_SECRET = re.compile(r"auth|cookie|credential|key|passw|passphrase|(?:^|[_-])pass(?:$|[_-])|secret|token|dsn", re.I)


def names_a_secret(name: str) -> bool:
    """Whether a variable, a header or an option is called as those are that hold one."""
    return _SECRET.search(name) is not None


def secrets_of(config: ServerConfig) -> tuple[str, ...]:
    """The longest first, so that none is left in part where it begins as another does."""
    env = environment_of(config) if config.command is not None else {}  # with what it inherits
    found = {*config.hidden, *_values(env.items()), *_values(config.headers.items())}
    found |= {*_values(_options(config.args)), *_values(_of_address(config.url or ""))}
    found |= {value.split()[-1] for value in found if value.split()}  # of "Bearer X" the X
    return tuple(sorted((value for value in found if len(value) >= SHORTEST), key=len, reverse=True))


def without(text: str, secrets: Iterable[str]) -> str:
    """`text` with none of them in it."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text


def _values(named: Iterable[tuple[str, str]]) -> Iterator[str]:
    return (value for name, value in named if names_a_secret(name))


def _options(args: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """`--name value` and `--name=value`."""
    for option, value in pairwise((*args, "")):
        name, equals, joined = option.partition("=")
        if name.startswith("-"):
            yield name, joined if equals else value


def _of_address(url: str) -> Iterator[tuple[str, str]]:
    try:
        parts = urlsplit(url)
        password = parts.password
    except ValueError:
        return
    yield "password", password or ""
    yield from parse_qsl(parts.query)
