"""What does somebody get who types the first thing that comes to mind into the bundled model's chat?

    python bench/first_contact.py [CHECKPOINT] [--out FOLDER]

Sums in people's wordings, the other families in people's words, small talk, messages that the model cannot answer, and
problems as a later turn of a conversation. Thinking is on, the sampling is the folder's, and request i has the seed i.
What is read from tests/nano was written before the training and its phrases (see the README there); no sum and no
problem of the rest was trained on in any wording.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import operator
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from sansi.base.files import write_json, write_text
from sansi.chat import ChatModel, ChatOptions
from sansi.data.problems import FAMILIES, Problem, evaluation_set, held_out_sums, is_right, operands, reword
from sansi.post.small_talk import ABOUT, REPLIES

ROOT = Path(__file__).resolve().parents[1]
MESSAGES = ROOT / "tests" / "nano"
SETS = {"": "first_contact.jsonl", ", second set": "first_contact_2.jsonl"}
"""Strangers' messages by how their groups are told apart; the second set was written after the first had been seen."""
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
TOPICS = {
    "greeting": ("greeting", "about"),
    "identity": ("about", "greeting"),
    "abilities": ("about", "greeting"),
    "thanks": ("thanks",),
    "goodbye": ("goodbye",),
}
"""The replies that fit what the small talk is about: a greeting is answered with what the model is, too."""
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


def in_language(language: str, answer: str) -> bool:
    """Whether the answer holds the honest sentence, in the language of the message where it is English or Chinese."""
    return ABOUT[language] in answer if language in ABOUT else is_honest(answer)


def messages(kind: str) -> list[dict[str, str]]:
    """The strangers' messages of a kind: text, language, their set, and what else their file says of them."""
    lines = [
        (which, line) for which, file in SETS.items() for line in (MESSAGES / file).read_text("utf-8").splitlines()
    ]
    return [{**found, "set": which} for which, line in lines if (found := json.loads(line))["kind"] == kind]


def ask(chat: ChatModel, conversations: Sequence[Conversation], options: ChatOptions) -> list[str]:
    each = [dataclasses.replace(options, seed=i) for i in range(len(conversations))]
    return [(r.message.content or "").strip() for r in chat.complete_batch(list(conversations), each)]


def said(text: str) -> Conversation:
    return [{"role": "user", "content": text}]


@dataclass(frozen=True)
class Asked:
    """A message, and which answers to it are right."""

    group: str
    message: str
    is_right: Callable[[str], bool]
    before: Sequence[dict[str, str]] = ()
    """The conversation so far."""


def judged(chat: ChatModel, asked: Sequence[Asked], options: ChatOptions | None) -> list[Outcome]:
    """What came back; `options` None for the folder's sampling."""
    answers = ask(chat, [[*a.before, *said(a.message)] for a in asked], options or ChatOptions())
    return [
        Outcome(a.group, a.message, answer, a.is_right(answer), is_honest(answer))
        for a, answer in zip(asked, answers, strict=True)
    ]


def sums(wordings: Sequence[str], count: int) -> list[tuple[str, str, str]]:
    """(wording, message, answer): `count` held-out sums in each wording, another choice of them for each."""
    problems, made = held_out_sums(), []
    for number, wording in enumerate(wordings):
        either = "{s}" in wording or "{w}" in wording or "{z}" in wording  # else the wording itself says plus
        fitting = [p for p in problems if either or "+" in operands(p.task, p.question)[0]]
        for problem in random.Random(number).sample(fitting, count):
            a, sign, b = operands(problem.task, problem.question)[0].split()
            words = {"w": "plus", "z": "加"} if sign == "+" else {"w": "minus", "z": "减"}
            made.append((wording, wording.format(a=a, b=b, s=sign, **words), problem.answer))
    return made


def measure_sums(chat: ChatModel, count: int = 20, options: ChatOptions | None = None) -> list[Outcome]:
    strangers = [m["text"] for m in messages("sum_wording")]
    asked = [
        Asked(
            f"sum, {'stranger' if wording in strangers else 'own'}: {wording}", message, partial(operator.eq, expected)
        )
        for wording, message, expected in sums((*WORDINGS, *strangers), count)
    ]
    return judged(chat, asked, options)


def measure_wordings(chat: ChatModel, count: int = 40, options: ChatOptions | None = None) -> list[Outcome]:
    """Held-out problems of every family in wordings drawn at random, and in the gym's."""
    rng = random.Random("first contact")
    problems = evaluation_set(count * len(FAMILIES))
    asked = [
        Asked(f"{p.task}: {'own words' if p.wording else 'gym'}", p.asked, partial(is_right, p))
        for p in [*problems, *(reword(p, rng) for p in problems)]
    ]
    return judged(chat, asked, options)


