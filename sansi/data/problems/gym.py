"""reasoning-gym's tasks by one adapter: drawn from a seed at a level of difficulty, scored by the gym's own scorer."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sansi.base.errors import SansiError, did_you_mean
from sansi.data.problems.answers import final_answer
from sansi.data.problems.gym_answers import acceptable
from sansi.data.problems.gym_levels import (
    DATASET_PER_SEED,
    EXAMPLES,
    FLOORS,
    LEFT_OUT,
    NOISY,
    NOTES,
    SMALL_SEEDS,
    TOP_LEVELS,
    TUPLES,
)
from sansi.data.problems.seeds import TRAINING_SEED
from sansi.data.problems.task import Problem, Verdict, check_level, check_whole
from sansi.text import Message

INSTRUCTION = "Write the final answer, and nothing else, between <answer> and </answer>."
# Scorers that compare texts and nothing more; they are called in this process, and need no dataset.
PLAIN_SCORERS = {"chain_sum", "spell_backward"}
PART = "score_answer"
_quiet_lock = threading.Lock()  # the stream that is put aside is the whole process's


@dataclass(frozen=True)
class GymTask:
    """A task of reasoning-gym.

    Levels are those of the gym's curriculum: level n sets every attribute of it to its n-th value, or to its last where
    it has fewer; ranges reach from their first value to that one. A task without a curriculum has the one level of its
    default parameters. The question is the gym's, followed by `instruction`. An answer is read by `final_answer` and is
    right at the scorer's full marks, exactly 1.0; its partial credit is `parts["score_answer"]`.
    """

    name: str
    instruction: str = INSTRUCTION

    def __post_init__(self) -> None:
        if self.name in LEFT_OUT:
            raise SansiError(f"reasoning-gym's {self.name} is left out: {LEFT_OUT[self.name]}", param="task")
        if self.name not in names():
            raise SansiError(f'reasoning-gym has no "{self.name}"{did_you_mean(self.name, names())}', param="task")

    @property
    def levels(self) -> int:
        return levels_of(self.name)

    @property
    def trusted(self) -> bool:
        return _plain(self.name)

    def problem(self, seed: int, difficulty: int = 0) -> Problem:
        with _quiet() if self.name in NOISY else contextlib.nullcontext():
            item = _item(self.name, check_level(self, difficulty), check_whole("seed", seed))
        question, metadata = item["question"], item["metadata"]
        answer = item["answer"] if item["answer"] is not None else _example(self.name, metadata)
        asked = f"{question.rstrip()}\n\n{self.instruction}" if self.instruction else None
        return Problem(self.name, question, answer, metadata, asked, difficulty)

    def verify(self, problem: Problem, message: Message) -> Verdict:
        answer = final_answer(message.content)
        if why := acceptable(self.name, answer, problem):
            return Verdict(0.0, "wrong", {PART: 0.0}, why)
        try:
            marks = float(score(self.name, answer, problem))
        except Exception as error:
            score(self.name, str(problem.answer), problem)  # it raises here too: the scorer failed, not the answer
            return Verdict(0.0, "malformed", {PART: 0.0}, f"its scorer can not read it: {error}")
        return Verdict(1.0, "right", {PART: marks}) if marks == 1.0 else Verdict(0.0, "wrong", {PART: marks})


def score(name: str, answer: str | None, problem: Problem) -> float:
    """The gym's own marks for an answer text."""
    metadata = _tuples(problem.metadata) if name in TUPLES else problem.metadata
    entry = {"question": problem.question, "answer": problem.answer, "metadata": metadata}
    if _plain(name):
        return _registered()[name][0].score_answer(None, answer, entry)
    return _dataset(name, problem.difficulty or 0).score_answer(answer, entry)


def _example(name: str, metadata: dict[str, Any]) -> str | None:
    """One right answer where the gym names several: None where it names none."""
    found = metadata.get(EXAMPLES.get(name, ""))
    return found if found is None or isinstance(found, str) else json.dumps(found)


def _tuples(value: Any) -> Any:
    """What was tuples before it was written as JSON, whose lists it has become, is tuples again."""
    if isinstance(value, Mapping):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with _quiet_lock, contextlib.redirect_stdout(io.StringIO()):
        yield


@functools.cache
def names() -> tuple[str, ...]:
    """The tasks that can be drawn from, sorted; none where reasoning-gym is not installed."""
    try:
        return tuple(sorted(set(_registered()) - set(LEFT_OUT)))
    except ModuleNotFoundError:
        return ()


@functools.cache
def levels_of(name: str) -> int:
    curriculum = _curriculum(name)
    if curriculum is None:
        return 1
    if name in TOP_LEVELS:
        return TOP_LEVELS[name][0] + 1
    return max(len(attribute.levels) for attribute in curriculum.attributes.values())


def note_of(name: str) -> str:
    """What a user should know of a task before drawing from it; empty for most."""
    plain = "" if _curriculum(name) else "no curriculum: its default parameters"
    above = f"no higher levels: {TOP_LEVELS[name][1]}" if name in TOP_LEVELS else ""
    return "; ".join(note for note in (plain, above, NOTES.get(name, "")) if note)


@functools.cache
def _registered() -> dict[str, tuple[Any, Any]]:
    import reasoning_gym  # noqa: F401 - its import registers the tasks
    from reasoning_gym.factory import DATASETS

    return dict(DATASETS)


def _curriculum(name: str) -> Any:
    from reasoning_gym.factory import create_curriculum, has_curriculum

    return create_curriculum(name) if name in _registered() and has_curriculum(name) else None


@functools.cache
def _plain(name: str) -> bool:
    from reasoning_gym.dataset import ProceduralDataset

    inherited = _registered()[name][0].score_answer is ProceduralDataset.score_answer
    return inherited or name in PLAIN_SCORERS


def _item(name: str, level: int, seed: int) -> Any:
    """The problem that the gym draws from Random(seed)."""
    if name in SMALL_SEEDS:
        seed = _folded(seed)
    if name in DATASET_PER_SEED:
        return _made(name, level, seed=seed, size=DATASET_PER_SEED[name])[0]
    return _dataset(name, level)[seed]


def _folded(seed: int) -> int:
    """A seed below 2**32, of the training's seeds one of them: evaluation keeps its own."""
    return seed if seed < TRAINING_SEED else TRAINING_SEED + (seed - TRAINING_SEED) % (2**32 - TRAINING_SEED)


@functools.lru_cache(maxsize=256)
def _dataset(name: str, level: int) -> Any:
    """The gym's dataset of a level: of its items, i is drawn from Random(0 + i); it scores those of any seed."""
    return _made(name, level, seed=0, size=DATASET_PER_SEED.get(name, 1 << 62))


def _made(name: str, level: int, **fields: int) -> Any:
    return _registered()[name][0](config=_config(name, level, **fields))


def _config(name: str, level: int, **fields: int) -> Any:
    """The gym's parameters of a level."""
    curriculum = _curriculum(name)
    if curriculum is None:
        config = _registered()[name][1]()
    else:
        curriculum.set_global_level(level)
        config = curriculum.generate_configuration()
    for field, value in fields.items():
        setattr(config, field, value)
    for field, least in FLOORS.get(name, {}).items():
        setattr(config, field, max(least, getattr(config, field)))
    return config
