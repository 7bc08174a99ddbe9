"""Every path gives the tokens of the plain one, and keeps the limits: budget x stream x grammar x drafts x weights x
prefix cache x mode, with the bundled model.

The plain path is one request after the other, without drafts, prefix cache or stream. What is tested runs together in
one batch, so that paging, chunked reading and continuous batching are in every cell as well.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from sansi.engine import Completion, Engine, GrammarCompiler, SamplingParams, ThinkingLimits
from sansi.model.kernels.cpu.build import supported_isas
from sansi.text import Codec

NANO = Path(__file__).parents[2] / "checkpoints" / "nano"
WEIGHTS = {
    "torch": {"backend": "torch"},
    "native": {"backend": "native"},
    "int8": {"backend": "native", "quantize": "int8"},
    "int4": {"backend": "native", "quantize": "int4"},
}
BUDGETS = ("none", "zero", "small", "boundary", "one less")
SMALL = 5
MAX_TOKENS = 60
QUESTION = "State the final answer to the following arithmetic problem: 31 - 9 ="
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "integer", "minimum": 0, "maximum": 9999}},
    "required": ["answer"],
    "additionalProperties": False,
}
SAMPLINGS = {
    "greedy": SamplingParams(temperature=0),
    "seeded": SamplingParams(temperature=0.8, top_p=0.95, top_k=20, frequency_penalty=0.1, seed=7),
}


@dataclass(frozen=True)
class Cell:
    weights: str
    warm: bool
    mode: str
    budget: str
    grammar: bool
    speculation: int
    stream: bool
    scored: bool = True  # with log-probabilities; without, forced tokens come many at a time
    scarce: bool = False  # so few blocks that requests give way to each other

    @property
    def plain(self) -> Cell:
        return dataclasses.replace(self, warm=False, speculation=0, stream=False, scored=True, scarce=False)


@functools.cache
def codec() -> Codec:
    return Codec.from_pretrained(NANO)


@functools.cache
def json_grammar():
    tokenizer = codec().tokenizer
    pieces = [tokenizer.token_bytes(i) for i in range(tokenizer.vocab_size)]
    return GrammarCompiler(pieces, tokenizer.control.im_end, list(tokenizer.added.values())).json_schema(SCHEMA)


@functools.cache
def prompt_of(mode: str):
    messages = [{"role": "user", "content": QUESTION}]
    return codec().render(messages, enable_thinking=mode == "thinking", open_thought=True)


def engine(weights: str, warm: bool, max_batch: int, num_blocks: int | None = None) -> Engine:
    options = {"max_batch": max_batch, "prefix_cache": warm, "memory": 150_000_000, "num_blocks": num_blocks}
    return Engine.from_pretrained(NANO, device="cpu", **options, **WEIGHTS[weights])


def budget_of(cell: Cell, sampling: str) -> int | None:
    if cell.mode == "non-thinking":
        return 0
    if cell.budget in ("none", "zero", "small"):
        return {"none": None, "zero": 0, "small": SMALL}[cell.budget]
    natural = plain_run(dataclasses.replace(cell.plain, budget="none"), sampling).thinking.tokens + prefilled(cell)
    return natural if cell.budget == "boundary" else natural - 1


def prefilled(cell: Cell) -> int:
    """Tokens of the thought that the prompt holds, which count against the budget: none, its line break is framing."""
    ids, opened = prompt_of(cell.mode).ids, prompt_of(cell.mode).thought_open
    return len(ids) - 2 - ids.index(codec().thinking_ids.start) if opened else 0


def limits_of(cell: Cell, sampling: str) -> ThinkingLimits:
    ids = codec().thinking_ids
    sequence = [*codec().tokenizer.encode(" Enough.\n"), ids.end, ids.end_sequence[-1]]
    opened = prompt_of(cell.mode).thought_open
    return ThinkingLimits(
        start_id=ids.start,
        end_ids=(ids.end,),
        end_sequence=tuple(sequence),
        framing_ids=tuple(ids.framing),
        turn_ids=codec().stop_ids,
        open=opened,
        budget=budget_of(cell, sampling),
        answer_reserve=24,
    )


def params_of(cell: Cell, sampling: str) -> SamplingParams:
    return dataclasses.replace(
        SAMPLINGS[sampling],
        max_tokens=MAX_TOKENS,
        stop_ids=codec().stop_ids,
        thinking=limits_of(cell, sampling),
        grammar=json_grammar() if cell.grammar else None,
        speculation=cell.speculation,
        logprobs=cell.scored,
    )


@functools.cache
def plain_engine(weights: str) -> Engine:
    return engine(weights, warm=False, max_batch=1)


@functools.cache
def plain_run(cell: Cell, sampling: str) -> Completion:
    return plain_engine(cell.weights).generate([prompt_of(cell.mode).ids], params_of(cell, sampling))[0]


@dataclass(frozen=True)
class Outcome:
    completion: Completion
    streamed: tuple[int, ...] | None


@functools.cache
def together(weights: str, warm: bool, scarce: bool = False) -> dict[tuple[Cell, str], Outcome]:
    """All cells with these weights and this cache, in one engine at the same time."""
    kind = (weights, warm, scarce)
    cells = [(cell, s) for cell in CELLS if (cell.weights, cell.warm, cell.scarce) == kind for s in SAMPLINGS]

    async def one(under_test: Engine, cell: Cell, sampling: str) -> Outcome:
        ids, params = prompt_of(cell.mode).ids, params_of(cell, sampling)
        if not cell.stream:
            completions = await asyncio.to_thread(under_test.generate, [ids], params)
            return Outcome(completions[0], None)
        deltas = [delta async for delta in under_test.stream(ids, params)]
        assert deltas[-1].completion is not None
        return Outcome(deltas[-1].completion, tuple(id_ for delta in deltas for id_ in delta.ids))

    async def all_of_them(under_test: Engine) -> list[Outcome]:
        return await asyncio.gather(*(one(under_test, *cell) for cell in cells))

    with engine(weights, warm, max_batch=16, num_blocks=SCARCE if scarce else None) as under_test:
        if warm:
            prompts = [prompt_of(mode).ids for mode in MODES]
            under_test.generate(prompts, SamplingParams(max_tokens=1))
        outcomes = dict(zip(cells, asyncio.run(all_of_them(under_test)), strict=True))
        assert bool(under_test.metrics().preemptions) == scarce
        return outcomes


MODES = ("thinking", "non-thinking")
CELLS = [
    Cell(*values)
    for values in itertools.product(WEIGHTS, (False, True), MODES, BUDGETS, (False, True), (0, 6), (False, True))
]
CELLS += [
    Cell("native", warm, "thinking", budget, grammar, speculation, scarce, scored, scarce)
    for warm, budget, grammar, speculation, (scored, scarce) in itertools.product(
        (False, True), BUDGETS, (False, True), (0, 6), ((False, False), (False, True), (True, True))
    )
]
SCARCE = 20  # blocks, for up to sixteen requests


def name_of(cell: Cell) -> str:
    return "-".join(
        [
            cell.weights,
            "warm" if cell.warm else "cold",
            cell.mode,
            cell.budget.replace(" ", "_"),
            "json" if cell.grammar else "free",
            f"drafts{cell.speculation}",
            "stream" if cell.stream else "whole",
            *([] if cell.scored else ["unscored"]),
            *(["scarce"] if cell.scarce else []),
        ]
    )


@pytest.mark.parametrize("cell", CELLS, ids=name_of)
def test_cell(cell):
    need(cell.weights)
    for sampling in SAMPLINGS:
        check(cell, sampling)


def need(weights: str) -> None:
    if weights != "torch" and not supported_isas():
        pytest.skip("the CPU kernels are for Linux on x86-64")


def check(cell: Cell, sampling: str) -> None:
    outcome, plain = together(cell.weights, cell.warm, cell.scarce)[cell, sampling], plain_run(cell.plain, sampling)
    limits = limits_of(cell, sampling)
    found = outcome.completion
    assert found.ids == plain.ids, "not the tokens of the plain path"
    assert found.logprobs == (pytest.approx(plain.logprobs, abs=1e-4) if cell.scored else None)
    assert (found.finish_reason, found.thinking) == (plain.finish_reason, plain.thinking)
    if cell.stream:
        assert outcome.streamed == found.ids
    check_thought(cell, sampling, found, limits)
    check_answer(cell, found, limits)
    check_usage(cell, found)


def check_thought(cell: Cell, sampling: str, found: Completion, limits: ThinkingLimits) -> None:
    """The budget holds, a cut thought ends with the whole end sequence, and no thought opens twice."""
    ids = list(found.ids)
    (close,) = limits.end_ids
    assert limits.start_id not in ids, "the prompt has opened the thought, or closed it"
    if cell.mode == "non-thinking":
        assert close not in ids and found.thinking.tokens == 0
        return
    assert ids.count(close) == 1, "a thought closes, once"
    thought, own = ids[: ids.index(close)], found.thinking.tokens
    assert len(thought) == own + found.thinking.phrase_tokens
    assert limits.budget is None or own <= max(0, limits.budget - prefilled(cell))
    if found.thinking.end_reason == "natural":
        assert found.thinking.forced_tokens == 0
    else:
        assert found.thinking.end_reason in ("budget", "reserve") and found.thinking.forced_at == own
        assert tuple(ids[own : own + len(limits.end_sequence)]) == limits.end_sequence
    if cell.budget == "boundary":
        assert found.thinking.end_reason in ("natural", "reserve")
    if cell.budget in ("zero", "small", "one less"):
        assert (found.thinking.end_reason, own) == ("budget", max(0, limits.budget - prefilled(cell)))
    if cell.grammar:  # the grammar changes nothing in the thought
        free = plain_run(dataclasses.replace(cell.plain, grammar=False), sampling)
        assert ids[:own] == list(free.ids[:own])


def check_answer(cell: Cell, found: Completion, limits: ThinkingLimits) -> None:
    ids = list(found.ids)
    answer = ids[ids.index(limits.end_ids[0]) + 1 :] if cell.mode == "thinking" else ids
    if found.finish_reason == "stop":
        assert answer.pop() in codec().stop_ids
    text = codec().tokenizer.decode(answer).lstrip("\n")
    assert text, "there is an answer"
    assert len(ids) <= MAX_TOKENS
    if cell.grammar:
        assert found.finish_reason == "stop"
        assert 0 <= json.loads(text)["answer"] <= 9999 and list(json.loads(text)) == ["answer"]
    else:
        assert "{" not in text


def check_usage(cell: Cell, found: Completion) -> None:
    length = len(prompt_of(cell.mode).ids)
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (length, len(found.ids))
    assert 0 <= found.accepted_tokens <= found.drafted_tokens
    assert cell.speculation or not found.drafted_tokens
    if cell.scarce:  # what was warmed up may be gone
        assert found.usage.cached_tokens <= (length - 1) // 16 * 16
        return
    assert found.usage.cached_tokens == ((length - 1) // 16 * 16 if cell.warm else 0)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_drafts_come_true(weights):
    """The cells with drafts would prove little if none were ever accepted."""
    need(weights)
    cells = together(weights, False)
    accepted = sum(o.completion.accepted_tokens for o in cells.values())
    rejected = sum(o.completion.drafted_tokens for o in cells.values()) - accepted
    assert accepted > 100 and rejected > 100
