"""What goes wrong with a request, in OpenAI's shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException

from sansi.base.errors import SansiError
from sansi.base.shown import show
from sansi.chat import ChatModel
from sansi.serve.api import response_bodies


class ServeError(HTTPException):
    """A request that ends with this status. `code` is for programs, the message for people."""

    def __init__(self, status: int, message: str, code: str | None = None, headers: dict[str, str] | None = None):
        super().__init__(status, message, headers)
        self.code = code

    @property
    def body(self) -> dict[str, Any]:
        return response_bodies.error(self.detail, kind_of(self.status_code), code=self.code)


class ClientGone(Exception):
    """The client closed the connection; nobody is left to read a response."""


class UnknownModel(SansiError):
    """The request names a model that is not served here: 404, where every other mistake is 400."""


def find_model(models: Mapping[str, ChatModel], name: str) -> ChatModel:
    """Raises UnknownModel."""
    if name not in models:
        raise UnknownModel(f"the model {show(name)} is not served here; served: {', '.join(models)}", param="model")
    return models[name]


def kind_of(status: int) -> str:
    kinds = {403: "permission_error", 429: "rate_limit_error"}
    return kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
