"""Where a checkpoint comes from: every stage back to the corpus, as the records beside it say."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sansi.base.config import load_config
from sansi.base.files import read_json, write_json
from sansi.recipes.records import RECIPE_FILE, RECORD_FILE, StageRecord

HISTORY_FILE = "history.json"
"""In an exported folder, which may stand anywhere: the records of all its stages."""


@dataclass(frozen=True)
class History:
    """The stages that a folder was made by, the first of them first."""

    stages: tuple[StageRecord, ...]
    outside: tuple[str, ...] = ()
    """Inputs that no recorded stage made, with their digests."""

    def to_dict(self) -> dict[str, Any]:
        stages = [{k: v for k, v in asdict(record).items() if k != "files"} for record in self.stages]
        return {"stages": stages, "outside": list(self.outside)}

    def save(self, folder: Path) -> None:
        write_json(Path(folder) / HISTORY_FILE, self.to_dict())


def history_of(folder: str | Path) -> History | None:
    """The history of a stage's folder, of a checkpoint in it, of an exported model, or of all that a recipe has made in
    a folder; None where nothing tells."""
    folder = Path(folder).resolve()
    file = folder / HISTORY_FILE
    if file.is_file() and not (folder / RECORD_FILE).is_file():
        values = read_json(file)
        stages = [load_config(StageRecord, stage, str(file)) for stage in values["stages"]]
        return History(tuple(stages), tuple(values["outside"]))
    stage_folders = [place] if (place := _stage_folder(folder)) else _all_stages(folder)
    if not stage_folders:
        return None
    found: dict[Path, StageRecord] = {}
    outside: dict[str, None] = {}
    for place in stage_folders:
        _collect(place, found, outside)
    return History(tuple(found.values()), tuple(outside))


def result_in(model: str | Path) -> Path | None:
    """What a folder means that has a history: of a stage its result, else itself; None for any other folder or name."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return None
    if record := StageRecord.load(folder):
        return folder / record.output
    place = folder.resolve()
    return folder if (place / HISTORY_FILE).is_file() or _stage_folder(place) or _all_stages(place) else None


def _stage_folder(folder: Path) -> Path | None:
    """The folder of the stage that something lies in: itself, or one at most two above, as a checkpoint's is."""
    above = (folder, *folder.parents[:2])
    return next((place for place in above if (place / RECORD_FILE).is_file()), None)


def _all_stages(folder: Path) -> list[Path]:
    """The folders of the stages that were begun, in the order of the recipe, where a recipe was made in `folder`."""
    file = folder / RECIPE_FILE
    values = read_json(file) if file.is_file() else None
    stages = values.get("stage") if isinstance(values, dict) else None
    names = [stage["name"] for stage in stages if isinstance(stage, dict) and "name" in stage] if stages else []
    return [folder / name for name in names if (folder / name / RECORD_FILE).is_file()]


def _collect(folder: Path, found: dict[Path, StageRecord], outside: dict[str, None]) -> None:
    """The records of what the stage read, then its own; each is read once."""
    record = StageRecord.load(folder) if folder not in found else None
    if record is None:
        return
    for item in (item for items in record.inputs.values() for item in items):
        place = (folder / item.path).resolve()
        if item.is_stage and (place / RECORD_FILE).is_file():
            _collect(place, found, outside)
        elif place not in found and place.exists() and (before := history_of(place)):
            told = {(stage.recipe, stage.name, stage.digest) for stage in found.values()}  # two inputs, one origin
            new = [stage for stage in before.stages if (stage.recipe, stage.name, stage.digest) not in told]
            found.update({Path(f"{item.path}/{stage.name}"): stage for stage in new})
            outside.update(dict.fromkeys(before.outside))
        else:
            outside[f"{item.name} ({item.digest[:12]})"] = None
    found[folder] = record


def described(history: History) -> list[str]:
    """The history in lines for people: each stage with its inputs, numbers, seconds and commit."""
    lines = []
    for record in history.stages:
        inputs = ", ".join(item.name for items in record.inputs.values() for item in items)
        begun = [] if record.done else ["not done"]
        facts = [
            *begun,
            *counts(record),
            f"{record.seconds:,.0f} s",
            f"commit {record.commit}",
            f"digest {record.digest[:12]}",
        ]
        lines.append(f"{record.name} ({record.kind}{f' of {inputs}' if inputs else ''}): {', '.join(facts)}")
    return lines + [f"from outside: {name}" for name in history.outside]


def counts(record: StageRecord) -> list[str]:
    """What the stage counted, each a number and its name."""
    return [f"{value:,} {key}" for key, value in record.facts.items() if isinstance(value, int)]
