"""What a document is about: its subject, form, educational value and difficulty, and what in it may be unsafe."""

from sansi.data.classify.difficulty import difficulty
from sansi.data.classify.linear import Answer, LinearModel
from sansi.data.classify.personal import count_personal, mask_personal
from sansi.data.classify.unsafe import unsafe_score

__all__ = ["Answer", "LinearModel", "count_personal", "difficulty", "mask_personal", "unsafe_score"]
