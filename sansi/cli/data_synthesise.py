"""`sansi data synthesise`: documents that a model writes from those of a corpus."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sansi.base.config import load_config
from sansi.base.errors import SansiError
from sansi.cli.extras import need

if TYPE_CHECKING:
    from sansi.data.synthesise import SynthesiseConfig


def synthesise(
    config: Annotated[
        str | None, typer.Argument(metavar="SYNTHESISE.toml", help="What is asked for; options go before it.")
    ] = None,
    corpus: Annotated[str | None, typer.Option(metavar="FOLDER", help="Whose documents are the seeds.")] = None,
    out: Annotated[str, typer.Option(metavar="FOLDER", help="Where the corpus of new documents goes.")] = "synthetic",
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="An OpenAI-compatible API: http://HOST:PORT/v1")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model's name there.")] = None,
    api_key_env: Annotated[str | None, typer.Option(metavar="NAME", help="The variable that holds its key.")] = None,
    prompt: Annotated[
        list[str] | None, typer.Option(help="textbook, questions, code or rewrite; may be repeated.")
    ] = None,
    documents: Annotated[int | None, typer.Option(min=1, help="Most seed documents. Default: all.")] = None,
    reasoning: Annotated[int | None, typer.Option(min=0, help="Worked problems, which need no model.")] = None,
    max_requests: Annotated[int | None, typer.Option(min=0, help="Never more requests than these.")] = None,
    max_cost: Annotated[float | None, typer.Option(min=0, help="Never more than this, by the file's prices.")] = None,
    answers: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Keeps answers and costs. Default: OUT.answers")
    ] = None,
) -> None:
    """Have a model write textbooks, questions with answers, code with tests, and rewrites from a corpus.

    Examples:

      sansi data synthesise --corpus corpus --url http://127.0.0.1:8000/v1 --model qwen3 --documents 100 --out synthetic

      sansi data synthesise synthesise.toml --corpus corpus --max-requests 1000

      sansi data synthesise --reasoning 10000 --out problems

    What comes back is parsed and filtered: the ledger of the new corpus says why an answer is none (sansi data report
    FOLDER --by reason). The same command again asks only what is missing. The file may set every field that docs/pdf.md
    and docs/data.md name: endpoint (base_url, model, prices, concurrency), budget, prompts, samples.
    """
    need("pyarrow", "regex", "langcodes")
    from sansi.data.synthesise import synthetic_corpus

    given = {
        "endpoint": {"base_url": url, "model": model, "api_key_env": api_key_env},
        "budget": {"max_requests": max_requests, "max_cost": max_cost},
        "prompts": prompt or None,
        "documents": documents,
        "reasoning": reasoning,
    }
    settings = _settings(config, given)
    if settings.endpoint is not None and corpus is None:
        raise SansiError("say whose documents are the seeds: --corpus FOLDER", param="corpus")
    kept = Path(answers) if answers else Path(f"{out.rstrip('/')}.answers")
    report, asked = synthetic_corpus(Path(out), settings, Path(corpus) if corpus else (), kept)
    if asked is not None:
        typer.echo(str(asked))
    typer.echo(f"{out}: {report.documents:,} documents, {report.bytes:,} bytes")


def _settings(file: str | None, given: dict[str, Any]) -> SynthesiseConfig:
    from sansi.data.synthesise import SynthesiseConfig

    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = tomllib.loads(Path(file).read_text(encoding="utf-8"))
        except OSError as error:
            raise SansiError(f"{file}: {error.strerror}; give a TOML file, or options without one") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SansiError(f"{file}: not TOML ({error})") from error
    for name, value in given.items():
        if isinstance(value, dict):
            told = {key: each for key, each in value.items() if each is not None}
            if told:
                before = values.get(name)
                values[name] = {**before, **told} if isinstance(before, dict) else told
        elif value is not None:
            values[name] = value
    return load_config(SynthesiseConfig, values, file or "options")