def measure_small_talk(chat: ChatModel, options: ChatOptions | None = None) -> list[Outcome]:
    asked = [
        Asked(f"small talk: {m['topic']}", m["text"], partial(operator.contains, fitting(m)))
        for m in messages("small_talk")
    ]
    return judged(chat, asked, options)


def fitting(message: dict[str, str]) -> set[str]:
    """The replies that would do."""
    languages = [message["language"]] if message["language"] in ABOUT else list(ABOUT)
    return {REPLIES[kind, language].answer for kind in TOPICS[message["topic"]] for language in languages}


def measure_messages(chat: ChatModel, options: ChatOptions | None = None, every: int = 1) -> list[Outcome]:
    """Messages that the model cannot answer: the honest answer is the right one, in their language."""
    asked = [
        Asked(f"out of scope{m['set']}: {m['language']}", m["text"], partial(in_language, m["language"]))
        for m in messages("out_of_scope")[::every]
    ]
    return judged(chat, asked, options)


def measure_questions(chat: ChatModel, options: ChatOptions | None = None) -> list[Outcome]:
    """Strangers' questions within what the model can do beside sums."""
    asked = [
        Asked(f"{m['family']}: strangers{m['set']}", m["text"], partial(equal_but_for_case, m["answer"]))
        for m in messages("in_scope")
    ]
    return judged(chat, asked, options)


def equal_but_for_case(expected: str, answer: str) -> bool:
    return answer.lower() == expected.lower()


def measure_turns(chat: ChatModel, count: int = 60, options: ChatOptions | None = None) -> list[Outcome]:
    """The same held-out problems as turn 1, 2, 3 and 5, after other problems with their right answers."""
    problems = evaluation_set(count)
    others = evaluation_set(4 * count, seed=5_000_000)
    asked = [
        Asked(f"turn {turn}", p.asked, partial(is_right, p), history(others, i, turn - 1))
        for turn in TURNS
        for i, p in enumerate(problems)
    ]
    return judged(chat, asked, options)


def history(others: Sequence[Problem], start: int, turns: int) -> Conversation:
    chosen = [others[(4 * start + i) % len(others)] for i in range(turns)]
    return [m for p in chosen for m in (*said(p.asked), {"role": "assistant", "content": p.answer})]


def measure(chat: ChatModel) -> list[Outcome]:
    parts = (measure_sums, measure_questions, measure_wordings, measure_small_talk, measure_messages, measure_turns)
    return [outcome for part in parts for outcome in part(chat)]


def shares(outcomes: Iterable[Outcome]) -> list[Share]:
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.group, []).append(outcome)
    return [
        Share(name, len(found), sum(o.right for o in found), sum(o.refused for o in found))
        for name, found in groups.items()
    ]


def summary(outcomes: Sequence[Outcome]) -> str:
    """The table with the sums in two rows, which tell the worst wording as well."""
    rest = [o for o in outcomes if not o.group.startswith("sum")]
    rows = []
    for whose, told in (("own", "wordings of ours"), ("stranger", "strangers' wordings")):
        found = shares(o for o in outcomes if o.group.startswith(f"sum, {whose}"))
        asked, right = sum(s.asked for s in found), sum(s.right for s in found)
        worst = min(s.right / s.asked for s in found)
        name = f"sums in {len(found)} {told} (worst wording {100 * worst:.0f}%)"
        rows.append(Share(name, asked, right, sum(s.refused for s in found)))
    return table([*rows, *shares(rest)])


def table(found: Sequence[Share]) -> str:
    lines = ["| asked | messages | right | honest answer |", "| --- | --: | --: | --: |"]
    return "\n".join([*lines, *(f"| {cell(s.group)} | {s.asked} | {s.right} | {s.refused} |" for s in found)]) + "\n"


def cell(group: str) -> str:
    head, separator, wording = group.partition(": ")
    return f"{head}: `{wording}`" if separator and "{" in wording else group


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", nargs="?", default=str(ROOT / "checkpoints" / "nano"))
    parser.add_argument("--out", type=Path, help="folder for first_contact.md and first_contact.json")
    parser.add_argument("--wrong", action="store_true", help="print what was not right")
    arguments = parser.parse_args()
    with ChatModel.from_pretrained(arguments.checkpoint, max_batch=64) as chat:
        outcomes = measure(chat)
    found = table(shares(outcomes))
    print(found)
    if arguments.wrong:
        print("\n".join(f"{o.group} | {o.message!r} | {o.answer[:60]!r}" for o in outcomes if not o.right))
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        write_text(arguments.out / "first_contact.md", found)
        write_text(arguments.out / "first_contact_summary.md", summary(outcomes))
        write_json(arguments.out / "first_contact.json", [asdict(outcome) for outcome in outcomes])


if __name__ == "__main__":
    main()
