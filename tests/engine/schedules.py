"""Random requests under random schedules, and what each must come to: the model alone, one request at a time."""

from __future__ import annotations

import functools
import random
import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from sansi.engine import (
    Completion,
    Delta,
    Engine,
    Grammar,
    GrammarCompiler,
    SamplingParams,
    ThinkingLimits,
    ThinkingState,
)
from sansi.engine.grammar import GrammarState
from sansi.engine.request import Request
from sansi.engine.results import FinishReason
from sansi.engine.sampling import Penalties, Sampler, mask_logits, needs_penalties

CPU = torch.device("cpu")
START, END, STOP = 1, 2, 3
VOCABULARY = [b"", b"", b"", b"", *(bytes([65 + i]) for i in range(28))]  # ids below 4 are control ids
PATTERNS = ("[A-Z]*", "(AB|CD|EE)+F?", "(GHIJKLMNOP|QRSTUVWX)*")  # the last leaves little choice, so it is drafted


class CheckedEngine(Engine):
    """Checks the blocks after every step, and aborts requests at random."""

    abort_rate = 0.0
    draw = random.Random(0)

    def _step(self) -> None:
        super()._step()
        scheduler = self._scheduler
        scheduler.check_integrity()
        assert all(len(request.tokens) <= self.context_length for request in scheduler.running)
        if self.draw.random() < self.abort_rate:
            present = [*scheduler.running, *scheduler.waiting]
            if present:
                self._abort([self.draw.choice(present)])


def run_all(engine: Engine, prompts: Sequence[list[int]], params: Sequence[SamplingParams]) -> list[Completion]:
    """As `generate`, but an exception of one request comes back in its place, and it fails loudly when one hangs.

    Checks that the deltas of a completion are the completion.
    """
    results: dict[int, Completion | Exception] = {}
    streams: list[list[Delta]] = [[] for _ in prompts]
    done = threading.Semaphore(0)

    def receiver(index: int):
        def receive(result: Completion | Exception) -> None:
            assert index not in results, "answered twice"
            results[index] = result
            done.release()

        return receive

    requests: list[Request] = [
        engine._request(prompt, p, streams[i].append, receiver(i))
        for i, (prompt, p) in enumerate(zip(prompts, params, strict=True))
    ]
    engine._submit(requests)
    for _ in requests:
        assert done.acquire(timeout=60), "a request was never answered"
    for index, result in results.items():
        if isinstance(result, Completion):
            for name in ("ids", "logprobs", "top_logprobs"):
                parts = [getattr(delta, name) for delta in streams[index]]
                if getattr(result, name) is not None:
                    assert sum(parts, ()) == getattr(result, name)
    return [results[i] for i in range(len(requests))]


def random_limits(draw: random.Random) -> ThinkingLimits:
    limits = ThinkingLimits(
        start_id=START,
        end_ids=(END,),
        end_sequence=draw.choice([(END,), (5, 6, END, 7), (*[5] * 12, END)]),
        open=draw.random() < 0.5,
        budget=draw.choice([None, 0, 3, 9]),
        answer_reserve=draw.randrange(8),
    )
    framing, turn = limits.answer_reserve % 2, limits.answer_reserve % 3
    return replace(limits, framing_ids=(4,) * framing, turn_ids=(STOP,) * (turn == 0))


@functools.cache
def grammar_of(pattern: str) -> Grammar:
    return GrammarCompiler(VOCABULARY, eos_id=0, special_ids=[0, START, END, STOP]).regex(pattern)


