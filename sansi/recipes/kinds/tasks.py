"""Problems with verifiable answers, and samples of chats made from their worked solutions."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sansi.base.config import Config, idle, too_small
from sansi.base.errors import SansiError
from sansi.base.files import write_text
from sansi.chat import ChatModel
from sansi.data import read_corpus
from sansi.data.problems import FAMILIES, Problem, evaluation_set, get_task, held_out_sums, training_problems
from sansi.data.problems import read_problems as read_file
from sansi.data.problems.seeds import EVALUATION_SEED, check_evaluation_seed, first_training_seed
from sansi.data.problems.task import check_level
from sansi.data.samples import SAMPLES_FILE
from sansi.data.shards.ids import as_ids, dtype_for
from sansi.post.config import GRPOConfig
from sansi.post.conversations import apart_from, read_conversations
from sansi.post.requests import Requests
from sansi.post.samples import Exchange, FusionMix, Shares, cold_start_samples, exchanges, fusion_samples
from sansi.post.sampling import learnable
from sansi.recipes.stages import Estimate, Inputs, Kind, Role, StageRun
from sansi.text import Codec, TrainingSample

PROBLEMS_FILE = "problems.jsonl"
MOST_TRIES = 100  # draws for each problem that is wanted: small tasks repeat themselves
HELD_OUT = Role("problems that no text may overlap with, or be about", ("problems",), many=True, optional=True)
CORPUS = Role("the corpus", ("corpus",))
TOKENIZER = Role("the tokenizer, or a model that has it", ("tokenizer", "model"))


@dataclass(frozen=True, kw_only=True)
class Problems(Config):
    """A fixed list of problems, to be asked or to be kept out of everything else."""

    draw: Literal["evaluation", "training", "sums", "file"] = "evaluation"
    """From where: seeds of evaluations, which no training draws from; those of training; the sums that people write;
    or the input "file"."""
    tasks: tuple[str, ...] = ()
    """Tasks by name, drawn from in turn; none: the six families of the bundled model. `sansi.data.problems.list_tasks`
    names them."""
    difficulty: int = 0
    """Level of the tasks' problems."""
    count: int | None = None
    """How many; left out: all that there are, of sums and of a file."""
    seed: int | None = None
    """Of the stream; left out: the usual evaluation's, or 0 of training (0 to 999)."""
    samples: int = 4
    """With a model among the inputs, answers to each problem: those that are sometimes right come first."""
    at_least: int = 0
    """With a model: problems that are left even if fewer are sometimes right; the first of the others fill up."""
    max_tokens: int = 320
    """With a model: longest answer."""

    def problems(self) -> list[str]:
        found = too_small(self, 0, "difficulty", "at_least") + too_small(self, 2, "samples") + self._wrong_seed()
        if self.draw in ("evaluation", "training") and self.count is None:
            found.append('"count" is missing: there is no end of problems')
        if self.draw in ("sums", "file") and self.tasks:
            found.append(f'"tasks" are drawn from seeds; "draw" is "{self.draw}"')
        if self.draw in ("sums", "file"):
            found += idle(self, f'is of problems that are drawn; "draw" is "{self.draw}"', "seed")
        if not self.tasks:
            found += idle(self, 'is of "tasks", and none are named', "difficulty")
        return found + too_small(self, 1, "count", "max_tokens") + self._wrong_tasks()

    def _wrong_seed(self) -> list[str]:
        if self.draw == "training" or self.seed is None:
            return wrong_stream(self.seed or 0)
        return refusal_of(check_evaluation_seed, self.seed)

    def _wrong_tasks(self) -> list[str]:
        return [f"tasks: {wrong}" for name in self.tasks for wrong in refusal_of(self._check_task, name)]

    def _check_task(self, name: str) -> None:
        check_level(get_task(name), self.difficulty)


def refusal_of(check: Callable[..., Any], *values: Any) -> list[str]:
    """What a function that checks values says against them, for `problems`."""
    try:
        check(*values)
    except SansiError as error:
        return [str(error)]
    return []


def wrong_stream(seed: int) -> list[str]:
    """A sentence where there is no stream of training problems of this seed."""
    return refusal_of(first_training_seed, seed)


def make_problems(config: Problems, inputs: Inputs, run: StageRun) -> Path:
    problems = _drawn(config, inputs)
    run.record(problems=len(problems))
    if "model" in inputs:
        problems = _chosen(config, problems, inputs["model"], run)
    if not problems:
        raise SansiError(f"{run.name}: no problems are left; ask for more, or hold fewer out")
    write_text(run.path / PROBLEMS_FILE, "\n".join(map(_line, problems)) + "\n")
    return run.path


