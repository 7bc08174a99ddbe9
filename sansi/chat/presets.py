"""Sampling defaults by mode: the published ones, or the checkpoint's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sansi.base.codec_file import GENERATION_CONFIG
from sansi.base.config import Config, config_to_dict, load_config
from sansi.base.errors import SansiError, did_you_mean
from sansi.base.files import read_json
from sansi.base.shown import show
from sansi.engine import SamplingParams
from sansi.engine.params import Sampling, check_params

KEY = "sansi_presets"
MODES = ("thinking", "non-thinking")
# Budgets by name. They name an order of magnitude, not a promise of quality; None is what the answer's reserve leaves.
EFFORTS: Mapping[str, int | None] = MappingProxyType(
    {"none": 0, "minimal": 256, "low": 1024, "medium": 4096, "high": 16_384, "xhigh": None, "max": None}
)


@dataclass(frozen=True)
class Preset(Sampling, Config):
    """Sampling values of one mode."""

    def problems(self) -> list[str]:
        try:
            check_params(SamplingParams(**config_to_dict(self)), vocab_size=1)
        except SansiError as error:
            return [str(error)]
        return []


@dataclass(frozen=True)
class Presets(Config):
    """One preset per mode, and where they come from."""

    thinking: Preset = Preset(temperature=0.6, top_p=0.95, top_k=20)
    non_thinking: Preset = Preset(temperature=0.7, top_p=0.8, top_k=20, presence_penalty=1.5)
    source: str = "published"

    def of(self, thinking: bool) -> Preset:
        return self.thinking if thinking else self.non_thinking

    @classmethod
    def from_pretrained(cls, folder: str | Path, foreign: bool = False) -> Presets:
        """The published presets, with what `generation_config.json` says under "sansi_presets" in their place.

        foreign: the model is not of Qwen3's family, so that file's own sampling values take their place, with GENERAL
        for what it leaves open.

        That key holds {"thinking": {...}, "non-thinking": {...}}, each with fields of `Preset`; both are optional.
        Raises SansiError for unknown keys and values out of range.
        """
        file = Path(folder) / GENERATION_CONFIG
        config = _mapping(read_json(file), str(file)) if file.exists() else {}
        default = _foreign(config, str(file)) if foreign else cls()
        if KEY not in config:
            return default
        where, own = f"{file}: {KEY}", _mapping(config[KEY], f"{file}: {KEY}")
        if unknown := sorted(set(own) - set(MODES)):
            raise SansiError(f'{where}: unknown mode "{unknown[0]}"{did_you_mean(unknown[0], MODES)}', param=KEY)
        return cls(
            thinking=_override(default.thinking, own.get("thinking", {}), f"{where}.thinking"),
            non_thinking=_override(default.non_thinking, own.get("non-thinking", {}), f"{where}.non-thinking"),
            source=GENERATION_CONFIG,
        )


GENERAL = Preset(temperature=0.7, top_p=0.9)
"""For models that say nothing of how they want to be sampled."""


def _foreign(config: Mapping[str, Any], where: str) -> Presets:
    """The sampling values of a generation_config.json, for both modes; null and what is no number is not said."""
    names = [f.name for f in fields(Preset)]
    said = {name: config[name] for name in names if type(config.get(name)) in (int, float)}
    said |= {"temperature": 0.0} if config.get("do_sample") is False else {}
    preset = _override(GENERAL, said, where)
    return Presets(preset, preset, source=GENERATION_CONFIG if said else "general")


def _override(default: Preset, values: Any, where: str) -> Preset:
    return load_config(Preset, {**config_to_dict(default), **_mapping(values, where)}, where)


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SansiError(f"{where} must be an object, not {show(value)}", param=KEY)
    return value
