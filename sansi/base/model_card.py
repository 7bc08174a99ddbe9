"""What a model folder says of itself to people: one line on what it is, and questions to try, in their languages.

`model_card.json` in the folder, all of it optional:

    {"description": {"en": "…", "zh": "…"},
     "examples": {"en": [{"title": "Add", "text": "What is 12 + 7?"}], "zh": […]}}

`evaluation.json` beside it, which `sansi eval budget-curve` writes, gives the accuracy at each thinking budget.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sansi.base.config import load_config
from sansi.base.errors import SansiError
from sansi.base.files import read_json

CARD_FILE = "model_card.json"
EVALUATION_FILE = "evaluation.json"
TEXT_FILE = "README.md"
MOST_TEXT = 100_000  # characters of it that are told

T = TypeVar("T")


@dataclass(frozen=True)
class Example:
    """A question to try."""

    title: str
    """Its kind, in a word or two; may be empty."""
    text: str
    """The question."""


@dataclass(frozen=True)
class CurvePoint:
    """The share of right answers at a thinking budget."""

    budget: int | None
    """Tokens; None: no limit."""
    accuracy: float
    """0 to 1."""


@dataclass(frozen=True)
class ModelCard:
    """What there is to say; everything may be empty."""

    description: dict[str, str] = field(default_factory=dict)
    """One line on what the model is, by language ("en", "zh")."""
    examples: dict[str, list[Example]] = field(default_factory=dict)
    """Questions to try, by language."""
    calls_tools: bool | None = None
    """Whether it was trained to call tools; None: the card does not say."""
    budget_curve: list[CurvePoint] = field(default_factory=list)
    """Right answers over thinking budgets, if they were measured."""
    text: str = ""
    """The card itself, Markdown: the folder's README.md without its head of data."""

    def description_in(self, language: str = "en") -> str:
        """The description in a language, else in English, else in any; "" when there is none."""
        return _in_language(self.description, language, "")

    def examples_in(self, language: str = "en") -> list[str]:
        """The questions in a language, chosen as the description is."""
        return [example.text for example in _in_language(self.examples, language, [])]

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def read_card(folder: str | Path) -> ModelCard:
    """The card of a model folder; an empty one where it has none. Raises SansiError that names a damaged file."""
    file = Path(folder) / CARD_FILE
    values = read_json(file) if file.exists() else {}
    curve = _read_curve(Path(folder) / EVALUATION_FILE)
    if isinstance(values, dict) and "budget_curve" in values:
        raise SansiError(f'{file}: "budget_curve" is read from {EVALUATION_FILE}; remove it here')
    card = load_config(ModelCard, values, str(file))
    return dataclasses.replace(card, budget_curve=curve, text=card.text or _read_text(Path(folder) / TEXT_FILE))


def _read_text(file: Path) -> str:
    """ "" where there is none that can be read: it is for people, and nothing depends on it."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    return re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL).strip()[:MOST_TEXT]


def _read_curve(file: Path) -> list[CurvePoint]:
    if not file.exists():
        return []
    try:
        return [CurvePoint(point["budget"], point["score"]["accuracy"]) for point in read_json(file)["points"]]
    except (KeyError, TypeError, IndexError) as error:
        raise SansiError(f"{file}: not a budget curve; write it anew with `sansi eval budget-curve`") from error


def _in_language(texts: dict[str, T], language: str, otherwise: T) -> T:
    return texts.get(language) or texts.get("en") or next(iter(texts.values()), otherwise)
