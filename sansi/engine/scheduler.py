"""Who runs in the next step, and with how many tokens. The whole policy is in this file.

What decodes goes on, then the next in the queue are admitted if there are blocks for all of their known tokens, then
prompts are read in chunks: the shortest first, so that none waits for a long one, and half of the step for the oldest,
so that long ones end too. Drafts and prompts to be scored share the rows of logits of a step. When a running request
needs a block and none is left, the newest gives up its blocks, keeps its tokens, and waits in its old place; it goes on
by reading them again, less what the prefix cache kept. The oldest always moves, since the pool holds one whole context;
so everything ends.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from sansi.engine.batch import BLOCK
from sansi.engine.blocks import BlockPool, blocks_for
from sansi.engine.request import Request

MAX_READING = 8  # requests that read side by side, where fewer would fill the step
MAX_HELD = 256  # requests that one step passes over because another is just reading the same prompt


@dataclass
class Work:
    """What one request does in one step: feed the `count` tokens after its `computed` ones, drafts included."""

    request: Request
    count: int

    @property
    def samples(self) -> bool:
        """Whether the last known token is among them, so that the next one is sampled."""
        return self.count >= self.request.remaining


class Scheduler:
    """The queue, the running requests and their blocks.

    max_step_tokens: most tokens of one step; decodes come first and always fit, prompts share what they leave.
    max_scored: most rows of logits in one step beside those that give the next tokens: of drafts and of prompts whose
    log-probabilities are wanted.
    """

    def __init__(
        self, pool: BlockPool, max_batch: int, max_step_tokens: int, max_scored: int = 256, prefix_cache: bool = True
    ):
        self.pool, self.max_batch, self.max_step_tokens = pool, max_batch, max(max_step_tokens, 1)
        self.max_scored, self.prefix_cache = max_scored, prefix_cache
        self.waiting: deque[Request] = deque()  # by arrival
        self.running: list[Request] = []
        self.preempted = 0  # how many of those waiting ran before
        self.preemptions = self.prompt_tokens = self.cached_tokens = 0  # totals, for the metrics

    @property
    def busy(self) -> bool:
        return bool(self.running or self.waiting)

    def schedule(self) -> list[Work]:
        """The work of the next step; its blocks are allocated. Not empty while anything runs or waits."""
        works: dict[Request, Work] = {}
        decoding = [r for r in self.running if r.sampled]
        budget, rows = self.max_step_tokens, self.max_scored
        spare = max(0, budget - len(decoding))  # for drafts
        for request in decoding:
            if request not in self.running:  # it has just given up its blocks to an older one
                continue
            request.propose()
            del request.proposal[min(spare, rows) :]
            if self._make_room(request, works):
                works[request] = Work(request, request.remaining + len(request.proposal))
                budget -= works[request].count
                spare -= len(request.proposal)
                rows -= len(request.proposal)
        budget = max(budget, min(BLOCK, self.max_step_tokens))  # however many decode, reading goes on
        reading = [r for r in self.running if not r.sampled]
        for request in self._admissible():
            full = len(reading) >= MAX_READING and sum(r.remaining for r in reading) >= budget
            if full or len(self.running) >= self.max_batch or not self.can_allocate(request):
                break
            self.allocate(request)
            reading.append(request)
        if reading:
            self._read(reading, budget, max(rows, BLOCK), works)
        return list(works.values())

    def can_allocate(self, request: Request) -> bool:
        """Whether all its known tokens and the next one fit, leaving each running request room to go on a while."""
        shared = self._shared(request)
        needed = blocks_for(len(request.tokens) + 1) - len(shared) + self.pool.idle(shared)
        return needed + len(self.running) <= self.pool.available or not self.running

    def allocate(self, request: Request) -> None:
        """Let a waiting request run, with blocks for its known tokens, shared where their content is known."""
        shared = self._shared(request)
        self.pool.share(shared)
        request.extend_table(shared)
        request.extend_table(self.pool.take(blocks_for(len(request.tokens)) - len(shared)))
        request.computed = len(shared) * BLOCK
        if request.cached_tokens is None:
            request.cached_tokens, request.begun = request.computed, time.monotonic()
            self.prompt_tokens += len(request.prompt)
            self.cached_tokens += request.computed
        else:
            self.preempted -= 1
        self.waiting.remove(request)
        self.running.append(request)

    def preempt(self, request: Request) -> None:
        """Take a running request's blocks; it waits in its old place. Full blocks may survive in the cache."""
        self.preemptions += 1
        self.preempted += 1
        self.running.remove(request)
        self._release(request)
        place = next((i for i, other in enumerate(self.waiting) if other.arrival > request.arrival), len(self.waiting))
        self.waiting.insert(place, request)

    def finish(self, request: Request, forget: bool = False) -> None:
        """A running or waiting request has ended. `forget`: its blocks hold nothing of use (NaN, a failed step)."""
        if request in self.running:
            self.running.remove(request)
            self._release(request, forget)
        else:
            self.waiting.remove(request)
            self.preempted -= request.cached_tokens is not None

    def computed(self, request: Request, known: int) -> None:
        """`known` more tokens of a running request have keys and values: blocks that are now full can be found."""
        before = request.computed // BLOCK
        request.computed += known
        full = request.computed // BLOCK
        if full > before and request.reusable and self.prefix_cache:
            hashes, table = request.hashes_of(full), request.table
            for index in range(before, full):
                self.pool.register(int(table[index]), hashes[index])

    def drop_cache(self) -> None:
        """The weights have changed: nothing that was computed is of use to what comes."""
        self.pool.drop_cache()
        for request in self.running:
            request.reusable = False

    def restart(self, pool: BlockPool) -> list[Request]:
        """After a step that broke off: nobody has blocks any more. Who is to blame: those who ran, or who was next."""
        guilty = self.running or ([self.waiting.popleft()] if self.waiting else [])
        self.pool, self.running = pool, []
        for request in (*guilty, *self.waiting):
            request.proposal = []
            request.clear_table()
        self.preempted = sum(request.cached_tokens is not None for request in self.waiting)
        return guilty

    def check_integrity(self) -> None:
        """What holds between two steps. AssertionError names what is broken."""
        self.pool.check_integrity([request.table.tolist() for request in self.running])
        assert not set(self.running) & set(self.waiting), "running and waiting"
        assert len(self.running) <= self.max_batch
        arrivals = [request.arrival for request in self.waiting]
        assert arrivals == sorted(arrivals), "the queue is out of order"
        assert self.preempted == sum(request.cached_tokens is not None for request in self.waiting)
        assert not any(len(request.table) for request in self.waiting), "one that waits has blocks"
        assert not any(request.proposal for request in (*self.running, *self.waiting)), "a proposal was left over"
        assert all(request.computed <= len(request.tokens) for request in self.running)

    # ---- parts ----------------------------------------------------------------------------------------------------

    def _read(self, reading: list[Request], budget: int, rows: int, works: dict[Request, Work]) -> None:
        """Share out `budget` tokens and `rows` scored ones: the shortest first, but half for the oldest."""
        oldest = min(reading, key=lambda r: r.arrival)
        kept, kept_rows = -(-budget // 2), -(-rows // 2)
        for request in sorted(reading, key=lambda r: r.remaining):
            if request is oldest:
                kept = kept_rows = 0
            count = min(request.remaining, budget - min(kept, oldest.remaining))
            if request.params.prompt_logprobs:
                count = min(count, rows - (kept_rows if oldest.params.prompt_logprobs else 0))
                rows -= max(count, 0)
            if count > 0:
                works[request] = Work(request, count)
                budget -= count

    def _make_room(self, request: Request, works: dict[Request, Work]) -> bool:
        """Blocks for all known tokens and the drafts of a running request. False if it was itself preempted."""
        while (missing := self._missing(request)) > self.pool.available:
            if request.proposal:
                request.proposal = []  # drafts are a luxury
                continue
            newest = max(self.running, key=lambda r: r.arrival)
            assert newest is not request or len(self.running) > 1, "the pool holds one whole context"
            self.preempt(newest)
            works.pop(newest, None)
            if newest is request:
                return False
        if missing > 0:
            request.extend_table(self.pool.take(missing))
        return True

    def _missing(self, request: Request) -> int:
        return blocks_for(len(request.tokens) + len(request.proposal)) - len(request.table)

    def _admissible(self) -> list[Request]:
        """The queue in order, less those who had better wait a step: someone is just reading what they begin with."""
        if not self.waiting or len(self.running) >= self.max_batch:
            return []
        coming = {h for r in self.running if not r.sampled and r.reusable for h in self._to_come(r)}
        chosen: list[Request] = []
        held = 0
        for request in self.waiting:
            if len(chosen) + len(self.running) >= self.max_batch or held >= MAX_HELD:
                break
            wanted = self._to_come(request)
            if wanted and wanted[0] in coming:
                held += 1
                continue
            coming.update(wanted)
            chosen.append(request)
        return chosen

    def _to_come(self, request: Request) -> list[bytes]:
        """Hashes of the full blocks that it will compute."""
        if not self.prefix_cache or request.params.prompt_logprobs:
            return []
        done = request.computed // BLOCK if request.computed else len(self._shared(request))
        return request.hashes_of(self._sharable(request))[done:]

    def _sharable(self, request: Request) -> int:
        """How many blocks it could share: full ones, and never the last token's, whose logits are wanted."""
        return (len(request.tokens) - 1) // BLOCK

    def _shared(self, request: Request) -> list[int]:
        """The blocks of the cache that its tokens begin with."""
        if not self.prefix_cache:
            return []
        most = self._sharable(request)
        if request.params.prompt_logprobs:  # what is read from the cache gives no logits
            most = min(most, (len(request.prompt_scores) - 1) // BLOCK)
        return self.pool.lookup(request.hashes_of(most)) if most else []

    def _release(self, request: Request, forget: bool = False) -> None:
        request.proposal = []
        self.pool.release(request.clear_table(), forget)