def _line(problem: Problem) -> str:
    try:
        return json.dumps(dataclasses.asdict(problem), ensure_ascii=False)
    except TypeError as error:
        raise SansiError(f"{problem.task}: its problems hold what JSON can not ({error}); leave it out") from error


def _drawn(config: Problems, inputs: Inputs) -> list[Problem]:
    hidden = held_out_keys(inputs)
    if config.draw == "training" and not config.tasks:
        return list(itertools.islice(training_problems(config.seed or 0, held_out=hidden), config.count))
    seed = EVALUATION_SEED if config.seed is None else config.seed
    if config.tasks:
        first = first_training_seed(config.seed or 0) if config.draw == "training" else check_evaluation_seed(seed)
        return list(itertools.islice(_of_tasks(config, first, hidden), config.count))
    if config.draw == "evaluation":
        assert config.count is not None
        return [problem for problem in evaluation_set(config.count, seed) if problem.key not in hidden]
    drawn = held_out_sums() if config.draw == "sums" else read_file(inputs["file"])
    return [problem for problem in drawn if problem.key not in hidden][: config.count]


def _of_tasks(config: Problems, first: int, hidden: frozenset[tuple[str, ...]]) -> Iterator[Problem]:
    """Different problems of the tasks in turn, each task by its own run of seeds."""
    tasks, seen = [get_task(name) for name in config.tasks], set(hidden)
    for index in range(MOST_TRIES * (config.count or 1)):
        problem = tasks[index % len(tasks)].problem(first + index // len(tasks), config.difficulty)
        if problem.key not in seen:
            seen.add(problem.key)
            yield problem
    raise SansiError(f"{', '.join(config.tasks)}: too few different problems for {config.count}; ask for fewer")


def _chosen(config: Problems, asked: list[Problem], model: Path, run: StageRun) -> list[Problem]:
    """Those that the model answers sometimes, filled up with others to the number that is needed."""
    limits = GRPOConfig(max_tokens=config.max_tokens)
    with ChatModel.from_pretrained(model, device=run.device, max_batch=256) as chat:
        chosen = learnable(chat, asked, limits, samples=config.samples, at_least=0)
    run.say(f"{len(chosen)} of {len(asked)} problems are learnable")
    run.record(learnable=len(chosen))
    missing = max(config.at_least - len(chosen), 0)
    return chosen + asked[:missing]


def read_problems(folder: Path) -> list[Problem]:
    """The problems that a stage left. Raises SansiError for a folder without them, or a line that is none."""
    file = Path(folder) / PROBLEMS_FILE
    try:
        return [_problem(json.loads(line)) for line in file.read_text(encoding="utf-8").split("\n") if line]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SansiError(f"{file}: no problems that could be read ({error})") from error


def _problem(values: dict[str, Any]) -> Problem:
    return Problem(**{**values, "context": tuple(values["context"])})


def problems_of(inputs: Inputs, *roles: str) -> list[Problem]:
    """The problems of all inputs with these roles."""
    return [problem for role in roles for given in inputs.all(role) for problem in read_problems(given.path)]


def _choosers(config: Problems, inputs: Inputs) -> list[Problem]:
    """A problem of each task by whose verifier a model's answers choose; none without a model."""
    if "model" not in inputs:
        return []
    if config.tasks:
        return [get_task(name).problem(EVALUATION_SEED, config.difficulty) for name in config.tasks]
    if config.draw == "file":
        return read_file(inputs["file"])
    return held_out_sums() if config.draw == "sums" else evaluation_set(len(FAMILIES))


def held_out_keys(inputs: Inputs) -> frozenset[tuple[str, ...]]:
    """What the held-out problems are about: a problem is held out in every wording."""
    return frozenset(problem.key for problem in problems_of(inputs, "held_out"))


def exchange_stream(seed: int, shares: Shares, inputs: Inputs) -> Iterator[Exchange]:
    """Endless exchanges; their small talk pastes texts of the corpus."""
    requests = Requests([document.text for document in read_corpus(inputs["corpus"])])
    return exchanges(seed, held_out_keys(inputs), requests, shares)


@dataclass(frozen=True, kw_only=True)
class Samples(Config):
    """Chats as token ids with a loss mask, for supervised fine-tuning."""

    style: Literal["cold_start", "fusion", "conversations"] = "fusion"
    """Whole thoughts before every answer; or both modes, cut thoughts, switches and several turns; or conversations of
    your own, of the input "conversations"."""
    count: int | None = None
    """How many; of conversations: the first so many, left out: all."""
    seed: int = 0
    """Of the stream of exchanges, 0 to 999; give every stage its own."""
    shares: Shares = field(default_factory=Shares)
    """Whose words the user's messages are in."""
    mix: FusionMix = field(default_factory=FusionMix)
    """Of fusion: the kinds of samples."""

    def problems(self) -> list[str]:
        found = too_small(self, 1, "count")
        if self.style == "conversations":
            return found + idle(self, "is of made samples; conversations are yours", "seed", "shares", "mix")
        if self.style == "cold_start":
            found += idle(self, 'belongs to the style "fusion"; in a cold start every answer follows a thought', "mix")
        if self.count is None:
            found.append('"count" is missing: the stream of samples is endless')
        return found + wrong_stream(self.seed)


def make_samples(config: Samples, inputs: Inputs, run: StageRun) -> Path:
    codec = Codec.from_pretrained(inputs["tokenizer"])
    if config.style == "conversations":
        made = _own_samples(config, codec, inputs, run)
    else:
        made = _made_samples(config, codec, inputs, run.seed)
    dtype = dtype_for(codec.vocab_size)
    ids = np.concatenate([as_ids(sample.ids, dtype, f"sample {number}") for number, sample in enumerate(made)])
    masks = np.concatenate([np.asarray(sample.loss_mask, bool) for sample in made])
    np.savez(run.path / SAMPLES_FILE, ids=ids, masks=masks, ends=np.cumsum([len(sample.ids) for sample in made]))
    run.record(samples=len(made), tokens=len(ids), targets=int(masks.sum()))
    return run.path


def _made_samples(config: Samples, codec: Codec, inputs: Inputs, seed: int) -> list[TrainingSample]:
    assert config.count is not None
    stream = exchange_stream(config.seed, config.shares, inputs)
    if config.style == "cold_start":
        return list(cold_start_samples(codec, itertools.islice(stream, config.count)))
    return list(fusion_samples(codec, stream, config.count, seed, config.mix))


def _own_samples(config: Samples, codec: Codec, inputs: Inputs, run: StageRun) -> list[TrainingSample]:
    """Of the user's conversations; those that share a passage with a held-out problem are left out and counted."""
    found = read_conversations(inputs["conversations"], codec)[: config.count]
    asked = [problem.asked for problem in problems_of(inputs, "held_out")]
    kept = list(apart_from(found, asked)) if asked else found
    run.say(f"{len(kept)} of {len(found)} conversations; the others share a passage with a held-out problem")
    run.record(conversations=len(kept), held_out=len(found) - len(kept))
    if not kept:
        raise SansiError(f"{run.name}: no conversations are left; all of them share passages with held-out problems")
    return [sample for conversation in kept for sample in conversation.samples]


def _sources(config: Problems, inputs: Mapping[str, tuple[str, ...]]) -> list[str]:
    choosing = ("samples", "at_least", "max_tokens")
    found = [] if "model" in inputs else idle(config, 'is for choosing, which needs the input "model"', *choosing)
    if ("file" in inputs) == (config.draw == "file"):
        return found
    missing = 'the input "file" is missing, which "draw" names'
    return [*found, '"draw" is to be "file" with the input "file"' if "file" in inputs else missing]


def _sample_sources(config: Samples, inputs: Mapping[str, tuple[str, ...]]) -> list[str]:
    own = config.style == "conversations"
    wanted, other = ("conversations", "corpus") if own else ("corpus", "conversations")
    found = [] if wanted in inputs else [f'the input "{wanted}" is missing, which the style "{config.style}" reads']
    return found + ([f'the input "{other}" is not read by the style "{config.style}"'] if other in inputs else [])


def _samples_size(config: Samples, before: Mapping[str, Estimate]) -> Estimate:
    if config.count is None:
        return Estimate("all conversations")
    tokens = 109 * config.count  # of the nano recipe's samples, on average
    return Estimate(f"{config.count:,} samples", tokens=tokens, seconds=config.count / 950, disk=3 * tokens)


KINDS = (
    Kind(
        "problems",
        "draws problems with verifiable answers",
        Problems,
        make_problems,
        "problems",
        {
            "held_out": HELD_OUT,
            "model": Role("a model whose answers choose among them", ("model",), optional=True),
            "file": Role("problems of one's own, one a line: {question, answer, verifier}", ("file",), optional=True),
        },
        check=_sources,
        estimate=lambda config, before: Estimate(
            f"{config.count:,} problems" if config.count else "all of them",
            count=config.count,
            seconds=1.0 + (config.count or 0) / 2000,
        ),
        judged=_choosers,
    ),
    Kind(
        "samples",
        "makes chats with loss masks from worked problems, or from conversations of your own",
        Samples,
        make_samples,
        "samples",
        {
            "tokenizer": TOKENIZER,
            "corpus": replace(CORPUS, optional=True),
            "conversations": Role("conversations of one's own, one a line: {messages}", ("file",), optional=True),
            "held_out": HELD_OUT,
        },
        seeded=True,
        check=_sample_sources,
        estimate=_samples_size,
    ),
)
