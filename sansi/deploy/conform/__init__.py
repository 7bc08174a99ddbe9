"""A black-box suite for any OpenAI-compatible endpoint that serves a hybrid-reasoning model.

from sansi.deploy.conform import Endpoint, Probe, run_suite
endpoint = Endpoint("http://127.0.0.1:8000/v1")
report = run_suite(Probe(endpoint))
"""

from sansi.deploy.conform.endpoint import Answer, Endpoint, Stream
from sansi.deploy.conform.probe import BUDGETS, SWITCHES, Probe
from sansi.deploy.conform.registry import CHECKS, Check, Failed, NotOffered
from sansi.deploy.conform.suite import Finding, Report, run_suite

__all__ = [
    "BUDGETS",
    "CHECKS",
    "SWITCHES",
    "Answer",
    "Check",
    "Endpoint",
    "Failed",
    "Finding",
    "NotOffered",
    "Probe",
    "Report",
    "Stream",
    "run_suite",
]
