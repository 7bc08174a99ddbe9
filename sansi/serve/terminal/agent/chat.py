"""`sansi agent` at a prompt: a model with tools, whose calls the user sees, approves and stops."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sansi.agents import Stop, forms
from sansi.agents.approvals import MODES, Answer, Question
from sansi.agents.desk import AnswerDesk
from sansi.agents.events import ApprovalAsked, Finished, InputAsked
from sansi.agents.toolset import NO_WAIT
from sansi.base.errors import SansiError
from sansi.base.words import count
from sansi.serve.terminal import looks
from sansi.serve.terminal.agent.approved import approved
from sansi.serve.terminal.agent.commands import ALIASES, COMMANDS, NAMES
from sansi.serve.terminal.agent.export import export
from sansi.serve.terminal.agent.form import fill
from sansi.serve.terminal.agent.from_servers import check_arguments, how_to_ask, message_from, with_resources
from sansi.serve.terminal.agent.question import KeyReader, ask, key_reader
from sansi.serve.terminal.agent.session import FACTS, Session
from sansi.serve.terminal.agent.trust import trust
from sansi.serve.terminal.agent.turns import Setup, stopped_by_interrupt
from sansi.serve.terminal.agent.view import RunView, Spent, spending
from sansi.serve.terminal.commands import Call, parse_budget, parse_command
from sansi.serve.terminal.prompt import Reader, converse, reader_for
from sansi.text import Message

KEYS = """\
Enter sends; Alt-Enter, or a backslash before Enter, begins a new line; Tab completes; Shift-Tab goes to the next mode.
Ctrl-C stops model, tools and servers' calls at once; twice at an empty prompt, or Ctrl-D, leaves."""

MOST_ABOUT = 160  # characters of a tool's description in a list


