"""`sansi run`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sansi.base.errors import SansiError
from sansi.cli.models import adapter_folder, find_model, loaded, name_of
from sansi.cli.options import (
    DEFAULT_MODEL,
    Adapter,
    Budget,
    Device,
    Hub,
    ModelOption,
    Quantize,
    Sampling,
    Seed,
    System,
    Think,
    agreed,
)


def run(
    prompt: Annotated[
        str | None, typer.Argument(metavar="PROMPT", help="What to ask; what is piped in comes after it.")
    ] = None,
    model: ModelOption = DEFAULT_MODEL,
    system: System = None,
    think: Think = None,
    thinking_budget: Budget = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Most tokens of thought and answer together.")] = None,
    temperature: Sampling = None,
    top_p: Sampling = None,
    top_k: Annotated[int | None, typer.Option(help="Default: the preset of the mode.")] = None,
    min_p: Sampling = None,
    presence_penalty: Sampling = None,
    frequency_penalty: Sampling = None,
    repetition_penalty: Sampling = None,
    seed: Seed = None,
    schema: Annotated[str | None, typer.Option(help="File with a JSON schema that the answer must match.")] = None,
    show_thinking: Annotated[
        bool | None,
        typer.Option("--show-thinking/--hide-thinking", help="On standard error. Default: if that is a terminal."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON instead of text.")] = False,
    jsonl: Annotated[
        str | None, typer.Option(help='Answer each line of a file ("-": standard input), one line of JSON each.')
    ] = None,
    device: Device = "auto",
    quantize: Quantize = None,
    hub: Hub = "huggingface",
    adapter: Adapter = None,
) -> None:
    """Ask one question, or many. The answer goes to standard output, the thinking to standard error.

    Examples:

      sansi run "What is 12 + 7?"

      sansi run "Solve for e: 8*e - 5 = 3" --thinking-budget 16

      cat report.txt | sansi run -m Qwen/Qwen3-0.6B "Summarise:" --no-think

      sansi run -m my/checkpoint "Name three rivers" --json | jq .usage

      sansi run -m my/checkpoint --jsonl questions.jsonl > answers.jsonl

    A line of --jsonl is a text, {"prompt": "…"}, or the body of a chat-completions request; what it does not say, the
    options here do. Exit codes: 0; 1 for a mistake, or where a line of --jsonl could not be answered; 130 for Ctrl-C.
    """
    sampling = {
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "min_p": min_p,
        "presence_penalty": presence_penalty,
        "frequency_penalty": frequency_penalty,
        "repetition_penalty": repetition_penalty,
    }
    flags: dict[str, Any] = {
        "enable_thinking": agreed(think, thinking_budget),
        "thinking_budget": thinking_budget,
        "max_tokens": max_tokens,
        "seed": seed,
        **sampling,
    }
    from sansi.serve.terminal import inputs

    if schema is not None:
        flags["response_format"] = inputs.read_schema(schema)
    name = name_of(model)
    from sansi.serve.terminal import run as answers

    plan, adapter = {"device": device, "quantize": quantize}, adapter_folder(adapter)
    if jsonl is not None:
        if prompt is not None:
            raise SansiError("--jsonl and PROMPT exclude each other; the lines are what is asked")
        lines = inputs.read_batch(jsonl)
        requests = answers.read_requests(lines, flags, name, system)  # before the model is fetched or loaded
        with loaded(find_model(model, hub, **plan), device, quantize, adapter) as chat_model:
            failed = answers.run_batch(chat_model, lines, requests)
        if failed:
            raise SansiError(f'{failed} of {len(lines)} lines could not be answered; their "error" says why')
    else:
        asked = [{"role": "user", "content": inputs.question(prompt)}]
        request = answers.read_request({**flags, "messages": asked}, name, system)
        with loaded(find_model(model, hub, **plan), device, quantize, adapter) as chat_model:
            answers.run_one(chat_model, request, as_json, show_thinking)
