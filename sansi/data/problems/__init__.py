"""Tasks: problems with verifiable answers, verifiers, and worked solutions for six families of them.

A `Task` draws problems and verifies answers; `get_task` finds one by name: about a hundred of reasoning-gym's, those of
installed packages, a file of problems, a function. `verify_safely` and `verify_all` give verdicts, whatever a verifier
does. The six families that the bundled model is trained on are the gym's, word for word; their thoughts are written by
solvers of ours, which read nothing but the question. A problem may be asked in other words (`reword`), and there are
problems of our own that the gym does not draw (`ordinary_problems`).
"""

from sansi.data.problems.answers import final_answer
from sansi.data.problems.draws import evaluation_problems, task_problems
from sansi.data.problems.environment import Environment, Episode, Step
from sansi.data.problems.families import FAMILIES, Family, evaluation_set, generate, training_problems
from sansi.data.problems.gym import GymTask
from sansi.data.problems.judge import Attempt, is_right, verify_all, verify_safely
from sansi.data.problems.ordinary import held_out_sums, ordinary_problem, ordinary_problems
from sansi.data.problems.own import JsonlTask, VerifierTask, read_problems
from sansi.data.problems.registry import TaskInfo, as_task, get_task, list_tasks, task_of
from sansi.data.problems.solvers import Solution, operands, solve
from sansi.data.problems.task import OUTCOMES, Outcome, Problem, Task, Verdict, as_verdict
from sansi.data.problems.wordings import reword
from sansi.data.problems.workers import Limits, WorkerPool

__all__ = [
    "FAMILIES",
    "OUTCOMES",
    "Attempt",
    "Environment",
    "Episode",
    "Family",
    "GymTask",
    "JsonlTask",
    "Limits",
    "Outcome",
    "Problem",
    "Solution",
    "Step",
    "Task",
    "TaskInfo",
    "Verdict",
    "VerifierTask",
    "WorkerPool",
    "as_task",
    "as_verdict",
    "evaluation_problems",
    "evaluation_set",
    "final_answer",
    "generate",
    "get_task",
    "held_out_sums",
    "is_right",
    "list_tasks",
    "operands",
    "ordinary_problem",
    "ordinary_problems",
    "read_problems",
    "reword",
    "solve",
    "task_of",
    "task_problems",
    "training_problems",
    "verify_all",
    "verify_safely",
]
