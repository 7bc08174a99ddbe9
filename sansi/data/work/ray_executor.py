"""Jobs on a Ray cluster: the same supervised workers, one beside each of Ray's processors.

Files are read and written by their paths, so all machines must see the same disk. Ray itself is the extra `cluster`.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterable
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.installing import install_command
from sansi.base.progress import progress_bar
from sansi.data.work.executor import CPU_SECONDS, MANY, MEMORY_BYTES, LocalExecutor
from sansi.data.work.job import Job


class RayExecutor:
    """Runs jobs on the Ray cluster that this process is connected to, or else on a Ray of this machine.

    workers: jobs at once; None: as many as the cluster has processors.
    """

    def __init__(self, workers: int | None = None, cpu_seconds: float = CPU_SECONDS, memory_bytes: int = MEMORY_BYTES):
        self.workers, self.cpu_seconds, self.memory_bytes = workers, cpu_seconds, memory_bytes

    def run(self, jobs: Iterable[Job], title: str) -> None:
        jobs = list(jobs)
        waiting = [job for job in jobs if not job.is_done]
        if not waiting:
            return
        ray = _ray()
        if not ray.is_initialized():
            # On this machine workers find what this process does; on a cluster the package is installed everywhere.
            paths = {"env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}}
            quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
            ray.init(num_cpus=self.workers, runtime_env=paths, **quiet)
        run = ray.remote(num_cpus=1, max_retries=2)(_run_one)
        total = sum(job.size for job in jobs)
        unit = "bytes" if total > 100 * len(jobs) else "things"
        done = total - sum(job.size for job in waiting)
        with progress_bar(title, total, done, unit=unit, lines=len(waiting) >= MANY) as bar:
            pending: dict[Any, Job] = {}
            left = list(reversed(waiting))
            most = self.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
            while left or pending:
                while left and len(pending) < 2 * most:  # a few wait there, so that no processor does
                    job = left.pop()
                    pending[run.remote(job, self.cpu_seconds, self.memory_bytes)] = job
                (done,), _ = ray.wait(list(pending), num_returns=1)
                job = pending.pop(done)
                try:
                    ray.get(done)
                except ray.exceptions.RayTaskError as error:
                    raise (error.cause if isinstance(error.cause, Exception) else error) from None
                bar.update(job.size)


def _run_one(job: Job, cpu_seconds: float, memory_bytes: int) -> None:
    """On the cluster: one job, in a supervised process beside Ray's own, which stays for the next one."""
    _beside(cpu_seconds, memory_bytes).run([job], "")


@functools.cache
def _beside(cpu_seconds: float, memory_bytes: int) -> LocalExecutor:
    return LocalExecutor(1, cpu_seconds, memory_bytes)


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise SansiError(f"this needs Ray; run: {install_command('cluster')}") from error
    return ray
