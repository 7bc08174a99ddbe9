"""The server against its own OpenAPI document: requests that schemathesis draws from it, right and wrong ones.

No request ends in a 500, and every response is one that the document names, of the form that it names.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from live_server import LONG
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
CHECKS += [negative_data_rejection]  # nothing that the document forbids is accepted and ignored
SOME = settings(max_examples=12, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=400, deadline=None, database=None, suppress_health_check=list(HealthCheck))
QUESTION = "4 + 3 ="
# What makes a drawn request one that the model answers soon: a prompt, and a bound.
ANSWERING = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 8},
    "/v1/completions": {"prompt": QUESTION, "max_tokens": 8},
    "/v1/responses": {"input": QUESTION, "max_output_tokens": 8},
    "/v1/messages": {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 8},
    "/api/chat": {"messages": [{"role": "user", "content": QUESTION}], "options": {"num_predict": 8}},
    "/api/generate": {"prompt": QUESTION, "options": {"num_predict": 8}},
}


@pytest.fixture(scope="session")
def api(base_url: str):
    return schemathesis.openapi.from_url(f"{base_url.removesuffix('/v1')}/openapi.json")


def test_the_document_has_every_route(api):
    found = {(operation.method.upper(), operation.path) for operation in operations(api)}
    assert {("GET", "/health"), ("GET", "/metrics"), ("GET", "/v1/models")} <= found
    assert {("POST", path) for path in ANSWERING} <= found


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
def test_every_response_is_in_the_document(api, mode):
    for operation in operations(api):
        if mode is GenerationMode.NEGATIVE and operation.path not in ANSWERING:
            continue  # nothing of theirs can be wrong

        @SOME
        @given(operation.as_strategy(generation_mode=mode))
        def check(case: Case) -> None:
            response = case.call(timeout=LONG)
            if response.status_code != 413:  # a string that is longer than its bound may be longer than any body
                case.validate_response(response, checks=CHECKS)

        check()


@pytest.mark.slow
@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
@pytest.mark.parametrize("path", ANSWERING)
def test_many_requests_drawn_anew(api, path, mode):
    """Others at each run: what they find is told with the request that found it."""

    @MANY
    @given(api[path]["POST"].as_strategy(generation_mode=mode))
    def check(case: Case) -> None:
        if isinstance(case.body, dict) and mode is GenerationMode.POSITIVE:
            bounds = {name: value for name, value in ANSWERING[path].items() if "max" in name}
            case.body = whole_numbers(case.body) | {"model": "nano"} | bounds
            case.body.pop("max_completion_tokens", None)
        case.call_and_validate(checks=CHECKS, timeout=LONG)

    check()


@pytest.mark.parametrize("path", ANSWERING)
def test_requests_that_get_as_far_as_the_model(api, path):
    """Of a model that exists, with a prompt that is one, and short answers: nearly all drawn requests are not so."""
    statuses = Counter()

    @SOME
    @given(api[path]["POST"].as_strategy())
    def check(case: Case) -> None:
        case.body = whole_numbers(case.body) | {"model": "nano"} | ANSWERING[path]
        case.body.pop("max_completion_tokens", None)
        case.body["stream"] = "stream_options" in case.body
        statuses[case.call_and_validate(checks=CHECKS, timeout=LONG).status_code] += 1

    check()
    assert statuses[200] >= 5, statuses


def whole_numbers(value: Any) -> Any:
    """54.0, which JSON schema calls an integer, as 54, which it is for the server, too."""
    if isinstance(value, dict):
        return {key: whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def operations(api) -> list:
    return [found.ok() for found in api.get_all_operations()]
