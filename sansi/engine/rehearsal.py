"""Compiling a JSON schema on trial, in a process that can be killed; also the program that this process runs.

llguidance bounds its own work, but for strings that many expressions must match at once: with sixteen short ones it
takes minutes and gigabytes, and a thread can not be ended. So schemas that name several are compiled first by another
process, over the bytes as vocabulary, as what grows is not the vocabulary's part. It begins in some 0.1 s.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

# Lexer fuel is llguidance's measure of work: about 50,000 a millisecond at the start, 14,000 a millisecond in a step.
LIMITS: dict[str, Any] = {"initial_lexer_fuel": 200_000, "step_lexer_fuel": 200_000, "max_lexer_states": 50_000}
MEMORY = 1 << 30  # bytes that a compilation on trial may take
JOINING = ("allOf", "anyOf", "oneOf", "$ref", "$dynamicRef", "if", "not", "dependentSchemas")


def is_doubtful(schema: str) -> bool:
    """Whether a schema, as JSON text, may want a string to match several expressions."""
    several = schema.count('"pattern"') + schema.count('"format"') > 1
    joined = any(f'"{key}"' in schema for key in JOINING)  # without, a string has two and its length at most
    return (several and joined) or '"patternProperties"' in schema or '"propertyNames"' in schema


def ends_in_time(sources: Sequence[str], limits: Mapping[str, int], seconds: float) -> bool:
    """Whether llguidance is done with all `sources` in time and within MEMORY, be it by finding them wrong.

    limits: for LLParserLimits. True where no process can be started.
    """
    question = json.dumps([sys.path, math.ceil(seconds), dict(limits), list(sources)])
    program, nothing = [sys.executable, "-I", __file__], subprocess.DEVNULL
    try:
        ended = subprocess.run(program, input=question.encode(), stdout=nothing, stderr=nothing, timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    except OSError:
        return True
    return ended.returncode >= 0  # else a signal ended it, as where memory runs out


def _compile_all() -> None:
    path, seconds, limits, sources = json.load(sys.stdin)
    sys.path[:] = path
    _limit(seconds)
    import llguidance

    tokenizer = llguidance.LLTokenizer(llguidance.TokenizerWrapper(ByteVocabulary()))
    for source in sources:
        bounds = llguidance.LLParserLimits(verbose_errors=False, **limits)
        matcher = llguidance.LLMatcher(tokenizer, source, limits=bounds, log_level=0)
        if not matcher.is_error():
            matcher.compute_bitmask()  # builds what is built late


def _limit(seconds: int) -> None:
    try:
        import resource
    except ImportError:  # Windows: the clock has to do
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds + 1, seconds + 1))  # should whoever asked be gone


class ByteVocabulary:
    """The bytes as tokens, in the shape that llguidance wants a tokenizer in."""

    bos_token_id = None
    eos_token_id = 256
    special_token_ids = (256,)
    tokens = (*(bytes([i]) for i in range(256)), b"<end>")

    def __call__(self, text: bytes | str) -> list[int]:
        return []


if __name__ == "__main__":
    _compile_all()
