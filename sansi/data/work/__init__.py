"""Work in pieces: jobs that each leave one file, and executors that run them on this machine or on a cluster."""

from sansi.data.work.executor import Executor, LocalExecutor
from sansi.data.work.job import Job, Watch

__all__ = ["Executor", "Job", "LocalExecutor", "Watch"]
