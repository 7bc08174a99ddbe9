"""From problems and their worked solutions to training samples in both modes."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sansi.base.config import Config, as_config
from sansi.data.phrases import choose
from sansi.data.problems import Problem, ordinary_problems, solve, training_problems
from sansi.post.requests import Request, Requests
from sansi.post.small_talk import REPLIES
from sansi.text import NO_THINK_FLAG, THINK_FLAG, Codec, TrainingSample

Conversation = list[dict[str, Any]]


@dataclass(frozen=True)
class FusionMix(Config):
    """Shares of the kinds of samples in thinking-mode fusion (normalised to 1)."""

    thinking: float = 0.33
    """A whole thought, then the answer."""
    cut: float = 0.26
    """A thought cut at a random budget, the end sequence, then the best answer from what was thought."""
    direct: float = 0.17
    """An empty think block, then the answer at once."""
    several_turns: float = 0.24
    """Up to seven exchanges of any kind before the one that is learned, which is of one of the kinds above."""

    def problems(self) -> list[str]:
        return share_problems(self)


def share_problems(mix: FusionMix | Shares) -> list[str]:
    """What is wrong with shares that are to be normalised."""
    shares = vars(mix)
    found = [f'"{k}" is a share and must be 0 or more, not {v}' for k, v in shares.items() if v < 0]
    if not any(shares.values()):
        found.append(f"one share at least of {', '.join(shares)} must be above 0")
    return found


SYSTEM_PROMPTS = (
    "You are [a helpful|a friendly|a good|an honest] [assistant|chatbot|AI|model|tutor|calculator][.| named Sansi.|]",
    "[Answer|Reply|Be|Keep your answers] [briefly|short|in one line|polite|precise|honest|in English][.|]",
    "[Think step by step.|Be concise.|You are Sansi nano.|You are a maths tutor.|Help the user.|Today is Monday.]",
    "[你是一个有用的助手|你是三思|请简短回答|你是数学老师|请用中文回答][。|]",
)
SYSTEM_SHARE = 0.07
TURNS_BEFORE = (
    (1, 2, 3, 4, 5, 6, 7, 8),
    (24, 19, 15, 13, 11, 8, 6, 4),
)  # exchanges before the one that is learned, and weights


@dataclass(frozen=True)
class Exchange:
    """What a user says, and the thought and the answer to it."""

    question: str
    thought: str
    answer: str
    is_problem: bool


def exchange_of(problem: Problem) -> Exchange:
    """The problem as it is asked, with its worked solution."""
    solution = solve(problem.task, problem.question)
    return Exchange(problem.asked, solution.thought, solution.answer, True)


def talk(request: Request) -> Exchange:
    """A message that is no problem, with the fixed reply to its kind."""
    reply = REPLIES[request.kind, request.language]
    return Exchange(request.text, reply.thought, reply.answer, False)


@dataclass(frozen=True)
class Shares(Config):
    """Whose words the user's messages are in (normalised to 1)."""

    gym: float = 0.41
    """The gym's problems in the gym's words."""
    ordinary: float = 0.31
    """Problems in people's words."""
    talk: float = 0.28
    """Everything else: small talk, and what the model cannot do."""

    def problems(self) -> list[str]:
        return share_problems(self)


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
    codec: Codec, stream: Iterator[Exchange], count: int, seed: int, mix: FusionMix | None = None
) -> Iterator[TrainingSample]:
    """Stage 3: `count` samples of both modes, with and without switches, with cut thoughts, in one turn and in several.

    The same seed and exchanges give the same samples. Raises SansiError for an impossible mix.
    """
    mix = as_config(FusionMix, mix or FusionMix(), "fusion mix")
    shares = vars(mix)
    last_turns = {kind: share for kind, share in shares.items() if kind != "several_turns"}
    if not any(last_turns.values()):  # several turns alone: their last one is of any kind
        last_turns = dict.fromkeys(last_turns, 1.0)
    rng = random.Random(f"fusion {seed}")
    for kind in rng.choices(list(shares), list(shares.values()), k=count):
        before = _opening(rng)
        if kind == "several_turns":
            for _ in range(rng.choices(*TURNS_BEFORE)[0]):
                before += _earlier_turn(next(stream), rng)
            kind = rng.choices(list(last_turns), list(last_turns.values()))[0]
        yield _MAKERS[kind](codec, before, stream, rng)


def _opening(rng: random.Random) -> Conversation:
    """Mostly nothing; now and then a system message, as programs send it."""
    if rng.random() >= SYSTEM_SHARE:
        return []
    return [{"role": "system", "content": choose(rng.choice(SYSTEM_PROMPTS), rng)}]


def _earlier_turn(exchange: Exchange, rng: random.Random) -> Conversation:
    """An exchange as it stands in a history: without its thought, perhaps with a switch."""
    flag = rng.choice(("", "", "", f" {THINK_FLAG}", f" {NO_THINK_FLAG}"))
    return answered(exchange, thinking=False, suffix=flag)


def _switched(messages: Conversation, flag: str, rng: random.Random) -> Conversation:
    """The conversation with a soft switch at the end of its last question, or in a system message of its own."""
    *before, question, reply = messages
    if not before and rng.random() < 0.15:
        return [{"role": "system", "content": flag}, question, reply]
    return [*before, {**question, "content": f"{question['content']} {flag}"}, reply]


def _thinking_sample(
    codec: Codec, before: Conversation, stream: Iterator[Exchange], rng: random.Random
) -> TrainingSample:
    messages = [*before, *answered(next(stream))]
    if _has_switch(before) or rng.random() < 0.3:
        return codec.training_sample(_switched(messages, THINK_FLAG, rng))
    return codec.training_sample(messages, enable_thinking=True)


def _direct_sample(
    codec: Codec, before: Conversation, stream: Iterator[Exchange], rng: random.Random
) -> TrainingSample:
    messages = [*before, *answered(next(stream), thinking=False)]
    if rng.random() < 0.5:
        # The switch is in the text, so the empty block is the model's to write, and is trained.
        return codec.training_sample(_switched(messages, NO_THINK_FLAG, rng), soft_switch="model")
    return codec.training_sample(messages, enable_thinking=False)


def _cut_sample(codec: Codec, before: Conversation, stream: Iterator[Exchange], rng: random.Random) -> TrainingSample:
    """Budgets are log-uniform below the thought's length, so that each doubling of a budget is seen as often."""
    exchange = next(stream)
    while not exchange.is_problem and rng.random() < 0.8:  # the thoughts of small talk are too short to be cut often
        exchange = next(stream)
    messages = [*before, *answered(exchange)]
    if _has_switch(before):
        messages = _switched(messages, THINK_FLAG, rng)
    longest = len(codec.tokenizer.encode(exchange.thought + "\n")) - 1
    return codec.cut_sample(messages, max(1, round(longest ** rng.random())))


def _has_switch(messages: Conversation) -> bool:
    """Whether an earlier message holds a switch, which would decide the mode of the last turn as well."""
    return any(message["content"].endswith((THINK_FLAG, NO_THINK_FLAG)) for message in messages)


_MAKERS = {"thinking": _thinking_sample, "cut": _cut_sample, "direct": _direct_sample}
