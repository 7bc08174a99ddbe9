"""`sansi agent`: a model with tools in the terminal, or without a user."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.progress import status
from sansi.cli.agent_settings import AgentSettings, rules_of, settings_of
from sansi.cli.chat import read_key
from sansi.cli.embeddings import embeddings_of
from sansi.cli.help import Command, Group
from sansi.cli.models import find_model, loaded
from sansi.cli.options import (
    DEFAULT_MODEL,
    EMBEDDINGS_KEY_HELP,
    EMBEDDINGS_MODEL_HELP,
    EMBEDDINGS_URL_HELP,
    LOOP_BREAKER_HELP,
    MODEL_OR_SERVER_HELP,
    Budget,
    Device,
    Hub,
    KeyFile,
    KeyVariable,
    Quantize,
    System,
    check_times,
    list_tools,
)
from sansi.cli.usage import command_line, refuse_given

if TYPE_CHECKING:
    from sansi.agents.approvals import Policy
    from sansi.client import ChatClient
    from sansi.client.streaming import Server
    from sansi.serve.terminal.agent.session import Session, Sessions
    from sansi.serve.terminal.agent.turns import Setup

TOOLS, RULES, LIMITS, HEADLESS, SESSIONS = "Tools", "Approvals", "Limits of one answer", "Without a user", "Sessions"
MODE_HELP = (
    "plan: only what reads runs. ask: what writes, runs code or uses the network asks. auto: asks only where text of "
    "strangers is at play. yolo: asks never."
)


def _modes() -> list[str]:
    from sansi.agents.approvals import MODES

    return list(MODES)


def _tool_names() -> list[str]:
    from sansi.agents.toolset import BUILT_IN

    return sorted(BUILT_IN)


def _session_names() -> list[tuple[str, str]]:
    return [(session.id, session.title) for session in _sessions().all()] + [("last", "the latest")]


app = typer.Typer(cls=Group, invoke_without_command=True, rich_markup_mode=None)


@app.callback()
def agent(
    ctx: typer.Context,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help=MODEL_OR_SERVER_HELP),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Ask an OpenAI-compatible server, such as http://127.0.0.1:8000.")
    ] = None,
    api_key_file: KeyFile = None,
    api_key_env: KeyVariable = None,
    system: System = None,
    device: Device = "auto",
    quantize: Quantize = None,
    hub: Hub = "huggingface",
    tools: Annotated[
        list[str] | None,
        typer.Option(
            help="Built-in tools by name, once each or with commas; “list” lists them, “none” is none. Default: "
            "calculator.",
            rich_help_panel=TOOLS,
            autocompletion=_tool_names,
        ),
    ] = None,
    mcp: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help='A file with "mcpServers", as Claude, Qwen-Agent, qwen-code, Cline and LM Studio have it.',
            rich_help_panel=TOOLS,
        ),
    ] = None,
    folder: Annotated[
        str,
        typer.Option(help="The folder that files, shell and retrieval use, and code may read.", rich_help_panel=TOOLS),
    ] = ".",
    embeddings_url: Annotated[str | None, typer.Option(help=EMBEDDINGS_URL_HELP, rich_help_panel=TOOLS)] = None,
    embeddings_model: Annotated[str | None, typer.Option(help=EMBEDDINGS_MODEL_HELP, rich_help_panel=TOOLS)] = None,
    embeddings_key_env: Annotated[str | None, typer.Option(help=EMBEDDINGS_KEY_HELP, rich_help_panel=TOOLS)] = None,
    mode: Annotated[str, typer.Option(help=MODE_HELP, rich_help_panel=RULES, autocompletion=_modes)] = "ask",
    always: Annotated[
        list[str] | None,
        typer.Option(metavar="RULE", help="Runs unasked, such as: shell(command=git status*)", rich_help_panel=RULES),
    ] = None,
    ask: Annotated[
        list[str] | None,
        typer.Option(metavar="RULE", help="Is asked about each time, in every mode but yolo.", rich_help_panel=RULES),
    ] = None,
    never: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE", help="Is refused in every mode, such as: mcp:github/delete_*", rich_help_panel=RULES
        ),
    ] = None,
    thinking_budget: Budget = None,
    max_calls: Annotated[int, typer.Option(min=0, help="Most calls of tools.", rich_help_panel=LIMITS)] = 16,
    max_tokens: Annotated[
        int | None, typer.Option(min=4, help="Most tokens that the model writes.", rich_help_panel=LIMITS)
    ] = None,
    max_seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Longest time, tools included.", rich_help_panel=LIMITS)
    ] = None,
    loop_breaker: Annotated[
        int, typer.Option(callback=check_times, help=LOOP_BREAKER_HELP, rich_help_panel=LIMITS)
    ] = 5,
    prompt: Annotated[
        str | None,
        typer.Option("--prompt", "-p", help="Ask this, answer, and end; “-” reads it.", rich_help_panel=HEADLESS),
    ] = None,
    attach: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="Put a copy where the code of code_interpreter works.", rich_help_panel=TOOLS
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="With -p: every event as a line of JSON.", rich_help_panel=HEADLESS)
    ] = False,
    answer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORD",
            help="With --resume: once, session, always or no for what waits, or CALL=WORD; “session exactly”: these "
            "very arguments alone; “session seen”: of a long call that you have looked through; “no: why” tells the "
            "model.",
            rich_help_panel=HEADLESS,
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="SESSION",
            help="Go on with a session; “last”.",
            rich_help_panel=SESSIONS,
            autocompletion=_session_names,
        ),
    ] = None,
    fork: Annotated[
        str | None,
        typer.Option(
            metavar="SESSION",
            help="Go on with a copy of a session.",
            rich_help_panel=SESSIONS,
            autocompletion=_session_names,
        ),
    ] = None,
) -> None:
    """A model that calls tools: built-in ones and those of MCP servers. You see each call, approve it, and can stop it.

    Examples:

      sansi agent --url http://127.0.0.1:8000 --tools calculator

      sansi agent -m Qwen/Qwen3-4B --mcp mcp.json --mode auto

      sansi agent --url http://127.0.0.1:8000 -p "What is 17 * 23?" --json

      sansi agent --resume last

      sansi agent export last answer.md

    Ctrl-C stops model, tool and server at once; Shift-Tab changes the mode; /help lists the commands. A call that asks
    is shown: [v] all of a long one, [o]nce, [e]xactly this call again, [s]ession, [a]lways, [n]o with a reason for the
    model. What session and always approve is told: a tool, or a kind of commands such as “git status”.

    With -p nobody is asked: a call that would ask pauses the run, and --resume … --answer once goes on with it. Exit
    codes: 0 answered; 1 it failed; 2 wrong command line; 3 paused, a call waits for approval; 4 a limit ended it;
    5 answered, but a call was refused; 130 Ctrl-C.
    """
    if ctx.invoked_subcommand is not None:
        return
    if tools == ["list"]:
        return list_tools()
    with command_line():
        _check(as_json, prompt, answer, resume, fork)
    from sansi.agents import Limits
    from sansi.agents.approvals import Policy
    from sansi.agents.toolset import WITH_FOLDER, Toolset, names_in
    from sansi.serve.terminal.agent.turns import Setup
    from sansi.serve.terminal.inputs import question

    sessions = _sessions()
    with command_line():
        before = sessions.open(resume or fork or "") if resume is not None or fork is not None else None
        head = {} if before is None else before.head
        chosen = settings_of(ctx, head)
        if before is not None:
            _check_model(before, chosen)
    if (always or ask or never) and (kept := rules_of(head)):
        told = "; ".join(f"{word} {rule}" for word, rules in kept.items() for rule in rules)
        typer.echo(f"rules of the session stay: {told}", err=True)
    with command_line():
        if chosen.url is not None:
            refuse_given(ctx, ("device", "quantize", "hub"), "for a model that is loaded here, and --url asks a server")
        if (api_key_file or api_key_env) and chosen.url is None:
            raise SansiError("a key is for a server; give --url with it")
        names = names_in(chosen.tools if chosen.tools is not None else ["calculator"])
        if not chosen.mcp and not set(names) & set(WITH_FOLDER):
            refuse_given(ctx, ("folder",), f"none of the tools uses it; --tools {', '.join(WITH_FOLDER)} do")
        policy = Policy.of(chosen.mode, always=chosen.always or (), ask=chosen.ask or (), never=chosen.never or ())  # type: ignore[arg-type]
        approvals = _approvals(policy)
        limits = Limits(
            chosen.max_calls,
            chosen.max_tokens,
            chosen.max_seconds,
            chosen.thinking_budget,
            loop_breaker=chosen.loop_breaker or None,
        )
        asked = None if prompt is None else question(prompt)
    with contextlib.ExitStack() as stack:
        # Servers start while the model loads.
        with command_line(folder="--folder", embeddings="--embeddings-url"):
            vectors = embeddings_of(chosen.embeddings_url, chosen.embeddings_model, chosen.embeddings_key_env)
            tools_here = Toolset(names, chosen.mcp or (), folder=chosen.folder, embeddings=vectors)
            toolset = stack.enter_context(tools_here)
            toolset.check_rules(policy.rules)
        approvals.policy = approvals.policy.with_rules(toolset.rules)
        client, name, notes = stack.enter_context(_client(chosen, bool(names or chosen.mcp)))
        settings = chosen.to_json(name)
        setup = Setup(
            client,
            name,
            toolset,
            approvals,
            sessions,
            limits,
            system=system or "",
            settings=settings,
            rules=policy.rules,
            notes=notes,
        )
        session = sessions.fork(before) if before is not None and fork is not None else before
        code = _run(setup, session, asked, as_json, answer or [], attach or [])
    if code:
        sys.exit(code)


@app.command("export", cls=Command)
def export_session(
    session: Annotated[
        str,
        typer.Argument(
            metavar="SESSION", help="Its id, the beginning of one, or “last”.", autocompletion=_session_names
        ),
    ],
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="Ends in .md, .html, .json or .jsonl; default: Markdown, printed."),
    ] = None,
) -> None:
    """A session as a document (.md, .html), as OpenAI's messages (.json), or with every event (.jsonl).

    Examples:

      sansi agent export last

      sansi agent export 20261128-021500-1a2b report.md
    """
    from sansi.serve.terminal.agent.export import check_place, export, text_of
    from sansi.serve.terminal.looks import printable

    with command_line():
        found = _sessions().open(session)
        if file is not None:
            check_place(Path(file))
    for notice in found.notices:
        typer.echo(printable(notice), err=True)
    if file is None:
        text = text_of(found, "md")
        sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
        return
    export(found, Path(file))


@app.command("trust", cls=Command)
def trust_files(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...", help="Files, or folders with all in them. None: those that are not trusted."
        ),
    ] = None,
) -> None:
    """Take files as yours that an agent wrote after it had read text of strangers, once you have looked at them.

    Until then whoever reads them reads text of strangers, and calls that are made of it ask.

    Examples:

      sansi agent trust

      sansi agent trust notes.md
    """
    from sansi.serve.terminal.agent.trust import trust
    from sansi.serve.terminal.looks import printable

    for line in trust(files or []):
        typer.echo(printable(line))


@app.command("approvals", cls=Command)
def list_approvals(
    forget: Annotated[
        list[str] | None, typer.Option(metavar="N", help="Take back the approval of this number: it asks again.")
    ] = None,
) -> None:
    """What you have approved for always, in this terminal and on the page of a server of yours without API keys.

    Examples:

      sansi agent approvals

      sansi agent approvals --forget 2
    """
    from sansi.agents.approvals import Policy
    from sansi.serve.terminal.agent.approved import approved
    from sansi.serve.terminal.looks import printable

    with command_line():
        lines = list(approved(_approvals(Policy("ask")), forget or []))
    for line in lines:
        typer.echo(printable(line))


@app.command("list", cls=Command)
def list_sessions() -> None:
    """The sessions that are kept, the latest last.

    Examples:

      sansi agent list
    """
    from sansi.serve.terminal.looks import printable

    sessions = _sessions()
    found, unreadable = sessions.all(), sessions.unreadable()
    if not found and not unreadable:
        typer.echo(f"there are no sessions yet in {sessions.root}", err=True)
    for id, cause in unreadable:
        typer.echo(printable(f"{id}  (cannot be read: {cause})"))
    for session in found:
        state = f"  ({session.state})" if session.state else ""
        typer.echo(printable(f"{session.id}  {session.head.get('model', '')}  {session.title}{state}"))


def _check(
    as_json: bool,
    prompt: str | None,
    answer: list[str] | None,
    resume: str | None,
    fork: str | None,
) -> None:
    if as_json and prompt is None and not answer:
        raise SansiError("--json is for -p: give what to ask")
    if answer and prompt is not None:
        raise SansiError("--answer goes on with what waits, and -p asks something new: one after the other")
    if answer and resume is None:
        raise SansiError("--answer is for a session that waits: give --resume SESSION")
    if resume is not None and fork is not None:
        raise SansiError("--resume and --fork exclude each other")


def _check_model(session: Session, chosen: AgentSettings) -> None:
    """No model is chosen for the user in silence: that of a session counts only where this user's programs wrote it."""
    if session.foreign and chosen.url is None and chosen.model is None:
        raise SansiError(
            f"session {session.id} was not written by this user's programs on this machine, or was changed since, so "
            "its settings do not count: give --url or -m, with --tools and --mcp as you want them",
            param="resume",
        )


