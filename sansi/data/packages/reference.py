"""Any package of a registry by its name: "pypi:flask==3.0.3", "npm:left-pad@1.3.0", "deb:perl-doc"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from sansi.base.errors import SansiError, did_you_mean

REGISTRIES = {
    "pypi": re.compile(r"([A-Za-z0-9][\w.-]*)(?:\s*==\s*([\w.!+-]+))?"),
    "npm": re.compile(r"((?:@[a-z0-9~-][\w.~-]*/)?[a-z0-9~-][\w.~-]*)(?:@([\w.+-]+))?"),
    "deb": re.compile(r"([a-z0-9][a-z0-9+.-]+)(?:=([\w.+~:-]+))?"),
}
_FORMS = {"pypi": "pypi:NAME==1.0", "npm": "npm:NAME@1.0.0", "deb": "deb:NAME=1.0-1"}


@dataclass(frozen=True)
class Reference:
    """A package of a registry, and which version of it."""

    registry: Literal["pypi", "npm", "deb"]
    name: str
    version: str | None  # None: the one that the registry gives


def parse_reference(text: str) -> Reference:
    """Raises SansiError that says what a name of a package looks like."""
    registry, mark, rest = text.partition(":")
    if not mark or registry not in REGISTRIES:
        hint = did_you_mean(registry, REGISTRIES)
        raise SansiError(f'"{text}" names no registry that is known{hint}; {_forms()}', param="package")
    found = REGISTRIES[registry].fullmatch(rest.strip())
    if not found:
        raise SansiError(f'"{text}" is no name of a package; write it as {_FORMS[registry]}', param="package")
    return Reference(cast(Literal["pypi", "npm", "deb"], registry), found[1], found[2])


def _forms() -> str:
    return "write it as " + ", ".join(_FORMS.values())
