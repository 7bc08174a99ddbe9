"""A conversation at a prompt. Commands start with a slash; everything else goes to the model."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.files import WRITTEN, read_json
from sansi.base.shown import show
from sansi.base.words import count
from sansi.chat import ChatModel, ChatOptions, ChatResult, Preset
from sansi.chat.options import check_options
from sansi.serve.api import response_bodies
from sansi.serve.api.fields import Reading
from sansi.serve.api.openai_chat import FIELDS
from sansi.serve.api.response_bodies import Done, Timing
from sansi.serve.terminal import looks, saved
from sansi.serve.terminal.commands import COMMANDS, SAMPLING, Call, parse_budget, parse_command, parse_sampling
from sansi.serve.terminal.conversation import Conversation, Turn
from sansi.serve.terminal.printers import Printer
from sansi.serve.terminal.prompt import Reader, converse, reader_for
from sansi.serve.terminal.remote import RemoteChat
from sansi.text import NO_THINK_FLAG, THINK_FLAG, Content, Event, Message, Reasoning, ToolCallDelta
from sansi.text.foreign_codec import NO_THOUGHTS
from sansi.text.messages import read_tools

SETTINGS = ("enable_thinking", "thinking_budget", "history", "tools", *SAMPLING)
KEYS = """\
Enter sends; Alt-Enter, or a backslash before Enter, begins a new line; Tab completes; the arrows find earlier inputs.
Ctrl-C stops an answer; twice at an empty prompt, or Ctrl-D, leaves."""
MOST_EXAMPLES = 3
HISTORY = {
    "official": "earlier thoughts are dropped from the prompt",
    "keep": "earlier thoughts stay in the prompt",
}


@dataclass(frozen=True)
class Answered:
    """An answer, and how long it took."""

    result: ChatResult
    timing: Timing

    @property
    def report(self) -> dict[str, Any]:
        """The `sansi` block of the API."""
        return response_bodies.report(self._done)

    @property
    def usage(self) -> dict[str, Any]:
        """The `usage` block of the API."""
        return response_bodies.usage([self._done])

    @property
    def _done(self) -> Done:
        return Done(index=0, prompt=0, result=self.result, timing=self.timing)


@dataclass
class Heard:
    """What has come of an answer so far, for the case that no more comes."""

    events: list[Event] = field(default_factory=list)

    def message(self) -> Message:
        """The text as far as it came; calls that are not whole are no calls."""
        thought = "".join(event.text for event in self.events if isinstance(event, Reasoning))
        content = "".join(event.text for event in self.events if isinstance(event, Content))
        return Message("assistant", content, reasoning_content=thought or None)


class TerminalChat:
    """A conversation, its settings, and the loop that asks for the next line. `read` is how a line is asked for."""

    def __init__(
        self,
        chat: ChatModel | RemoteChat,
        options: ChatOptions | None = None,
        console: Console | None = None,
        read: Reader | None = None,
        examples: Sequence[str] = (),
        system: str = "",
        description: str = "",
    ):
        self.chat = chat
        self.options = options or ChatOptions()
        self.console = console or looks.console()
        self.conversation = Conversation(system)
        self.last: Answered | None = None
        self._read = read or reader_for(self.console, self.toolbar)
        self._examples, self._description = examples, description
        self._draft = ""  # what the next prompt begins with
        self._file: Path | None = None  # that was saved or loaded
        self._printer = Printer(self.console)

    def run(self) -> None:
        """Read, answer, repeat, until /exit or the end of the input."""
        self._introduce()
        with asyncio.Runner() as self._runner:  # one event loop for the whole conversation
            if not converse(self._next_line, self._handle, self._note):
                self.console.print()

    def _introduce(self) -> None:
        """What the model is, and what to try; said again for each new conversation."""
        size = f"{self.chat.context_length:,} tokens of context" if self.chat.context_length else ""
        self._note(" · ".join(filter(None, (self.chat.name, size, "/help"))))
        self._note(self._description)
        if not self.chat.thinks:
            self._note(NO_THOUGHTS)
        self._note("\n".join(f"for example: {example}" for example in self._examples[:MOST_EXAMPLES]))

    def _next_line(self) -> str:
        draft, self._draft = self._draft, ""
        return self._read(draft)

    def _handle(self, line: str) -> bool:
        """Do what a line says. False: leave."""
        try:
            call = parse_command(line)
            if call is None:
                if line.strip():
                    self._ask(self.conversation.asking(line.strip()))
                return True
            if call.name == "/exit":
                return False
            self._do(call)
        except SansiError as error:
            self._error(error)
        return True

    def _do(self, call: Call) -> None:
        actions: dict[str, Callable[[str], None]] = {
            THINK_FLAG: lambda _: self._set(enable_thinking=True),
            NO_THINK_FLAG: lambda _: self._set(enable_thinking=False),
            "/auto": lambda _: self._set(enable_thinking=None),
            "/budget": lambda rest: self._set(thinking_budget=parse_budget(rest)),
            "/system": self._system,
            "/sampling": self._sampling,
            "/preset": self._preset,
            "/seed": lambda rest: self._sampling(f"seed={rest or 'off'}"),
            "/tools": self._tools,
            "/result": self._result,
            "/regenerate": lambda _: self._regenerate(),
            "/continue": lambda _: self._continue(),
            "/edit": self._edit,
            "/undo": lambda _: self._undo(),
            "/forget": lambda _: self._forget(),
            "/new": lambda _: self._new(),
            "/clear": lambda _: self.console.clear(),
            "/show": lambda _: self._show(),
            "/history": self._history,
            "/stats": lambda _: self._stats(),
            "/save": self._save,
            "/load": self._load,
            "/help": lambda _: self._help(),
        }
        actions[call.name](call.rest)

    # --- answers -----------------------------------------------------------------------------------------------------

    def _ask(self, asked: Conversation, begun: Message | None = None) -> None:
        """Get and show the next answer, or the rest of one. The conversation stays as it was if there is none."""
        heard = Heard()
        try:
            with _keys_unseen():
                done = self._runner.run(self._answer(asked, begun, heard))
        except KeyboardInterrupt:  # the runner has cancelled the generation, which frees its slot
            self._printer.end()
            self.conversation = asked.having(Turn(joined(begun, heard.message()), stopped=True))
            return self._note("stopped; what was said is kept: /continue goes on, /r asks again, /undo takes it back")
        except Exception as error:  # whatever it is, the conversation must not be lost with it
            self._printer.end()
            self._draft = asked.last_question() if asked.turns[-1].role == "user" and begun is None else ""
            return self._error(error)
        self._printer.end()
        self.last = done
        self.conversation = asked.having(Turn(joined(begun, done.result.message), details=self._details(done)))
        self.console.print()
        self._note(looks.summary(done.result, done.timing.total))
        for warning in done.result.report.warnings:
            self._note(warning)
        self._warn_of_little_room(done)
        if calls := self.conversation.open_calls():
            self._note(f"{len(calls)} of the calls wait for a result: /result TEXT")

    def _warn_of_little_room(self, done: Answered) -> None:
        """The next answer may want as much room as this one: say so before a thought is crowded out."""
        used, size = done.result.usage, self.chat.context_length
        full = used.prompt_tokens + used.completion_tokens
        if size and size - full < used.completion_tokens:
            self._note(
                f"little room is left: {full:,} of {size:,} tokens are used; /forget drops the oldest, /new starts over"
            )

    async def _answer(self, asked: Conversation, begun: Message | None, heard: Heard) -> Answered:
        def show(event: Event) -> None:
            heard.events.append(event)
            self._printer.show(event)

        if begun is None:
            return await answer(self.chat, asked.messages(), self.options, show)
        options = replace(self.options, continue_final="answer" if begun.content else "thought")
        return await answer(self.chat, [*asked.messages(), begun], options, show)

    def _details(self, done: Answered) -> dict[str, Any]:
        """What the page keeps with an answer."""
        ask = {"mode": saved.MODES[self.options.enable_thinking], "budget": self.options.thinking_budget}
        return {
            "model": self.chat.name,
            "finish": done.result.finish_reason,
            "ask": ask,
            "report": done.report,
        }

    def _regenerate(self) -> None:
        if self.options.seed is not None:
            self._note(f"the seed is {self.options.seed}, so the answer will be the same; /seed off frees it")
        self._ask(self.conversation.without_last_answer())

    def _continue(self) -> None:
        last = self.conversation.turns[-1] if self.conversation.turns else None
        if last is None or not (last.stopped or last.details.get("finish") == "length"):
            raise SansiError("no answer that was stopped or cut; /r asks for another one")
        before = Conversation(self.conversation.system, self.conversation.turns[:-1])
        said = last.message.content or last.message.reasoning_content
        self._ask(before, last.message if said else None)

    def _edit(self, text: str) -> None:
        if text:
            return self._ask(self.conversation.without_last_question().asking(text))
        if not self._read.drafts:
            raise SansiError("usage: /edit TEXT, the new question")
        draft = self.conversation.last_question()
        try:
            line = self._read(draft)
        except EOFError:
            line = ""
        return self._ask(self.conversation.without_last_question().asking(line.strip())) if line.strip() else None

    def _result(self, text: str) -> None:
        calls = self.conversation.open_calls()
        if not calls:
            raise SansiError("no call waits for a result")
        result = Turn(Message("tool", text, tool_call_id=calls[0]))
        with_result = self.conversation.having(result)
        if len(calls) == 1:
            return self._ask(with_result)
        self.conversation = with_result
        return self._note(f"{len(calls) - 1} more to come")

    # --- the conversation --------------------------------------------------------------------------------------------

    def _undo(self) -> None:
        question = self.conversation.last_question()
        self.conversation = self.conversation.without_last_question()
        self._note(f"taken back: {_short(question)}")

    def _forget(self) -> None:
        shorter = self.conversation.without_first_question()
        self._note(f"left out from now on: {_short(self.conversation.turns[0].message.content)}")
        self.conversation = shorter

    def _new(self) -> None:
        self.conversation, self.last = Conversation(self.conversation.system), None
        self._note("a new conversation" + ("; the system message stays" if self.conversation.system else ""))
        self._introduce()

    def _system(self, text: str) -> None:
        if text:
            self.conversation.system = "" if text == "off" else text
        system = self.conversation.system
        self._note(f"system message: {system}" if system else "no system message; /system TEXT sets one")

    def _show(self) -> None:
        if self.conversation.system:
            self._note(f"system message: {self.conversation.system}\n")
        for turn in self.conversation.turns:
            self._show_turn(turn)

    def _show_turn(self, turn: Turn) -> None:
        message = turn.message
        if turn.role != "assistant":
            mark = {"user": "› ", "tool": "⚙ → "}.get(turn.role, f"{turn.role}: ")
            return self.console.print(Text(mark + looks.printable(message.content), "bold"), end="\n\n", soft_wrap=True)
        printer = Printer(self.console, replay=True)
        if message.reasoning_content:
            printer.show(Reasoning(message.reasoning_content))
        if message.content:
            printer.show(Content(message.content))
        for i, call in enumerate(message.tool_calls):
            printer.show(ToolCallDelta(i, call.id, call.name, call.arguments))
        printer.end()
        return self._note("(stopped)\n" if turn.stopped else "")

    def _save(self, rest: str) -> None:
        words = _words(rest)
        force = "--force" in words
        names = [word for word in words if word != "--force"]
        if len(names) > 1 or not (names or self._file):
            raise SansiError("usage: /save FILE.json or FILE.md (names with blanks in quotes)")
        file = Path(names[0]).expanduser() if names else self._file
        assert file is not None
        if file.exists() and file != self._file and not force:
            raise SansiError(f"{file} is there already; /save --force {rest} overwrites it")
        saved.save(self.conversation, file, self.chat.name, self._settings())
        self._file = file
        self._note(f"saved: {file}")

    def _load(self, rest: str) -> None:
        name, *number = _words(rest) or [""]
        if not name or len(number) > 1 or not all(map(str.isdecimal, number)):
            raise SansiError(
                "usage: /load FILE.json, and a number where it holds several (a name with blanks in quotes)"
            )
        self.load(Path(name).expanduser(), *map(int, number))

    def load(self, file: Path, which: int | None = None) -> None:
        """Go on with a saved conversation. Raises SansiError, and changes nothing, where it cannot be read."""
        found = saved.load(file, which)
        self.options = options_from(found.settings)
        self.conversation, self.last = found.conversation, None
        self._file = file if which is None else None  # saving must not put one in the place of several
        self._note(f"{len(self.conversation.turns)} messages; /show shows them")
        self._tell_settings()

    # --- settings ----------------------------------------------------------------------------------------------------

    def _set(self, **changes: Any) -> None:
        options = replace(self.options, **changes)
        _check(options)
        if not self.chat.thinks and (changes.get("enable_thinking") or changes.get("thinking_budget")):
            raise SansiError(NO_THOUGHTS)
        self.options = options
        self._tell_settings()

    def _tell_settings(self) -> None:
        told = self.options
        budget = "unlimited" if told.thinking_budget is None else told.thinking_budget
        parts = [f"thinking: {_mode(told)}", f"budget: {budget}"] if self.chat.thinks else [NO_THOUGHTS]
        if values := self._chosen_sampling():
            parts.append("sampling: " + ", ".join(f"{name} {value}" for name, value in values.items()))
        if told.tools:
            parts.append(f"tools: {len(told.tools)}")
        if told.history != "official":
            parts.append(f"history: {told.history}")
        self._note(" · ".join(parts))

    def _chosen_sampling(self) -> dict[str, Any]:
        values = {name: getattr(self.options, name) for name in SAMPLING}
        return {name: value for name, value in values.items() if value is not None}

    def _sampling(self, rest: str) -> None:
        if rest:
            return self._set(**parse_sampling(rest))
        chosen = self._chosen_sampling()
        told = ", ".join(f"{name} {value}" for name, value in chosen.items()) or "nothing set"
        return self._note(f"{told}; the rest comes from the preset of the mode: /preset shows them")

    def _preset(self, _: str) -> None:
        self._set(**dict.fromkeys(field.name for field in fields(Preset)))
        presets = self.chat.presets
        for name, preset in (("thinking", presets.thinking), ("non-thinking", presets.non_thinking)):
            values = ", ".join(f"{key} {value:g}" for key, value in asdict(preset).items())
            self._note(f"{name} ({presets.source}): {values}")

    def _tools(self, rest: str) -> None:
        if rest == "off":
            return self._set(tools=None)
        words = _words(rest)
        if len(words) != 1:
            raise SansiError("usage: /tools FILE, a JSON list of tool definitions; /tools off")
        tools = read_json(Path(words[0]).expanduser(), WRITTEN)
        return self._set(tools=read_tools(tools))

    def _history(self, rest: str) -> None:
        if rest:
            options = replace(self.options, history=rest)  # type: ignore[arg-type]
            _check(options)
            self.options = options
        self._note(f"history: {self.options.history} ({HISTORY[self.options.history]})")

    def _settings(self) -> dict[str, Any]:
        """What differs from the defaults, in the names of the API."""
        values = {name: getattr(self.options, name) for name in SETTINGS}
        return {name: value for name, value in values.items() if value != getattr(ChatOptions, name)}

    # --- words to the user -------------------------------------------------------------------------------------------

    def toolbar(self) -> str:
        """One line under the prompt: what the next answer is made with, and how full the context is."""
        told, parts = self.options, [self.chat.name]
        if self.chat.thinks:
            parts.append(f"thinking: {_mode(self.options)}")
            parts.append("no budget" if told.thinking_budget is None else f"budget {told.thinking_budget}")
        if self.last is not None and self.conversation.turns:
            usage = self.last.result.usage
            used = usage.prompt_tokens + usage.completion_tokens
            parts.append(_room(used, self.chat.context_length))
        return " · ".join(parts)

    def _stats(self) -> None:
        if self.last is None:
            raise SansiError("no answer to tell about yet")
        for name, text in stats(self.last, self.chat.context_length).items():
            self.console.print(Text.assemble((name.ljust(10), "dim"), looks.printable(text)), soft_wrap=True)

    def _help(self) -> None:
        self.console.print(looks.command_table(COMMANDS))
        self._note(KEYS)

    def _note(self, text: str) -> None:
        if text:
            self._line(text, "note")

    def _error(self, error: Exception) -> None:
        text = str(error) if isinstance(error, SansiError) else f"{type(error).__name__}: {error}"
        self._line(f"error: {text}", "error")

    def _line(self, text: str, style: str) -> None:
        """On a terminal lines are broken between words; elsewhere whoever reads them breaks them."""
        self.console.print(looks.printable(text), style=style, soft_wrap=not self.console.is_terminal)


async def answer(
    chat: ChatModel | RemoteChat, messages: Sequence[Message], options: ChatOptions, show: Callable[[Event], None]
) -> Answered:
    """Stream one answer to `show`, event by event, and return its result."""
    start, first = time.monotonic(), None
    async for item in chat.stream(messages, options):
        if isinstance(item, ChatResult):
            return Answered(item, Timing(0.0, first, time.monotonic() - start))
        first = time.monotonic() - start if first is None else first
        if isinstance(item, Reasoning | Content | ToolCallDelta):
            show(item)
    raise AssertionError("the chat stream ended without a result")


def joined(begun: Message | None, rest: Message) -> Message:
    """An answer of two parts. It has no `ids`: the parts were written after different prompts."""
    if begun is None:
        return rest
    thoughts = [message.reasoning_content for message in (begun, rest) if message.reasoning_content is not None]
    thought = "".join(thoughts) if thoughts else None
    content = begun.content + rest.content
    return Message("assistant", content, reasoning_content=thought, tool_calls=rest.tool_calls)


def stats(done: Answered, context_length: int) -> dict[str, str]:
    """The last report in words, a line per subject."""
    result, told, used = done.result, done.result.report, done.result.usage
    timing = done.timing
    first = timing.total if timing.first_token is None else timing.first_token
    asked = "unlimited" if told.budget_requested is None else str(told.budget_requested)
    applied = "no bound" if told.budget_applied is None else str(told.budget_applied)
    closing = f", {told.closing_phrase_tokens} more of the closing phrase" if told.closing_phrase_tokens else ""
    sampling = ", ".join(f"{name} {value}" for name, value in told.sampling.items())
    return {
        "mode": f"{told.mode} (decided by: {told.mode_source})",
        "budget": f"asked {asked}, applied {applied}",
        "thought": (looks.thought_summary(result).removeprefix("thought ") or "none") + closing,
        "answer": f"{count(looks.answer_tokens(result), 'token')} with tags, finish reason {result.finish_reason}",
        "prompt": f"{count(used.prompt_tokens, 'token')}, {used.cached_tokens:,} of them from the cache",
        "context": _room(used.prompt_tokens + used.completion_tokens, context_length),
        "speed": ", ".join(
            filter(None, (f"{timing.total:.2f} s", looks.speed(result), f"first text after {first:.2f} s"))
        ),
        "sampling": sampling,
        "preset": told.preset,
        "problems": ", ".join(map(str, result.problems)) or "none",
    }


def _room(used: int, size: int) -> str:
    """How full the context is; a server may not say how large it is."""
    return f"{used:,} of {size:,} tokens" if size else count(used, "token")


def options_from(settings: dict[str, Any]) -> ChatOptions:
    """ChatOptions from saved settings. Raises SansiError for names and values that are none."""
    for name in settings:
        if name not in SETTINGS:
            raise SansiError(f'settings: unknown name "{name}"{did_you_mean(name, SETTINGS)}', param=name)
    options = ChatOptions(**settings)
    read_tools(options.tools)
    _check(options)
    return options


def _check(options: ChatOptions) -> None:
    """Find now what the engine would refuse later. Raises SansiError that names the field."""
    check_options(options)
    for name in SAMPLING:
        if (value := getattr(options, name)) is not None:
            FIELDS[name].kind.check(value, name, Reading())  # what the API and `sansi run` refuse is refused here
    if options.history not in HISTORY:
        raise SansiError(f'history is "official" or "keep", not "{options.history}"', param="history")
    given = {f.name: getattr(options, f.name) for f in fields(Preset) if getattr(options, f.name) is not None}
    if problems := Preset(**given).problems():
        raise SansiError(problems[0])
    seed = options.seed
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**63):
        raise SansiError(f"seed must be a whole number from 0 to {2**63 - 1}, not {show(seed)}", param="seed")


def _mode(options: ChatOptions) -> str:
    return {None: "auto", True: "on", False: "off"}[options.enable_thinking]


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise SansiError(f"{text}: {error}; a name with a quote in it must be quoted") from error


def _short(text: str, most: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


@contextlib.contextmanager
def _keys_unseen() -> Iterator[None]:
    """What is typed during an answer is not shown amid it; the next prompt gets it."""
    try:
        import termios

        descriptor = sys.stdin.fileno()
        watched = os.isatty(descriptor)
    except (ImportError, OSError, ValueError, AttributeError):  # no such system, or no standard input
        watched = False
    if not watched:
        yield
        return
    before = termios.tcgetattr(descriptor)
    changed = [*before]
    changed[3] &= ~termios.ECHO
    termios.tcsetattr(descriptor, termios.TCSANOW, changed)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSANOW, before)
