"""`sansi chat`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sansi.base.errors import SansiError
from sansi.base.progress import status
from sansi.cli.models import adapter_folder, find_model, loaded
from sansi.cli.options import (
    DEFAULT_MODEL,
    MODEL_OR_SERVER_HELP,
    Adapter,
    Budget,
    Device,
    Hub,
    KeyFile,
    KeyVariable,
    Quantize,
    Sampling,
    Seed,
    System,
    Think,
    agreed,
)

if TYPE_CHECKING:
    from sansi.chat import ChatModel, ChatOptions
    from sansi.serve.terminal.remote import RemoteChat


def chat(
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help=MODEL_OR_SERVER_HELP),
    ] = None,
    think: Think = None,
    thinking_budget: Budget = None,
    temperature: Sampling = None,
    seed: Seed = None,
    system: System = None,
    load: Annotated[str | None, typer.Option(help="A conversation that /save wrote as .json.")] = None,
    device: Device = "auto",
    quantize: Quantize = None,
    hub: Hub = "huggingface",
    adapter: Adapter = None,
    url: Annotated[
        str | None, typer.Option(help="Talk to a running OpenAI-compatible server, such as http://127.0.0.1:8000.")
    ] = None,
    api_key_file: KeyFile = None,
    api_key_env: KeyVariable = None,
) -> None:
    """Talk to a model in the terminal. Its thinking is dimmed, its answers are drawn as Markdown.

    Examples:

      sansi chat

      sansi chat Qwen/Qwen3-0.6B --thinking-budget 256

      sansi chat my/checkpoint --quantize int8 --no-think --temperature 0.2

      sansi chat --url http://127.0.0.1:8000

    In the chat: /think and /no_think switch the mode, /budget 32 limits the thought (/budget off lifts the limit),
    /r asks again, /save keeps the conversation, /help lists the rest. Ctrl-C stops an answer, not the program.
    """
    from sansi.serve.terminal.chat import options_from

    thinking = agreed(think, thinking_budget)
    options = options_from(  # before the model is fetched or loaded
        {"enable_thinking": thinking, "thinking_budget": thinking_budget, "temperature": temperature, "seed": seed}
    )
    if url is not None:
        if adapter:
            raise SansiError("--adapter is for a model that is loaded here; a server's adapters are models of its list")
        _chat_with_server(url, model, read_key(api_key_file, api_key_env), options, system, load)
        return
    if api_key_file or api_key_env:
        raise SansiError("a key is for a server; give --url with it")
    adapter = adapter_folder(adapter)
    found = find_model(model or DEFAULT_MODEL, hub, device=device, quantize=quantize)
    with loaded(found, device, quantize, adapter) as chat_model:
        from sansi.base.model_card import read_card

        card = read_card(found.folder)
        _talk(chat_model, card.examples_in(), card.description_in(), options, system, load)


def _chat_with_server(
    url: str, model: str | None, key: str | None, options: ChatOptions, system: str | None, load: str | None
) -> None:
    from sansi.serve.terminal.remote import RemoteChat

    with status(f"asking {url}"):
        remote = RemoteChat.of(url, model, key)
    _talk(remote, remote.examples, remote.description, options, system, load)


def _talk(
    chat_model: ChatModel | RemoteChat,
    examples: list[str],
    description: str,
    options: ChatOptions,
    system: str | None,
    load: str | None,
) -> None:
    from sansi.serve.terminal.chat import TerminalChat

    terminal = TerminalChat(chat_model, options, examples=examples, system=system or "", description=description)
    if load is not None:
        terminal.load(Path(load))
    terminal.run()


def read_key(file: str | None, variable: str | None) -> str | None:
    """The key that a file or a variable holds: on the command line others on the machine could read it."""
    if file is not None:
        try:
            lines = Path(file).expanduser().read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise SansiError(f"--api-key-file {file}: {getattr(error, 'strerror', None) or error}") from error
        if not lines:
            raise SansiError(f"--api-key-file {file}: there is no key in it")
        return lines[0]
    return key_in(variable) if variable is not None else None


def key_in(variable: str, option: str = "--api-key-env") -> str:
    """The key in a variable of the environment. Raises SansiError where there is none."""
    if not (key := os.environ.get(variable)):
        raise SansiError(f"{option} {variable}: there is no such variable, or it is empty")
    return key
