"""One step of the model: the scheduler's work as a batch for the backend, and its logits as the next tokens.

A request may want several rows of logits in a step: of its prompt (log-probabilities), or of drafts and forced tokens,
which are checked one after the other. "Depth" counts the tokens that one step gives a request: most get one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sansi.base.errors import SansiError
from sansi.engine.batch import Backend, Batch
from sansi.engine.request import UNSCORED, Request, Scored
from sansi.engine.results import FinishReason, TokenLogprob
from sansi.engine.sampling import Bias, Penalties, Sampler, mask_logits, needs_penalties
from sansi.engine.scheduler import Work

NOT_FINITE = "the model gave NaN or infinite logits: damaged weights?"
NOTHING_LEFT = "no token may come next: all that the grammar and the thought's limits leave is banned"


@dataclass
class Outcome:
    """What a step did for one request. Its new tokens are pushed already."""

    request: Request
    computed: int = 0  # how many of its tokens got keys and values that count: all but rejected drafts
    new: int = 0
    forced: int = 0  # how many of the new ones were not sampled
    end: FinishReason | Exception | None = None


@dataclass
class _Row:
    """A request that samples in this step, and the logits row of its next token."""

    outcome: Outcome
    row: int
    drafts: list[int]


class Runner:
    """Owns what has state beside the cache: the sampler of the present batch, and the counts of penalties."""

    def __init__(self, backend: Backend, vocab_size: int, max_batch: int):
        self._backend, self._vocab_size = backend, vocab_size
        self._penalties = Penalties(max_batch, vocab_size, backend.device)
        self._penalty_rows: dict[Request, int] = {}
        self._counted: dict[Request, int] = {}  # how many of its ids the penalties know of
        self._free_rows = list(range(max_batch))
        self._sampler: Sampler | None = None
        self._sampler_of: list[Request] = []
        self._punished: list[int] = []  # rows of the same that have penalties,
        self._biased: list[int] = []  # and those that have biases

    def forward(self, works: Sequence[Work]) -> Tensor:
        """Logits [M, V]: `rows_of` each work, in order."""
        return self._backend.forward(make_batch(works))

    def advance(self, works: Sequence[Work], logits: Tensor) -> list[Outcome]:
        """Score prompts, sample, and push the new tokens, as `forward` gave the logits."""
        finite = logits.amax(-1).isfinite().tolist() if len(logits) else []
        outcomes, rows = [], []
        first = 0
        for work in works:
            request, last = work.request, first + rows_of(work)
            outcome = Outcome(request, min(work.count, request.remaining))
            outcomes.append(outcome)
            if not all(finite[first:last]):
                outcome.end = FloatingPointError(NOT_FINITE)
            else:
                if request.params.prompt_logprobs and len(request.prompt_scores) < len(request.prompt):
                    self._score_prompt(request, logits[first:last])
                if work.samples and not request.max_tokens:
                    outcome.end = "length"  # the prompt is read, which is all that was asked for
                elif work.samples:
                    drafts = request.proposal[: work.count - request.remaining]  # those that were fed
                    rows.append(_Row(outcome, last - 1 - len(drafts), drafts))
            request.proposal = []
            first = last
        self._sample_in_turn(rows, logits)
        return outcomes

    def forget(self, request: Request) -> None:
        """The request has ended."""
        if (row := self._penalty_rows.pop(request, None)) is not None:
            self._free_rows.append(row)
            del self._counted[request]

    # ---- several tokens in a step -----------------------------------------------------------------------------------

    def _sample_in_turn(self, rows: list[_Row], logits: Tensor) -> None:
        """One token for each, then one more for those whose draft it was, until none is left."""
        depth = 0
        while rows:
            whole = len(rows) == len(logits)
            tokens, scores, errors = self._sample(
                [row.outcome.request for row in rows],
                logits if whole else logits[[row.row + depth for row in rows]],
            )
            going: list[_Row] = []
            for index, (row, token) in enumerate(zip(rows, tokens, strict=True)):
                outcome = row.outcome
                if index in errors:
                    outcome.end = errors[index]
                    continue
                self._push(outcome, token, scores[index] if scores else UNSCORED)
                came = depth < len(row.drafts) and row.drafts[depth] == token
                outcome.computed += came and outcome.end is None
                if came and outcome.end is None and outcome.new == depth + 1:
                    going.append(row)
                else:  # a wrong draft, the last one, or one that forced tokens came after in the place of the next
                    outcome.request.checked(len(row.drafts), depth + came)
            rows, depth = going, depth + 1

    def _push(self, outcome: Outcome, token: int, score: Scored) -> None:
        request = outcome.request
        request.sampled = True
        forced_before = request.forced_tokens
        try:
            outcome.end = request.push(token, score)
            outcome.new += 1
            while outcome.end is None and not request.scored and (forced := request.forced):
                outcome.end = request.push(forced[0])  # nobody wants its logits: the next step reads them all at once
                outcome.new += 1
        except Exception as error:  # a grammar's: it harms nobody else
            outcome.end = error
        outcome.forced += request.forced_tokens - forced_before

    # ---- one token for each -----------------------------------------------------------------------------------------

    def _sample(
        self, requests: list[Request], logits: Tensor
    ) -> tuple[list[int], list[Scored] | None, dict[int, Exception]]:
        """The next id of each request from logits [N, V], which may be changed; forced and banned ids are obeyed."""
        scored = [i for i, r in enumerate(requests) if r.scored]
        raw = logits.clone() if scored else logits
        sampler = self._sampler_for(requests)
        errors = self._constrain(logits, requests)
        ids = sampler(logits, np.array([len(r.ids) for r in requests], dtype=np.uint64)).tolist()
        tokens = [r.resolve(id_) if r.thinking is not None else id_ for r, id_ in zip(requests, ids, strict=True)]
        return tokens, self._scores(raw, requests, tokens, scored) if scored else None, errors

    def _sampler_for(self, requests: list[Request]) -> Sampler:
        """The sampler of this batch, and what is known of its rows, made anew when the batch changes."""
        if self._sampler is None or self._sampler_of != requests:
            params, seeds = [r.params for r in requests], [r.seed for r in requests]
            self._sampler, self._sampler_of = Sampler(params, seeds, self._backend.device), requests
            self._punished = [row for row, p in enumerate(params) if needs_penalties(p)]
            self._biased = [row for row, p in enumerate(params) if p.logit_bias]
        return self._sampler

    def _constrain(self, logits: Tensor, requests: Sequence[Request]) -> dict[int, Exception]:
        """Apply biases, penalties, masks and bans in place; what went wrong, by row."""
        for row in self._biased:
            request = requests[row]
            request.bias = request.bias or Bias(request.params.logit_bias, logits.device)
            request.bias.add(logits[row])
        if punished := self._punished:
            chosen = [requests[row] for row in punished]
            self._penalties.apply(logits, punished, self._counts(chosen, requests), [r.params for r in chosen])
        banned = [r.banned for r in requests]
        errors = self._mask(logits, requests, banned)
        pairs = [(row, id_) for row, ids in enumerate(banned) for id_ in ids]
        if pairs:
            rows, ids = zip(*pairs, strict=True)
            if logits.device.type == "cpu":
                logits.numpy()[rows, ids] = -np.inf
            else:
                logits[list(rows), list(ids)] = -torch.inf
        return errors

    def _mask(self, logits: Tensor, requests: Sequence[Request], banned: list[Sequence[int]]) -> dict[int, Exception]:
        """Leave what the grammars allow; what went wrong, by row: also where that and `banned` leave nothing.

        Where a complete text leaves the end alone, it comes, however early or unwanted: `banned` then says so.
        """
        errors: dict[int, Exception] = {}
        masks: dict[int, np.ndarray] = {}  # as wide as their vocabularies, which may be smaller than the model's
        for row, request in enumerate(requests):
            try:
                if (mask := request.mask()) is not None:
                    masks[row], banned[row] = _left(mask, request, banned[row])
                elif len(set(banned[row])) == self._vocab_size:
                    raise SansiError(NOTHING_LEFT, param="banned_ids")
            except Exception as error:
                errors[row] = error
        if masks:
            padded = np.zeros((len(masks), -(-self._vocab_size // 32)), dtype=np.uint32)
            for wide, mask in zip(padded, masks.values(), strict=True):
                wide[: len(mask)] = mask
            mask_logits(logits, list(masks), padded)
        return errors

    def _counts(self, punished: Sequence[Request], present: Sequence[Request]) -> list[int]:
        """The rows of `punished` in the penalties, which know of all ids so far."""
        rows: list[int] = []
        came: list[int] = []
        for request in punished:
            row = self._penalty_row(request, present)
            new = request.ids[self._counted[request] :]
            rows += [row] * len(new)
            came += new
            self._counted[request] = len(request.ids)
        if came:
            self._penalties.count(rows, came)
        return [self._penalty_rows[request] for request in punished]

    def _penalty_row(self, request: Request, present: Sequence[Request]) -> int:
        if request not in self._penalty_rows:
            if not self._free_rows:  # those who were preempted still have theirs
                for other in self._penalty_rows.keys() - set(present):
                    self.forget(other)
            self._penalty_rows[request], self._counted[request] = self._free_rows.pop(), 0
            self._penalties.begin(self._penalty_rows[request], request.prompt)
        return self._penalty_rows[request]

    def _scores(
        self, raw: Tensor, requests: Sequence[Request], tokens: Sequence[int], scored: Sequence[int]
    ) -> list[Scored]:
        """Log-probabilities of `tokens`, and of the most likely ones, for the rows `scored` of raw [N, V]."""
        chosen = raw if len(scored) == len(requests) else raw[list(scored)]
        logprobs = chosen.log_softmax(-1)
        own = logprobs[range(len(scored)), [tokens[i] for i in scored]].tolist()
        most = max(requests[i].params.top_logprobs for i in scored)
        values, ids = (part.tolist() for part in logprobs.topk(min(most, self._vocab_size)))
        scores = [UNSCORED] * len(requests)
        for index, row in enumerate(scored):
            pairs = list(zip(ids[index], values[index], strict=True))[: requests[row].params.top_logprobs]
            scores[row] = Scored(own[index], tuple(TokenLogprob(id_, value) for id_, value in pairs))
        return scores

    def _score_prompt(self, request: Request, logits: Tensor) -> None:
        known = len(request.prompt_scores)
        targets = request.prompt[known : known + len(logits)]
        logprobs = logits[: len(targets)].log_softmax(-1)
        request.prompt_scores += logprobs[range(len(targets)), targets].tolist()
        if most := min(request.params.prompt_top_logprobs, self._vocab_size):
            values, ids = (part.tolist() for part in logprobs.topk(most))
            tops = [zip(*pair, strict=True) for pair in zip(ids, values, strict=True)]
            request.prompt_tops += [tuple(TokenLogprob(id_, value) for id_, value in top) for top in tops]


def _left(mask: np.ndarray, request: Request, banned: Sequence[int]) -> tuple[np.ndarray, Sequence[int]]:
    """The ids of a mask that are not banned, and what is: less, where that leaves none. Raises SansiError where none is
    left even so."""
    for bans in (banned, request.banned_in_any_case):
        left = _without(mask, bans)
        if left.any():
            return left, bans
    raise SansiError(NOTHING_LEFT, param="banned_ids")


def _without(mask: np.ndarray, banned: Sequence[int]) -> np.ndarray:
    """The ids of a mask that are not banned."""
    left = mask.copy()
    for id_ in banned:
        if id_ < 32 * len(left):
            left[id_ // 32] &= ~np.uint32(1 << id_ % 32)
    return left


def rows_of(work: Work) -> int:
    """How many of the last tokens that a work feeds want logits."""
    request = work.request
    unscored = request.params.prompt_logprobs and len(request.prompt_scores) < len(request.prompt)
    first = len(request.prompt_scores) - 1 if unscored else len(request.tokens) - 1
    return max(0, request.computed + work.count - max(first, request.computed))


def make_batch(works: Sequence[Work]) -> Batch:
    """Scalars go through lists and one array each: what costs here is the number of calls, not of elements."""
    ids: list[int] = []
    positions: list[int] = []
    rows: list[int] = []
    starts, context = [0], []
    for work in works:
        request, first = work.request, work.request.computed
        last = first + work.count
        if work.count == 1:
            ids.append(request.tokens[first])
            positions.append(first)
        else:
            ids += request.tokens[first:last]
            ids += request.proposal[: last - len(request.tokens)] if last > len(request.tokens) else []
            positions += range(first, last)
        starts.append(len(ids))
        context.append(last)
        rows += range(len(ids) - rows_of(work), len(ids))
    tables = np.zeros((len(works), max(len(work.request.table) for work in works)), dtype=np.int32)
    for row, work in zip(tables, works, strict=True):
        row[: len(work.request.table)] = work.request.table
    chosen = [work.request.adapter for work in works]
    adapters = _ints(chosen) if any(chosen) else None
    wide = torch.from_numpy(tables)
    return Batch(_ints(ids), _ints(positions), _ints(starts), _ints(context), wide, _ints(rows), adapters)


def _ints(values: list[int]) -> Tensor:
    return torch.from_numpy(np.array(values, dtype=np.int32))
