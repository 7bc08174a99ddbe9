"""Answers to requests that fail before they have one."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from sansi.base.errors import SansiError
from sansi.serve.api import response_bodies
from sansi.serve.api.errors import ServeError, UnknownModel, kind_of
from sansi.serve.http.error_responses import error_response, of_serve_error
from sansi.serve.http.paths import nothing_at
from sansi.serve.http.request_log import record_of


def add_handlers(app: FastAPI) -> None:
    app.add_exception_handler(SansiError, _on_sansi_error)
    app.add_exception_handler(HTTPException, _on_http_error)


async def _on_sansi_error(request: Request, error: Exception) -> Response:
    unknown = isinstance(error, UnknownModel)
    code = "model_not_found" if unknown else getattr(error, "code", None)
    record_of(request.scope).error = code or "invalid_request"
    body = response_bodies.error(str(error), param=getattr(error, "param", None), code=code)
    return error_response(request.url.path, body, 404 if unknown else 400)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error, ServeError):
        record_of(request.scope).error = error.code
        return of_serve_error(request.url.path, error)
    body = response_bodies.error(_said(request, error), kind_of(error.status_code))
    return error_response(request.url.path, body, error.status_code, error.headers)


def _said(request: Request, error: HTTPException) -> str:
    if error.status_code == 404:
        routes = [route.path for route in request.app.routes if isinstance(route, APIRoute) and "{" not in route.path]
        return nothing_at(request.url.path, routes)
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return f"{request.method} is not allowed here" + (f"; use {allowed}" if allowed else "")
    return str(error.detail)
