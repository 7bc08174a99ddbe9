"""The suite: checks by name, each with one outcome and the evidence for it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from sansi.base.errors import SansiError, did_you_mean
from sansi.deploy.conform.checks import CHECKS
from sansi.deploy.conform.endpoint import LONGEST_SHOWN, Answer, Stream
from sansi.deploy.conform.probe import Probe
from sansi.deploy.conform.registry import Check, Failed, NotOffered

Outcome = Literal["passed", "failed", "not offered", "error"]
"""not offered: the server says so, by refusing; what it ignores in silence has failed. error: no answer."""


@dataclass(frozen=True)
class Finding:
    """What came of one check."""

    check: str
    title: str
    outcome: Outcome
    words: str
    seconds: float
    evidence: tuple[str, ...] = ()
    """Excerpts of answers, as JSON."""


@dataclass(frozen=True)
class Report:
    """All findings about one endpoint."""

    url: str
    model: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        return not any(finding.outcome in ("failed", "error") for finding in self.findings)

    def count(self, outcome: Outcome) -> int:
        return sum(finding.outcome == outcome for finding in self.findings)

    def summary(self) -> str:
        return ", ".join(f"{self.count(outcome)} {outcome}" for outcome in get_args(Outcome) if self.count(outcome))

    def to_dict(self) -> dict[str, Any]:
        return {"url": self.url, "model": self.model, "ok": self.ok, "findings": [asdict(f) for f in self.findings]}

    def to_markdown(self) -> str:
        """For a bug report: a table, and the evidence of what failed."""
        counts = self.summary()
        lines = [f"# {self.model} at {self.url}", "", counts, "", "| check | outcome | seen |", "|---|---|---|"]
        lines += [f"| {f.check}: {f.title} | {f.outcome} | {_cell(f.words)} |" for f in self.findings]
        for finding in self.findings:
            if finding.outcome == "failed" and finding.evidence:
                lines += ["", f"## {finding.check}", "", finding.words]
                for shown in finding.evidence:
                    lines += ["", "```json", shown.replace("```", "` ` `"), "```"]
        return "\n".join(lines) + "\n"


def chosen(names: Iterable[str] | None) -> list[Check]:
    """The checks of these names, all by default. Raises SansiError for a name that there is not."""
    if names is None:
        return list(CHECKS.values())
    for name in names:
        if name not in CHECKS:
            raise SansiError(f'unknown check "{name}"{did_you_mean(name, CHECKS)}', param="only")
    return [CHECKS[name] for name in names]


def run_suite(
    probe: Probe, only: Iterable[str] | None = None, tell: Callable[[Finding], None] = lambda finding: None
) -> Report:
    """Ask everything, one check after the other; `tell` hears each finding as it comes.

    A server that can not be reached gives "error" for what was asked of it; the others are asked all the same.
    """
    findings = []
    for one in chosen(only):
        finding = _run(one, probe)
        findings.append(finding)
        tell(finding)
    return Report(probe.endpoint.base_url, probe.endpoint.model, tuple(findings))


def _run(one: Check, probe: Probe) -> Finding:
    start = time.monotonic()
    evidence: tuple[str, ...] = ()
    outcome: Outcome
    try:
        outcome, words = "passed", one.run(probe) or "holds"
    except Failed as failure:
        outcome, words = "failed", str(failure)
        evidence = tuple(_excerpt(item) for item in failure.evidence)
    except NotOffered as missing:
        outcome, words = "not offered", str(missing)
    except SansiError as error:
        outcome, words = "error", str(error)
    return Finding(one.name, one.title, outcome, words, round(time.monotonic() - start, 3), evidence)


def _excerpt(item: Any) -> str:
    if isinstance(item, Answer):
        item = {"status": item.status, "body": item.body}
    elif isinstance(item, Stream):
        item = {"status": item.status, "done": item.done, "broken": item.broken, "chunks": item.chunks[-12:]}
    shown = json.dumps(item, ensure_ascii=False, indent=1, default=str)
    return shown if len(shown) <= LONGEST_SHOWN else shown[:LONGEST_SHOWN] + " …"


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("\n", " ")
