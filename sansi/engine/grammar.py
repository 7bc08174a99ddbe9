"""Grammars: what an answer must match, compiled by llguidance to a mask of allowed ids for each next token."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Grammar:
    """A compiled grammar over one vocabulary; requests share it."""

    vocab_size: int
