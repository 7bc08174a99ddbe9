"""An error as a response, in the shape that clients of the path expect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi.responses import JSONResponse, Response

from sansi.serve.api import dialects
from sansi.serve.api.errors import ServeError


def error_response(
    path: str, body: Mapping[str, Any], status: int, headers: Mapping[str, str] | None = None
) -> Response:
    """`body`: OpenAI's error object."""
    return JSONResponse(dialects.error_at(path, body, status), status, headers)


def of_serve_error(path: str, error: ServeError) -> Response:
    return error_response(path, error.body, error.status_code, error.headers)
