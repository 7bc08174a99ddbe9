"""What people call a model, and what it is called on a hub."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from sansi.base.errors import SansiError
from sansi.model.presets import OWNER, PRESETS

BUNDLED_SHAPES = ("nano", "smollm2")
_VARIANTS = (
    *(f"Qwen3-{size}-Base" for size in ("0.6B", "1.7B", "4B", "8B", "14B", "30B-A3B")),
    *(f"Qwen3-{size}-{kind}-2507" for size in ("4B", "30B-A3B", "235B-A22B") for kind in ("Instruct", "Thinking")),
    "Qwen3-Coder-30B-A3B-Instruct",
)
OFFICIAL = (*(name for name in PRESETS if name not in BUNDLED_SHAPES), *_VARIANTS)
"""Names under which the official weights are found; the published shapes first, by size."""

# A part may not begin or end with a point or a hyphen.
_PART = r"[A-Za-z0-9_](?:[\w.-]*[A-Za-z0-9_])?"
_NAME = re.compile(rf"({_PART})/({_PART})", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9_](?:[\w./+-]*[\w+-])?", re.ASCII)  # it becomes a part of paths
_PAGE = re.compile(r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co|modelscope\.cn/models)/", re.IGNORECASE)
_QUANTISED = re.compile(
    r"[-_.]+(?:(?:i1-)?gguf|awq|gptq|fp8|nvfp4|mlx|bnb|int[48]|w4a16|w8a8|[234568]bit)(?:[-_.].*)?$", re.IGNORECASE
)


@dataclass(frozen=True)
class ModelName:
    """A model on a hub."""

    repository: str
    """OWNER/NAME."""
    revision: str | None = None
    """A branch, tag or commit; None: the hub's default."""
    file: str | None = None
    """Which of several GGUF files: its kind ("Q4_K_M"), or its name."""

    def __str__(self) -> str:
        chosen = self.repository if self.file is None else f"{self.repository}:{self.file}"
        return chosen if self.revision is None else f"{chosen}@{self.revision}"


def read_name(text: str) -> ModelName:
    """What `text` means on a hub: OWNER/NAME, the short name of an official model in any case, or a page's address.

    OWNER/NAME:Q4_K_M chooses a GGUF file, NAME@REVISION a branch, tag or commit. Raises SansiError for what no hub
    could know.
    """
    plain, page_revision, page_file = _from_page(text.strip())
    name, _, revision = plain.partition("@")
    file = None
    if "/" in name.partition(":")[0]:
        name, _, file = name.partition(":")
    repository = official_name(name) or name
    if not _NAME.fullmatch(repository) or ".." in repository or "--" in repository:
        raise SansiError(f"{text}: neither a folder nor the name of a model{nearest(name)}", code="model_not_found")
    wanted = revision or page_revision
    if wanted and (not _REVISION.fullmatch(wanted) or ".." in wanted or "//" in wanted):
        raise SansiError(f'{text}: "{wanted}" can not be a revision; give a branch, a tag or a commit after the @')
    return ModelName(repository, wanted, file or page_file)


def _from_page(text: str) -> tuple[str, str | None, str | None]:
    """Name, revision and GGUF file in the address of a page of a hub; any other text as it is."""
    found = _PAGE.match(text)
    if not found:
        return text, None, None
    parts = text[found.end() :].split("?")[0].strip("/").split("/")
    revision = parts[3] if parts[2:3] in (["tree"], ["blob"], ["resolve"]) and parts[3:] else None
    file = "/".join(parts[4:])
    return "/".join(parts[:2]), revision, file if file.lower().endswith(".gguf") else None


def official_name(name: str) -> str | None:
    """The hub's name of an official model, whatever the case of `name` and with or without its owner; else None."""
    owner, _, short = name.rpartition("/")
    if owner.lower() not in ("", OWNER.lower()):
        return None
    known = next((known for known in OFFICIAL if known.lower() == short.lower()), None)
    return known and f"{OWNER}/{known}"


def nearest(name: str) -> str:
    """'; did you mean "x"?' for the official name next to `name`, or what names look like."""
    short = name.rpartition("/")[2].lower().replace(":", "-")
    known = {official.lower(): official for official in (*OFFICIAL, *BUNDLED_SHAPES)}
    if short and (near := difflib.get_close_matches(short[:64], known, n=1)):
        return f'; did you mean "{known[near[0]]}"?'
    return f"; give a folder, a name of a hub (OWNER/NAME), or one of {', '.join((*BUNDLED_SHAPES, *OFFICIAL[:8]))}"


def without_password(address: str) -> str:
    """A hub's address as it may be shown: without the user and password that a mirror may want."""
    scheme, mark, rest = address.rpartition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"


def unquantised(repository: str) -> str | None:
    """The name that `repository` would have without the mark of a quantised or converted copy; None if it has none."""
    plain = _QUANTISED.sub("", repository)
    if plain == repository:
        return None
    return official_name(plain.rpartition("/")[2]) or plain
