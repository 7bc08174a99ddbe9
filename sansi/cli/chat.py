"""`sansi chat`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sansi.cli.models import find_model, loaded
from sansi.cli.options import DEFAULT_MODEL, Budget, Device, Hub, Model, Quantize, System


def chat(
    model: Model = DEFAULT_MODEL,
    thinking_budget: Budget = None,
    system: System = None,
    load: Annotated[str | None, typer.Option(help="A conversation that /save wrote as .json.")] = None,
    device: Device = "auto",
    quantize: Quantize = None,
    hub: Hub = "huggingface",
) -> None:
    """Talk to a model in the terminal. Its thinking is dimmed, its answers are drawn as Markdown.

    Examples:

      sansi chat

      sansi chat Qwen/Qwen3-0.6B --thinking-budget 256

      sansi chat my/checkpoint --quantize int8

    In the chat: /think and /no_think switch the mode, /budget 32 limits the thought (/budget off lifts the limit),
    /r asks again, /save keeps the conversation, /help lists the rest. Ctrl-C stops an answer, not the program.
    """
    found = find_model(model, hub, device=device, quantize=quantize)
    with loaded(found, device, quantize) as chat_model:
        from sansi.base.model_card import read_card
        from sansi.chat import ChatOptions
        from sansi.serve.terminal.chat import TerminalChat

        options, card = ChatOptions(thinking_budget=thinking_budget), read_card(found.folder)
        terminal = TerminalChat(
            chat_model, options, examples=card.examples_in(), system=system or "", description=card.description_in()
        )
        if load is not None:
            terminal.load(Path(load))
        terminal.run()