def random_params(draw: random.Random, most: int = 30) -> SamplingParams:
    params = SamplingParams(
        temperature=draw.choice([0.0, 0.7, 1.0]),
        top_k=draw.choice([0, 0, 5]),
        top_p=draw.choice([1.0, 0.8]),
        presence_penalty=draw.choice([0.0, 0.0, 1.5]),
        repetition_penalty=draw.choice([1.0, 1.0, 1.2]),
        seed=draw.randrange(2**63),
        max_tokens=draw.randrange(1, most),
        stop_ids=draw.choice([(), (STOP,)]),
        logprobs=draw.random() < 0.3,
        prompt_logprobs=draw.random() < 0.2,
        top_logprobs=draw.choice([0, 0, 3]),
        thinking=random_limits(draw) if draw.random() < 0.5 else None,
        grammar=grammar_of(draw.choice(PATTERNS)) if draw.random() < 0.3 else None,
        speculation=draw.choice([0, 0, 3, 16]),
    )
    kind = params.seed  # drawn already
    return replace(
        params,
        min_tokens=params.max_tokens // 2 if kind % 3 == 0 else 0,
        unwanted_ids=(STOP,) if kind % 5 == 0 else (),
        logit_bias=((9, 2.5), (12, -100.0), (STOP, 1.0)) if kind % 4 == 0 else (),
        prompt_top_logprobs=2 if params.prompt_logprobs and kind % 2 else 0,
    )


def random_prompt(draw: random.Random, vocab: int, longest: int) -> list[int]:
    """Many begin alike, so that blocks are shared; some differ in the first token alone, so that none may be."""
    stem = [8 + (i * 5) % (vocab - 8) for i in range(longest)][: draw.choice([0, 16, 20, 33, 48])]
    if stem and draw.random() < 0.3:
        stem[0] = draw.randrange(8, vocab)
    tail = [draw.randrange(8, vocab) for _ in range(draw.randrange(1, 20))]
    prompt = (stem + tail)[:longest]
    whole_blocks = len(prompt) // 16 * 16
    return prompt[:whole_blocks] if whole_blocks and draw.random() < 0.3 else prompt


@torch.no_grad()
def reference(
    model, prompt: list[int], params: SamplingParams, context: int
) -> tuple[list[int], list[float], FinishReason]:
    """The ids, their log-probabilities, and why they end: by the model's forward over all tokens each time."""
    most = min(params.max_tokens, context - len(prompt))
    thinking = ThinkingState(params.thinking, prompt, most) if params.thinking else None
    grammar = GrammarState(params.grammar, params.stop_ids, thinking) if params.grammar else None
    sampler = Sampler([params], [params.seed], CPU)
    ids: list[int] = []
    logprobs: list[float] = []
    while len(ids) < most:
        raw = model(torch.tensor([prompt + ids]))[:, -1].float()
        logits = raw.clone()
        for id_, value in params.logit_bias:
            logits[0, id_] += value
        if needs_penalties(params):
            penalties = Penalties(1, logits.shape[-1], CPU)
            penalties.begin(0, prompt)
            penalties.count([0] * len(ids), ids)
            penalties.apply(logits, [0], [0], [params])
        if grammar is not None and (mask := grammar.mask()) is not None:
            mask_logits(logits, [0], mask[None])
        if thinking is not None:
            logits[0, list(thinking.banned)] = -torch.inf
        unwanted = [*params.unwanted_ids, *(params.stop_ids if len(ids) < params.min_tokens else ())]
        if thinking is not None and thinking.owes_answer:
            unwanted += thinking.limits.turn_ids
        wanted = logits.clone()
        wanted[0, unwanted] = -torch.inf
        logits = wanted if wanted.isfinite().any() else logits  # a complete text ends
        token = int(sampler(logits, np.array([len(ids)], dtype=np.uint64)))
        forced = False
        if thinking is not None:
            token = thinking.resolve(token)
            forced = thinking.state == "forcing"
        ids.append(token)
        logprobs.append(float(raw.log_softmax(-1)[0, token]))
        if token in params.stop_ids and not forced:
            return ids, logprobs, "stop"
        if thinking is not None:
            thinking.push(token)
        if grammar is not None:
            grammar.push(token)
            if grammar.finished and not params.stop_ids:
                return ids, logprobs, "stop"
    return ids, logprobs, "length"
