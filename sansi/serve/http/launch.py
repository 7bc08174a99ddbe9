"""From checkpoint folders to a listening server, and to its end."""

from __future__ import annotations

import contextlib
import errno
import functools
import ipaddress
import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sansi.base.errors import SansiError
from sansi.base.model_card import ModelCard, read_card
from sansi.base.progress import status

if TYPE_CHECKING:
    from sansi.chat import ChatModel
    from sansi.serve.agent.server_tools import ServerTools
    from sansi.serve.http.settings import ServerSettings

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def serve(
    folders: Sequence[str],
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    listener: socket.socket | None = None,
    open_page: bool = False,
    verbose: bool = False,
    names: Sequence[str] = (),
    memory: Sequence[float] | None = None,
    settings: ServerSettings | None = None,
    log_format: str = "text",
    tools: ServerTools | None = None,
    adapters: Mapping[str, str] | None = None,
    **options: Any,
) -> None:
    """Serve the checkpoints in `folders` until interrupted. Port 0 takes a free one. Raises SansiError on bad input.

    listener: what `bind` made, in the place of a port. open_page: show the chat page in a browser once it is there.
    verbose: print what goes where in the memory.
    tools: what the operator has turned on for agents.
    names: one for each folder; default: the folders' own. memory: bytes for all models together, or one for each.
    adapters: PEFT folders by name, beside the one model that is served. options: as for `ChatModel.from_pretrained`.
    """
    chosen = model_names(folders, names)
    check_adapter_names(chosen, adapters or {})
    options |= {"adapters": adapters} if adapters else {}
    listener = listener or bind(host, port)  # first: a taken port is told before the seconds of loading, not after
    try:
        with models_of(folders, chosen, memory, verbose, **options) as (chats, cards):
            _serve_on(listener, chats, cards, host, settings, log_format, open_page, tools)
    finally:
        listener.close()


@contextlib.contextmanager
def models_of(
    folders: Sequence[str], names: Sequence[str], memory: Sequence[float] | None, verbose: bool, **options: Any
) -> Iterator[tuple[list[ChatModel], dict[str, ModelCard]]]:
    """The models, loaded, and what their cards say, by name; closed at the end. Parameters as for `serve`.

    options: with "adapters", PEFT folders by name, each a model beside the one that is served.
    """
    adapters: Mapping[str, str] = options.get("adapters") or {}
    with contextlib.ExitStack() as stack:
        chats = [
            stack.enter_context(_loaded(folder, name, verbose, memory=share, **options))
            for folder, name, share in zip(folders, names, _shares(folders, memory, options), strict=True)
        ]
        cards = {chat.name: read_card(folder) for chat, folder in zip(chats, folders, strict=True)}
        cards |= {name: read_card(folder) for name, folder in adapters.items()}
        yield [*chats, *(chats[0].with_adapter(name) for name in adapters)], cards


def model_names(folders: Sequence[str], names: Sequence[str]) -> list[str]:
    """What the models are called. Raises SansiError unless there is a different name for each."""
    if names and len(names) != len(folders):
        raise SansiError(f"{len(names)} names for {len(folders)} models; give --name once for each", param="name")
    chosen = list(names) or [Path(folder).resolve().name for folder in folders]
    for name in chosen:
        if not name or not name.isprintable() or name != name.strip():
            raise SansiError(f"{name!r} is no name for a model: printable text is", param="name")
        if chosen.count(name) > 1:
            raise SansiError(f'two models are called "{name}"; give each a name of its own with --name', param="name")
    return chosen


def check_adapter_names(models: Sequence[str], adapters: Mapping[str, str]) -> None:
    """Raise SansiError where adapters have no model of their own, or one is called as a model is."""
    if adapters and len(models) > 1:
        raise SansiError("--adapter is for one model; serve each base with its adapters by itself", param="adapter")
    for name in adapters:
        if name in models:
            told = f'--adapter: the model is called "{name}" already; give NAME=FOLDER'
            raise SansiError(told, param="adapter")


def _shares(folders: Sequence[str], memory: Sequence[float] | None, options: Mapping[str, Any]) -> Sequence[int | None]:
    from sansi.chat.memory import share_memory

    return share_memory(folders, options.get("device", "auto"), memory)


