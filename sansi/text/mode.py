"""Whether the assistant thinks before it answers: one written precedence for everybody who needs to know."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.shown import show
from sansi.text.messages import Message
from sansi.text.tokenizer import CONTROL_TEXT

SoftSwitch = Literal["prefill", "model"]

# A flag stands alone: "4?/no_think" and "你好/no_think" hold one, the paths "src/think" and "/think.py" and a tag that
# is spelled out do not.
FLAG = re.compile(r"(?<![\w/\\.~<-])/(no_)?think(?![\w/\\-]|\.\w)", re.ASCII)


@dataclass(frozen=True)
class Mode:
    """Whether the assistant thinks before it answers, and who decided: `select_mode` has the precedence."""

    thinking: bool
    source: Literal["default", "request", "soft_switch", "model"]


_mode = functools.cache(Mode)  # there are seven


def select_mode(
    messages: Iterable[Message], enable_thinking: bool | None = None, soft_switch: SoftSwitch = "prefill"
) -> Mode:
    """The one place that decides the mode.

    1. `enable_thinking=False`: non-thinking, whatever the messages say (source "request").
    2. The last /think or /no_think in a user or system message (source "soft_switch", or "model" if
       `soft_switch="model"` leaves obeying it to the model).
    3. Thinking (source "request" if `enable_thinking=True`, else "default").
    """
    if enable_thinking is False:
        return _mode(False, "request")
    for message in reversed(tuple(messages)):
        flagged = flag_of(message)
        if flagged is not None:
            return _mode(flagged, "model" if soft_switch == "model" else "soft_switch")
    return _mode(True, "default" if enable_thinking is None else "request")


def modes_of_turns(chat: Sequence[Message], enable_thinking: bool | None, soft_switch: SoftSwitch) -> list[Mode]:
    """For each message `select_mode` of those before it, in one pass."""
    modes, mode = [], select_mode((), enable_thinking, soft_switch)
    for message in chat:
        modes.append(mode)
        if enable_thinking is not False and flag_of(message) is not None:
            mode = select_mode((message,), enable_thinking, soft_switch)
    return modes


def flag_of(message: Message) -> bool | None:
    """What the last flag of a message asks for (True: think); None if it holds none or may hold none."""
    if "think" not in message.content or not (message.role == "system" or is_query(message)):
        return None
    flags = FLAG.findall(message.content)
    return not flags[-1] if flags else None


def is_query(message: Message) -> bool:
    """A user's turn that is not a tool's result in disguise; it starts the exchange whose thoughts are kept."""
    return message.role == "user" and not (message.content.startswith(_START) and message.content.endswith(_END))


def check_mode_options(enable_thinking: bool | None, soft_switch: SoftSwitch) -> None:
    """Raise SansiError unless both have a known value."""
    if enable_thinking is not None:
        check_flag("enable_thinking", enable_thinking)
    check_choice("soft_switch", soft_switch, ("prefill", "model"))


def check_flag(name: str, value: bool) -> None:
    """Raise SansiError unless `value` is true or false: "no" would count as true."""
    if not isinstance(value, bool):
        raise SansiError(f"{name} is {show(value)}; true or false", param=name)


def check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    """Raise SansiError unless `value` is one of `known`."""
    if value not in known:
        raise SansiError(f"{name} is {show(value)}{did_you_mean(str(value), known)}", param=name)


_START, _END = CONTROL_TEXT["tool_response"], CONTROL_TEXT["tool_response_end"]
