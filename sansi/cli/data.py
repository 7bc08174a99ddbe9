"""`sansi data`: build a corpus, and look into one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sansi.base.errors import SansiError
from sansi.base.sizes import size_text
from sansi.cli import data_look
from sansi.cli.data_synthesise import synthesise
from sansi.cli.extras import need
from sansi.cli.help import Command, Group, show_help

if TYPE_CHECKING:
    from sansi.data.corpus import CorpusReport
    from sansi.data.corpus.feeds import Feed
    from sansi.data.work import Executor

MOST_ROWS = 20

app = typer.Typer(
    help="Build a corpus from files and packages, look into it, into shards, and into what a run has read.",
    cls=Group,
    invoke_without_command=True,
    rich_markup_mode=None,
)
data_look.register(app)
app.command("synthesise", cls=Command)(synthesise)


@app.callback()
def _data(ctx: typer.Context) -> None:
    show_help(ctx)


@app.command("build", cls=Command)
def build(
    config: Annotated[str | None, typer.Argument(metavar="CORPUS.toml", help="What it is built from.")] = None,
    out: Annotated[str, typer.Option(metavar="FOLDER", help="Where the corpus goes.")] = "data/corpus",
    path: Annotated[
        list[str] | None,
        typer.Option(metavar="FILES", help="In the place of a TOML file: files, folders or quoted globs."),
    ] = None,
    licence: Annotated[str | None, typer.Option(help="With --path: under which licence the files are.")] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes at once. Default: one for each core.")] = None,
    executor: Annotated[
        str, typer.Option(metavar="local|ray", help="Who runs the work: this machine, or a Ray cluster.")
    ] = "local",
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew; what lies in the folder is moved aside.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be read. Nothing is built.")] = False,
) -> None:
    """Build a corpus: read, annotate, filter, deduplicate, keep evaluation texts out, write.

    Examples:

      sansi data build my.toml --out corpus

      sansi data build --path "notes/**/*.md" --path papers/ --licence CC-BY-4.0 --out corpus

      sansi data build my.toml --out corpus --dry-run

    The smallest TOML file:

      [[source]]
      path = "texts/*.jsonl"
      licence = "CC0-1.0"

    A build that was killed, or stopped with Ctrl-C, goes on when it is started again, and leaves the same bytes.
    docs/data.md tells what else the file may say. Then: sansi data report corpus.
    """
    need("pyarrow", "regex", "langcodes")
    from sansi.data.corpus import build_corpus
    from sansi.data.corpus.toml_file import corpus_of_paths, load_corpus_file

    if bool(config) == bool(path):
        raise SansiError("give either a TOML file or --path; sansi data build --help shows both")
    file = load_corpus_file(Path(config)) if config else corpus_of_paths(path or [], licence)
    if dry_run:
        _show_plan(file.config, file.base)
        return
    report = build_corpus(
        Path(out), file.config, executor=_executor(executor, workers), base=file.base, restart=restart
    )
    _show(report)


@app.command("report", cls=Command)
def report(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="A corpus.")] = "data/corpus",
    by: Annotated[
        str, typer.Option(metavar="WHAT", help="language, licence, source, kind, domain, field or reason.")
    ] = "source",
    why: Annotated[
        str | None, typer.Option(metavar="REASON", help='List the records that were dropped for it: "too short".')
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="With --why: how many to list.")] = MOST_ROWS,
    as_json: Annotated[bool, typer.Option("--json", help="The manifest, for programs.")] = False,
) -> None:
    """Show what a corpus holds, and what became of everything that was read.

    Examples:

      sansi data report corpus

      sansi data report corpus --by language

      sansi data report corpus --by reason

      sansi data report corpus --why "low quality"
    """
    need("pyarrow")
    from sansi.data.corpus import CorpusReport

    loaded = CorpusReport.load(Path(folder))
    if as_json:
        typer.echo(json.dumps(loaded.as_dict(), ensure_ascii=False, indent=1))
    elif why is not None:
        _show_dropped(loaded, why, limit)
    else:
        _show(loaded, by)


def _executor(name: str, workers: int | None) -> Executor:
    from sansi.data.work import LocalExecutor

    if name == "ray":
        need("ray")
        from sansi.data.work.ray_executor import RayExecutor

        return RayExecutor(workers)
    if name != "local":
        raise SansiError(f'no executor "{name}"; give local or ray', param="executor")
    return LocalExecutor(workers)


def _show_plan(config: object, base: Path) -> None:
    """What would be read, source by source."""
    import tempfile

    from sansi.data.corpus.feeds import feeds_of

    with tempfile.TemporaryDirectory(prefix="sansi-plan-") as folder:
        feeds = feeds_of(config, Path(folder), base)  # type: ignore[arg-type]
        rows = [_plan_row(feed) for feed in feeds]
    total = sum(feed.size for feed in feeds)
    _print_table(["source", "from", "licence", "parts", "input"], rows, numbers=2)
    typer.echo(f"{size_text(total)} of input; nothing was built")


def _plan_row(feed: Feed) -> list[str]:
    origin = f"{feed.origin.package} {feed.origin.version}".strip()
    return [feed.name, origin, feed.settings.licence, f"{len(feed.parts):,}", size_text(feed.size)]


def _show(report: CorpusReport, by: str = "source") -> None:
    from sansi.data.corpus import corpus_files
    from sansi.data.corpus.summary import COLUMNS, count_by

    if by == "reason":
        _show_reasons(report)
        return
    if by == "source":
        rows = [_source_row(source.name, source.documents, source.bytes, source.records) for source in report.sources]
    elif by in COLUMNS:
        count = count_by(corpus_files(report.folder), [by])[by]
        total = max(count.sizes.total(), 1)
        rows = [[name, f"{n:,}", size_text(size), f"{size / total:.2%}"] for name, n, size in count.rows]
    else:
        raise SansiError(f'--by "{by}" is not known; give source, reason, {", ".join(COLUMNS)}', param="by")
    _print_table([by, "documents", "text", "of records" if by == "source" else "share"], rows, numbers=3)
    balance = report.balance
    typer.echo(
        f"{report.folder}: {report.documents:,} documents, {size_text(report.bytes)} of text, "
        f"{report.languages} languages; of {balance.read:,} records {balance.kept:,} kept, "
        f"{balance.dropped.total():,} dropped, {balance.quarantined.total():,} quarantined (--by reason tells why)"
    )


def _source_row(name: str, documents: int, size: int, records: int) -> list[str]:
    share = f"{documents / records:.1%}" if records else ""
    return [name, f"{documents:,}", size_text(size), share]


def _show_reasons(report: CorpusReport) -> None:
    balance = report.balance
    rows = [["kept", f"{balance.kept:,}", f"{balance.kept / max(balance.read, 1):.2%}"]]
    for state, counts in (("dropped", balance.dropped), ("quarantined", balance.quarantined)):
        rows += [[f"{state}: {why}", f"{n:,}", f"{n / balance.read:.2%}"] for why, n in counts.most_common()]
    _print_table(["what became of it", "records", "share"], rows, numbers=2)
    typer.echo(f'{balance.read:,} records; sansi data report {report.folder} --why "REASON" lists them')


def _show_dropped(report: CorpusReport, why: str, limit: int) -> None:
    from sansi.data.store import read_entries

    known = report.balance.dropped + report.balance.quarantined
    if why not in known:
        raise SansiError(f'nothing was dropped for "{why}"; reasons here: {", ".join(sorted(known)) or "none"}')
    ledgers = [report.folder / file for s in report.sources for file in s.files if file.startswith("ledger/")]
    found = (entry for file in ledgers for entry in read_entries(file) if entry.state != "kept" and entry.rule == why)
    rows = [[entry.id, entry.language or "", entry.value or ""] for entry, _ in zip(found, range(limit), strict=False)]
    _print_table(["record", "language", "value"], rows, numbers=0)
    typer.echo(f'{known[why]:,} records: "{why}"')


def _print_table(head: list[str], rows: Iterable[list[str]], numbers: int) -> None:
    """numbers: how many of the last columns are set to the right."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for place, title in enumerate(head):
        table.add_column(title, justify="right" if place >= len(head) - numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False).print(table)
