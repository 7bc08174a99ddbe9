"""The `sansi` command: one function per verb. Rooms are imported inside the verbs, so that --help answers at once."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from sansi import __version__
from sansi.base.errors import SansiError, did_you_mean

if TYPE_CHECKING:
    from sansi.chat import ChatModel
    from sansi.serve.terminal.inputs import BatchLine

DEFAULT_MODEL = "checkpoints/nano"
DEFAULT_BUDGETS = "0,8,16,32,64,128,256"
LOG_FORMATS = ("text", "json", "off")
DEVICE_HELP = '"auto" (CUDA when there is one), "cpu" or "cuda".'

app = typer.Typer(
    name="sansi",
    help="Hybrid-reasoning language models: talk to one, serve it, look inside, measure its thinking budget.",
    epilog="Start with: [bold]sansi chat[/bold]  (in the terminal)  or  [bold]sansi serve[/bold]  (in the browser).",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
eval_app = typer.Typer(help="Measure a model.", no_args_is_help=True, rich_markup_mode="rich")
app.add_typer(eval_app, name="eval")

Device = Annotated[str, typer.Option(help=DEVICE_HELP)]
Budget = Annotated[
    int | None,
    typer.Option(
        "--thinking-budget", "-b", help="Most tokens of thought; 0 answers without thinking. Default: unlimited."
    ),
]
System = Annotated[str | None, typer.Option("--system", "-s", help="The system message.")]
Quantize = Annotated[str | None, typer.Option(help="int8 or int4: smaller weights, on the CPU.")]
Sampling = Annotated[float | None, typer.Option(help="Default: the preset of the mode.")]


def main() -> None:
    """Entry point of the console script. A user's mistake ends in one line on stderr and exit code 1."""
    try:
        app()
    except SansiError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("sansi"):
            raise
        _fail(f"this needs the package {error.name}; install Sansi's extras: pip install -e '.[train]'")
    except KeyboardInterrupt:  # as a shell expects of a program that an interrupt has ended
        sys.exit(130)
    except BrokenPipeError:  # `sansi run … | head`: the reader had enough
        sys.stderr.close()
        sys.exit(1)


def _fail(message: str) -> NoReturn:
    typer.secho(f"error: {message}", fg=typer.colors.RED, err=True)
    sys.exit(1)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"sansi {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


# --- serve -----------------------------------------------------------------------------------------------------------


MODEL, DOOR, LIMITS, LOG = "Models and memory", "Who may ask", "Limits", "Log"


