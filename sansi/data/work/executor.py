"""Executors: who runs jobs. The files that the jobs leave are the same, whoever runs them and however many at once.

`LocalExecutor` keeps supervised processes. A worker that dies, or that spends very much processor time on one record,
costs that record alone: its job runs once more, and if the same record ends the worker again it is quarantined, as
*crash*, *hang* or *memory*. Time is the worker's own processor time, which a busy machine does not use up.
"""

from __future__ import annotations

import errno
import os
import select
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from sansi.base.cores import available_cores
from sansi.base.errors import SansiError
from sansi.base.files import clean_drafts
from sansi.base.processes import stat_fields
from sansi.base.progress import Bar, progress_bar
from sansi.data.work.job import Job, Watch, worker_command
from sansi.data.work.worker_main import receive, send

CPU_SECONDS = 300.0
"""Processor time for one record, some ten thousand times the usual."""
MEMORY_BYTES = 6 << 30
LOOK_EVERY = 1.0  # seconds between looks at the workers
MANY = 8  # jobs from which a log file is told how far they are


class Executor(Protocol):
    """Whoever runs jobs."""

    def run(self, jobs: Iterable[Job], title: str) -> None:
        """Run every job whose output is not there. Raises SansiError for the first that can not be done."""
        ...


class LocalExecutor:
    """Runs jobs in processes of this machine.

    workers: how many at once; None: one for each core. 0: in this process, for debugging: what kills it kills the run.
    cpu_seconds, memory_bytes: last-resort bounds on one record and on one worker.
    """

    def __init__(self, workers: int | None = None, cpu_seconds: float = CPU_SECONDS, memory_bytes: int = MEMORY_BYTES):
        if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 0):
            raise SansiError(f'"workers" is {workers!r}; give how many processes, or 0 for none', param="workers")
        self.workers = available_cores() if workers is None else workers
        self.cpu_seconds, self.memory_bytes = cpu_seconds, memory_bytes
        self._idle: list[_Worker] = []  # from one run to the next: starting one takes a second

    def __enter__(self) -> LocalExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers that wait for another run; without it they end with this process."""
        while self._idle:
            self._idle.pop().end()

    def run(self, jobs: Iterable[Job], title: str) -> None:
        jobs = list(jobs)
        waiting = [job for job in jobs if not job.is_done]
        if not waiting:
            return
        for folder in {job.output.parent for job in waiting}:
            folder.mkdir(parents=True, exist_ok=True)
            clean_drafts(folder)
        total = sum(job.size for job in jobs)
        unit = "bytes" if total > 100 * len(jobs) else "things"
        done = total - sum(job.size for job in waiting)
        with progress_bar(title, total, done, unit=unit, lines=len(waiting) >= MANY) as bar:
            if self.workers:
                _Crew(self, waiting, bar, self._idle).work()
            else:
                for job in waiting:
                    _run_here(job)
                    bar.update(job.size)


def _run_here(job: Job) -> None:
    from sansi.data.work.job import run_job

    run_job(job, Watch(None, job.refusals()))


class _Worker:
    """One process, its pipes, and the job that it is at."""

    def __init__(self, memory: int):
        self.file = Watch.new_file()
        self.watch = Watch(self.file)
        self.job: Job | None = None
        their_requests, self.requests = os.pipe()
        self.replies, their_replies = os.pipe()
        command = worker_command(self.file, their_requests, their_replies, memory)
        pipes = (their_requests, their_replies)
        # In a session of its own: Ctrl-C reaches the supervisor, which ends its workers.
        self.process = subprocess.Popen(command, pass_fds=pipes, stdin=subprocess.DEVNULL, start_new_session=True)
        for handle in pipes:
            os.close(handle)
        self._since: tuple[str, float] = ("", 0.0)

    def start(self, job: Job) -> None:
        self.job = job
        self._since = ("", self.cpu_time())
        with suppress(BrokenPipeError):  # it died; the end of its replies tells so
            send(self.requests, job)

    def cpu_time(self) -> float:
        """Seconds of processor time of the process so far."""
        fields = stat_fields(self.process.pid)
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0

    def time_at_record(self) -> float:
        """Seconds of processor time since the record at work was first seen."""
        key, now = self.watch.key, self.cpu_time()
        if key != self._since[0]:
            self._since = (key, now)
        return now - self._since[1]

    def end(self) -> int:
        """Kill it if it lives; how it ended, as `Popen.returncode`."""
        self.process.kill()
        status = self.process.wait()
        for handle in (self.requests, self.replies):
            os.close(handle)
        self.file.unlink(missing_ok=True)
        return status


class _Crew:
    """The workers of one run."""

    def __init__(self, executor: LocalExecutor, jobs: Sequence[Job], bar: Bar, idle: list[_Worker]):
        self.executor, self.bar, self.idle = executor, bar, idle
        self.waiting = list(reversed(jobs))
        self.deaths: Counter[tuple[Path, str]] = Counter()
        self.workers: list[_Worker] = []

    def work(self) -> None:
        try:
            for _ in range(min(self.executor.workers, len(self.waiting))):
                self._next(self.idle.pop() if self.idle else _Worker(self.executor.memory_bytes))
            while self.workers:
                self._look()
        finally:
            for worker in self.workers:
                worker.end()

    def _next(self, worker: _Worker) -> None:
        if worker not in self.workers:
            self.workers.append(worker)
        worker.start(self.waiting.pop())

    def _look(self) -> None:
        """Wait for replies; now and then see who is stuck."""
        handles = [worker.replies for worker in self.workers]
        ready, _, _ = select.select(handles, [], [], LOOK_EVERY)
        for worker in list(self.workers):
            if worker.replies in ready:
                self._answered(worker, receive(worker.replies))
            elif worker.job and worker.job.watched and worker.time_at_record() > self.executor.cpu_seconds:
                self._lost(worker, "hang")

    def _answered(self, worker: _Worker, reply: Any) -> None:
        assert worker.job is not None
        if reply is None:
            self._lost(worker, "crash")
            return
        kind, told = reply
        if kind == "memory":
            self._lost(worker, "memory")
        elif kind == "done":
            self.bar.update(worker.job.size)
            if self.waiting:
                self._next(worker)
            else:
                self.workers.remove(worker)
                worker.job = None
                self.idle.append(worker)
        else:
            raise _error_of(kind, told, worker.job)

    def _lost(self, worker: _Worker, reason: str) -> None:
        """A worker was lost on a job: the job runs again; the second time the record that did it is left out."""
        job, key = worker.job, worker.watch.key
        assert job is not None
        status = self._dismiss(worker)
        self.deaths[job.output, key] += 1
        if self.deaths[job.output, key] > 1:
            if not key:
                raise SansiError(
                    f"{job.output}: two processes that worked on it ended ({_told(reason, status)}); see whether "
                    "there is memory enough, then start again: it goes on from here"
                )
            job.refuse(key, reason)
        self.waiting.append(job)
        self._next(_Worker(self.executor.memory_bytes))

    def _dismiss(self, worker: _Worker) -> int:
        self.workers.remove(worker)
        return worker.end()


def _told(reason: str, status: int) -> str:
    return f"signal {-status}" if status < 0 and reason == "crash" else reason


def _error_of(kind: str, told: Any, job: Job) -> Exception:
    if kind == "refused":
        return SansiError(told)
    if kind == "system":
        number, text, where = told
        if number in (errno.ENOSPC, errno.EDQUOT):
            return SansiError(f"{where}: the disk is full; make room and start again: it goes on from here")
        return SansiError(f"{where}: {text}; mend that and start again: it goes on from here")
    return AssertionError(f"{job.function.__module__}.{job.function.__qualname__} failed:\n{told}")
