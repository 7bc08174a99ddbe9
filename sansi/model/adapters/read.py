"""Opens a PEFT folder, and finds for each of its tensors what it changes in a model."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sansi.base.errors import SansiError
from sansi.model.adapters.adapter import Adapter, LowRank, same_change
from sansi.model.adapters.config import CONFIG_FILE, PICKLED_FILE, WEIGHTS_FILE, AdapterConfig
from sansi.model.adapters.keys import Key, Part, read_key, stack_of
from sansi.model.adapters.stacks import unstacked, unstacked_whole
from sansi.model.adapters.targets import EXPERT
from sansi.model.config import ModelConfig
from sansi.model.formats.tensors import EMBEDDING, LM_HEAD
from sansi.model.formats.weights import shapes_of

log = logging.getLogger("sansi")
MOST_NAMED = 5
ROUTER = ".mlp.gate"


def read_adapter(folder: str | Path, config: ModelConfig) -> Adapter:
    """The adapter in a PEFT folder, for a model of this configuration.

    Raises SansiError, which names the field or the tensors, for a folder that is missing or damaged, for settings that
    are not applied here, for tensors that the model has no place for or that are missing, and for shapes that are
    another base's.
    """
    described = AdapterConfig.read(folder)
    return _Reading(described, config).adapter()


class _Reading:
    def __init__(self, described: AdapterConfig, config: ModelConfig):
        self._described, self._config = described, config
        self._shapes = shapes_of(config)
        if config.tie_word_embeddings:
            self._shapes[LM_HEAD] = self._shapes[EMBEDDING]
        self._tensors = _tensors(described.folder)
        self._keys = self._parsed()

    def adapter(self) -> Adapter:
        described = self._described
        low_rank = self._low_rank()
        replaced = self._whole("whole")
        self._check_targets(low_rank)
        rows = self._new_rows()
        tied = self._stays_tied(low_rank, replaced, rows)
        if tied:
            for changes in (low_rank, replaced, rows):
                changes.pop(LM_HEAD, None)  # type: ignore[attr-defined]
        copies = self._whole("copy")
        adapter = Adapter(described.folder, described.base, low_rank, replaced, rows, copies, tied)
        if not adapter.names:
            log.warning("%s: the adapter is as it was before its training, so it changes nothing", described.folder)
        return adapter

    # ---- the file ------------------------------------------------------------------------------------------------

    def _parsed(self) -> list[Key]:
        found = {name: read_key(name) for name in self._tensors}
        self._refuse([name for name, key in found.items() if key is None], "the model has no place for")
        keys = [key for key in found.values() if key is not None]
        self._names = {key: name for name, key in found.items() if key is not None}
        return keys

    def _tensor(self, key: Key) -> Tensor:
        return self._tensors[self._names[key]]

    def _refuse(self, names: Iterable[str], why: str) -> None:
        if listed := sorted(names):
            more = f" and {len(listed) - MOST_NAMED} more" if len(listed) > MOST_NAMED else ""
            told = ", ".join(listed[:MOST_NAMED]) + more
            raise SansiError(f"{self._described.folder}: {why} {told}; {self._another_base()}")

    def _another_base(self) -> str:
        base = self._described.base
        return f'is it for another base? It was trained on "{base}"' if base else "is it for another base?"

    # ---- pairs of factors ----------------------------------------------------------------------------------------

    def _low_rank(self) -> dict[str, LowRank]:
        modules: dict[str, dict[Part, Key]] = defaultdict(dict)
        for key in self._keys:
            if key.part in ("A", "B", "magnitude"):
                modules[key.module][key.part] = key
        self._check_pairs(modules)
        found: dict[str, LowRank] = {}
        for module, parts in modules.items():
            made = self._stack(module, parts) if stack_of(module) else self._one(module, parts)
            if twice := found.keys() & made.keys():
                self._refuse(twice, "it has two changes of")
            found |= made
        self._refuse([name for name in found if name not in self._shapes], "the model has no")
        return found

    def _check_pairs(self, modules: Mapping[str, Mapping[Part, Key]]) -> None:
        for module, parts in modules.items():
            if lacking := [part for part in ("A", "B") if part not in parts]:
                told = f"{module} has no lora_{lacking[0]}; copy or download the adapter again"
                raise SansiError(f"{self._described.folder / WEIGHTS_FILE}: {told}")
            if ("magnitude" in parts) != (self._described.use_dora and not stack_of(module)):
                told, said = ("has", "false") if "magnitude" in parts else ("has no", "true")
                told = f'"use_dora" is {said}, but {module} {told} lora_magnitude_vector'
                raise SansiError(f"{self._described.folder}: {told}; copy or download the adapter again")

    def _one(self, module: str, parts: Mapping[Part, Key]) -> dict[str, LowRank]:
        name = f"{module}.weight"
        if name not in self._shapes:
            self._refuse([self._names[parts["A"]]], "the model has no place for")
        a, b = self._tensor(parts["A"]), self._tensor(parts["B"])
        if parts["A"].embedding:
            a, b = b.T, a.T  # of the table [V, C], which is looked up and not multiplied
        magnitude = self._tensor(parts["magnitude"]).flatten() if "magnitude" in parts else None
        rows, columns = self._shapes[name]
        rank = self._described.rank(module)
        self._check_shape(parts["A"], a, (rank, columns))
        self._check_shape(parts["B"], b, (rows, rank))
        if magnitude is not None:
            self._check_shape(parts["magnitude"], magnitude, (columns if parts["A"].embedding else rows,))
        return {name: LowRank(a, b, self._described.scale(module), magnitude)}

    def _stack(self, module: str, parts: Mapping[Part, Key]) -> dict[str, LowRank]:
        stack = stack_of(module)
        assert stack is not None
        if not any(name.startswith(f"{stack.experts}.0.") for name in self._shapes):
            self._refuse([self._names[parts["A"]]], "the model has no place for")
        a, b = self._tensor(parts["A"]), self._tensor(parts["B"])
        try:
            return unstacked(stack, a, b, self._config, self._described)
        except SansiError as error:
            where = f"{self._described.folder}: {self._names[parts['A']]}"
            raise SansiError(f"{where} {error}; {self._another_base()}") from error

    def _check_shape(self, key: Key, tensor: Tensor, expected: tuple[int, ...]) -> None:
        if tuple(tensor.shape) == expected:
            return
        stored = list(self._tensor(key).shape)
        if key.part == "A" and tensor.dim() == 2 and tensor.shape[1] == expected[1]:
            told = f"but {CONFIG_FILE} says rank {expected[0]}; copy or download the adapter again"
        else:
            told = f"which does not fit the model's {key.module} {list(self._shapes[f'{key.module}.weight'])}"
            told = f"{told}; {self._another_base()}"
        raise SansiError(f"{self._described.folder}: {self._names[key]} has shape {stored}, {told}")

    # ---- tensors and rows trained whole --------------------------------------------------------------------------

    def _whole(self, part: Part) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for key in self._keys:
            if key.part != part:
                continue
            if part == "whole":
                self._check_saved(key)
            stacked = unstacked_whole(key.tensor, self._tensor(key), self._shapes)
            found |= stacked or {key.tensor: self._tensor(key)}
        self._refuse([name for name in found if name not in self._shapes], "the model has no place for")
        for name, tensor in found.items():
            if tuple(tensor.shape) != self._shapes[name]:
                vocabulary = name in (EMBEDDING, LM_HEAD) and tensor.shape[1:] == self._shapes[name][1:]
                told = f"{name} has shape {list(tensor.shape)}, but the model's is {list(self._shapes[name])}"
                hint = "its training added tokens: merge it with PEFT" if vocabulary else self._another_base()
                raise SansiError(f"{self._described.folder}: {told}; {hint}")
        return found

    def _check_saved(self, key: Key) -> None:
        resized = key.tensor in (EMBEDDING, LM_HEAD)  # PEFT writes them with any change of the vocabulary, too
        if not (resized or key.name.endswith("bias") or self._described.saves(key.module)):
            told = f'{self._names[key]} is there, but "modules_to_save" does not name it'
            raise SansiError(f"{self._described.folder}: {told}; copy or download {CONFIG_FILE} again")

    def _new_rows(self) -> dict[str, tuple[Tensor, Tensor]]:
        found = {}
        for key in self._keys:
            if key.part != "rows":
                continue
            ids = self._described.ids_of(key.module)
            rows, shape = self._tensor(key), self._shapes.get(key.tensor)
            if shape is None:
                self._refuse([self._names[key]], "the model has no place for")
            assert shape is not None
            if tuple(rows.shape) != (len(ids), shape[1]) or any(id_ >= shape[0] for id_ in ids):
                told = f"{self._names[key]} has shape {list(rows.shape)}, but trainable_token_indices names {len(ids)}"
                raise SansiError(f"{self._described.folder}: {told} of {shape[0]} ids; {self._another_base()}")
            found[key.tensor] = (torch.tensor(ids), rows)
        return found

    def _stays_tied(
        self,
        low_rank: Mapping[str, LowRank],
        replaced: Mapping[str, Tensor],
        rows: Mapping[str, tuple[Tensor, Tensor]],
    ) -> bool:
        """Whether the head does as the embedding does, where the base ties the two."""
        if not self._config.tie_word_embeddings:
            return False
        changed = low_rank.keys() | replaced.keys() | rows.keys()
        if LM_HEAD not in changed:
            return self._described.tied or not (low_rank.keys() | replaced.keys()) & {EMBEDDING}
        whole = EMBEDDING in replaced and LM_HEAD in replaced and torch.equal(replaced[EMBEDDING], replaced[LM_HEAD])
        alike = same_change(low_rank.get(EMBEDDING), low_rank.get(LM_HEAD))
        return (whole or (EMBEDDING not in replaced and LM_HEAD not in replaced)) and alike and EMBEDDING in changed

    # ---- what the configuration says -----------------------------------------------------------------------------

    def _check_targets(self, low_rank: Mapping[str, LowRank]) -> None:
        """What is named is there, and what is there is named."""
        targets = self._described.targets
        if not targets.known:
            return
        modules = {name.removesuffix(".weight") for name in low_rank}
        unnamed = [m for m in modules if not _takes(self._described, m)]
        self._refuse(unnamed, f"{CONFIG_FILE} does not name, but {WEIGHTS_FILE} has,")
        expected = {
            name.removesuffix(".weight")
            for name, shape in self._shapes.items()
            if len(shape) == 2 and not self._described.saves(name.removesuffix(".weight"))
        }
        missing = {m for m in expected - modules if targets.takes(m)}
        for kind in (EXPERT.fullmatch, lambda name: name.endswith(ROUTER)):
            if not any(map(kind, modules)):  # newer programs do not know these as modules, and leave them out
                missing = {name for name in missing if not kind(name)}
        self._refuse(missing, f"{CONFIG_FILE} names, but {WEIGHTS_FILE} lacks,")


def _takes(described: AdapterConfig, module: str) -> bool:
    targets = described.targets
    if targets.takes(module) or (described.tied and module == "lm_head" and targets.takes("model.embed_tokens")):
        return True
    experts, _, rest = module.partition(".mlp.experts.")
    if not rest:
        return False
    kind = "down_proj" if rest.endswith("down_proj") else "gate_up_proj"
    return targets.takes_stack(f"{experts}.mlp.experts", kind)


def _tensors(folder: Path) -> dict[str, Tensor]:
    file = folder / WEIGHTS_FILE
    if not file.is_file():
        pickled = (folder / PICKLED_FILE).is_file()
        hint = f"it has {PICKLED_FILE}, a pickle, which Sansi does not open: convert it" if pickled else "copy it too"
        raise SansiError(f"{folder} has no {WEIGHTS_FILE}; {hint}")
    try:
        with safe_open(file, framework="pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a mapping)
    except SafetensorError as error:
        raise SansiError(f"{file}: damaged ({error}); copy or download it again") from error
    if not tensors:
        raise SansiError(f"{file} holds no tensors; copy or download it again")
    for name, tensor in tensors.items():
        if not tensor.dtype.is_floating_point or tensor.element_size() < 2:
            raise SansiError(f"{file}: {name} is {tensor.dtype}; an adapter's tensors are float16, bfloat16 or float32")
        if not tensor.isfinite().all():
            raise SansiError(f"{file}: {name} holds NaN or infinities; its training broke, take an earlier checkpoint")
    return tensors