@app.command()
def serve(
    models: Annotated[list[str] | None, typer.Argument(help=f"Checkpoint folders. Default: {DEFAULT_MODEL}.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 opens it to the network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8000,
    name: Annotated[
        list[str] | None,
        typer.Option(help="Name of a model, once for each; default: its folder's.", rich_help_panel=MODEL),
    ] = None,
    device: Annotated[str, typer.Option(help=DEVICE_HELP, rich_help_panel=MODEL)] = "auto",
    max_batch: Annotated[
        int, typer.Option(min=1, help="Most requests that a model answers at the same time.", rich_help_panel=MODEL)
    ] = 64,
    quantize: Annotated[
        str | None, typer.Option(help="int8 or int4: smaller weights, on the CPU.", rich_help_panel=MODEL)
    ] = None,
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
    log_text: Annotated[
        bool, typer.Option("--log-text", help="Write questions and answers into the log too.", rich_help_panel=LOG)
    ] = False,
) -> None:
    """Serve models: a chat page and an OpenAI-compatible API.

    Examples:

      sansi serve

      sansi serve my/checkpoint --port 9000

      sansi serve small large --name fast --name good --memory 24

      sansi serve --host 0.0.0.0 --api-key-file keys.txt --log-format json

    Then open http://127.0.0.1:8000, or ask with any OpenAI client:

      curl http://127.0.0.1:8000/v1/chat/completions -d '{"model": "nano", "thinking_budget": 64,
      "messages": [{"role": "user", "content": "Solve for e: 8*e - 5 = 3"}]}'

    Ctrl-C lets running answers end, a second one stops at once. Prometheus reads /metrics.
    """
    if log_format not in LOG_FORMATS:
        raise SansiError(f'--log-format "{log_format}": must be one of {", ".join(LOG_FORMATS)}')
    folders = [_folder(model) for model in models or [DEFAULT_MODEL]]
    from sansi.serve.launch import serve as launch
    from sansi.serve.settings import ServerSettings, read_keys

    settings = ServerSettings(
        keys=read_keys(api_key_file, api_key_env),
        hosts=tuple(host.lower() for host in allow_host) if allow_host else None,
        origins=tuple(origin.rstrip("/").lower() for origin in allow_origin or ()),
        max_body=None if max_body is None else int(max_body * 2**20),
        max_queue=max_queue,
        timeout=timeout or None,
        grace=grace,
        log_text=log_text,
    )
    launch(
        folders,
        host=host,
        port=port,
        names=name or (),
        memory=[size * 2**30 for size in memory] if memory else None,
        settings=settings,
        log_format=log_format,
        device=device,
        max_batch=max_batch,
        dtype=dtype,
        quantize=quantize,
        backend=backend,
        context_length=context_length,
    )


# --- chat and run ----------------------------------------------------------------------------------------------------


@app.command()
def chat(
    model: Annotated[str, typer.Argument(help="Checkpoint folder.")] = DEFAULT_MODEL,
    thinking_budget: Budget = None,
    system: System = None,
    load: Annotated[str | None, typer.Option(help="A conversation that /save wrote as .json.")] = None,
    device: Device = "auto",
    quantize: Quantize = None,
) -> None:
    """Talk to a model in the terminal. Its thinking is dimmed, its answers are drawn as Markdown.

    Examples:

      sansi chat

      sansi chat my/checkpoint --thinking-budget 64

    In the chat: /think and /no_think switch the mode, /budget 32 limits the thought (/budget off lifts the limit),
    /r asks again, /save keeps the conversation, /help lists the rest. Ctrl-C stops an answer, not the program.
    """
    with _loaded(model, device, quantize) as chat_model:
        from sansi.chat import ChatOptions
        from sansi.serve.launch import read_examples
        from sansi.serve.terminal.chat import TerminalChat

        options = ChatOptions(thinking_budget=thinking_budget)
        terminal = TerminalChat(chat_model, options, examples=read_examples(model), system=system or "")
        if load is not None:
            terminal.load(Path(load))
        terminal.run()


@app.command()
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
    folder = _folder(model)
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
    with _loaded(folder, device, quantize) as chat_model:
        answers.run_one(chat_model, request, as_json, show_thinking)


def _run_batch(
    folder: str, lines: list[BatchLine], flags: dict[str, Any], system: str | None, device: str, quantize: str | None
) -> None:
    from sansi.serve.terminal import run as answers

    requests = answers.read_requests(lines, flags, Path(folder).resolve().name, system)
    with _loaded(folder, device, quantize) as chat_model:
        failed = answers.run_batch(chat_model, lines, requests)
    if failed:
        raise SansiError(f'{failed} of {len(lines)} lines could not be answered; their "error" says why')


# --- info ------------------------------------------------------------------------------------------------------------


@app.command()
def info(
    model: Annotated[str, typer.Argument(help="Checkpoint folder, or the name of a preset.")] = DEFAULT_MODEL,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Show a model's size, shape, context and memory. Reads its configuration only, no weights.

    Examples:

      sansi info checkpoints/nano

      sansi info Qwen3-30B-A3B

      sansi info Qwen3-8B --json
    """
    facts = _facts(model)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    typer.secho(model, bold=True)
    for name, text in _described(facts).items():
        typer.echo(f"  {typer.style(name.ljust(10), dim=True)}  {text}")


def _facts(model: str) -> dict[str, Any]:
    """What `sansi info` tells, from config.json and the tokenizer or from a preset."""
    from sansi.model import PRESETS, ModelConfig
    from sansi.model.formats.hf import read_config

    folder = Path(model)
    if folder.is_dir():
        config, modes = read_config(folder), _modes(folder)
    elif model.removeprefix("Qwen/") in PRESETS:
        config, modes = ModelConfig.preset(model), ["thinking", "non-thinking"]
    else:
        raise SansiError(f"{model}: neither a checkpoint folder nor a preset{did_you_mean(model, PRESETS)}")
    parameters = config.num_parameters()
    kv_values = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim  # keys and values
    return {
        "model": model,
        "parameters": parameters,
        "active_parameters": config.num_active_parameters(),
        "layers": config.num_hidden_layers,
        "hidden_size": config.hidden_size,
        "query_heads": config.num_attention_heads,
        "key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "ffn_size": config.moe_intermediate_size if config.is_moe else config.intermediate_size,
        "experts": config.num_experts,
        "active_experts": config.num_experts_per_tok,
        "vocabulary": config.vocab_size,
        "tied_embeddings": config.tie_word_embeddings,
        "context": config.context_length,
        "rope_theta": config.rope_theta,
        "weights_bytes_bf16": 2 * parameters,
        "kv_cache_bytes_per_token_bf16": 2 * kv_values,
        "kv_cache_bytes_full_context_bf16": 2 * kv_values * config.context_length,
        "modes": modes,
    }


def _described(facts: dict[str, Any]) -> dict[str, str]:
    """The facts in words, a line per subject."""
    f = facts
    moe = f["experts"] > 0
    active = f", {_count(f['active_parameters'])} active per token" if moe else ""
    ffn = f"{f['experts']} experts of {f['ffn_size']:,}, {f['active_experts']} active" if moe else f"{f['ffn_size']:,}"
    heads = f"{f['query_heads']} query and {f['key_value_heads']} key-value heads of {f['head_dim']}"
    per_token, full = _bytes(f["kv_cache_bytes_per_token_bf16"]), _bytes(f["kv_cache_bytes_full_context_bf16"])
    return {
        "parameters": f"{_count(f['parameters'])} ({f['parameters']:,}){active}",
        "layers": f"{f['layers']}, {f['hidden_size']:,} wide",
        "attention": heads,
        "FFN": ffn,
        "vocabulary": f"{f['vocabulary']:,}, {'tied' if f['tied_embeddings'] else 'untied'} embeddings",
        "context": f"{f['context']:,} tokens, RoPE base {f['rope_theta']:,.0f}",
        "weights": f"{_bytes(f['weights_bytes_bf16'])} in bfloat16, twice that in float32",
        "KV cache": f"{per_token} per token, {full} for a full context, in bfloat16",
        "modes": ", ".join(f["modes"]),
    }


def _modes(folder: Path) -> list[str]:
    """A checkpoint can chat, and think, when its tokenizer has the control tokens for it."""
    from sansi.text import Tokenizer

    file = folder / "tokenizer.json"
    if not file.exists():
        return ["no tokenizer: token ids only"]
    return ["thinking", "non-thinking"] if Tokenizer.from_pretrained(file).has_control else ["plain text"]


def _count(number: int) -> str:
    for size, unit in ((10**12, "T"), (10**9, "B"), (10**6, "M")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:,}"


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:,.4g} GiB" if count < 1024 else f"{count / 1024:.4g} TiB"


# --- quantize --------------------------------------------------------------------------------------------------------


@app.command()
def quantize(
    model: Annotated[str, typer.Argument(help="Checkpoint folder with full weights.")],
    out: Annotated[str, typer.Argument(help="Folder to write.")],
    kind: Annotated[str, typer.Option(help="int4 or int8.")] = "int4",
    outer: Annotated[str | None, typer.Option(help="The same for embedding and LM head. Default: int8.")] = None,
    text: Annotated[
        str | None, typer.Option(help="File to compare the two on; default: what the model answers to its examples.")
    ] = None,
    tokens: Annotated[int, typer.Option(min=1, help="Most tokens to compare on.")] = 1024,
    report: Annotated[bool, typer.Option(help="Compare; needs the memory and the time of the full model.")] = True,
) -> None:
    """Write a model with smaller weights, for the CPU, and say what that costs.

    Examples:

      sansi quantize my/checkpoint my/checkpoint-int4

      sansi quantize my/checkpoint my/checkpoint-int8 --kind int8 --text book.txt

    Then: sansi serve my/checkpoint-int4. It takes a fraction of the memory, loads faster, and answers faster.
    """
    folder = _folder(model)
    from sansi.model.quantize import check_target
    from sansi.model.quantize import quantize as quantised

    check_target(out)
    given = None if text is None else _read_text(text)
    weights = quantised(folder, kind, outer)
    weights.save(out, _companions(Path(folder)))
    full, small = (sum(file.stat().st_size for file in Path(f).glob("*.safetensors")) for f in (folder, out))
    bits = f"{weights.bits_per_weight:.2f} bits a weight"
    typer.echo(f"{out}: {weights.kind}, {_bytes(small)} in the place of {_bytes(full)}, {bits}")
    if report:
        source = "its own answers" if text is None else text
        typer.echo(f"{_compared(folder, out, given, tokens)} of {source}")


_COMPANIONS = (
    *("*token*.json", "vocab.json", "merges.txt", "*.tiktoken", "chat_template*"),
    *("generation_config.json", "examples.json", "README*", "LICENSE*"),
)
_QUESTIONS = ("How much is 17 times 23?", "Why is the sky blue?", "Write a short poem about a river.")


def _companions(folder: Path) -> list[Path]:
    """What belongs to a checkpoint whatever form its weights have."""
    return sorted({file for pattern in _COMPANIONS for file in folder.glob(pattern) if file.is_file()})


def _compared(folder: str, out: str, given: str | None, tokens: int) -> str:
    """The divergence of the two folders on the given text or their own, in words."""
    from sansi.chat import ChatModel
    from sansi.engine.backends import load_backend
    from sansi.engine.compare import divergence

    with ChatModel.from_pretrained(folder, device="cpu", max_batch=4) as chat:
        texts = _own_texts(chat, folder, tokens) if given is None else [chat.ids_of(given)[:tokens]]
        other, _ = load_backend(out, device="cpu")
        return str(divergence(chat.engine.backend, other, texts))


def _read_text(file: str) -> str:
    try:
        text = Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise SansiError(f"--text {file}: {error.strerror}") from error
    if not text.strip():
        raise SansiError(f"--text {file}: there is no text to compare on")
    return text


def _own_texts(chat: ChatModel, folder: str, tokens: int) -> list[list[int]]:
    """Prompts and sampled answers, `tokens` in all at most: where a model is used, it is compared."""
    from sansi.engine import SamplingParams
    from sansi.serve.launch import read_examples

    questions = (read_examples(folder) or list(_QUESTIONS))[:4]
    each = max(1, tokens // len(questions))
    prompts = [list(chat.codec.render([{"role": "user", "content": q}]).ids) for q in questions]
    params = SamplingParams(seed=0, max_tokens=each, stop_ids=chat.codec.stop_ids)
    completions = chat.engine.generate(prompts, params)
    return [[*prompt, *completion.ids][:each] for prompt, completion in zip(prompts, completions, strict=True)]


# --- eval ------------------------------------------------------------------------------------------------------------


@eval_app.callback()
def _eval() -> None:
    pass


@eval_app.command("budget-curve")
def budget_curve(
    model: Annotated[str, typer.Argument(help="Checkpoint folder.")] = DEFAULT_MODEL,
    problems: Annotated[int, typer.Option(min=1, help="How many held-out problems.")] = 1000,
    budgets: Annotated[str, typer.Option(help="Thinking budgets in tokens, comma-separated.")] = DEFAULT_BUDGETS,
    out: Annotated[str | None, typer.Option(help="Folder for the table and the plot.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of another set of problems; by default those that no training has seen.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Problems answered at the same time.")] = 128,
) -> None:
    """Measure how accuracy rises with the thinking budget.

    Examples:

      sansi eval budget-curve

      sansi eval budget-curve my/checkpoint --problems 200 --budgets 0,32,256

      sansi eval budget-curve --out runs/curve
    """
    parsed = _budgets(budgets)
    from sansi.eval import budget_curve as curve

    # The seed of the held-out problems is known to their room alone.
    chosen = {} if seed is None else {"seed": seed}
    curve.run(_folder(model), problems, parsed, out, batch=batch, **chosen)


def _budgets(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise SansiError(f'--budgets "{text}": must be whole numbers of at least 0, separated by commas: 0,32,256')
    return [int(part) for part in parts]


# --- helpers ---------------------------------------------------------------------------------------------------------


def _folder(model: str) -> str:
    """The folder itself. Raises SansiError with the nearest sensible next step when it is not one."""
    folder = Path(model)
    if folder.is_dir():
        return model
    siblings = [str(path) for path in folder.parent.glob("*") if (path / "config.json").exists()]
    hint = (
        did_you_mean(model, siblings) if siblings else "; give the folder of a checkpoint (config.json, *.safetensors)"
    )
    raise SansiError(f"{model}: no such model folder{hint}")


@contextlib.contextmanager
def _loaded(model: str, device: str, quantize: str | None = None) -> Iterator[ChatModel]:
    """The model of a folder, closed at the end."""
    folder = _folder(model)
    with _status(f"loading {folder}"):
        from sansi.chat import ChatModel

        chat_model = ChatModel.from_pretrained(folder, device=device, quantize=quantize)
    with chat_model:
        yield chat_model


def _status(text: str) -> contextlib.AbstractContextManager[Any]:
    """A line that says what takes so long, for somebody who watches."""
    from rich.console import Console

    console = Console(stderr=True)
    return console.status(text) if console.is_terminal else contextlib.nullcontext()


if __name__ == "__main__":
    main()
