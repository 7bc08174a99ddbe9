"""Environment variables in the strings of a configuration: `${NAME}`, `${NAME:-default}`, `$NAME` as a whole value."""

from __future__ import annotations

import os
import re
from typing import Any

from sansi.agents.mcp.secrets import names_a_secret

_VARIABLE = re.compile(r"\$\{(?:env:)?([A-Za-z_]\w*)(?::-([^}]*))?\}")
_WHOLE = re.compile(r"\$([A-Za-z_]\w*)")
_OTHER = re.compile(r"\$\{[^}]*\}")


class Variables:
    """Puts them in their place. `hidden` holds the values of those that are called as secrets are."""

    def __init__(self) -> None:
        self.hidden: list[str] = []

    def expanded(self, value: Any, key: str) -> Any:
        """The value with the variables' in their place. Raises ValueError for one that is not set."""
        if isinstance(value, dict):
            return {name: self.expanded(item, f"{key}.{name}") for name, item in value.items()}
        if isinstance(value, list):
            return [self.expanded(item, key) for item in value]
        if not isinstance(value, str):
            return value
        if whole := _WHOLE.fullmatch(value):
            return self._value_of(whole[1], None, key)
        if other := _OTHER.search(_VARIABLE.sub("", value)):
            raise ValueError(f'"{key}": {other[0]} names no environment variable; write ${{NAME}}')
        return _VARIABLE.sub(lambda found: self._value_of(found[1], found[2], key), value)

    def _value_of(self, name: str, default: str | None, key: str) -> str:
        value = os.environ.get(name, default)
        if value is None:
            raise ValueError(f'"{key}" needs the environment variable {name}, which is not set')
        if name in os.environ and names_a_secret(name):
            self.hidden.append(value)
        return value
