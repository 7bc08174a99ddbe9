"""Which modules adapter_config.json says an adapter changes, by PEFT's rules. Needs no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.shown import show

ALL_LINEAR = "all-linear"
EXPERT = re.compile(r".*\.mlp\.experts(\.\d+\..*)?")


@dataclass(frozen=True)
class Targets:
    """Module names are those of the model, as `model.layers.0.self_attn.q_proj`."""

    modules: str | tuple[str, ...] | None
    """A regular expression, ends of names, or "all-linear"; None: not said."""
    exclude: str | tuple[str, ...] | None
    parameters: tuple[str, ...]
    """Ends of names of parameters that are adapted without a module of their own: stacked experts, a router."""
    layers: tuple[int, ...] | None
    """layers_to_transform; None: all."""
    layers_pattern: tuple[str, ...]

    @classmethod
    def of(cls, values: Mapping[str, Any], where: str) -> Targets:
        modules, exclude = (_modules(values, name, where) for name in ("target_modules", "exclude_modules"))
        layers = values.get("layers_to_transform")
        layers = [layers] if type(layers) is int else layers
        if layers is not None and not (isinstance(layers, list) and all(type(i) is int and i >= 0 for i in layers)):
            raise SansiError(f'{where}: "layers_to_transform" must be numbers of layers, not {show(layers)}')
        if layers is not None and isinstance(modules, str):
            raise SansiError(f'{where}: "layers_to_transform" is for a list of "target_modules", not for a pattern')
        among = values.get("layers_pattern") or None
        among = names_of({"layers_pattern": [among] if isinstance(among, str) else among}, "layers_pattern", where)
        parameters = names_of(values, "target_parameters", where) or ()
        return cls(modules, exclude, parameters, tuple(layers) if layers else None, among or ())

    @property
    def known(self) -> bool:
        """Whether the folder says what was adapted."""
        return self.modules is not None or bool(self.parameters)

    def takes(self, module: str) -> bool:
        """Whether the module of this name is adapted."""
        return self._chosen(module) or any(_ends(f"{module}.weight", name) for name in self.parameters)

    def takes_stack(self, experts: str, kind: str) -> bool:
        """Whether the stack `kind` (gate_up_proj, down_proj) of a layer's experts is; also by the names that its parts
        have where each expert has modules of its own."""
        names = (kind, "gate_proj", "up_proj") if kind == "gate_up_proj" else (kind,)
        direct = any(_ends(f"{experts}.{name}", target) for name in names for target in self.parameters)
        return direct or any(self._chosen(f"{experts}.0.{name}") for name in names)

    def _chosen(self, module: str) -> bool:
        if self.modules is None or _named(self.exclude, module):
            return False
        if isinstance(self.modules, str) and self.modules.lower() == ALL_LINEAR:
            return not module.endswith(("embed_tokens", "lm_head"))
        return _named(self.modules, module) and self._in_layers(module)

    def _in_layers(self, module: str) -> bool:
        if self.layers is None:
            return True
        before = [rf"(?:^|.*?\.){name}" for name in self.layers_pattern] or [r".*?\.[^.]*"]
        found = next((match for b in before if (match := re.match(rf"{b}\.(\d+)\.", module))), None)
        return found is not None and int(found[1]) in self.layers


def matches(key: str, module: str) -> bool:
    """Whether a key of rank_pattern or alpha_pattern is for the module."""
    return re.match(rf"(.*\.)?({key})$", module) is not None


def pattern(text: str, name: str, where: str) -> str:
    """The text, if it is a regular expression; SansiError else."""
    try:
        re.compile(text)
    except re.error as error:
        raise SansiError(f'{where}: "{name}" has {show(text)}, which is no regular expression ({error})') from error
    return text


def names_of(values: Mapping[str, Any], field: str, where: str) -> tuple[str, ...] | None:
    """A list of names; None: the field is absent or null."""
    found = values.get(field)
    if found is None:
        return None
    if not isinstance(found, list) or not all(isinstance(name, str) and name for name in found):
        raise SansiError(f'{where}: "{field}" must be a list of names, not {show(found)}')
    return tuple(found)


def _modules(values: Mapping[str, Any], field: str, where: str) -> str | tuple[str, ...] | None:
    found = values.get(field)
    if isinstance(found, str):
        return pattern(found, field, where)
    return names_of(values, field, where)


def _named(chosen: str | tuple[str, ...] | None, module: str) -> bool:
    if chosen is None:
        return False
    if isinstance(chosen, str):
        return re.fullmatch(chosen, module) is not None
    return any(_ends(module, name) for name in chosen)


def _ends(name: str, end: str) -> bool:
    return name == end or name.endswith(f".{end}")
