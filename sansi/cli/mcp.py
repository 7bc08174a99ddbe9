"""`sansi mcp`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sansi.base.errors import SansiError
from sansi.cli.extras import need
from sansi.cli.models import find_model, loaded
from sansi.cli.options import DEFAULT_MODEL, MODEL_HELP, Budget, Device, Hub, Quantize, Sampling
from sansi.cli.usage import CommandLineError, refuse_given

if TYPE_CHECKING:
    from sansi.agents.mcp.serve import LookUp
    from sansi.client import HTTPChatClient

LISTEN = "Over HTTP"
OF_MODEL = ("device", "quantize", "hub")
OF_HTTP = ("host", "port", "api_key_file", "api_key_env", "allow_host", "allow_origin")


def mcp(
    ctx: typer.Context,
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help=f"{MODEL_HELP} Default: {DEFAULT_MODEL}.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="A running OpenAI-compatible server to ask, in the place of loading a model.")
    ] = None,
    url_key_env: Annotated[str | None, typer.Option(help="With --url: a variable that holds its key.")] = None,
    thinking_budget: Budget = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Most tokens of thought and answer together.")] = None,
    temperature: Sampling = None,
    device: Device = "auto",
    quantize: Quantize = None,
    hub: Hub = "huggingface",
    http: Annotated[
        bool, typer.Option("--http", help="Listen on an address, not on stdin and stdout.", rich_help_panel=LISTEN)
    ] = False,
    host: Annotated[str, typer.Option(help="Address to listen on.", rich_help_panel=LISTEN)] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", rich_help_panel=LISTEN)] = 8001,
    api_key_file: Annotated[
        str | None, typer.Option(help="File of API keys, one a line. Requests then need one.", rich_help_panel=LISTEN)
    ] = None,
    api_key_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds API keys.", rich_help_panel=LISTEN)
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A name that requests may call the server by.", rich_help_panel=LISTEN),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(help="A web page that may use it: https://example.com, or *.", rich_help_panel=LISTEN),
    ] = None,
) -> None:
    """Serve a model to MCP clients: a tool "chat" with a thinking budget, and a calculator.

    Examples:

      sansi mcp

      sansi mcp Qwen/Qwen3-0.6B --thinking-budget 256

      sansi mcp --url http://127.0.0.1:8000 --http --port 8001

    In a client's file of MCP servers:

      {"mcpServers": {"sansi": {"command": "sansi", "args": ["mcp", "nano"]}}}

    Without --http it speaks on stdin and stdout until they are closed; with it, at http://127.0.0.1:8001/mcp.
    """
    need("mcp")
    if url is not None:
        refuse_given(ctx, OF_MODEL, "for a model that is loaded here; --url asks a server that has its own")
    else:
        refuse_given(ctx, ("url_key_env",), "for the server of --url; give --url with it")
    if not http:
        refuse_given(ctx, OF_HTTP, "for an address to listen on; give --http with it")
    key = _key(url_key_env)
    options = {"thinking_budget": thinking_budget, "max_tokens": max_tokens, "temperature": temperature}
    defaults = {key: value for key, value in options.items() if value is not None}
    with ExitStack() as stack:
        if http:
            from sansi.serve.http.launch import bind
            from sansi.serve.http.settings import ServerSettings, who_may_ask

            settings = ServerSettings(**who_may_ask(api_key_file, api_key_env, allow_host, allow_origin))
            listener = stack.enter_context(bind(host, port))
        name, client = stack.enter_context(_client(model, url, key, hub, device, quantize))
        from sansi.agents.mcp.serve import chat_server

        server = chat_server(client, name, defaults)
        if not http:
            server.run("stdio")
            return
        _serve_http(server, name, host, listener, settings)


def _serve_http(server: Any, name: str, host: str, listener: Any, settings: Any) -> None:
    from sansi.agents.mcp.serve import http_app
    from sansi.serve.http.mcp import guarded, run

    app = guarded(http_app(server), host, settings)
    listener.listen(128)
    print(f"Sansi serves {name} to MCP clients at http://{host}:{listener.getsockname()[1]}/mcp", flush=True)
    run(app, listener)


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise CommandLineError(f"--url-key-env {variable}: that environment variable is not set")
    return key


def _remote(url: str, model: str | None, key: str | None) -> HTTPChatClient:
    """The model called `model` of a running server; None: its first one."""
    from sansi.client import HTTPChatClient, Server
    from sansi.client.streaming import find_card

    server = Server.at(url, key)
    return HTTPChatClient(server.base_url, find_card(server, model)["id"], key)


@contextmanager
def _client(
    model: str | None, url: str | None, key: str | None, hub: str, device: str, quantize: str | None
) -> Iterator[tuple[str, LookUp]]:
    """The model's name, and who waits until it can be asked. A model loads while its client is greeted."""
    if url is not None:
        remote = _remote(url, model, key)

        async def ask() -> Any:
            return remote

        yield remote.model, ask
        return
    found = find_model(model or DEFAULT_MODEL, hub, device=device, quantize=quantize)
    with ExitStack() as stack:
        from concurrent.futures import ThreadPoolExecutor

        def load() -> Any:
            from sansi.chat import ChatOptions
            from sansi.client import InProcessChatClient

            try:
                return InProcessChatClient(stack.enter_context(loaded(found, device, quantize)), ChatOptions())
            except Exception as error:
                cause = str(error) if isinstance(error, SansiError) else f"{type(error).__name__}: {error}"
                print(f"the model {found.name} could not be loaded: {cause}", file=sys.stderr)  # nobody may ever call
                raise SansiError(f"the model could not be loaded: {cause}") from error

        with ThreadPoolExecutor(1, "load") as executor:
            loading = executor.submit(load)

            async def wait() -> Any:
                return await asyncio.wrap_future(loading)

            try:
                yield found.name, wait
            finally:
                if not loading.done():
                    print("waiting for the model to load, to close it", file=sys.stderr)