def _loaded(folder: str, name: str, verbose: bool, **options: Any) -> ChatModel:
    with status(f"loading {name}"):
        from sansi.chat import ChatModel

        chat = ChatModel.from_pretrained(folder, **options)
    chat.name = name
    from sansi.chat.adapters import tell_other_bases

    tell_other_bases(chat, name)
    plan = chat.engine.plan
    if verbose:
        print(f"{name}: backend {chat.engine.backend.name}\n{plan}", flush=True)
    elif plan.context_length < plan.asked_context:
        cut = f"its context is cut from {plan.asked_context:,} to {plan.context_length:,} tokens"
        print(f"{name}: {cut}, more does not fit into the memory (-v tells all)", flush=True)
    return chat


def _serve_on(
    listener: socket.socket,
    chats: Sequence[ChatModel],
    cards: Mapping[str, ModelCard],
    host: str,
    settings: ServerSettings | None,
    log_format: str,
    open_page: bool,
    tools: ServerTools | None = None,
) -> None:
    from sansi.serve.app import create_app
    from sansi.serve.http import logs
    from sansi.serve.http.server import Server
    from sansi.serve.http.settings import ServerSettings

    logs.configure(log_format)
    settings = settings_for(host, settings or ServerSettings())
    listener.listen(2048)  # from here on a client is queued, not refused
    port = listener.getsockname()[1]
    contexts = {chat.name: chat.context_length for chat in chats}
    told = functools.partial(announce, cards, host, port, settings, open_page, tools, contexts)
    Server(create_app(chats, cards, settings, tools), settings, told).run(sockets=[listener])


def settings_for(host: str, settings: ServerSettings) -> ServerSettings:
    """The names that a server on `host` is good for. With keys, beyond the loopback: any, unless some were allowed.

    Else its own and those that were allowed; beyond the loopback any IP address too, and the machine's names.
    """
    allowed = (*LOOPBACK, host.lower(), *(settings.hosts or ()))
    if is_loopback(host):
        return replace(settings, hosts=allowed)
    if settings.keys is not None:
        return settings
    machine = socket.gethostname().lower()
    short = machine.partition(".")[0]
    return replace(settings, hosts=(*allowed, machine, short, f"{short}.local"), any_address=True)


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, which may mean any address
        return False


def bind(host: str, port: int) -> socket.socket:
    """A bound, not yet listening TCP socket. Raises SansiError when the address can not be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, OverflowError) as error:
        raise SansiError(f'"{host}" port {port} is not an address of this machine: {error}', param="host") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, OverflowError) as error:
        listener.close()
        raise SansiError(_why_not_bound(error, host, port), param="port") from error
    return listener


def _why_not_bound(error: Exception, host: str, port: int) -> str:
    if getattr(error, "errno", None) == errno.EADDRINUSE:
        return f"port {port} on {host} is taken by another program; choose another with --port (make: PORT=9000), or 0"
    return f"can not listen on {host} port {port}: {error}"


def announce(
    cards: Mapping[str, ModelCard],
    host: str,
    port: int,
    settings: ServerSettings,
    open_page: bool,
    tools: ServerTools | None = None,
    contexts: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """What is served, in a line each, and where. cards: what the models say of themselves, by name.

    contexts: tokens that each model holds, for what tools take of them.
    """
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # all addresses are no address to go to
    shown = f"[{reached}]" if ":" in reached else reached
    url = f"http://{shown}:{port}"
    for name, card in cards.items():
        what = card.description_in()
        print(f"Sansi serves {name}{f': {what}' if what else ''}")
    print(f"  chat  {url}\n  API   {url}/v1", flush=True)
    if tools is not None:
        print(f"  tools {tools}", flush=True)
        tools.watch(contexts)
        untrained = [name for name, card in cards.items() if card.calls_tools is False]
        told = [f"{name} was not trained to call tools, and will hardly use them" for name in untrained]
        for each in [*told, *tools.crowded(contexts)]:
            print(f"warning: {each}", file=sys.stderr)
    print("Ctrl-C stops it.", flush=True)
    if not is_loopback(host) and settings.keys is None:
        warning = "others on the network can reach this server, and it asks nobody for a key; see --api-key-file"
        print(f"warning: {warning}", file=sys.stderr)
    if open_page and not open_in_browser(url):
        print(f"no browser could be opened here; go to {url}", file=sys.stderr)


def open_in_browser(url: str) -> bool:
    """Show a page in the user's browser. A text browser would take the terminal away, so it has to be asked for."""
    import webbrowser

    graphical = sys.platform != "linux" or any(map(os.environ.get, ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")))
    try:
        return graphical and webbrowser.open(url)
    except webbrowser.Error:
        return False
