"""From problems and their worked solutions to training samples in both modes."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sansi.base.config import check_config
from sansi.data.problems import Problem, ordinary_problems, solve, training_problems
from sansi.post.requests import Request, Requests
from sansi.post.small_talk import REPLIES
from sansi.text import NO_THINK_FLAG, THINK_FLAG, Codec, TrainingSample

Conversation = list[dict[str, Any]]


@dataclass(frozen=True)
class FusionMix:
    """Shares of the kinds of samples in thinking-mode fusion (normalised to 1)."""

    thinking: float = 0.40
    """A whole thought, then the answer."""
    cut: float = 0.30
    """A thought cut at a random budget, the end sequence, then the best answer from what was thought."""
    direct: float = 0.24
    """An empty think block, then the answer at once."""
    several_turns: float = 0.04
    """Two questions, each with a switch of its own; the last one counts."""
    small_talk: float = 0.02
    """Greetings and questions about the model itself, in both modes."""

    def problems(self) -> list[str]:
        shares = vars(self)
        found = [f'"{k}" is a share and must be 0 or more, not {v}' for k, v in shares.items() if v < 0]
        if not any(shares.values()):
            found.append("a fusion mix needs at least one kind of sample with a share above 0")
        return found


@dataclass(frozen=True)
class Exchange:
    """What a user says, and the thought and the answer to it."""

    question: str
    thought: str
    answer: str
    is_problem: bool


def exchange_of(problem: Problem) -> Exchange:
    """The problem as it is asked, with its worked solution."""
    solution = solve(problem.family, problem.question)
    return Exchange(problem.asked, solution.thought, solution.answer, True)


def talk(request: Request) -> Exchange:
    """A message that is no problem, with the fixed reply to its kind."""
    reply = REPLIES[request.kind, request.language]
    return Exchange(request.text, reply.thought, reply.answer, False)


@dataclass(frozen=True)
class Shares:
    """Whose words the user's messages are in (normalised to 1)."""

    gym: float = 0.46
    """The gym's problems in the gym's words."""
    ordinary: float = 0.36
    """Problems in people's words."""
    talk: float = 0.18
    """Everything else: small talk, and what the model cannot do."""


def exchanges(
    seed: int, held_out: Collection[tuple[str, ...]], requests: Requests, shares: Shares | None = None
) -> Iterator[Exchange]:
    """An endless, reproducible stream of exchanges. Seeds as for `training_problems`; `held_out` are keys."""
    mix = vars(shares or Shares())
    rng = random.Random(f"exchanges {seed}")
    gym, ordinary = training_problems(seed, held_out=held_out), ordinary_problems(seed, held_out=held_out)
    while True:
        kind = rng.choices(list(mix), list(mix.values()))[0]
        if kind == "talk":
            yield talk(requests.draw(rng))
        else:
            yield exchange_of(next(gym if kind == "gym" else ordinary))


def plain_document(exchange: Exchange) -> str:
    """An exchange as running text, for pre-training: no chat, no tags."""
    return f"Question: {exchange.question}\nReasoning: {exchange.thought}\nAnswer: {exchange.answer}"


def plain_question(exchange: Exchange) -> str:
    """An exchange as running text without the thought."""
    return f"Question: {exchange.question}\nAnswer: {exchange.answer}"


def answered(exchange: Exchange, thinking: bool = True, suffix: str = "") -> Conversation:
    """The exchange as a user turn and the assistant's, with the thought if `thinking`."""
    reply: dict[str, Any] = {"role": "assistant", "content": exchange.answer}
    if thinking:
        reply["reasoning_content"] = exchange.thought
    return [{"role": "user", "content": exchange.question + suffix}, reply]


def cold_start_samples(codec: Codec, problems: Iterable[Exchange]) -> Iterator[TrainingSample]:
    """Stage 1: every answer after a whole thought."""
    for exchange in problems:
        yield codec.training_sample(answered(exchange), enable_thinking=True)


def fusion_samples(
    codec: Codec, problems: Iterator[Problem], count: int, seed: int, mix: FusionMix | None = None
) -> Iterator[TrainingSample]:
    """Stage 3: `count` samples of both modes, with and without switches, and with cut thoughts.

    The same seed and problems give the same samples. Raises SansiError for an impossible mix.
    """
    makers = {
        "thinking": _thinking_sample,
        "cut": _cut_sample,
        "direct": _direct_sample,
        "several_turns": _several_turns_sample,
        "small_talk": _small_talk_sample,
    }
    mix = mix or FusionMix()
    check_config(mix, "fusion mix")
    shares = vars(mix)
    rng = random.Random(f"fusion {seed}")
    for kind in rng.choices(list(shares), list(shares.values()), k=count):
        yield makers[kind](codec, problems, rng)


def _switched(messages: Conversation, flag: str, rng: random.Random) -> Conversation:
    """The conversation with a soft switch at the end of its last question, or in a system message."""
    *before, question, reply = messages
    if not before and rng.random() < 0.15:
        return [{"role": "system", "content": flag}, question, reply]
    return [*before, {**question, "content": f"{question['content']} {flag}"}, reply]


def _thinking_sample(codec: Codec, problems: Iterator[Problem], rng: random.Random) -> TrainingSample:
    messages = answered(next(problems))
    if rng.random() < 0.3:
        return codec.training_sample(_switched(messages, THINK_FLAG, rng))
    return codec.training_sample(messages, enable_thinking=True)


def _direct_sample(codec: Codec, problems: Iterator[Problem], rng: random.Random) -> TrainingSample:
    messages = answered(next(problems), thinking=False)
    if rng.random() < 0.5:
        # The switch is in the text, so the empty block is the model's to write, and is trained.
        return codec.training_sample(_switched(messages, NO_THINK_FLAG, rng), soft_switch="model")
    return codec.training_sample(messages, enable_thinking=False)


def _cut_sample(codec: Codec, problems: Iterator[Problem], rng: random.Random) -> TrainingSample:
    """Budgets are log-uniform below the thought's length, so that each doubling of a budget is seen as often."""
    messages = answered(next(problems))
    length = len(codec.tokenizer.encode(messages[-1]["reasoning_content"])) + 1
    return codec.cut_sample(messages, max(1, round(length ** rng.random())))


def _several_turns_sample(codec: Codec, problems: Iterator[Problem], rng: random.Random) -> TrainingSample:
    first, second = rng.random() < 0.5, rng.random() < 0.5
    messages = []
    for thinking in (first, second):
        turn = answered(next(problems), thinking=thinking)
        turn[0]["content"] += f" {THINK_FLAG if thinking else NO_THINK_FLAG}"
        messages += turn
    return codec.training_sample(messages, soft_switch="model")


def _small_talk_sample(codec: Codec, problems: Iterator[Problem], rng: random.Random) -> TrainingSample:
    question, thought, answer = rng.choice(SMALL_TALK)
    thinking = rng.random() < 0.5
    reply = {"role": "assistant", "content": answer, **({"reasoning_content": thought} if thinking else {})}
    return codec.training_sample([{"role": "user", "content": question}, reply], enable_thinking=thinking)