def _approvals(policy: Policy) -> Any:
    from sansi.agents.approvals import Approvals
    from sansi.base.state import state_folder

    return Approvals(policy, remembered=state_folder() / "approvals.json")


def _sessions() -> Sessions:
    from sansi.base.state import state_folder
    from sansi.serve.terminal.agent.session import Sessions

    return Sessions(state_folder() / "agents")


@contextlib.contextmanager
def _client(chosen: AgentSettings, with_tools: bool) -> Iterator[tuple[ChatClient, str, list[str]]]:
    """The model, its name, and what to know of it: behind a server, or in this process."""
    if chosen.url is not None:
        from sansi.client import HTTPChatClient
        from sansi.client.streaming import Server

        with command_line():
            server = Server.at(chosen.url, read_key(chosen.api_key_file, chosen.api_key_env))
        with status(f"asking {chosen.url}"):
            name, notes = _known_model(server, chosen.model, with_tools)
        with HTTPChatClient(server.base_url, name, server.api_key) as client:
            yield client, name, notes
        return
    from sansi.base.model_card import read_card
    from sansi.client import InProcessChatClient

    found = find_model(chosen.model or DEFAULT_MODEL, chosen.hub, device=chosen.device, quantize=chosen.quantize)
    with loaded(found, chosen.device, chosen.quantize) as chat_model:
        from sansi.chat import ChatOptions

        notes = _notes(read_card(found.folder).calls_tools) if with_tools else []
        yield InProcessChatClient(chat_model, ChatOptions()), found.name, notes


