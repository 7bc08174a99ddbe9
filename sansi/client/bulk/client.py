"""`BulkClient`: many requests to one endpoint, their answers in the order of the requests."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from sansi.base import SansiError
from sansi.base.progress import progress_bar
from sansi.client.bulk.cache import AnswerCache
from sansi.client.bulk.costs import CostLog, OverBudget
from sansi.client.bulk.pool import Job, Pool
from sansi.client.bulk.report import BulkReport, Tally
from sansi.client.bulk.request import Answer, Request, key_of, prompt_tokens_of
from sansi.client.bulk.settings import OURS, Budget, EndpointSettings
from sansi.client.bulk.verdict import Facts, answer_of, facts_of, failure
from sansi.client.http import HTTPChatClient
from sansi.client.streaming import NotACompletion, Refused, Unreachable

AHEAD = 16  # times the concurrency: requests that are read before the first of them has its answer
LONGEST_WAIT = 60.0  # seconds
LONGEST_TOLD = 600.0  # that an endpoint may ask us to wait
FATAL = {401: "the API key is refused", 403: "the API key may not do that", 404: "there is no such model or API there"}
REPEATED = (408, 409, 425, 429)  # and all from 500
LONG_ANSWER = 64  # characters; shorter ones ("yes", "42") may answer many questions


class EndpointDown(SansiError):
    """The endpoint answers nobody: what it has answered is kept, and the same call goes on from there."""


class BulkClient:
    """Asks an endpoint, and keeps answers, costs and budget in `folder`, which several processes may share.

    `folder/answers/` has each answer under the digest of its request, `folder/costs.jsonl` a line for what it took.
    The same requests again cost nothing: only those are asked that have no answer yet, or failed.
    """

    def __init__(
        self, settings: EndpointSettings, folder: Path, budget: Budget | None = None, *, transport: Any = None
    ):
        """Raises SansiError for settings or a folder that can not be used. Nothing is asked."""
        self.settings, self.folder, self.budget = settings, Path(folder), budget or Budget()
        self._http = HTTPChatClient(
            settings.base_url, settings.model, settings.api_key(), timeout=settings.timeout, retries=0,
            transport=transport,
        )  # fmt: skip
        self._cache = AnswerCache(self.folder / "answers")
        self._costs = CostLog(self.folder / "costs.jsonl", self.budget)
        self._tally = Tally()
        self._same: Counter[bytes] = Counter()  # different questions by their answer's digest
        self._asked: set[bytes] = set()
        self._in_a_row = 0  # requests that failed with all their repetitions
        self._not_before = 0.0  # the endpoint has told all of us to wait
        self._factor = 1.0  # prompt tokens as the endpoint counts them over our estimates, where it counts more
        self._lock = threading.Lock()
        self._settled = threading.Condition()

    def ask(self, requests: Iterable[Request], title: str = "asking", total: int | None = None) -> Iterator[Answer]:
        """The answers in order. Requests are read as they are needed, so there may be more than the memory holds.

        total: their number, for a progress bar. Raises SansiError for a request that can not be sent, and EndpointDown
        where going on has no sense.
        """
        with progress_bar(title, total or 0, lines=total is not None) as bar:
            for answer in self._in_order(requests):
                self._tally.add(answer)
                bar.update(1, "" if answer.status == "ok" else f"{answer.status}: {answer.reason}")
                yield answer

    def ask_all(self, requests: Iterable[Request], title: str = "asking") -> list[Answer]:
        """As `ask`, at once."""
        wanted = list(requests)
        return list(self.ask(wanted, title, len(wanted)))

    @property
    def report(self) -> BulkReport:
        """Of all answers that were given out so far."""
        return self._tally.report

    def close(self) -> None:
        self._http.close()
        self._costs.close()

    def __enter__(self) -> BulkClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _in_order(self, requests: Iterable[Request]) -> Iterator[Answer]:
        waiting: deque[tuple[Job[Answer], bytes]] = deque()
        under_way: dict[str, Job[Answer]] = {}  # so that the same request is not asked twice at a time
        with Pool(self.settings.concurrency) as pool:
            for request in requests:
                body = self._body(request)
                key = key_of(body, request.sample)
                first = key not in under_way
                job = pool.submit(partial(self._answer, key, body, pool.stop)) if first else under_way[key]
                under_way[key] = job
                waiting.append((job, b"" if first else key.encode()))
                if len(waiting) >= AHEAD * self.settings.concurrency:
                    yield self._next(waiting, under_way)
            while waiting:
                yield self._next(waiting, under_way)

    def _next(self, waiting: deque[tuple[Job[Answer], bytes]], under_way: dict[str, Job[Answer]]) -> Answer:
        job, repeated = waiting.popleft()
        answer = job.result()
        if not any(job is other for other, _ in waiting):
            under_way.pop(answer.key, None)
        if repeated and answer.status != "failed":
            answer = replace(answer, cached=True)
        return self._compared(answer)

    def _compared(self, answer: Answer) -> Answer:
        """Failed, where other questions got the same. In the order of the requests, so that each run says the same."""
        text = " ".join(answer.text.split())
        if self.settings.same_answers is None or answer.status != "ok" or len(text) < LONG_ANSWER:
            return answer
        said, question = hashlib.sha256(text.encode("utf-8", "replace")).digest(), answer.key.encode()
        if question not in self._asked:
            self._asked.add(question)
            self._same[said] += 1
        if (others := self._same[said] - 1) < self.settings.same_answers:
            return answer
        detail = f"{others} other questions got the same answer"
        return replace(answer, status="failed", reason="repeats", detail=detail)

    def _body(self, request: Request) -> dict[str, Any]:
        for name in OURS:
            if name in request.options:
                raise SansiError(f'the option "{name}" of a request can not be set: {OURS[name]}', param=name)
        options = {**self.settings.options, **request.options}
        self._check_budget(options)
        return self._http.request_body(request.messages, (), options)

    def _check_budget(self, options: Mapping[str, Any]) -> None:
        if self.budget.counts_tokens and not self._most(options):
            told = "a budget of tokens or cost needs max_tokens among the options: no answer has another bound"
            raise SansiError(told, param="max_tokens")

    def _most(self, options: Mapping[str, Any]) -> int:
        return next((int(options[n]) for n in ("max_completion_tokens", "max_tokens") if options.get(n)), 0)

    def _answer(self, key: str, body: Mapping[str, Any], stop: threading.Event) -> Answer:
        """On a thread: from the cache, or from the endpoint with as many tries as it may have."""
        if (kept := self._cache.get(key)) is not None and (facts := Facts.load(kept)) is not None:
            answer = answer_of(key, facts, cached=True)
            self._costs.cached(key, answer.status)
            return answer
        for attempt in range(self.settings.retries + 1):
            self._wait(self._not_before - time.monotonic(), stop)
            try:
                return self._try(key, body, stop)
            except OverBudget:
                return Answer(key, "failed", reason="over budget", detail="the next request could go beyond the budget")
            except (Unreachable, Refused, NotACompletion) as error:
                last = error
                if not self._may_repeat(error, attempt, stop):
                    break
        return self._gave_up(key, last)

    def _try(self, key: str, body: Mapping[str, Any], stop: threading.Event) -> Answer:
        estimate = int(prompt_tokens_of(body) * self._factor) + 1
        most = self._most(body)
        number = self._reserve(key, estimate, most, stop)
        took: dict[str, Any] = {"prompt_tokens": 0, "completion_tokens": 0, "cost": 0.0}
        status, begun = "failed", time.monotonic()
        try:
            sent = self._http.post(body)
            reply = self._http.reply_of(sent)
            facts = facts_of(sent, reply, self.settings, estimate, round(time.monotonic() - begun, 3))
            took = {name: getattr(facts, name) for name in took}
            self._cache.put(key, asdict(facts))
            answer = answer_of(key, facts, cached=False)
            status = answer.status
        except (Unreachable, NotACompletion) as error:
            if not isinstance(error, Unreachable) or error.sent:  # who knows what it took: the most
                cost = self.settings.cost(estimate, most)
                took = {"prompt_tokens": estimate, "completion_tokens": most, "cost": cost}
            raise
        finally:
            self._costs.answered(number, key, status, **took, seconds=round(time.monotonic() - begun, 3))
            with self._settled:
                self._settled.notify_all()
        self._learn(estimate, facts)
        return answer

    def _reserve(self, key: str, prompt: int, most: int, stop: threading.Event) -> str:
        """A place in the budget, waiting while requests that are under way may leave one."""
        cost = self.settings.cost(prompt, most)
        while True:
            with self._settled:
                if (number := self._costs.ask(key, prompt + most, cost)) is not None:
                    return number
                self._settled.wait(timeout=1.0)
            if stop.is_set():
                raise OverBudget

    def _learn(self, estimate: int, facts: Facts) -> None:
        with self._lock:
            self._in_a_row = 0
            if "no usage" not in facts.oddities:
                self._factor = max(self._factor, self._factor * facts.prompt_tokens / estimate)

    def _may_repeat(self, error: SansiError, attempt: int, stop: threading.Event) -> bool:
        """Whether to try again; waits before it does."""
        wait = min(self.settings.first_wait * 2**attempt, LONGEST_WAIT) * random.uniform(0.75, 1.25)
        if isinstance(error, Refused):
            if error.status not in REPEATED and error.status < 500:
                return False
            if error.retry_after is not None:
                wait = error.retry_after
                if error.status in (429, 503):
                    self._not_before = max(self._not_before, time.monotonic() + min(wait, LONGEST_TOLD))
        if attempt == self.settings.retries or wait > LONGEST_TOLD or stop.is_set():
            return False
        self._wait(wait, stop)
        return not stop.is_set()

    def _wait(self, seconds: float, stop: threading.Event) -> None:
        if seconds > 0:
            stop.wait(min(seconds, LONGEST_TOLD))

    def _gave_up(self, key: str, error: SansiError) -> Answer:
        """A request's failure, or the end of all: after many in a row, or for what is the same for each."""
        if isinstance(error, Refused) and error.status in FATAL:
            raise EndpointDown(f"{error} ({FATAL[error.status]}); nothing more was asked")
        answer = failure(key, error)
        with self._lock:
            self._in_a_row += answer.status == "failed"
            if self._in_a_row >= self.settings.give_up_after:
                told = f"{self._in_a_row} requests in a row have failed with all their repetitions; the last: {error}"
                raise EndpointDown(f"{told}. What was answered is kept: the same call goes on from there")
        return answer
