"""The cost log, and the budget that is kept by it.

`costs.jsonl` has a line before a request is sent ("asked", with the most that it may take) and one after ("answered",
with what it took), written under the file's lock. What a request without an answer took nobody knows, so it counts with
its most: while it is under way, in whatever process, and for ever if its process was killed.
"""

from __future__ import annotations

import itertools
import json
import secrets
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sansi.base import SansiError
from sansi.base.locks import locked
from sansi.client.bulk.settings import Budget


class OverBudget(Exception):
    """A request could go beyond the budget."""


@dataclass(frozen=True)
class Spent:
    """Sums over requests."""

    requests: int = 0
    tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.requests + other.requests, self.tokens + other.tokens, self.cost + other.cost)

    def __sub__(self, other: Spent) -> Spent:
        return Spent(self.requests - other.requests, self.tokens - other.tokens, self.cost - other.cost)


class CostLog:
    """The log of one folder; any number of threads and processes may hold it."""

    def __init__(self, path: Path, budget: Budget):
        self.path, self.budget = Path(path), budget
        self._lock = threading.Lock()
        self._read_to = 0
        self._total = Spent()
        self._open: dict[str, Spent] = {}  # asked and not answered, by any process
        self._process, self._numbers = secrets.token_hex(6), itertools.count(1)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = self.path.open("a+b")
        except OSError as error:
            raise SansiError(f"{self.path}: the cost log can not be written ({error.strerror})") from error

    def ask(self, key: str, tokens: int, cost: float) -> str | None:
        """Reserve the most that a request may take: its number in the log, or None while others of this process are
        under way that may turn out smaller. Raises OverBudget where that would not help."""
        need = Spent(1, tokens, cost)
        with self._lock, locked(self._file):
            self._catch_up()
            total = self._total + need
            if not self.budget.allows(total.requests, total.tokens, total.cost):
                mine = [spent for number, spent in self._open.items() if number.startswith(self._process)]
                least = total - Spent(0, sum(s.tokens for s in mine), sum(s.cost for s in mine))
                if mine and self.budget.allows(least.requests, least.tokens, least.cost):
                    return None
                raise OverBudget
            number = f"{self._process}-{next(self._numbers)}"
            self._write(event="asked", number=number, key=key, tokens=tokens, cost=cost)
            return number

    def answered(self, number: str, key: str, status: str, **facts: Any) -> None:
        """What a request that `ask` gave a number took: prompt_tokens, completion_tokens, cost, seconds."""
        with self._lock, locked(self._file):
            self._catch_up()
            self._write(event="answered", number=number, key=key, status=status, **facts, cached=False)

    def cached(self, key: str, status: str) -> None:
        """An answer that was there."""
        facts = {"prompt_tokens": 0, "completion_tokens": 0, "cost": 0.0, "seconds": 0.0, "cached": True}
        with self._lock, locked(self._file):
            self._write(event="answered", number="", key=key, status=status, **facts)

    @property
    def spent(self) -> Spent:
        """By all requests of the log, those under way with their most."""
        with self._lock, locked(self._file):
            self._catch_up()
            return self._total

    def close(self) -> None:
        self._file.close()

    def _write(self, **line: Any) -> None:
        text = json.dumps({"time": round(time.time(), 3), **line}, ensure_ascii=False) + "\n"
        try:
            self._file.seek(0, 2)
            begin = b""
            if self._file.tell():
                self._file.seek(-1, 2)
                begin = b"" if self._file.read(1) == b"\n" else b"\n"  # after the line of a process that was killed
            self._file.write(begin + text.encode())
            self._file.flush()
        except OSError as error:
            raise SansiError(f"{self.path}: the cost log can not be written ({error.strerror}); make room") from error

    def _catch_up(self) -> None:
        """Take in what was written since the last time, by whomever."""
        self._file.seek(self._read_to)
        for line in iter(self._file.readline, b""):
            if not line.endswith(b"\n"):
                break  # cut: its process was killed while it wrote
            self._read_to += len(line)
            with suppress(ValueError, KeyError, TypeError):
                self._take(json.loads(line))

    def _take(self, line: Mapping[str, Any]) -> None:
        if line["event"] == "asked":
            spent = Spent(1, line["tokens"], line["cost"])
            self._open[line["number"]] = spent
            self._total += spent
        elif not line["cached"]:
            took = Spent(1, line["prompt_tokens"] + line["completion_tokens"], line["cost"])
            self._total += took - self._open.pop(line["number"], Spent(1))
