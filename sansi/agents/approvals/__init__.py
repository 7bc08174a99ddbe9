"""Approvals: which calls of tools run, which wait for the user, and what the user sees of them."""

from sansi.agents.approvals.approvals import Approvals, Decision
from sansi.agents.approvals.definitions import definition_of, fingerprint_of
from sansi.agents.approvals.policy import MODES, Circumstances, Mode, Policy, Ruling
from sansi.agents.approvals.questions import Answer, Approver, Choice, Copied, Question
from sansi.agents.approvals.remembered import Remembered
from sansi.agents.approvals.rules import Rule
from sansi.agents.approvals.taint import Provenance, Suspicion, tainted_spans
from sansi.agents.showing import visible

__all__ = [
    "MODES",
    "Answer",
    "Approvals",
    "Approver",
    "Choice",
    "Circumstances",
    "Copied",
    "Decision",
    "Mode",
    "Policy",
    "Provenance",
    "Question",
    "Remembered",
    "Rule",
    "Ruling",
    "Suspicion",
    "definition_of",
    "fingerprint_of",
    "tainted_spans",
    "visible",
]
