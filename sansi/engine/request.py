"""One completion in the making: what was asked, what came so far, and where its keys and values lie."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from sansi.engine.batch import BLOCK
from sansi.engine.blocks import block_hash, root_of
from sansi.engine.grammar import GrammarState
from sansi.engine.params import SamplingParams
from sansi.engine.results import Completion, Delta, FinishReason, ThinkingReport, TokenLogprob, Usage
from sansi.engine.sampling import Bias
from sansi.engine.speculation import Drafter
from sansi.engine.thinking import ThinkingState


class Constraint(Protocol):
    """What limits the next token, beside the thinking limits: a grammar's matcher."""

    def mask(self) -> np.ndarray | None:
        """Which ids may come next, bit id % 32 of word id // 32: uint32 [ceil(V / 32)]; None: any."""
        ...

    def push(self, token: int) -> None:
        """The token that came, forced ones included; the thinking limits know of it already."""
        ...

    @property
    def finished(self) -> bool:
        """Whether only a stop id may follow."""
        ...


class Proposer(Protocol):
    """Guesses what comes next, for the model to check several tokens in one step."""

    def propose(self, tokens: Sequence[int], most: int) -> Sequence[int]:
        """At most `most` drafts for what follows `tokens` (prompt and completion); may be none."""
        ...

    def checked(self, drafted: int, accepted: int) -> None:
        """Of the last proposal `drafted` tokens were checked, and the first `accepted` of them came."""
        ...


@dataclass(frozen=True)
class Scored:
    """What a token was worth under the unmodified model."""

    logprob: float | None = None
    """None: not asked for."""
    top: tuple[TokenLogprob, ...] | None = None


UNSCORED = Scored()


