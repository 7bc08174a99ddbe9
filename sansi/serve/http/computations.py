"""Routes that compute something from a body at once: counts of tokens, and the tokenizer itself."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from sansi.chat import ChatModel
from sansi.serve.api import openapi
from sansi.serve.api.computation import Computation
from sansi.serve.api.errors import find_model
from sansi.serve.api.places import Place, loaded
from sansi.serve.api.requests import Policy
from sansi.serve.api.tokenizer import DETOKENIZE, TOKENIZE, TOKENIZER_INFO, tokenizer_info
from sansi.serve.http.bodies import Bodies
from sansi.serve.http.file_reader import FileReader
from sansi.serve.http.request_log import record_of
from sansi.serve.http.workers import Workers

SMALL_BYTES = 2**13  # of a body that is dealt with in a millisecond


def _count_tokens() -> Computation:  # loaded with its dialect, when somebody speaks it
    from sansi.serve.api.anthropic.count import COUNT_TOKENS

    return COUNT_TOKENS


COMPUTATIONS: tuple[Place[Computation], ...] = (
    Place("count_tokens", "/v1/messages/count_tokens", _count_tokens),
    loaded(TOKENIZE),
    loaded(DETOKENIZE),
)


def add_computations(
    app: FastAPI,
    models: Mapping[str, ChatModel],
    bodies: Bodies,
    policy: Policy,
    workers: Workers,
    files: FileReader,
) -> None:
    """They pass the gate of their model, as whatever takes its time does."""
    first = next(iter(models))

    async def compute(request: Request, load: Callable[[], Computation]) -> Response:
        record, admission = record_of(request.scope), app.state.admission
        admission.check()
        body, one = await bodies.read(request), load()
        asked = one.parse(await files.body_of(body, record), policy)
        chat = find_model(models, first if asked.model is None else asked.model)
        ticket = admission.enter(chat.name, 1, record.begun)
        record.releases.append(ticket.release)
        work = functools.partial(one.compute, chat, asked)
        async with ticket.limits():
            return JSONResponse(work() if len(body) <= SMALL_BYTES else await workers.run(work, ticket))

    for place in COMPUTATIONS:
        openapi.add_place(app, place, compute, functools.partial(openapi.computation, strict=policy.strict))

    @app.get("/tokenizer_info", responses=openapi.told(TOKENIZER_INFO) | openapi.errors(400, *openapi.LOOKING, 404))
    async def info(model: str = first) -> dict[str, Any]:
        return tokenizer_info(find_model(models, model))
