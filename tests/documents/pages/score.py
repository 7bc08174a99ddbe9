"""How well an extraction is: words against the label, and strings that must be there, in order, or not there."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import dataclass
from statistics import mean

from pages.made import MadePage

_UNIT = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_]+")


@dataclass(frozen=True)
class Score:
    """One page. Shares between 0 and 1."""

    precision: float
    recall: float
    present: float  # of the runs of the main text, those that are there
    ordered: float  # of neighbouring runs, those that are there in their order
    absent: float  # of what surrounds it, what is not there
    code: float | None  # of listings, those that are there to the space; None: the page has none

    @property
    def f(self) -> float:
        return 2 * self.precision * self.recall / (self.precision + self.recall) if self.precision else 0.0


def units(text: str) -> list[str]:
    """Words; where no spaces part them, characters."""
    return _UNIT.findall(text.lower())


def flat(text: str) -> str:
    """What a search goes by: no marks of Markdown, no white space."""
    return re.sub(r"[\s`*_|#\\]+", "", text)


def score(page: MadePage, text: str) -> Score:
    wanted = Counter(units(" ".join((*page.keep, *page.code))))
    got = Counter(units(text))
    common = (wanted & got).total()
    seen = flat(text)
    places = [seen.find(flat(run)) for run in page.keep]
    pairs = [0 <= a < b for a, b in itertools.pairwise(places)]
    return Score(
        precision=common / max(got.total(), 1),
        recall=common / max(wanted.total(), 1),
        present=mean(place >= 0 for place in places),
        ordered=mean(pairs) if pairs else 1.0,
        absent=mean(flat(run) not in seen for run in page.drop) if page.drop else 1.0,
        code=mean(code_kept(code, text) for code in page.code) if page.code else None,
    )


def code_kept(code: str, text: str) -> bool:
    """Whether a listing is there with its lines and indents; in a list it may stand further to the right."""
    lines = code.rstrip().split("\n")
    pattern = r"^(?P<in>[ \t]*)" + r"[ \t]*\n".join(
        (r"(?P=in)" if number else "") + re.escape(line) for number, line in enumerate(lines)
    )
    pattern = pattern.replace(r"(?P=in)[ \t]*\n", r"[ \t]*\n")
    return re.search(pattern + r"[ \t]*$", text, re.MULTILINE) is not None


def table(scores: list[Score]) -> dict[str, float]:
    """Means over pages."""
    code = [one.code for one in scores if one.code is not None]
    return {
        "f": mean(one.f for one in scores),
        "precision": mean(one.precision for one in scores),
        "recall": mean(one.recall for one in scores),
        "present": mean(one.present for one in scores),
        "ordered": mean(one.ordered for one in scores),
        "absent": mean(one.absent for one in scores),
        "code": mean(code) if code else 0.0,
    }
