"""What an export leaves in writing: what was made of what, how far it is from it, and the digests of both."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sansi import __version__
from sansi.base.digests import file_sha256
from sansi.base.errors import SansiError
from sansi.base.files import read_json, write_json

RECEIPT_FILE = "sansi_receipt.json"
_PART = re.compile(r"-\d{5}-of-\d{5}$")


@dataclass(frozen=True)
class Divergence:
    """KL(source || export) of the next token, in nats, over prompts of one kind and the source's answers to them."""

    tokens: int
    mean: float
    p99: float
    same_top: float
    """Share of positions where both find the same token likeliest."""


@dataclass(frozen=True)
class Receipt:
    """What was exported."""

    model: str
    """What it is called."""
    base_model: str
    """What it was made of: a name of a hub, or a folder's."""
    format: str
    """ "gguf Q4_K_M", "fp8"."""
    bits: float
    """Mean per weight."""
    files: Mapping[str, Mapping[str, Any]]
    """Written file -> {"sha256", "bytes"}."""
    source: Mapping[str, Mapping[str, Any]]
    """The same of the weights and the configuration that it was made of."""
    source_format: str = ""
    licence: str | None = None
    """Of the source, as its card states it."""
    template_sha256: str | None = None
    """Of the chat template's text; None: the model has none."""
    calibration: Mapping[str, Any] | None = None
    """{"text", "sha256", "tokens"} of what was read for it; None: nothing was."""
    tensors: tuple[Mapping[str, Any], ...] = ()
    """{"name", "kind", "error"}: root mean squared error over the root mean square of the source's tensor."""
    coverage: Mapping[str, int] = field(default_factory=dict)
    """Expert -> tokens of the calibration text that it saw."""
    merged: Mapping[str, Any] | None = None
    """Of adapters that were merged: their digests, and how many tensors they changed."""
    divergence: Mapping[str, Divergence] = field(default_factory=dict)
    """By kind of prompt: "thinking", "non_thinking", "tools"; empty: it was not compared."""
    gate: None = None
    """Result of an evaluation gate. Nothing writes one yet: empty is not passed."""
    sansi: str = __version__

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "the receipt") -> Receipt:
        """Raises SansiError for what is no receipt."""
        fields, missing = dataclasses.fields(cls), dataclasses.MISSING
        known = {f.name for f in fields}
        needed = {f.name for f in fields if f.default is missing and f.default_factory is missing}
        if not isinstance(values, Mapping) or not needed <= set(values):
            raise SansiError(f"{where} is no receipt of an export; export the model again")
        kept = {key: value for key, value in values.items() if key in known}
        try:
            kept["divergence"] = {key: Divergence(**value) for key, value in (kept.get("divergence") or {}).items()}
        except (TypeError, AttributeError) as error:
            raise SansiError(f"{where}: divergence is damaged; export the model again") from error
        kept["tensors"] = tuple(kept.get("tensors") or ())
        return cls(**kept)


def receipt_path(exported: str | Path) -> Path:
    """Where the receipt of a folder, or of a GGUF file (of any part of one), lies."""
    path = Path(exported)
    if path.suffix.lower() != ".gguf":
        return path / RECEIPT_FILE
    return path.with_name(f"{_PART.sub('', path.stem)}.receipt.json")


def write_receipt(exported: str | Path, receipt: Receipt) -> Path:
    """Write it where `read_receipt` looks."""
    path = receipt_path(exported)
    write_json(path, receipt.to_dict())
    return path


def read_receipt(exported: str | Path) -> Receipt | None:
    """The receipt of an exported folder or GGUF file; None where there is none. Raises SansiError for a damaged one."""
    path = receipt_path(exported)
    return Receipt.from_dict(read_json(path), str(path)) if path.is_file() else None


def digests_of(files: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """{"sha256", "bytes"} of each file, by its name. Reads them whole: two seconds for a gibibyte."""
    return {file.name: {"sha256": file_sha256(file), "bytes": file.stat().st_size} for file in files}
