"""Documents that a model writes from others: textbooks, questions with answers, code with tests, rewritten web text."""

from sansi.data.synthesise.config import SynthesiseConfig
from sansi.data.synthesise.make import synthesise, synthetic_corpus
from sansi.data.synthesise.prompts import PROMPTS
from sansi.data.synthesise.reasoning import reasoning_documents

__all__ = ["PROMPTS", "SynthesiseConfig", "reasoning_documents", "synthesise", "synthetic_corpus"]