class AgentChat:
    """A session at the terminal. `read` and `keys` are how a line and an answer are asked for."""

    def __init__(
        self,
        setup: Setup,
        session: Session,
        console: Console | None = None,
        read: Reader | None = None,
        keys: KeyReader | None = None,
    ):
        self.setup, self.session = setup, session
        self.console = console or looks.console()
        self.desk = setup.desk = AnswerDesk()
        self._keys = keys or key_reader(self.console)
        self.view = RunView(self.console, keep=lambda event: self.session.keep(event.attachments))
        self.spent, self.last = Spent(), None
        self._read = read or reader_for(
            self.console, self.toolbar, commands=NAMES, history="agent_history", cycle=self.next_mode
        )

    spent: Spent
    last: Finished | None

    def run(self) -> None:
        """Read, answer, repeat, until /exit or the end of the input."""
        self._introduce()
        self.handle_waiting()
        if not converse(self._read, self.handle, self.view.note):
            self.console.print()
        if self.session.file.exists():
            self.view.note(f"go on with: sansi agent --resume {self.session.id}")

    def handle_waiting(self) -> None:
        """Ask at once what a session waits for, if questions are all that it waits for."""
        if self.session.only_asks:
            self._attempt(self.go_on)

    def handle(self, line: str) -> bool:
        """Do what a line says. False: leave."""
        return self._attempt(lambda: self._handle(line)) is not False

    def _attempt(self, act: Callable[[], bool | None]) -> bool | None:
        """Do it; what goes wrong is told."""
        try:
            return act()
        except (SansiError, OSError) as error:
            self.view.error(f"error: {error}")
            return None

    def _handle(self, line: str) -> bool:
        call = parse_command(line, NAMES, ALIASES)
        if call is None:
            if line.strip():
                self.say(*with_resources(self.setup.tools.servers, line.strip()))
            return True
        if call.name == "/exit":
            return False
        self._do(call)
        return True

    def say(self, *messages: Message) -> None:
        """Ask, and show what becomes of it."""
        if self.session.waits:
            raise SansiError(f"{self.session.state}: /continue goes on with the calls of the last answer")
        for message in messages:
            self.session.ask(message)
        self.go_on()

    def go_on(self) -> None:
        """Answer the last message, or the calls that wait."""
        stop, calls = Stop(), self.view.calls
        with stopped_by_interrupt(stop):
            for number, event in enumerate(self.setup.events(self.session, stop)):
                for warning in self.setup.warnings() if number == 0 else ():  # by now the servers had their time
                    self.view.note(warning)
                self.view.show(event)
                if isinstance(event, ApprovalAsked):
                    self._ask(event, stop)
                if isinstance(event, InputAsked):
                    self._fill(event, stop)
                if isinstance(event, Finished):
                    self.last = event
                    self.spent.add(event, self.view.calls - calls)
        self.console.print()
        self.view.note(self.status())

    def _ask(self, event: ApprovalAsked, stop: Stop) -> None:
        self.view.end()
        try:
            answer = ask(self.console, Question.from_json(event.details), self._keys)
        except (KeyboardInterrupt, EOFError):
            stop.set()
            answer = Answer("no", "the user stopped the run")
        self.desk.answer(event.id, answer)

    def _fill(self, event: InputAsked, stop: Stop) -> None:
        self.view.end()
        try:
            asked = forms.Question(event.server, event.message, event.schema, event.url)
            reply = fill(self.console, asked, self._keys)
        except (KeyboardInterrupt, EOFError):
            stop.set()
            reply = forms.Reply("cancel")
        self.view.note(f"  {reply.action}")
        self.desk.answer(event.question, reply)

    # --- what is told ------------------------------------------------------------------------------------------------

    def status(self) -> str:
        """The line below an answer: mode, servers, what was spent."""
        return " · ".join(
            filter(
                None, (self.setup.approvals.mode, self._servers_line(), spending(self.spent, self._budget, self.last))
            )
        )

    def toolbar(self) -> str:
        told = [self.setup.approvals.mode, self.setup.name, self._servers_line(), self.session.id]
        if self.spent.steps:
            told.append(spending(self.spent, self._budget, self.last))
        return " · ".join(filter(None, told))

    @property
    def _budget(self) -> int | None:
        return self.setup.limits.thinking_budget

    def _servers_line(self) -> str:
        found = self.setup.tools.status()
        return "" if found is None else str(found).split("\n")[0]

    def _introduce(self) -> None:
        names = ", ".join(tool.name for tool in self.setup.tools.all(NO_WAIT)) or "no tools yet"
        self.view.note(
            f"{self.setup.name} · {names} · mode {self.setup.approvals.mode} · session {self.session.id} · /help"
        )
        status = self.setup.tools.status()
        if status is not None:
            self.view.note(str(status))
        for warning in self.setup.warnings():
            self.view.note(warning)
        if self.session.messages and self.session.file.exists():
            self._show()
        for notice in self.session.notices:
            self.view.note(notice)
        if self.session.waits and not self.session.only_asks:
            self.view.note(f"{self.session.state}: /continue goes on with the calls of the last answer")

    # --- commands ----------------------------------------------------------------------------------------------------

    def _do(self, call: Call) -> None:
        actions: dict[str, Callable[[str], None]] = {
            "/mode": self._mode,
            "/tools": lambda _: self._tools(),
            "/servers": lambda _: self._servers(),
            "/restart": self._restart,
            "/resources": lambda _: self._resources(),
            "/prompts": lambda _: self._prompts(),
            "/prompt": self._prompt,
            "/result": self._result,
            "/thoughts": self._thoughts,
            "/budget": lambda rest: self._limit(thinking_budget=parse_budget(rest)),
            "/calls": lambda rest: self._limit(max_calls=_number(rest)),
            "/approvals": self._approvals,
            "/trust": self._trust,
            "/attach": self._attach,
            "/retry": lambda _: self._retry(),
            "/continue": lambda _: self._continue(),
            "/new": lambda _: self._other(self.setup.begin()),
            "/sessions": lambda _: self._sessions(),
            "/resume": self._resume,
            "/fork": lambda _: self._fork(),
            "/export": self._export,
            "/show": lambda _: self._show(),
            "/help": lambda _: self._help(),
        }
        actions[call.name](call.rest)

    def _mode(self, word: str) -> None:
        if word:
            self.setup.approvals.mode = word  # type: ignore[assignment]
        self.view.note(f"mode {self.setup.approvals.mode} (of {', '.join(MODES)}; Shift-Tab goes on)")

    def next_mode(self) -> None:
        self.setup.approvals.mode = MODES[(MODES.index(self.setup.approvals.mode) + 1) % len(MODES)]

    def _tools(self) -> None:
        rows = Table.grid(padding=(0, 2))
        for tool in self.setup.tools.all(NO_WAIT):
            effects = ", ".join(sorted(tool.effects))
            about = " ".join(looks.printable(tool.description).split())
            rows.add_row(
                Text(tool.name, "bold"), Text(f"{tool.origin}; {effects}", "dim"), Text(_shortened(about, MOST_ABOUT))
            )
        self.console.print(rows)

    def _servers(self) -> None:
        status = self.setup.tools.status()
        self.view.note("no MCP servers; --mcp FILE names some" if status is None else str(status))

    def _servers_or_raise(self):  # type: ignore[no-untyped-def]
        if self.setup.tools.servers is None:
            raise SansiError("there are no MCP servers; --mcp FILE names some")
        return self.setup.tools.servers

    def _restart(self, name: str) -> None:
        self._servers_or_raise().restart(name)
        self.view.note(f"{name} is started again; /servers tells how it is")

    def _resources(self) -> None:
        for one in self._servers_or_raise().resources():
            self.view.note(f"@{one.server}:{one.uri}  {one.description or one.name}")

    def _prompts(self) -> None:
        for one in self._servers_or_raise().prompts():
            self.view.note(f"{how_to_ask(one)}  {one.description or ''}")

    def _prompt(self, rest: str) -> None:
        try:
            name, *pairs = shlex.split(rest)
        except ValueError:
            name, pairs = "", []
        server, slash, prompt = name.partition("/")
        if not slash or any("=" not in pair for pair in pairs):
            raise SansiError("usage: /prompt SERVER/NAME KEY=VALUE …; /prompts lists them")
        arguments = dict(pair.split("=", 1) for pair in pairs)
        servers = self._servers_or_raise()
        check_arguments(servers.prompts(server), prompt, arguments)
        self.say(message_from(servers, server, servers.get_prompt(server, prompt, arguments).text))

    def _result(self, word: str) -> None:
        if not self.view.results:
            raise SansiError("no tool has been called yet")
        number = _number(word) if word else len(self.view.results)
        if not 1 <= number <= len(self.view.results):
            raise SansiError(f"there are results 1 to {len(self.view.results)}, and no {number}")
        shown = self.view.results[number - 1]
        self.console.print(Text(looks.printable(shown.text)), soft_wrap=True)
        if shown.whole:
            self.view.note(f"the model was given head and tail; all of it: {shown.whole}")

    def _thoughts(self, word: str) -> None:
        if word not in ("on", "off", ""):
            raise SansiError("usage: /thoughts on, or /thoughts off")
        self.view.thoughts = word == "on" if word else not self.view.thoughts
        self.view.note(f"thoughts are {'shown whole' if self.view.thoughts else 'folded'}")

    def _limit(self, **changes: int | None) -> None:
        self.setup.limits = replace(self.setup.limits, **changes)  # type: ignore[arg-type]
        limits = self.setup.limits
        budget = "unlimited" if limits.thinking_budget is None else count(limits.thinking_budget, "token")
        self.view.note(f"thinking budget of one answer: {budget} · calls: at most {limits.max_calls}")

    def _approvals(self, rest: str) -> None:
        word, *numbers = rest.split() or ["list"]
        if (word, bool(numbers)) not in (("list", False), ("forget", True)):
            raise SansiError("usage: /approvals, or /approvals forget N")
        for line in approved(self.setup.approvals, numbers):
            self.view.note(line)

    def _trust(self, name: str) -> None:
        for line in trust([Path(self.setup.tools.workspace.folder or ".") / Path(name).expanduser()] if name else []):
            self.view.note(line)

    def _attach(self, name: str) -> None:
        if not name:
            raise SansiError("say which file: /attach data.csv")
        self.view.note(self.session.attach(name, [tool.name for tool in self.setup.tools.all(NO_WAIT)]))

    def _retry(self) -> None:
        kept = self.setup.sessions.new(**{k: v for k, v in self.session.head.items() if k in FACTS})
        messages = self.session.messages
        at = max((i for i, m in enumerate(messages) if m.role == "user"), default=None)
        if at is None:
            raise SansiError("nothing has been asked yet")
        before = self.session
        self.session = kept
        kept.head["retries"] = before.id
        for message in messages[: at + 1]:
            if message.role != "system":  # which the new session has by itself
                kept.ask(message)
        self.view.note(f"asked again in session {kept.id}; {before.id} stays as it is")
        self.go_on()

    def _continue(self) -> None:
        if not self.session.waits and (not self.session.messages or self.session.messages[-1].role == "assistant"):
            raise SansiError("nothing waits: the last message is an answer")
        self.go_on()

    def _other(self, session: Session) -> None:
        self.session, self.spent, self.last = session, Spent(), None
        self.view.results.clear()
        self._introduce()

    def _resume(self, id: str) -> None:
        self._other(self.setup.sessions.open(id or "last"))
        self.handle_waiting()

    def _sessions(self) -> None:
        for session in self.setup.sessions.all()[-20:]:
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(session.head.get("created", 0)))
            state = f"  ({session.state})" if session.state else ""
            self.view.note(f"{session.id}  {when}  {session.title}{state}")

    def _fork(self) -> None:
        if not self.session.file.exists():
            raise SansiError("nothing has been said in this session yet")
        before = self.session.id
        self.session = self.setup.sessions.fork(self.session)
        self.view.note(f"session {self.session.id}, a copy of {before}")

    def _export(self, name: str) -> None:
        if not name:
            raise SansiError("usage: /export FILE.md, FILE.html, FILE.json or FILE.jsonl")
        file = Path(name).expanduser()
        export(self.session, file)
        self.view.note(f"saved: {file}")

    def _show(self) -> None:
        self.view.results.clear()  # they are numbered as they are shown
        for message, record in self.session.told():
            self.view.replay(message, record)

    def _help(self) -> None:
        self.console.print(looks.command_table(COMMANDS))
        self.view.note(KEYS)


def _shortened(text: str, most: int) -> str:
    """At most so many characters, ending with a whole word and a mark where more follows."""
    if len(text) <= most:
        return text
    head, blank, _ = text[:most].rpartition(" ")
    return f"{head if blank else text[: most - 1]}…"


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise SansiError(f'a whole number is wanted, not "{text}"')
    return int(text)
