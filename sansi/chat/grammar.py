"""Grammars over a codec's vocabulary: the engine knows ids only, so the bytes behind them come from here."""

from __future__ import annotations

from sansi.engine import GrammarCompiler
from sansi.text import Codec


def grammar_compiler(codec: Codec) -> GrammarCompiler:
    """A compiler for the codec's ids; added tokens are in no text. Make one per model and keep it: it caches."""
    tokenizer = codec.tokenizer
    pieces = [tokenizer.token_bytes(id_) for id_ in range(tokenizer.vocab_size)]
    return GrammarCompiler(pieces, codec.stop_ids[0], list(tokenizer.added.values()))
