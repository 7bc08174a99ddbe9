"""A corpus summed up for people: by language, licence, domain and script, and why things were dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sansi.base.files import atomic_file
from sansi.base.sizes import size_text
from sansi.data.corpus.report import CorpusReport
from sansi.data.store import columns_of

COLUMNS = ("language", "licence", "kind", "domain", "field", "script", "media_type")
MOST_BARS = 40
MOST_ROWS = 30
NONE = "(none)"


@dataclass
class Count:
    """Documents and bytes of text by the values of a column."""

    documents: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)

    @property
    def rows(self) -> list[tuple[str, int, int]]:
        """Value, documents and bytes, the largest first."""
        names = sorted(self.sizes, key=lambda name: (-self.sizes[name], name))
        return [(name, self.documents[name], self.sizes[name]) for name in names]


def count_by(files: Sequence[Path], columns: Sequence[str] = COLUMNS) -> dict[str, Count]:
    """Of all documents of some files."""
    counts = {name: Count() for name in columns}
    for file in files:
        table = columns_of(file, [*columns, "size"])
        for name, count in counts.items():
            for value, size in zip(table[name], table["size"], strict=True):
                count.documents[value or NONE] += 1
                count.sizes[value or NONE] += size
    return counts


def summary_text(report: CorpusReport, counts: Mapping[str, Count]) -> str:
    """The report as Markdown."""
    balance = report.balance
    lines = [
        "# Corpus",
        "",
        f"{report.documents:,} documents, {size_text(report.bytes)} of text, {report.languages} languages. Of "
        f"{balance.read:,} records that were read {balance.kept:,} are kept, {balance.dropped.total():,} were dropped, "
        f"and {balance.quarantined.total():,} are quarantined.",
        "",
        report.table(),
        "## What became of every record",
        "",
        *_table(["state", "reason", "records", "share"], _fates(report)),
    ]
    for name, count in counts.items():
        if set(count.sizes) - {NONE}:
            rows = [[value, f"{n:,}", size_text(size)] for value, n, size in count.rows[:MOST_ROWS]]
            more = len(count.rows) - MOST_ROWS
            note = [f"\nand {more} more: `sansi data report --by {name}`"] if more > 0 else []
            lines += ["", f"## By {name.replace('_', ' ')}", "", *_table([name, "documents", "text"], rows), *note]
    return "\n".join(lines) + "\n"


def _fates(report: CorpusReport) -> list[list[str]]:
    balance = report.balance
    rows = [("kept", "", balance.kept)]
    rows += [("dropped", why, count) for why, count in balance.dropped.most_common()]
    rows += [("quarantined", why, count) for why, count in balance.quarantined.most_common()]
    return [[state, why, f"{count:,}", f"{count / max(balance.read, 1):.2%}"] for state, why, count in rows]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *("--:" if row_is_number(rows, place) else "---" for place in range(1, len(head)))]
    cells = [list(head), rule, *(list(row) for row in rows)]
    return [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in cells]


def row_is_number(rows: Sequence[Sequence[str]], place: int) -> bool:
    """Whether a column is set to the right."""
    return bool(rows) and all(row[place][:1].isdigit() for row in rows)


def plot_counts(report: CorpusReport, counts: Mapping[str, Count], folder: Path) -> None:
    """Pictures: text by language (logarithmic, the largest 40), by source with what became of it, by licence."""
    from matplotlib.figure import Figure

    for name in ("language", "licence", "domain", "field"):
        rows = [row for row in counts[name].rows if row[0] != NONE][:MOST_BARS]
        if rows:
            figure = Figure(figsize=(8, 1.2 + 0.22 * len(rows)), layout="constrained")
            axes = figure.subplots()
            axes.barh([row[0] for row in rows][::-1], [row[2] / 1e6 for row in rows][::-1], color="#4464ad")
            axes.set(xscale="log", xlabel="MB of text", title=f"Text by {name}")
            _save(figure, folder / f"{name}.png")
    _save(_fate_figure(report), folder / "sources.png")


def _fate_figure(report: CorpusReport) -> object:
    """A bar of each source: which share of its records was kept, and why the rest was not."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    reasons = ["kept", *[why for why, _ in (report.balance.dropped + report.balance.quarantined).most_common()]]
    figure = Figure(figsize=(9, 1.6 + 0.28 * len(report.sources)), layout="constrained")
    axes = figure.subplots()
    names, left = [source.name for source in report.sources], [0.0] * len(report.sources)
    colours = colormaps["tab20"]
    for number, reason in enumerate(reasons):
        shares = [_share_of(source, reason) for source in report.sources]
        colour = "#2a9d8f" if reason == "kept" else colours(number % 20)
        axes.barh(names, shares, left=left, label=reason, color=colour)
        left = [begin + share for begin, share in zip(left, shares, strict=True)]
    axes.set(xlim=(0, 1), xlabel="share of the records", title="What became of what was read")
    axes.invert_yaxis()
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    return figure


def _share_of(source: object, reason: str) -> float:
    balance = source.balance  # type: ignore[attr-defined]
    count = balance.kept if reason == "kept" else balance.dropped[reason] + balance.quarantined[reason]
    return float(count / max(balance.read, 1))


def _save(figure: object, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as draft:
        figure.savefig(draft, dpi=110, format="png", metadata={"Software": None})  # type: ignore[attr-defined]
