"""`sansi serve`."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sansi.base import collector
from sansi.base.errors import SansiError
from sansi.cli.agent_settings import EMBEDDINGS
from sansi.cli.embeddings import embeddings_of
from sansi.cli.models import adapters_in, find_model, name_of
from sansi.cli.options import (
    DEFAULT_MODEL,
    DEVICE_HELP,
    EMBEDDINGS_KEY_HELP,
    EMBEDDINGS_MODEL_HELP,
    EMBEDDINGS_URL_HELP,
    HUB_HELP,
    LOOP_BREAKER_HELP,
    MODEL_HELP,
    QUANTIZE_HELP,
    check_times,
    list_tools,
)
from sansi.cli.usage import CommandLineError, command_line, refuse_given

if TYPE_CHECKING:
    from sansi.serve.agent.server_tools import ServerTools

LOG_FORMATS = ("text", "json", "off")


OF_TOOLS = ("tool_mode", "always", "ask", "never", "approval_seconds", "loop_breaker", "tool_folder", "max_runs")
MODEL, DOOR, LIMITS, LOG, TOOLS = "Models and memory", "Who may ask", "Limits", "Log", "Tools that the server runs"


def serve(
    ctx: typer.Context,
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODEL", help=f"{MODEL_HELP} More may follow. Default: {DEFAULT_MODEL}."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 opens it to the network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one, and says which.")] = 8000,
    open_page: Annotated[bool, typer.Option("--open", help="Open the chat page in a browser.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print what goes where in the memory.")] = False,
    name: Annotated[
        list[str] | None,
        typer.Option(help="Name of a model, once for each; default: its folder's.", rich_help_panel=MODEL),
    ] = None,
    adapter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FOLDER",
            help="A PEFT folder (LoRA) beside the model, under a name of its own; may be given again.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    hub: Annotated[str, typer.Option(help=HUB_HELP, rich_help_panel=MODEL)] = "huggingface",
    device: Annotated[str, typer.Option(help=DEVICE_HELP, rich_help_panel=MODEL)] = "auto",
    max_batch: Annotated[
        int, typer.Option(min=1, help="Most requests that a model answers at the same time.", rich_help_panel=MODEL)
    ] = 64,
    quantize: Annotated[str | None, typer.Option(help=QUANTIZE_HELP, rich_help_panel=MODEL)] = None,
    dtype: Annotated[
        str, typer.Option(help="auto, float32 or bfloat16: how weights are kept.", rich_help_panel=MODEL)
    ] = "auto",
    backend: Annotated[
        str, typer.Option(help="auto, native, cuda or torch: what computes.", rich_help_panel=MODEL)
    ] = "auto",
    memory: Annotated[
        list[float] | None,
        typer.Option(
            min=0.001,
            help="GiB for weights, cache and activations: of all models together, or once for each.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    context_length: Annotated[
        int | None, typer.Option(min=1, help="Tokens of prompt and answer; less takes less.", rich_help_panel=MODEL)
    ] = None,
    replicas: Annotated[
        int,
        typer.Option(
            min=1,
            help="Processes that serve the models, each on its own cores or GPU; prompts go where they began.",
            rich_help_panel=MODEL,
        ),
    ] = 1,
    api_key_file: Annotated[
        str | None, typer.Option(help="File of API keys, one a line. Requests then need one.", rich_help_panel=DOOR)
    ] = None,
    api_key_env: Annotated[
        str | None,
        typer.Option(help="Environment variable that holds API keys, such as SANSI_API_KEYS.", rich_help_panel=DOOR),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A name that requests may call the server by, beside localhost.", rich_help_panel=DOOR),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            help="A web page that may use the API from a browser: https://example.com, or *.", rich_help_panel=DOOR
        ),
    ] = None,
    max_queue: Annotated[
        int, typer.Option(min=0, help="Requests that may wait for a model; more get 429.", rich_help_panel=LIMITS)
    ] = 64,
    timeout: Annotated[
        float,
        typer.Option(min=0, help="Seconds for one request, its wait included; 0: no limit.", rich_help_panel=LIMITS),
    ] = 600,
    max_body: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            help="MiB of a request; a larger one gets 413. Default: 1 and 64 bytes for each token of the context.",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    grace: Annotated[
        float,
        typer.Option(min=0, help="Seconds that running answers may take once it is stopped.", rich_help_panel=LIMITS),
    ] = 30,
    log_format: Annotated[
        str, typer.Option(help="text, json or off: a line for each request.", rich_help_panel=LOG)
    ] = "text",
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Refuse fields of requests that could be ignored, by name.", rich_help_panel=LIMITS
        ),
    ] = False,
    read_tags: Annotated[
        str | None,
        typer.Option(
            help="user, tool, or both with a comma: messages of theirs may spell tags where a request has read_tags.",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    log_text: Annotated[
        bool, typer.Option("--log-text", help="Write questions and answers into the log too.", rich_help_panel=LOG)
    ] = False,
    tools: Annotated[
        list[str] | None,
        typer.Option(
            help="Built-in tools, once each or with commas, for the page and /v1/agent; “list” lists them.",
            rich_help_panel=TOOLS,
        ),
    ] = None,
    mcp: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help='A file with "mcpServers": their tools too.', rich_help_panel=TOOLS),
    ] = None,
    tool_mode: Annotated[
        str,
        typer.Option(help="plan, ask, auto or yolo, as of sansi agent: which calls ask.", rich_help_panel=TOOLS),
    ] = "ask",
    always: Annotated[
        list[str] | None,
        typer.Option(metavar="RULE", help="Calls of tools that run unasked: shell(command=ls*)", rich_help_panel=TOOLS),
    ] = None,
    ask: Annotated[
        list[str] | None,
        typer.Option(metavar="RULE", help="Calls that ask each time, in every mode but yolo.", rich_help_panel=TOOLS),
    ] = None,
    never: Annotated[
        list[str] | None,
        typer.Option(metavar="RULE", help="Calls that are refused in every mode: write_file", rich_help_panel=TOOLS),
    ] = None,
    approval_seconds: Annotated[
        float,
        typer.Option(
            min=1, help="How long a question waits for its answer; then the call is not made.", rich_help_panel=TOOLS
        ),
    ] = 900,
    loop_breaker: Annotated[int, typer.Option(callback=check_times, help=LOOP_BREAKER_HELP, rich_help_panel=TOOLS)] = 5,
    tool_folder: Annotated[
        str | None, typer.Option(help="The folder that files and shell may use.", rich_help_panel=TOOLS)
    ] = None,
    embeddings_url: Annotated[str | None, typer.Option(help=EMBEDDINGS_URL_HELP, rich_help_panel=TOOLS)] = None,
    embeddings_model: Annotated[str | None, typer.Option(help=EMBEDDINGS_MODEL_HELP, rich_help_panel=TOOLS)] = None,
    embeddings_key_env: Annotated[str | None, typer.Option(help=EMBEDDINGS_KEY_HELP, rich_help_panel=TOOLS)] = None,
    max_runs: Annotated[
        int,
        typer.Option(min=1, help="Runs with tools at a time, of one API key; more get 429.", rich_help_panel=TOOLS),
    ] = 16,
) -> None:
    """Serve models: a chat page and an OpenAI-compatible API.

    Examples:

      sansi serve

      sansi serve --open --port 9000

      sansi serve Qwen/Qwen3-0.6B --quantize int8

      sansi serve Qwen/Qwen3-0.6B --hub modelscope

      sansi serve Qwen/Qwen3-0.6B --adapter poet=lora/poet --adapter judge=lora/judge

      sansi serve small large --name fast --name good --memory 24

      sansi serve --host 0.0.0.0 --api-key-file keys.txt --log-format json

      sansi serve Qwen/Qwen3-0.6B --replicas 4

      sansi serve Qwen/Qwen3-4B --tools calculator,code_interpreter --mcp mcp.json

    Then open http://127.0.0.1:8000, or ask with any OpenAI client:

      curl http://127.0.0.1:8000/v1/chat/completions -d '{"model": "nano", "thinking_budget": 64,
      "messages": [{"role": "user", "content": "Solve for e: 8*e - 5 = 3"}]}'

    Ctrl-C lets running answers end, a second one stops at once. Prometheus reads /metrics.
    """
    if tools == ["list"]:
        return list_tools()
    if replicas > 1 and (tools or mcp):
        raise CommandLineError("--replicas: runs with tools keep what they know in one process; leave --tools and "
                               "--mcp out, or serve one replica", param="replicas")  # fmt: skip
    if not tools and not mcp:
        refuse_given(ctx, EMBEDDINGS, "for retrieval: give --tools retrieval")
        refuse_given(ctx, OF_TOOLS, "for tools that the server runs: give --tools or --mcp")
    if log_format not in LOG_FORMATS:
        raise SansiError(f'--log-format "{log_format}": must be one of {", ".join(LOG_FORMATS)}')
    collector.rest()  # until the server runs
    from sansi.serve.api.requests import Policy
    from sansi.serve.http.launch import bind, check_adapter_names, model_names
    from sansi.serve.http.launch import serve as launch
    from sansi.serve.http.settings import ServerSettings, who_may_ask

    settings = ServerSettings(
        **who_may_ask(api_key_file, api_key_env, allow_host, allow_origin),
        max_body=None if max_body is None else int(max_body * 2**20),
        max_queue=max_queue,
        timeout=timeout or None,
        grace=grace,
        policy=Policy(strict=strict, read_tags=_roles(read_tags)),
        log_text=log_text,
    )
    shares = [size * 2**30 for size in memory] if memory else None
    options: dict[str, Any] = {
        "device": device,
        "max_batch": max_batch,
        "dtype": dtype,
        "quantize": quantize,
        "backend": backend,
        "context_length": context_length,
    }
    wanted = models or [DEFAULT_MODEL]
    alone = shares[0] if shares and len(wanted) == 1 else None
    names = model_names(wanted, name or [name_of(model) for model in wanted])
    adapters = adapters_in(adapter or [])
    check_adapter_names(names, adapters)
    with (
        bind(host, port) as listener,  # a taken port is told before the minutes of a download, not after
        _server_tools(
            tools,
            mcp,
            tool_mode,
            tool_folder,
            len(settings.keys or ()) > 1,
            max_runs,
            {"always": always or (), "ask": ask or (), "never": never or ()},
            approval_seconds,
            (embeddings_url, embeddings_model, embeddings_key_env),
            loop_breaker,
        ) as server_tools,
    ):
        found = [find_model(model, hub, memory=alone, **options) for model in wanted]
        common: dict[str, Any] = {
            "names": names,
            "memory": shares,
            "settings": settings,
            "log_format": log_format,
            "open_page": open_page,
            "verbose": verbose,
            "adapters": adapters,
            **options,
        }
        folders = [model.folder for model in found]
        if replicas > 1:
            from sansi.serve.fleet.launch import serve as launch_fleet

            launch_fleet(folders, host, listener, replicas=replicas, **common)
        else:
            launch(folders, host=host, listener=listener, tools=server_tools, **common)


@contextlib.contextmanager
def _server_tools(
    tools: list[str] | None,
    mcp: list[str] | None,
    mode: str,
    folder: str | None,
    several_keys: bool,
    max_runs: int = 16,
    rules: Mapping[str, Sequence[str]] = MappingProxyType({}),
    approval_seconds: float = 900,
    embeddings: tuple[str | None, str | None, str | None] = (None, None, None),
    loop_breaker: int = 5,
) -> Iterator[ServerTools | None]:
    """What the operator turns on; None: nothing. MCP servers start while the model loads, and end with the server."""
    if not tools and not mcp:
        yield None
        return
    from sansi.agents import Limits
    from sansi.agents.approvals import Policy
    from sansi.agents.toolset import WITH_FOLDER, Toolset, names_in
    from sansi.base.state import state_folder
    from sansi.serve.agent.server_tools import ServerTools

    with command_line(folder="--tool-folder", embeddings="--embeddings-url"):
        names = names_in(tools or ())
        if "memory" in names and several_keys:
            raise SansiError(
                "--tools memory: all clients would read and change the same notes; give one API key, or leave memory "
                "out"
            )
        if folder is not None and not mcp and not set(names) & set(WITH_FOLDER):
            raise SansiError(f"--tool-folder: none of the tools uses it; --tools {', '.join(WITH_FOLDER)} do")
        policy = Policy.of(mode, **rules)  # type: ignore[arg-type]
        toolset = Toolset(names, mcp or (), folder=folder, embeddings=embeddings_of(*embeddings), discreet=True)
        try:
            toolset.check_rules(policy.rules)
        except SansiError:
            toolset.close()
            raise
    with (
        toolset,
        tempfile.TemporaryDirectory(prefix="sansi-serve-", ignore_cleanup_errors=True) as conversations,
    ):
        remembered = state_folder() / "approvals.json"
        yield ServerTools(
            toolset,
            Path(conversations),
            policy.with_rules(toolset.rules),
            remembered,
            Limits(loop_breaker=loop_breaker or None),
            max_runs,
            approval_seconds,
        )


def _roles(given: str | None) -> frozenset[str]:
    roles = [role.strip() for role in (given or "").split(",") if role.strip()]
    for role in roles:
        if role not in ("user", "tool"):
            raise SansiError(f'--read-tags "{role}": user and tool are the roles that it may name', param="read_tags")
    return frozenset(roles)
