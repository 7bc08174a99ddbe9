"""A recipe: a name, a seed and stages in order, read from TOML and checked as a whole before anything is made."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sansi.base.config import field_names, load_config
from sansi.base.errors import ConfigError, SansiError, did_you_mean
from sansi.base.shown import show
from sansi.recipes.kinds import KINDS, NOT_BUILT
from sansi.recipes.leaks import leak_problems
from sansi.recipes.models import may_name_model
from sansi.recipes.overrides import Override, apply_overrides
from sansi.recipes.shapes import row_problems
from sansi.recipes.stages import Kind, Role, Stage

LIBRARY = Path(__file__).with_name("library")
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
TOP = {"name", "about", "seed", "until", "stage"}
COMMON = {"kind", "name", "inputs"}
MAX_SEED = 2**31 - 1


@dataclass(frozen=True)
class Recipe:
    """Everything that a file says, checked."""

    name: str
    stages: tuple[Stage, ...]
    seed: int = 0
    """Of weights and of the order of batches."""
    about: str = ""
    """What it makes, in a line."""
    until: str = ""
    """The last stage that is made unless another is asked for."""
    file: Path | None = None

    def stage(self, name: str) -> Stage:
        """The stage called so. Raises SansiError with the nearest name where there is none."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise SansiError(f'{self.name} has no stage "{name}"{did_you_mean(name, [s.name for s in self.stages])}')

    def up_to(self, name: str | None = None) -> tuple[Stage, ...]:
        """The stages up to and with `name`; up to `until` for None."""
        last = self.stage(name or self.until)
        return self.stages[: self.stages.index(last) + 1]

    def behind(self, names: Iterable[str]) -> list[Stage]:
        """The stages called so, and all that read what they leave, in order."""
        reached = {self.stage(name).name for name in names}
        for stage in self.stages:
            if any(given in reached for role in stage.inputs.values() for given in role):
                reached.add(stage.name)
        return [stage for stage in self.stages if stage.name in reached]


def packaged() -> dict[str, Path]:
    """The recipes that come with the package, by name."""
    return {file.stem: file for file in sorted(LIBRARY.glob("*.toml"))}


def find_recipe(name: str) -> Path:
    """The file of a recipe: a path, or the name of one that comes with the package."""
    path = Path(name).expanduser()
    if path.is_file():
        return path
    known = packaged()
    if name in known:
        return known[name]
    if path.is_dir():
        raise SansiError(f"{name} is a folder; a recipe is a TOML file")
    if path.suffix == ".toml" or len(path.parts) > 1:
        raise SansiError(f"{name}: no such file")
    raise SansiError(f'there is no recipe "{name}"{did_you_mean(name, known)}; or give the path of a TOML file')


def load_recipe(name: str | Path, overrides: Iterable[Override] = ()) -> Recipe:
    """Read and check a recipe. Raises SansiError that lists every problem of the file, by stage."""
    file = find_recipe(str(name))
    return read_recipe(parse_toml(file), file, overrides)


