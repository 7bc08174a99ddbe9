"""Running code that nobody trusts: the strongest guard that holds here, proven at every start."""

from sansi.sandbox.ladder import Rung, advice, best_rung, survey
from sansi.sandbox.limits import Limits
from sansi.sandbox.worker import Artifact, RunResult, Worker, run_command

__all__ = ["Artifact", "Limits", "RunResult", "Rung", "Worker", "advice", "best_rung", "run_command", "survey"]
