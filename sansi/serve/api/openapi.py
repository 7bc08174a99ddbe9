"""The document of the API, from the same tables that check the requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from sansi.serve.api.computation import Computation
from sansi.serve.api.dialect import Dialect
from sansi.serve.api.fields import schema_of
from sansi.serve.api.places import Place, T

ERRORS = {
    400: "Something in the request is wrong; `param` names the field.",
    401: "The server asks for a key, and this is none of its.",
    403: "The request calls the server by a foreign name, or a page of another origin makes it.",
    404: "There is no such model, or no such path.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The body is compressed; send it as it is.",
    429: "The queue is full; `Retry-After` says when to come back.",
    500: "A bug; the server's log says more, under the request's id.",
    503: "The server is shutting down.",
    504: "The answer took longer than the server allows.",
}
LOOKING = (401, 403)  # what a request can meet that only looks
_TEXT_OR_NULL = {"anyOf": [{"type": "string"}, {"type": "null"}]}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": _TEXT_OR_NULL,
                "code": _TEXT_OR_NULL,
            },
        }
    },
}


def errors(*statuses: int, schema: Mapping[str, Any] | None = None) -> dict[int | str, dict[str, Any]]:
    """FastAPI's `responses` for these statuses. schema: of the error, where it is not OpenAI's."""
    content = {"application/json": {"schema": schema or {"$ref": "#/components/schemas/Error"}}}
    return {status: {"description": ERRORS[status], "content": content} for status in statuses}


def generation(dialect: Dialect, strict: bool) -> dict[str, Any]:
    """FastAPI's options of a route that generates: its body, and its two kinds of answers."""
    either = {"application/json": {"schema": dialect.answer}, dialect.framing.media_type: {}}
    body = {"application/json": {"schema": schema_of(dialect.fields, dialect.required, strict)}}
    answers = {200: {"description": "The answer, whole or as a stream.", "content": either}}
    return {
        "responses": answers | errors(*ERRORS, schema=dialect.error_schema),
        "openapi_extra": {"requestBody": {"required": True, "content": body}},
    }


def computation(one: Computation, strict: bool) -> dict[str, Any]:
    """The same of a route that computes something at once."""
    body = {"application/json": {"schema": schema_of(one.fields, one.required, strict)}}
    return {
        "responses": told(one.answer) | errors(*ERRORS, schema=one.error_schema),
        "openapi_extra": {"requestBody": {"required": True, "content": body}},
    }


def shown(answer: Mapping[str, Any], error: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a route that takes the name of a model."""
    body = {"type": "object", "properties": {"model": {"type": "string"}}, "required": ["model"]}
    return {
        "responses": told(answer) | errors(*ERRORS, schema=error),
        "openapi_extra": {"requestBody": {"required": True, "content": {"application/json": {"schema": body}}}},
    }


def told(schema: Mapping[str, Any]) -> dict[int | str, dict[str, Any]]:
    """FastAPI's `responses` for a result of this schema."""
    return {200: {"description": "The result.", "content": {"application/json": {"schema": schema}}}}


def _handler(answer: Callable[[Request], Awaitable[Response]], name: str) -> Callable[..., Any]:
    """A handler that FastAPI can look into."""

    async def handle(request: Request) -> Response:
        return await answer(request)

    handle.__name__ = name
    return handle


Options = Callable[[], Mapping[str, Any]]


def later(route: Callable[..., Any], options: Options) -> Callable[..., Any]:
    """A handler whose part of the document is made when somebody asks for the document, not with every server."""
    route.__dict__["options"] = options
    return route


def add_place(
    app: FastAPI,
    place: Place[T],
    answer: Callable[[Request, Callable[[], T]], Awaitable[Response]],
    options: Callable[[T], Mapping[str, Any]],
) -> None:
    """Add the route of a place. options: what FastAPI is told of it, made as in `later`."""
    route = _handler(lambda request: answer(request, place.load), place.name)
    app.post(place.path)(later(route, lambda: options(place.load())))


def describe(app: FastAPI, with_keys: bool) -> None:
    """Add to the document of `app` what its routes do not say: the shape of errors, and how keys are sent."""
    plain = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            _describe_routes(app)
            schema = plain()
            schema.setdefault("components", {}).setdefault("schemas", {})["Error"] = _ERROR
            if with_keys:
                schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
                schema["security"] = [{"key": []}]
        return app.openapi_schema or {}

    app.openapi = document  # type: ignore[method-assign]


def _describe_routes(app: FastAPI) -> None:
    for route in app.routes:
        options = getattr(getattr(route, "endpoint", None), "options", None)
        if isinstance(route, APIRoute) and options is not None:
            told = options()
            route.responses = {**route.responses, **told["responses"]}
            route.openapi_extra = told.get("openapi_extra")
