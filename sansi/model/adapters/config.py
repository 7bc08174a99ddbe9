"""adapter_config.json of PEFT: what is read, what is refused, and what is of the training alone. Needs no torch."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.files import as_path, read_json
from sansi.base.shown import show
from sansi.model.adapters.targets import Targets, matches, names_of, pattern
from sansi.model.formats.files import ADAPTER_CONFIG as CONFIG_FILE

WEIGHTS_FILE = "adapter_model.safetensors"
PICKLED_FILE = "adapter_model.bin"
READ = frozenset(
    [
        *("peft_type", "r", "lora_alpha", "use_rslora", "use_dora", "rank_pattern", "alpha_pattern", "target_modules"),
        *("exclude_modules", "target_parameters", "layers_to_transform", "layers_pattern", "modules_to_save", "bias"),
        *("fan_in_fan_out", "init_lora_weights", "trainable_token_indices", "ensure_weight_tying"),
        "base_model_name_or_path",
    ]
)
OF_TRAINING = frozenset(
    [
        *("task_type", "auto_mapping", "revision", "inference_mode", "lora_dropout", "loftq_config", "eva_config"),
        *("corda_config", "lora_ga_config", "megatron_core", "peft_version", "qalora_group_size", "runtime_config"),
    ]
)
"""Fields that change nothing of what a trained adapter computes."""
CHANGES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Initialisations that take from the base what they put into the adapter."""
INSTEAD = "merge it with PEFT (merge_and_unload) and give the merged model"


@dataclass(frozen=True)
class AdapterConfig:
    """What an adapter is, as its folder says."""

    folder: Path
    base: str
    """The model that it was trained on, as its trainer called it; may be empty."""
    r: int
    lora_alpha: float
    use_rslora: bool
    use_dora: bool
    rank_pattern: Mapping[str, int]
    alpha_pattern: Mapping[str, float]
    targets: Targets
    modules_to_save: tuple[str, ...]
    """Ends of the names of modules that were trained whole."""
    token_ids: Mapping[str, tuple[int, ...]]
    """Module -> the ids whose rows were trained."""
    tied: bool
    """Whether embedding and head were kept equal where the base ties them."""

    @classmethod
    def read(cls, folder: str | Path) -> AdapterConfig:
        """That of a PEFT folder. Raises SansiError, which names the field, for what is wrong or not supported."""
        path = as_path(folder, "an adapter's folder")
        values = _values(path)
        where = str(path / CONFIG_FILE)
        _check_kind(values, where)
        return cls(
            path,
            str(values.get("base_model_name_or_path") or ""),
            _rank(values.get("r", 8), "r", where),
            _number(values.get("lora_alpha", 8), "lora_alpha", where),
            _flag(values, "use_rslora", where),
            _flag(values, "use_dora", where),
            {k: _rank(v, f"rank_pattern.{k}", where) for k, v in _patterns(values, "rank_pattern", where).items()},
            {k: _number(v, f"alpha_pattern.{k}", where) for k, v in _patterns(values, "alpha_pattern", where).items()},
            Targets.of(values, where),
            names_of(values, "modules_to_save", where) or (),
            _token_ids(values.get("trainable_token_indices"), where),
            _flag(values, "ensure_weight_tying", where),
        )

    def rank(self, module: str) -> int:
        """Of the module, or parameter, of this name."""
        return next((r for key, r in self.rank_pattern.items() if matches(key, module)), self.r)

    def scale(self, module: str) -> float:
        """What the product of the two factors is multiplied with: alpha / r, or alpha / sqrt(r) (rank-stabilised,
        arXiv:2312.03732)."""
        alpha = next((a for key, a in self.alpha_pattern.items() if matches(key, module)), self.lora_alpha)
        rank = self.rank(module)
        return alpha / (math.sqrt(rank) if self.use_rslora else rank)

    def ids_of(self, module: str) -> tuple[int, ...]:
        """The ids whose rows of the module were trained alone."""
        return next((ids for end, ids in self.token_ids.items() if f".{module}".endswith(f".{end}")), ())

    def saves(self, module: str) -> bool:
        """Whether the module was trained whole."""
        return any(module == name or module.endswith(name) or f".{name}." in module for name in self.modules_to_save)


