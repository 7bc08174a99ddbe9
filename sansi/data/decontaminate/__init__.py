"""Keep evaluation texts out of training: what shares a passage with one is found and left out."""

from sansi.data.decontaminate.index import EvaluationText, Index, as_texts
from sansi.data.decontaminate.search import Decontaminator, Match, Overlap
from sansi.data.decontaminate.units import RUN_WORDS
from sansi.data.words import split_words

__all__ = ["RUN_WORDS", "Decontaminator", "EvaluationText", "Index", "Match", "Overlap", "as_texts", "split_words"]