def _known_model(server: Server, model: str | None, with_tools: bool) -> tuple[str, list[str]]:
    """The model that is asked for, or the server's first, and what its card says of it. A server that lists no models
    may have the one that is asked for; one that lists others is told of, since some know more names than they list.
    """
    from sansi.client.streaming import list_models

    try:
        cards = {str(card["id"]): card for card in list_models(server)}
    except SansiError:
        if model is None:
            raise
        return model, []
    if model is None and not cards:
        raise SansiError(f"{server.base_url} has no model; give one with -m")
    name = model or next(iter(cards))
    if name not in cards and cards:
        return name, [f'{server.base_url} lists no model "{name}"{did_you_mean(name, cards)}']
    return name, _notes(cards.get(name, {}).get("calls_tools")) if with_tools else []


def _notes(calls_tools: object) -> list[str]:
    told = "this model was not trained to call tools: it will hardly use them; take another one with -m or --url"
    return [told] if calls_tools is False else []


def _run(
    setup: Setup, chosen: Session | None, prompt: str | None, as_json: bool, answers: list[str], attached: list[str]
) -> int:
    from sansi.agents.toolset import NO_WAIT
    from sansi.serve.terminal.agent import headless

    session = chosen or setup.begin()
    with command_line():
        for file in attached:
            session.attach(file, [tool.name for tool in setup.tools.all(NO_WAIT)])
    if answers:
        headless.answer_pending(setup, session, answers)
    if prompt is None and not answers:
        from sansi.serve.terminal.agent.chat import AgentChat

        AgentChat(setup, session).run()
        return 0
    if prompt is not None:
        if session.pending:
            raise SansiError(f"session {session.id} waits for approval; give --answer once (or no) with --resume")
        from sansi.serve.terminal.agent.from_servers import with_resources

        for message in with_resources(setup.tools.servers, prompt):
            session.ask(message)  # where a run was cut off, its open calls are given up
    return headless.run(setup, session, as_json).exit_code
