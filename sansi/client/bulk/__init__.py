"""Many requests to any OpenAI-compatible endpoint: in parallel, within a budget, each paid for once. No torch."""

from sansi.client.bulk.client import BulkClient, EndpointDown
from sansi.client.bulk.refusals import is_refusal
from sansi.client.bulk.report import BulkReport
from sansi.client.bulk.request import Answer, Request, picture, user_message
from sansi.client.bulk.settings import Budget, EndpointSettings

__all__ = [
    "Answer",
    "Budget",
    "BulkClient",
    "BulkReport",
    "EndpointDown",
    "EndpointSettings",
    "Request",
    "is_refusal",
    "picture",
    "user_message",
]
