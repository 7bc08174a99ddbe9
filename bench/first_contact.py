"""What does somebody get who types the first thing that comes to mind into the bundled model's chat?

    python bench/first_contact.py [CHECKPOINT] [--out FILE]

Sums in twelve English wordings and four Chinese ones, the other families in people's words, messages that the model cannot
answer (tests/nano/first_contact.jsonl, written by somebody who had not seen the training's phrases), small talk, and
problems as a later turn of a conversation. Thinking is on, the sampling is the folder's, and request i has the seed i.
No sum and no problem that is asked here was trained on in any wording.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sansi.chat import ChatModel, ChatOptions
from sansi.data.problems import FAMILIES, Problem, evaluation_set, held_out_sums, is_right, operands, reword
from sansi.post.small_talk import ABOUT, REPLIES

ROOT = Path(__file__).resolve().parents[1]
MESSAGES = ROOT / "tests" / "nano" / "first_contact.jsonl"
WORDINGS = (
    *("What is {a} {s} {b}?", "{a}{s}{b}", "calculate {a} {s} {b}", "what's {a} {w} {b}", "How much is {a} {w} {b}?"),
    *(
        "{a} {s} {b} =",
        "Hello! Please compute {a}{s}{b}",
        "{a} {w} {b}",
        "  {a}{s} {b} = ?",
        "tell me what {a} {s} {b} is",
    ),
    *("add {a} and {b}", "What is the sum of {a} and {b}?"),
    *("{a}{z}{b}等于几？", "计算 {a} {s} {b}", "请问{a}{s}{b}是多少", "{a}{z}{b}"),
)
PLUS_ONLY = ("add {a} and {b}", "What is the sum of {a} and {b}?")
SMALL_TALK = {
    "greeting": ("Hello", "hi", "Hey!", "good morning", "Hi there!", "hello, how are you?", "你好", "您好！"),
    "thanks": ("Thank you!", "thanks", "thx", "Thanks a lot.", "谢谢", "谢谢你！"),
    "about": (
        "Who are you?",
        "What can you do?",
        "help",
        "what's your name?",
        "介绍一下你自己",
        "你会什么？",
        "你是谁",
    ),
}
TURNS = (1, 2, 3, 5)
Conversation = list[dict[str, str]]


@dataclass(frozen=True)
class Outcome:
    """A message, what came back, and whether that was right."""

    group: str
    message: str
    answer: str
    right: bool
    refused: bool
    """The answer is the honest one: it says what the model is and how to get a real one."""


@dataclass(frozen=True)
class Share:
    """How many of a group were right, and how many got the honest answer."""

    group: str
    asked: int
    right: int
    refused: int


def is_honest(answer: str) -> bool:
    return any(sentence in answer for sentence in ABOUT.values())


def in_language(message: str, answer: str) -> bool:
    """Whether the honest answer is in the language of the message, where Chinese characters are all or none of it."""
    chinese = sum("\u4e00" <= c <= "\u9fff" for c in message)
    latin = sum(c.isascii() and c.isalpha() for c in message)
    kana = any("\u3040" <= c <= "\u30ff" for c in message)
    if chinese and not latin and not kana:
        return ABOUT["zh"] in answer
    return ABOUT["en"] in answer if not chinese else True


def ask(chat: ChatModel, conversations: Sequence[Conversation], options: ChatOptions) -> list[str]:
    each = [dataclasses.replace(options, seed=i) for i in range(len(conversations))]
    return [(r.message.content or "").strip() for r in chat.complete_batch(list(conversations), each)]


def said(text: str) -> Conversation:
    return [{"role": "user", "content": text}]


def sums(count: int) -> list[tuple[str, str, str]]:
    """(wording, message, answer): `count` held-out sums in each wording, another choice of them for each."""
    problems, made = held_out_sums(), []
    for number, wording in enumerate(WORDINGS):
        fitting = [p for p in problems if wording not in PLUS_ONLY or "+" in operands(p.family, p.question)[0]]
        for problem in random.Random(number).sample(fitting, count):
            a, sign, b = operands(problem.family, problem.question)[0].split()
            words = {"w": "plus", "z": "加"} if sign == "+" else {"w": "minus", "z": "减"}
            made.append((wording, wording.format(a=a, b=b, s=sign, **words), problem.answer))
    return made


def measure_sums(chat: ChatModel, count: int = 20, options: ChatOptions | None = None) -> list[Outcome]:
    asked = sums(count)
    answers = ask(chat, [said(message) for _, message, _ in asked], options or ChatOptions())
    return [
        Outcome(f"sum: {wording}", message, answer, answer == expected, is_honest(answer))
        for (wording, message, expected), answer in zip(asked, answers, strict=True)
    ]


def measure_wordings(chat: ChatModel, count: int = 40, options: ChatOptions | None = None) -> list[Outcome]:
    """Held-out problems of every family in wordings drawn at random, and in the gym's."""
    rng = random.Random("first contact")
    problems = evaluation_set(count * len(FAMILIES))
    asked = [*problems, *(reword(p, rng) for p in problems)]
    answers = ask(chat, [said(p.asked) for p in asked], options or ChatOptions())
    return [
        Outcome(f"{p.family}: {'own words' if p.wording else 'gym'}", p.asked, a, is_right(p, a), is_honest(a))
        for p, a in zip(asked, answers, strict=True)
    ]


def measure_small_talk(chat: ChatModel, options: ChatOptions | None = None) -> list[Outcome]:
    asked = [(kind, text) for kind, texts in SMALL_TALK.items() for text in texts]
    answers = ask(chat, [said(text) for _, text in asked], options or ChatOptions())
    wanted = {kind: {REPLIES[kind, language].answer for language in ("en", "zh")} for kind in SMALL_TALK}
    return [
        Outcome(f"small talk: {kind}", text, answer, answer in wanted[kind], is_honest(answer))
        for (kind, text), answer in zip(asked, answers, strict=True)
    ]


def measure_turns(chat: ChatModel, count: int = 60, options: ChatOptions | None = None) -> list[Outcome]:
    """The same held-out problems as turn 1, 2, 3 and 5, after other problems with their right answers."""
    problems = evaluation_set(count)
    others = evaluation_set(4 * count, seed=5_000_000)
    asked = [
        (turn, p, [*history(others, i, turn - 1), *said(p.asked)]) for turn in TURNS for i, p in enumerate(problems)
    ]
    answers = ask(chat, [conversation for _, _, conversation in asked], options or ChatOptions())
    return [
        Outcome(f"turn {turn}", p.asked, answer, is_right(p, answer), is_honest(answer))
        for (turn, p, _), answer in zip(asked, answers, strict=True)
    ]


def history(others: Sequence[Problem], start: int, turns: int) -> Conversation:
    chosen = [others[(4 * start + i) % len(others)] for i in range(turns)]
    return [m for p in chosen for m in (*said(p.asked), {"role": "assistant", "content": p.answer})]


def shares(outcomes: Iterable[Outcome]) -> list[Share]:
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.group, []).append(outcome)
    return [
        Share(name, len(found), sum(o.right for o in found), sum(o.refused for o in found))
        for name, found in groups.items()
    ]


def table(found: Sequence[Share]) -> str:
    lines = ["| asked | messages | right | honest answer |", "| --- | --: | --: | --: |"]
    return "\n".join([*lines, *(f"| {s.group} | {s.asked} | {s.right} | {s.refused} |" for s in found)]) + "\n"
