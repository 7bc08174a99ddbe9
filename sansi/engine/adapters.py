"""The adapters that an engine's requests may ask for, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.shown import show
from sansi.model import ModelConfig
from sansi.model.adapters import Adapter, check_base, read_adapter
from sansi.model.formats.source import WeightSource


def read_adapters(given: Mapping[str, Adapter | str | Path] | None, config: ModelConfig) -> dict[str, Adapter]:
    """What each name stands for, for a model of this configuration. Raises SansiError as `read_adapter` does."""
    found: dict[str, Adapter] = {}
    for name, adapter in (given or {}).items():
        if not isinstance(name, str) or not name or not name.isprintable() or name != name.strip():
            raise SansiError(f"{show(name)} is no name for an adapter: printable text is", param="adapters")
        found[name] = adapter if isinstance(adapter, Adapter) else read_adapter(adapter, config)
    return found


def for_base(adapters: Mapping[str, Adapter], source: WeightSource) -> dict[str, Adapter]:
    """The adapters, without what of their base they hold. Raises SansiError where one is for another base, as far as
    that tells."""
    for adapter in adapters.values():
        check_base(adapter, source)
    return {name: replace(adapter, copies={}) for name, adapter in adapters.items()}


def number_of(name: str | None, adapters: Mapping[str, Adapter]) -> int:
    """As in `Batch.adapters`. Raises SansiError for a name that there is not."""
    if name is None:
        return 0
    if name not in adapters:
        hint = did_you_mean(name, adapters) if adapters else "; the engine was made without any"
        raise SansiError(f"there is no adapter {show(name)}{hint}", param="adapter")
    return list(adapters).index(name) + 1
