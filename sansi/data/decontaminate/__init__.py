"""Keep evaluation texts out of training: what shares a passage with one is found and left out."""

from typing import TYPE_CHECKING

from sansi.base.later import later
from sansi.data.decontaminate.index import EvaluationText, Index, as_texts
from sansi.data.decontaminate.search import Decontaminator, Match, Overlap
from sansi.data.decontaminate.units import RUN_WORDS
from sansi.data.words import split_words

if TYPE_CHECKING:
    from sansi.data.decontaminate.corpus import DecontaminationConfig, DecontaminationReport, find_contaminated

__all__ = [
    "RUN_WORDS",
    "DecontaminationConfig",
    "DecontaminationReport",
    "Decontaminator",
    "EvaluationText",
    "Index",
    "Match",
    "Overlap",
    "as_texts",
    "find_contaminated",
    "split_words",
]

# A whole corpus lies in files that need pyarrow; single texts do without.
__getattr__ = later(
    __name__, dict.fromkeys(("DecontaminationConfig", "DecontaminationReport", "find_contaminated"), "corpus")
)
