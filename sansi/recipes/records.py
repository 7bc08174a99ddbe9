"""`stage.json`: what a stage was made of and from, so that a changed recipe or input is noticed and a model can tell
its whole history.
"""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sansi.base.codec_file import recorded_codec_hash
from sansi.base.config import config_to_dict, load_config
from sansi.base.differences import ABSENT, changes, flat
from sansi.base.files import read_json, write_json
from sansi.recipes.digests import Content, read_content
from sansi.recipes.stages import Stage

RECORD_FILE = "stage.json"
RECIPE_FILE = "recipe.json"
"""In the folder of all stages: the recipe as it was run."""
LONGEST_VALUE = 60  # characters of a value in a message


@dataclass(frozen=True)
class InputRecord:
    """One input as it was when the stage began."""

    name: str
    """The stage's name, or what the recipe gives in its place."""
    path: str
    """Where it was read: relative to the stage's folder if a stage made it."""
    digest: str
    is_stage: bool = False


@dataclass(frozen=True)
class StageRecord:
    """What a stage's folder says of itself."""

    name: str
    kind: str
    config: dict[str, Any]
    inputs: dict[str, list[InputRecord]]
    seed: int | None
    """The recipe's; None where it makes no difference."""
    recipe: str
    commit: str
    version: str
    """Of Sansi."""
    done: bool = False
    output: str = "."
    """The folder of the result in the stage's folder."""
    digest: str = ""
    files: dict[str, Any] = field(default_factory=dict)
    """Of the result, with sizes, times and digests."""
    verifiers: dict[str, str] = field(default_factory=dict)
    """Digests of the code that judged answers in it, by name; without those that could not be loaded."""
    codec: str | None = None
    """Hash of the codec (vocabulary and template) that its ids belong to."""
    seconds: float = 0.0
    """Of all its attempts, save what a killed one did not tell."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Tokens, documents, samples: what the kind counts."""

    @property
    def content(self) -> Content:
        return Content.from_dict(self.files)

    @classmethod
    def load(cls, folder: Path) -> StageRecord | None:
        """The record in a stage's folder; None where there is none. Raises SansiError for a damaged one."""
        file = Path(folder) / RECORD_FILE
        return load_config(cls, read_json(file), str(file)) if file.is_file() else None

    def save(self, folder: Path) -> None:
        write_json(Path(folder) / RECORD_FILE, asdict(self))

    def finished(self, folder: Path, output: Path, seconds: float, facts: Mapping[str, Any]) -> StageRecord:
        """The record of the stage once its result lies in `output`."""
        content = read_content(output)
        return replace(
            self,
            done=True,
            output=str(output.relative_to(folder)),
            digest=content.digest,
            files=content.to_dict(),
            codec=recorded_codec_hash(output) or self.codec,
            seconds=round(self.seconds + seconds, 1),
            facts=dict(facts),
        )


def new_record(
    stage: Stage,
    inputs: Mapping[str, list[InputRecord]],
    recipe: str,
    seed: int,
    verifiers: Mapping[str, str] | None = None,
) -> StageRecord:
    """The record of a stage that is about to be made here and now."""
    from sansi import __version__

    config = json.loads(json.dumps(config_to_dict(stage.config)))  # as it will be read back
    kept = {role: list(items) for role, items in inputs.items()}
    own_seed = seed if stage.kind.seeded else None
    made_by = (commit(), __version__)
    return StageRecord(
        stage.name, stage.kind.name, config, kept, own_seed, recipe, *made_by, verifiers=dict(verifiers or {})
    )


def differences(old: StageRecord, new: StageRecord) -> list[str]:
    """What the stage would be made of otherwise than it was: a sentence each, both values named."""
    found = [f"kind: {old.kind} there, {new.kind} here"] if old.kind != new.kind else []
    if old.seed != new.seed:
        found.append(f"seed: {old.seed} there, {new.seed} here")
    found += changes(flat(old.config), flat(new.config), _shown)
    return found + _input_differences(old, new) + _verifier_differences(old, new)


def _input_differences(old: StageRecord, new: StageRecord) -> list[str]:
    found = []
    for role in sorted(old.inputs.keys() | new.inputs.keys()):
        before, now = old.inputs.get(role, []), new.inputs.get(role, [])
        names = [item.name for item in before], [item.name for item in now]
        if [item.digest for item in before] == [item.digest for item in now]:
            continue
        if names[0] != names[1]:
            found.append(f"input {role}: {', '.join(names[0]) or 'none'} there, {', '.join(names[1]) or 'none'} here")
        changed = [a.name for a, b in zip(before, now, strict=False) if a.name == b.name and a.digest != b.digest]
        found += [f'input {role}: "{name}" has another content' for name in changed]
    return found


def _verifier_differences(old: StageRecord, new: StageRecord) -> list[str]:
    """Of those that both know: which verifiers there are is told by the problems, whose digests are compared above."""
    common = sorted(old.verifiers.keys() & new.verifiers.keys())
    changed = [name for name in common if old.verifiers[name] != new.verifiers[name]]
    return [f'the verifier "{name}" has other code, or is of another version, than when it judged' for name in changed]


def _shown(value: Any) -> str:
    text = "absent" if value is ABSENT else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


@functools.cache  # one process runs one state of the code, and every look at a stage asks
def commit() -> str:
    """The commit that runs, marked when the tree differs from it; "unknown" outside a checkout."""
    if not Path(__file__).parents[2].joinpath(".git").exists():  # installed somewhere in another project's checkout
        return "unknown"
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
