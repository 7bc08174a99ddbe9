"""Makes what is missing of a recipe, a folder for each stage; a killed runner, started again, goes on.

A stage is done when its `stage.json` says so, and that is written last. A stage whose configuration or inputs differ
from what its record says is stale: the runner says what differs and stops, since only its owner can know whether the
old result is still wanted; `restart` moves it aside and makes it, and what stands behind it, anew.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from sansi.base.codec_file import recorded_codec_hash
from sansi.base.config import config_to_dict
from sansi.base.device import resolve_device
from sansi.base.errors import SansiError
from sansi.base.files import atomic_folder, clean_drafts, make_folder, write_json
from sansi.data.problems.fingerprints import known_verifiers
from sansi.recipes.digests import changes_since, read_content
from sansi.recipes.history import counts
from sansi.recipes.models import find_given_model
from sansi.recipes.recipe import Recipe
from sansi.recipes.records import RECIPE_FILE, RECORD_FILE, InputRecord, StageRecord, differences, new_record
from sansi.recipes.stages import Given, Inputs, Stage, StageRun

LOCK_FILE = ".lock"


@dataclass(frozen=True)
class State:
    """How a stage stands before anything is done."""

    stage: Stage
    record: StageRecord | None
    """What its folder says; None: it has not been begun."""
    reasons: tuple[str, ...] = ()
    """Why what is there can not be used."""

    @property
    def is_done(self) -> bool:
        return self.record is not None and self.record.done and not self.reasons

    @property
    def is_stale(self) -> bool:
        return bool(self.reasons)


class Runner:
    """Makes a recipe in a folder. Raises SansiError for what is wrong with either, before any work."""

    def __init__(self, recipe: Recipe, out: str | Path, device: str = "auto"):
        self.recipe, self.out, self.device = recipe, Path(out), str(resolve_device(device))
        if self.out.exists() and not self.out.is_dir():
            raise SansiError(f"{self.out} is a file where the stages' folders are to be; choose another --out")
        self._external: dict[Path, InputRecord] = {}

    # ---- looking ----------------------------------------------------------------------------------------------------

    def folder(self, stage: Stage) -> Path:
        return self.out / stage.name

    def states(self, until: str | None = None) -> list[State]:
        """How every stage up to `until` stands. Nothing is changed."""
        return [self._state(stage) for stage in self.recipe.up_to(until)]

    def _state(self, stage: Stage) -> State:
        folder = self.folder(stage)
        record = StageRecord.load(folder)
        if record is None:
            if folder.exists() and not _is_empty(folder):
                raise SansiError(f"{folder} was not made by a recipe; move it away, or choose another --out")
            return State(stage, None)
        now = self._record(stage, self._pinned(stage, record))
        return State(stage, record, (*differences(record, now), *self._damage(folder, record)))

    def _pinned(self, stage: Stage, record: StageRecord) -> dict[str, list[InputRecord]]:
        """The stage's inputs as they are now; those that are still to be made count as they were."""
        old = {(role, item.name): item for role, items in record.inputs.items() for item in items}
        pinned: dict[str, list[InputRecord]] = {}
        for role, names in stage.inputs.items():
            for name in names:
                item = self._pin(name) or old.get((role, name)) or InputRecord(name, "", "")
                pinned.setdefault(role, []).append(item)
        return pinned

    def _record(self, stage: Stage, pinned: Mapping[str, list[InputRecord]]) -> StageRecord:
        """Of the stage as it would be made now."""
        return new_record(stage, pinned, self.recipe.name, self.recipe.seed, self._verifiers(stage))

    def _verifiers(self, stage: Stage) -> dict[str, str]:
        """Who judges in it, as far as what it reads is there: what is damaged is told elsewhere."""
        if stage.kind.judged is None:
            return {}
        there = {role: [name for name in names if self._pin(name)] for role, names in stage.inputs.items()}
        try:
            return known_verifiers(stage.kind.judged(stage.config, self._inputs(there)))
        except SansiError:
            return {}

    def _pin(self, name: str) -> InputRecord | None:
        """What an input holds now; None for that of a stage which is not done."""
        if name in {stage.name for stage in self.recipe.stages}:
            record = StageRecord.load(self.out / name)
            return InputRecord(name, f"../{name}", record.digest, True) if record and record.done else None
        path = self._outside(name)
        if path not in self._external:
            self._external[path] = InputRecord(name, str(path), read_content(path).digest)
        return self._external[path]

    def _outside(self, name: str) -> Path:
        """What no stage of this recipe made: a path, a stage's folder of another run, or a model of a hub."""
        path = Path(name)
        if not path.is_absolute():
            return find_given_model(name)
        if not path.exists():
            raise SansiError(f"{path}: no such input any more; put it back, or give another")
        record = StageRecord.load(path)
        if record and not record.done:
            raise SansiError(f"{path} is a stage that was begun and is not done; finish it first")
        return path / record.output if record else path

    @staticmethod
    def _damage(folder: Path, record: StageRecord) -> list[str]:
        """What has become of the result since it was made."""
        if not record.done:
            return []
        output = folder / record.output
        if not output.exists():
            return [f"its result {record.output} is missing"]
        found = changes_since(output, record.content)
        return [f"its result was changed after it was made: {'; '.join(found[:3])}"] if found else []

    @staticmethod
    def use_threads(count: int) -> None:
        """Compute with so many CPU threads; sums of floats depend on it in their last bits."""
        torch.set_num_threads(count)

    # ---- making -----------------------------------------------------------------------------------------------------

    def run(self, until: str | None = None, restart: Collection[str] = ()) -> None:
        """Make every stage up to `until` that is not done. Raises SansiError for stale ones, and names them."""
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise SansiError("sansi make runs in one process, not under torchrun; `Trainer` alone trains on many ranks")
        stages = self.recipe.up_to(until)
        again = self.recipe.behind(restart)
        with self._alone():
            clean_drafts(self.out)  # of stages that were killed
            for stage in reversed(again):  # the last first: killed in between, what is left has all that it was made of
                self._move_aside(stage)
            states = [self._state(stage) for stage in stages]
            self._refuse_stale(states)
            self._write_recipe()
            for number, state in enumerate(states, 1):
                self._bring(state.stage, f"{number}/{len(states)}")
        print(f"made: {self.out}", flush=True)
        if model := next((s for s in reversed(stages) if s.kind.name in ("export", "publish")), None):
            print(f"talk to it: sansi chat {self.folder(model)}", flush=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Only one runner works in a folder; the system releases the lock of one that was killed."""
        make_folder(self.out)
        try:
            with FileLock(self.out / LOCK_FILE, timeout=0):
                yield
        except Timeout as error:
            raise SansiError(
                f"another sansi make works in {self.out}; wait for it, or give this one another --out"
            ) from error

    def _refuse_stale(self, states: list[State]) -> None:
        stale = [state for state in states if state.is_stale]
        if not stale:
            return
        told = [f"{state.stage.name} ({'; '.join(state.reasons)})" for state in stale]
        moved = [s for s in self.recipe.behind([stale[0].stage.name]) if (self.folder(s) / RECORD_FILE).is_file()]
        behind = [stage.name for stage in moved][1:]
        also = f", and with it {', '.join(behind)}" if behind else ""
        raise SansiError(
            f"what lies in {self.out} was made otherwise:{_listed(told)}--restart {stale[0].stage.name} moves it "
            f"aside{also} and makes it anew; another --out keeps both; or give the old values again"
        )

    def _move_aside(self, stage: Stage) -> None:
        folder = self.folder(stage)
        if not (folder / RECORD_FILE).is_file():  # nothing of ours: it is refused when it is looked at
            return
        number = 1
        while (target := folder.with_name(f"{folder.name}.old-{number}")).exists():
            number += 1
        os.replace(folder, target)
        print(f"   {folder} is now {target}; delete it when nothing in it is wanted", flush=True)

    def _write_recipe(self) -> None:
        """The recipe as it is run, changes of the command line included, for who looks into the folder later."""
        stages = [
            {"kind": s.kind.name, "name": s.name, "inputs": s.inputs, **config_to_dict(s.config)}
            for s in self.recipe.stages
        ]
        file = str(self.recipe.file) if self.recipe.file else None
        write_json(
            self.out / RECIPE_FILE,
            {"name": self.recipe.name, "seed": self.recipe.seed, "file": file, "stage": stages},
        )

    def _bring(self, stage: Stage, place: str) -> None:
        """Make the stage unless it is done. What a stage before it left just now may make it stale."""
        state = self._state(stage)
        self._refuse_stale([state])
        if state.is_done:
            print(f"== {place} {stage.name}: done", flush=True)
            return
        print(f"== {place} {stage.name} ({stage.kind.name}){', going on' if state.record else ''}", flush=True)
        inputs = self._inputs(stage.inputs)
        record = self._record(stage, self._pinned_now(stage))
        record = replace(record, codec=self._codec(inputs), seconds=state.record.seconds if state.record else 0.0)
        make = self._make_in_place if stage.kind.resumes else self._make_whole
        try:
            done = make(stage, inputs, record)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise SansiError(
                f"{stage.name}: the disk is full; make room where {self.out} and the folder for temporary files are, "
                "then start again: it goes on from here"
            ) from error
        print(f"   {', '.join([f'{done.seconds:.1f} s', *counts(done)])}", flush=True)

    def _pinned_now(self, stage: Stage) -> dict[str, list[InputRecord]]:
        found = {role: [self._pin(name) for name in names] for role, names in stage.inputs.items()}
        assert all(item for items in found.values() for item in items)
        return {role: [item for item in items if item] for role, items in found.items()}

    def _inputs(self, names: Mapping[str, Iterable[str]]) -> Inputs:
        return Inputs({role: [self._given(name) for name in some] for role, some in names.items()})

    def _given(self, name: str) -> Given:
        folder = self.out / name
        record = StageRecord.load(folder) if name in {stage.name for stage in self.recipe.stages} else None
        if record is None:
            return Given(name, self._outside(name))
        return Given(name, folder / record.output, folder)

    def _codec(self, inputs: Inputs) -> str | None:
        """The codec that all inputs agree on. Raises SansiError for ids of one tokenizer and a model of another."""
        owners: dict[str, str] = {}
        for role in inputs:
            for given in inputs.all(role):
                if digest := _codec_of(given):
                    owners.setdefault(digest, given.name)
        if len(owners) > 1:
            first, second = list(owners.values())[:2]
            raise SansiError(f'"{first}" and "{second}" have different tokenizers or templates; make both with one')
        return next(iter(owners), None)

    def _stage_run(self, stage: Stage, path: Path, record: StageRecord) -> StageRun:
        base = self.recipe.file.resolve().parent if self.recipe.file else Path()
        facts = (path, self.folder(stage), stage.name, self.recipe.seed, self.device, _digests(record))
        return StageRun(*facts, base=base)

    def _make_whole(self, stage: Stage, inputs: Inputs, record: StageRecord) -> StageRecord:
        started = time.monotonic()
        with atomic_folder(self.folder(stage)) as draft:
            run = self._stage_run(stage, draft, record)
            output = stage.kind.make(stage.config, inputs, run)
            done = record.finished(draft, output, time.monotonic() - started, run.facts)
            done.save(draft)
        return done

    def _make_in_place(self, stage: Stage, inputs: Inputs, record: StageRecord) -> StageRecord:
        folder, started = self.folder(stage), time.monotonic()
        folder.mkdir(exist_ok=True)
        record.save(folder)  # first: what is begun here is this stage's, whenever it ends
        run = self._stage_run(stage, folder, record)
        try:
            output = stage.kind.make(stage.config, inputs, run)
        except BaseException:
            replace(record, seconds=round(record.seconds + time.monotonic() - started, 1)).save(folder)
            raise
        done = record.finished(folder, output, time.monotonic() - started, run.facts)
        done.save(folder)
        return done


def _listed(told: list[str]) -> str:
    """One behind the colon, several in lines of their own."""
    return f" {told[0]}. " if len(told) == 1 else "".join(f"\n  {one}" for one in told) + "\n"


def _is_empty(folder: Path) -> bool:
    """Whether nothing lies in it but drafts: a stage may have been killed while it wrote its first record."""
    return folder.is_dir() and all(file.name.startswith(".") for file in folder.iterdir())


def _digests(record: StageRecord) -> dict[str, str]:
    return {f"{role}: {item.name}": item.digest for role, items in record.inputs.items() for item in items}


def _codec_of(given: Given) -> str | None:
    record = StageRecord.load(given.origin)
    return record.codec if record else recorded_codec_hash(given.path)