@dataclass(eq=False)
class Request:
    """Made by the caller's thread, then touched by the stepping thread alone.

    `tokens` are known; `computed` of them have keys and values in the blocks of `table`. A step feeds what is known and
    not computed, and after it the drafts of `proposal`; the logits of the last known token give the next one.
    """

    prompt: list[int]
    params: SamplingParams
    max_tokens: int  # params.max_tokens, or less where the context ends
    seed: int
    on_delta: Callable[[Delta], None] | None  # called on the stepping thread for new tokens; None: only at the end
    on_end: Callable[[Completion | Exception], None]  # called once, on the stepping thread
    adapter: int = 0  # as in Batch.adapters
    constraint: Constraint | None = None
    proposer: Proposer | None = None

    ids: list[int] = field(default_factory=list)  # the completion
    scores: list[Scored] = field(default_factory=list)  # one per id
    prompt_scores: list[float | None] = field(default_factory=lambda: [None])  # as far as they are known
    prompt_tops: list[tuple[TokenLogprob, ...]] = field(default_factory=lambda: [()])  # and the most likely ones there
    thinking: ThinkingState | None = None
    stop_ids: frozenset[int] = frozenset()
    proposal: list[int] = field(default_factory=list)  # drafts to be checked in the next step; the scheduler fills it
    guessed: bool = False  # the proposal is the proposer's
    bias: Bias | None = None  # the runner makes it of the params
    broken: Exception | None = None  # what the proposer raised; the next step ends the request with it
    drafted: int = 0  # tokens that the proposer proposed and the model checked,
    accepted: int = 0  # and how many of them came

    arrival: int = -1  # the engine numbers them
    aborted: bool = False  # set by any thread; the next step sees it
    computed: int = 0
    sampled: bool = False  # since it last got its blocks: it decodes, where before it read what is known
    cached_tokens: int | None = None  # of the prompt, found in the prefix cache; None until it first runs
    begun: float | None = None  # when it first ran, by the monotonic clock,
    first_token: float | None = None  # and when its first tokens came
    tokens: list[int] = field(default_factory=list)  # prompt and completion
    hashes: list[bytes] = field(default_factory=list)  # of the full blocks of `tokens`, as far as they were wanted
    reusable: bool = True  # its blocks may be found by others: False once the weights changed under it
    _banned: tuple[int, ...] = ()
    _banned_early: tuple[int, ...] = ()
    _table: np.ndarray = field(default_factory=lambda: np.empty(8, dtype=np.int32))
    _blocks: int = 0

    def __post_init__(self) -> None:
        self.tokens = list(self.prompt)
        self.stop_ids = frozenset(self.params.stop_ids)
        # The tag that ends a thought is never forbidden, though it may be a stop id: it ends nothing, then.
        ends = self.params.thinking.end_ids if self.params.thinking is not None else ()
        self._banned = (*self.params.banned_ids, *self.params.unwanted_ids)
        self._banned_early = (*self._banned, *(id_ for id_ in self.params.stop_ids if id_ not in ends))
        if self.params.thinking is not None:
            self.thinking = ThinkingState(self.params.thinking, self.prompt, self.max_tokens)
        grammar = None
        if self.params.grammar is not None:
            self.constraint = grammar = GrammarState(self.params.grammar, self.params.stop_ids, self.thinking)
        if self.params.speculation and self.proposer is None:
            self.proposer = Drafter(self.prompt, self.stop_ids, grammar)

    # ---- tokens ---------------------------------------------------------------------------------------------------

    @property
    def scored(self) -> bool:
        """Whether the log-probabilities of its tokens are wanted."""
        return self.params.logprobs or self.params.top_logprobs > 0

    @property
    def forced(self) -> Sequence[int]:
        """What the thinking limits put next, whatever is sampled."""
        return self.thinking.forced if self.thinking is not None else ()

    @property
    def forced_tokens(self) -> int:
        """How many of its ids the thinking limits put there."""
        return self.thinking.forced_tokens if self.thinking is not None else 0

    @property
    def banned(self) -> Sequence[int]:
        """Ids that must not come next."""
        limited = self.thinking.banned if self.thinking is not None else ()
        always = self._banned_early if self.early else self._banned
        if self.thinking is not None and self.thinking.owes_answer:
            always = (*always, *self.thinking.limits.turn_ids)
        return (*always, *limited) if always else limited

    @property
    def banned_in_any_case(self) -> Sequence[int]:
        """Those of them that must not even come where a grammar leaves no other."""
        return (*self.params.banned_ids, *(self.thinking.banned if self.thinking is not None else ()))

    @property
    def early(self) -> bool:
        """Whether it is too short to end."""
        return len(self.ids) < self.params.min_tokens

    def mask(self) -> np.ndarray | None:
        """The ids that may come next, as of `Constraint.mask`; None: any. Raises what the proposer raised, too."""
        if self.broken is not None:
            raise self.broken
        return None if self.constraint is None else self.constraint.mask()

    def propose(self) -> None:
        """Set `proposal`: forced tokens whose log-probabilities are wanted, or drafts. Raises nothing."""
        left = self.max_tokens - len(self.ids) - 1  # the step gives one token more than it checks
        self.guessed = False
        if forced := self.forced:
            self.proposal = list(forced[:left])
        elif self.proposer is not None and self.params.speculation and left > 0:
            self.guessed = True
            try:
                self.proposal = list(self.proposer.propose(self.tokens, min(self.params.speculation, left)))
            except Exception as error:  # here everybody's step is made up, and the others go on
                self.broken = error

    def checked(self, drafted: int, accepted: int) -> None:
        """Of the proposal `drafted` tokens were checked, and the first `accepted` of them came."""
        if self.guessed and self.proposer is not None:
            self.drafted += drafted
            self.accepted += accepted
            self.proposer.checked(drafted, accepted)

    def resolve(self, sampled: int) -> int:
        """The id that comes next when `sampled` was sampled: another one where a thinking limit says so."""
        return sampled if self.thinking is None else self.thinking.resolve(sampled)

    def push(self, token: int, score: Scored = UNSCORED) -> FinishReason | None:
        """Take the next, resolved token; the reason if it was the last.

        A forced token stops nothing, except a closing id that is a stop id too: who wants the thought alone gets it
        whether the model closed it or a limit did.
        """
        thinking = self.thinking
        early = self.early
        forced = thinking is not None and thinking.state == "forcing"
        closes = thinking is not None and thinking.state in ("open", "forcing") and token in thinking.limits.end_ids
        ended = self.params.stop_when is not None and self.params.stop_when(token) and not forced and not early
        stops = ended or (token in self.stop_ids and (not early if closes else not forced))
        self.ids.append(token)
        self.tokens.append(token)
        if self.scored:
            self.scores.append(score)
        if thinking is not None and (closes or not stops):
            thinking.push(token)
        if self.constraint is not None and not stops:
            self.constraint.push(token)
        if stops or (self.constraint is not None and not self.stop_ids and self.constraint.finished):
            return "stop"
        return "length" if len(self.ids) >= self.max_tokens else None

    def delta(self, count: int) -> Delta:
        """The last `count` tokens."""
        scores = self.scores[-count:]
        return Delta(
            ids=tuple(self.ids[-count:]),
            logprobs=self._logprobs(scores),
            top_logprobs=self._top(scores),
            forced_at=None if self.thinking is None else self.thinking.forced_at,
        )

    def completion(self, reason: FinishReason) -> Completion:
        return Completion(
            ids=tuple(self.ids),
            logprobs=self._logprobs(self.scores),
            finish_reason=reason,
            thinking=self.thinking.report(reason) if self.thinking is not None else ThinkingReport(),
            usage=Usage(len(self.prompt), len(self.ids), self.cached_tokens or 0),
            seed=self.seed,
            top_logprobs=self._top(self.scores),
            prompt_logprobs=tuple(self.prompt_scores) if self.params.prompt_logprobs else None,
            prompt_top_logprobs=self._prompt_tops(),
            drafted_tokens=self.drafted,
            accepted_tokens=self.accepted,
            begun=self.begun,
            decode_seconds=None if self.first_token is None else time.monotonic() - self.first_token,
        )

    def _logprobs(self, scores: Sequence[Scored]) -> tuple[float, ...] | None:
        return tuple(s.logprob for s in scores if s.logprob is not None) if self.params.logprobs else None

    def _prompt_tops(self) -> tuple[tuple[TokenLogprob, ...], ...] | None:
        return tuple(self.prompt_tops) if self.params.prompt_top_logprobs else None

    def _top(self, scores: Sequence[Scored]) -> tuple[tuple[TokenLogprob, ...], ...] | None:
        return tuple(s.top or () for s in scores) if self.params.top_logprobs else None

    # ---- the cache ------------------------------------------------------------------------------------------------

    @property
    def remaining(self) -> int:
        """Known tokens without keys and values."""
        return len(self.tokens) - self.computed

    @property
    def table(self) -> np.ndarray:
        """int32 [blocks]: its blocks in order."""
        return self._table[: self._blocks]

    def extend_table(self, blocks: Sequence[int]) -> None:
        needed = self._blocks + len(blocks)
        if needed > len(self._table):
            grown = np.empty(2 * needed, dtype=np.int32)
            grown[: self._blocks] = self.table
            self._table = grown
        self._table[self._blocks : needed] = blocks
        self._blocks = needed

    def clear_table(self) -> list[int]:
        """The blocks, which are no longer its own; nothing is computed any more."""
        blocks = self.table.tolist()
        self._blocks = self.computed = 0
        self.sampled = False
        return blocks

    def hashes_of(self, full_blocks: int) -> list[bytes]:
        """Hashes of the first `full_blocks` blocks of its tokens."""
        while len(self.hashes) < full_blocks:
            first = len(self.hashes) * BLOCK
            parent = self.hashes[-1] if self.hashes else root_of(self.adapter)
            self.hashes.append(block_hash(parent, self.tokens[first : first + BLOCK]))
        return self.hashes[:full_blocks]
