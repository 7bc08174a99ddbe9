"""The commands of the chat: what they are called, what they are good for, and what may follow them. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sansi.base.errors import SansiError, did_you_mean, nearest
from sansi.text import NO_THINK_FLAG, THINK_FLAG

SAMPLING = {
    "temperature": float,
    "top_p": float,
    "top_k": int,
    "min_p": float,
    "presence_penalty": float,
    "frequency_penalty": float,
    "repetition_penalty": float,
    "max_tokens": int,
    "seed": int,
}


@dataclass(frozen=True)
class Command:
    """A command of the chat."""

    name: str
    arguments: str
    help: str
    choices: Sequence[str] = ()
    """Words that may follow, to be completed."""
    takes_file: bool = False


COMMANDS = (
    Command(THINK_FLAG, "", "think before each answer"),
    Command(NO_THINK_FLAG, "", "answer without thinking"),
    Command("/auto", "", f"leave the mode to the model and to {THINK_FLAG} or {NO_THINK_FLAG} in the text"),
    Command("/budget", "N | off", "most tokens of a thought", ("off", "0", "16", "32", "64", "128", "256")),
    Command("/system", "TEXT | off", "the system message; alone: show it", ("off",)),
    Command("/sampling", "NAME=VALUE …", "sampling values; NAME=off: the preset's", [f"{key}=" for key in SAMPLING]),
    Command("/preset", "", "all sampling values back to the presets of the modes"),
    Command("/seed", "N | off", "the same seed gives the same answers", ("off",)),
    Command("/tools", "FILE | off", "tool definitions, a JSON list; you give the results", ("off",), takes_file=True),
    Command("/result", "TEXT", "the result of the call that waits for one"),
    Command("/regenerate", "", "another answer to the last question; also /r"),
    Command("/continue", "", "go on with an answer that was stopped or cut"),
    Command("/edit", "[TEXT]", "change the last question and ask again"),
    Command("/undo", "", "take back the last question and its answer"),
    Command("/forget", "", "leave the oldest question and its answer out, to make room"),
    Command("/new", "", "start over; settings stay"),
    Command("/clear", "", "empty the screen; the conversation stays"),
    Command("/show", "", "the conversation so far"),
    Command("/history", "official | keep", "drop or keep earlier thoughts in the prompt", ("official", "keep")),
    Command("/stats", "", "how the last answer came to be"),
    Command(
        "/save", "FILE", "as .json to load again, or .md to read; --force overwrites", ("--force",), takes_file=True
    ),
    Command("/load", "FILE [N]", "a conversation saved as .json, here or by the chat page", takes_file=True),
    Command("/help", "", "this list"),
    Command("/exit", "", "leave; also /quit and Ctrl-D"),
)
ALIASES = {"/r": "/regenerate", "/quit": "/exit", "/q": "/exit", "/?": "/help", "/nothink": NO_THINK_FLAG}
NAMES = {command.name: command for command in COMMANDS}
MODES = (THINK_FLAG, NO_THINK_FLAG)  # with words after them they are part of a message: the template knows them


@dataclass(frozen=True)
class Call:
    """A command that was typed, and what stood behind it."""

    name: str
    rest: str


def parse_command(line: str, names: Mapping[str, Command] = NAMES, aliases: Mapping[str, str] = ALIASES) -> Call | None:
    """The command in a line, or None where it is a message: "/usr/bin is …", "/no_think why …", or " /budget".

    Raises SansiError for a slash and a word that is no command.
    """
    match = re.match(r"(/(?:[a-z_]+|\?))(?:\s+(.*))?\s*\Z", line, re.DOTALL)
    if match is None:
        return None
    word, rest = match[1], (match[2] or "").strip()
    name = aliases.get(word, word)
    if name in MODES and rest:
        return None
    if name not in names:
        near = nearest(word, [*names, *aliases])
        hint = f'; did you mean "{aliases.get(near, near)}"?' if near else "; /help lists them"
        raise SansiError(f"{word} is not a command{hint} (a blank in front makes it a message)")
    if rest and not names[name].arguments:
        raise SansiError(f"{name} takes nothing after it (a blank in front makes it a message)")
    return Call(name, rest)


def parse_sampling(text: str) -> dict[str, float | int | None]:
    """The values in "temperature=0.2 top_k=off". Raises SansiError that names the one at fault."""
    found: dict[str, float | int | None] = {}
    for part in re.split(r"[\s,]+", text.strip()):
        name, equals, value = part.partition("=")
        if name not in SAMPLING:
            raise SansiError(f'"{name}" is not a sampling value{did_you_mean(name, SAMPLING)}', param=name)
        if not equals:
            raise SansiError(f"{name} needs a value: {name}=1, or {name}=off", param=name)
        found[name] = None if value == "off" else _number(name, value)
    return found


def _number(name: str, text: str) -> float | int:
    kind = SAMPLING[name]
    try:
        return kind(text)
    except ValueError as error:
        wanted = "a whole number" if kind is int else "a number"
        raise SansiError(f'{name} must be {wanted} or off, not "{text}"', param=name) from error


def parse_budget(text: str) -> int | None:
    """Raises SansiError for anything but a whole number or "off"."""
    if text == "off":
        return None
    if not (text.isascii() and text.isdecimal()):
        raise SansiError("usage: /budget 64, or /budget off for no limit")
    return int(text)