def parse_toml(file: Path) -> dict[str, Any]:
    """The values of a TOML file. Raises SansiError with the line of a mistake."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SansiError(f"{file}: not valid TOML ({error}); correct it there") from error
    except RecursionError as error:
        raise SansiError(f"{file}: nested too deep for a recipe") from error


def read_recipe(values: Mapping[str, Any], file: Path | None = None, overrides: Iterable[Override] = ()) -> Recipe:
    """A recipe from the values of its file. Raises ConfigError that lists every problem."""
    where = str(file or "recipe")
    values, problems = apply_overrides(values, overrides, KINDS)
    problems += [f'unknown key "{key}"{did_you_mean(key, TOP)}' for key in values if key not in TOP]
    tables = values.get("stage", [])
    if not isinstance(tables, list) or not tables or not all(isinstance(table, Mapping) for table in tables):
        stages_missing = "a recipe needs stages, each under a line [[stage]]"
        raise ConfigError(where, [*problems, stages_missing], a_line_each=True)
    reader = _Reader(file.parent if file else None)
    stages = [reader.read(number, table) for number, table in enumerate(tables, 1)]
    problems += _top_problems(values, reader.names) + reader.problems
    if problems:
        raise ConfigError(where, problems, a_line_each=True)
    whole = tuple(stage for stage in stages if stage is not None)
    if problems := row_problems(whole) + leak_problems(whole):
        raise ConfigError(where, problems, a_line_each=True)
    return Recipe(
        name=values["name"],
        stages=whole,
        seed=values.get("seed", 0),
        about=values.get("about", ""),
        until=values.get("until", whole[-1].name),
        file=file,
    )


def _top_problems(values: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    problems, seed, until = [], values.get("seed", 0), values.get("until")
    if "name" not in values:
        problems.append('"name" is missing')
    elif not _is_name(values["name"]):
        problems.append(f'"name" is {show(values["name"])}; it names a folder: {_NAME_RULE}')
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
        problems.append(f'"seed" must be a whole number from 0 to {MAX_SEED}, not {show(seed)}')
    if not isinstance(values.get("about", ""), str):
        problems.append(f'"about" must be a text, not {show(values["about"])}')
    if until is not None and until not in names:
        problems.append(f'"until" is {show(until)}, which is no stage{did_you_mean(str(until), names)}')
    return problems


_NAME_RULE = "give lower-case letters, digits, - and _, at most 64 of them, a letter or digit first"


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(NAME.fullmatch(value))


class _Reader:
    """Reads the stages in order and collects what is wrong with all of them."""

    def __init__(self, folder: Path | None):
        self.folder = folder
        self.problems: list[str] = []
        self.names: dict[str, Kind | None] = {}  # of the stages so far; None: its kind is wrong
        self._where = ""

    def read(self, number: int, table: Mapping[str, Any]) -> Stage | None:
        name, before = table.get("name"), len(self.problems)
        self._where = f'stage "{name}"' if isinstance(name, str) else f"stage {number}"
        kind = self._kind(table)
        self._check_name(name)
        config = self._config(kind, table) if kind else None
        inputs = self._inputs(kind, table.get("inputs", {})) if kind else {}
        if kind and config is not None and len(self.problems) == before:
            for problem in kind.check(config, inputs):
                self._say(problem)
        if isinstance(name, str):
            self.names.setdefault(name, kind)
        if kind is None or config is None or len(self.problems) > before:
            return None
        return Stage(str(name), kind, config, inputs)

    def _say(self, problem: str) -> None:
        self.problems.append(f"{self._where}: {problem}")

    def _kind(self, table: Mapping[str, Any]) -> Kind | None:
        name = table.get("kind")
        if isinstance(name, str) and name in KINDS:
            return KINDS[name]
        if name is None:
            self._say(f'"kind" is missing; known: {", ".join(sorted(KINDS))}')
        elif isinstance(name, str) and name in NOT_BUILT:
            self._say(f'stages of the kind "{name}" are not built yet: {NOT_BUILT[name]}')
        else:
            self._say(f'there is no kind "{name}"{did_you_mean(str(name), KINDS)}')
        return None

    def _check_name(self, name: Any) -> None:
        if name is None:
            self._say('"name" is missing; it names the folder of the stage')
        elif not _is_name(name):
            self._say(f"{show(name)} is no name of a stage: {_NAME_RULE}")
        elif name in self.names:
            self._say("there is a stage of this name before it; give each its own")

    def _config(self, kind: Kind, table: Mapping[str, Any]) -> Any:
        known = [*COMMON, *field_names(kind.config)]
        own = {key: value for key, value in table.items() if key not in COMMON}
        for key in [key for key in own if key not in known]:
            self._say(f'unknown key "{key}" of the kind {kind.name}{did_you_mean(key, known)}')
            del own[key]
        try:
            return load_config(kind.config, own, "")
        except ConfigError as error:
            for problem in error.problems:
                self._say(problem)
            return None

    def _inputs(self, kind: Kind, given: Any) -> dict[str, tuple[str, ...]]:
        if not isinstance(given, Mapping):
            self._say(
                f'"inputs" must be a table like {{ {next(iter(kind.inputs), "model")} = "NAME" }}, not {show(given)}'
            )
            return {}
        for role in [role for role in given if role not in kind.inputs]:
            known = did_you_mean(role, kind.inputs) if kind.inputs else "; it reads none"
            self._say(f'"{role}" is no input of the kind {kind.name}{known}')
        found = {name: self._role(name, role, given.get(name)) for name, role in kind.inputs.items()}
        return {name: items for name, items in found.items() if items}

    def _role(self, name: str, role: Role, given: Any) -> tuple[str, ...]:
        items = given if isinstance(given, list) else [] if given is None else [given]
        if not items and not role.optional:
            self._say(f'the input "{name}" is missing: {role.about} ({" or ".join(role.accepts)})')
        if len(items) > 1 and not role.many:
            self._say(f'the input "{name}" is one, not {len(items)}')
        return tuple(filter(None, (self._item(name, role, item) for item in items)))

    def _item(self, name: str, role: Role, item: Any) -> str | None:
        """The name of a stage as it is, a path as an absolute one, a hub's name as it is; None for a mistake."""
        if not isinstance(item, str) or not item:
            self._say(f'the input "{name}" must be the name of a stage, or a path, not {show(item)}')
        elif item in self.names:
            kind = self.names[item]
            if kind is None or kind.gives in role.accepts:
                return item
            self._say(f'the input "{name}" is to be {" or ".join(role.accepts)}; "{item}" gives {kind.gives}')
        elif path := self._path(item):
            return str(path)
        elif "model" in role.accepts and may_name_model(item):
            return item
        else:
            self._say(
                f'the input "{name}" is "{item}", which is no stage before this one and no path{self._near(item)}'
            )
        return None

    def _path(self, item: str) -> Path | None:
        path = Path(item).expanduser()
        path = path if path.is_absolute() else (self.folder or Path()) / path
        return path.resolve() if path.exists() else None

    def _near(self, item: str) -> str:
        return did_you_mean(item, self.names) if self.names else ""
