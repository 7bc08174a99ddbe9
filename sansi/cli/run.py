"""`sansi run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sansi.base.errors import SansiError
from sansi.cli.models import loaded, model_folder
from sansi.cli.options import Budget, Device, Quantize, Sampling, System

if TYPE_CHECKING:
    from sansi.serve.terminal.inputs import BatchLine


def run(
    model: Annotated[str, typer.Argument(help="Checkpoint folder.")],
    prompt: Annotated[str | None, typer.Argument(help="What to ask; what is piped in comes after it.")] = None,
    system: System = None,
    think: Annotated[
        bool | None, typer.Option("--think/--no-think", help="Think first, or answer at once. Default: as the model.")
    ] = None,
    thinking_budget: Budget = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Most tokens of thought and answer together.")] = None,
    temperature: Sampling = None,
    top_p: Sampling = None,
    top_k: Annotated[int | None, typer.Option(help="Default: the preset of the mode.")] = None,
    min_p: Sampling = None,
    presence_penalty: Sampling = None,
    frequency_penalty: Sampling = None,
    repetition_penalty: Sampling = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same answer.")] = None,
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
) -> None:
    """Ask one question, or many. The answer goes to standard output, the thinking to standard error.

    Examples:

      sansi run checkpoints/nano "State the final answer to the following arithmetic problem: 12 + 30 ="

      sansi run checkpoints/nano "Solve for e: 8*e - 5 = 3" --thinking-budget 16

      cat report.txt | sansi run my/checkpoint "Summarise:" --no-think

      sansi run my/checkpoint "Name three rivers" --json | jq .usage

      sansi run my/checkpoint --jsonl questions.jsonl > answers.jsonl

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
        "enable_thinking": _agreed(think, thinking_budget),
        "thinking_budget": thinking_budget,
        "max_tokens": max_tokens,
        "seed": seed,
        **sampling,
    }
    from sansi.serve.terminal import inputs

    if schema is not None:
        flags["response_format"] = inputs.read_schema(schema)
    folder = model_folder(model)
    if jsonl is not None:
        if prompt is not None:
            raise SansiError("--jsonl and PROMPT exclude each other; the lines are what is asked")
        _run_batch(folder, inputs.read_batch(jsonl), flags, system, device, quantize)
    else:
        asked = [{"role": "user", "content": inputs.question(prompt)}]
        _run_one(folder, {**flags, "messages": asked}, system, device, quantize, as_json, show_thinking)


def _agreed(think: bool | None, budget: int | None) -> bool | None:
    if think is not None and budget is not None and think != (budget > 0):
        name = "--think" if think else "--no-think"
        raise SansiError(f"{name} and --thinking-budget {budget} contradict each other; give one of them")
    return think


def _run_one(
    folder: str,
    body: dict[str, Any],
    system: str | None,
    device: str,
    quantize: str | None,
    as_json: bool,
    show_thinking: bool | None,
) -> None:
    from sansi.serve.terminal import run as answers

    request = answers.read_request(body, Path(folder).resolve().name, system)
    with loaded(folder, device, quantize) as chat_model:
        answers.run_one(chat_model, request, as_json, show_thinking)


def _run_batch(
    folder: str, lines: list[BatchLine], flags: dict[str, Any], system: str | None, device: str, quantize: str | None
) -> None:
    from sansi.serve.terminal import run as answers

    requests = answers.read_requests(lines, flags, Path(folder).resolve().name, system)
    with loaded(folder, device, quantize) as chat_model:
        failed = answers.run_batch(chat_model, lines, requests)
    if failed:
        raise SansiError(f'{failed} of {len(lines)} lines could not be answered; their "error" says why')