def _values(folder: Path) -> Mapping[str, Any]:
    if not folder.is_dir():
        what = "is a file; give the folder that it is in" if folder.is_file() else "there is no such folder"
        hint = "" if folder.is_file() else " (one of the hub: `hf download NAME --local-dir FOLDER` first)"
        raise SansiError(f"{folder}: {what}; an adapter is a folder with {CONFIG_FILE} and {WEIGHTS_FILE}{hint}")
    if not (folder / CONFIG_FILE).is_file():
        model = " (it is a model's folder: give that as the model)" if (folder / "config.json").is_file() else ""
        nested = sorted(file.parent.name for file in folder.glob(f"*/{CONFIG_FILE}"))
        hint = f"; did you mean {folder / nested[-1]}?" if nested else f"; it is no adapter of PEFT{model}"
        raise SansiError(f"{folder} has no {CONFIG_FILE}{hint}")
    values = read_json(folder / CONFIG_FILE)
    if not isinstance(values, dict):
        raise SansiError(f"{folder / CONFIG_FILE}: not a JSON object; the file is damaged, copy or download it again")
    return values


def _check_kind(values: Mapping[str, Any], where: str) -> None:
    if values.get("peft_type") != "LORA":
        raise SansiError(f'{where}: "peft_type" is {show(values.get("peft_type"))}, and Sansi reads "LORA"; {INSTEAD}')
    for name, value in values.items():
        if name not in READ | OF_TRAINING and value not in (None, False, "", [], {}):
            hint = did_you_mean(name, READ) if name not in _OF_PEFT else ""
            raise SansiError(f'{where}: "{name}" is {show(value)}, which Sansi does not apply{hint}; {INSTEAD}')
    if values.get("fan_in_fan_out"):
        raise SansiError(f'{where}: "fan_in_fan_out" is true, and no layer of this design is so; {INSTEAD}')
    if values.get("bias", "none") not in ("none", "all", "lora_only"):
        raise SansiError(f'{where}: "bias" is {show(values["bias"])}; it may be "none", "all" or "lora_only"')
    start = values.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(CHANGES_BASE):
        raise SansiError(
            f'{where}: "init_lora_weights" is "{start}", so the adapter belongs to a base that its training changed; '
            "save it with path_initial_model_for_weight_conversion, or give that base and set the field to true"
        )


_OF_PEFT = (
    *("lora_bias", "layer_replication", "megatron_config", "use_qalora", "velora_config", "alora_invocation_tokens"),
    *("monteclora_config", "use_bdlora", "arrow_config", "kasa_config"),
)


def _flag(values: Mapping[str, Any], name: str, where: str) -> bool:
    value = values.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise SansiError(f'{where}: "{name}" must be true or false, not {show(value)}')


def _rank(value: Any, name: str, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SansiError(f'{where}: "{name}" must be a whole number of 1 or more, not {show(value)}')
    return value


def _number(value: Any, name: str, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SansiError(f'{where}: "{name}" must be a number, not {show(value)}')
    return value


def _patterns(values: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    found = values.get(name) or {}
    if not isinstance(found, dict):
        raise SansiError(f'{where}: "{name}" must be an object, not {show(found)}')
    for key in found:
        pattern(key, name, where)
    return found


def _token_ids(value: Any, where: str) -> dict[str, tuple[int, ...]]:
    by_module = {"embed_tokens": value} if isinstance(value, list) else value or {}
    name = "trainable_token_indices"
    if not isinstance(by_module, dict):
        raise SansiError(f'{where}: "{name}" must be ids, or an object of them, not {show(value)}')
    for ids in by_module.values():
        if not isinstance(ids, list) or not all(type(i) is int and i >= 0 for i in ids):
            raise SansiError(f'{where}: "{name}" must hold ids, not {show(ids)}')
    return {re.sub(r"^(base_model\.model\.)?", "", module): tuple(ids) for module, ids in by_module.items()}
