"""Agents on the server. Without tools that the operator turned on there are no such routes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from secrets import token_hex
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response

from sansi.agents import Agent, AgentEvent, RunState
from sansi.agents.approvals import Answer, Question
from sansi.agents.showing import shown_file
from sansi.agents.toolset import STARTING
from sansi.chat import ChatModel
from sansi.client import InProcessChatClient
from sansi.client.chat_client import on_thread
from sansi.serve.agent.admitted_chat import AdmittedChat
from sansi.serve.agent.run_request import RunRequest, parse_run, state_of
from sansi.serve.agent.run_response import SHOWN, RunResponse
from sansi.serve.agent.server_tools import Running, ServerTools, chosen
from sansi.serve.api import openapi
from sansi.serve.api.answer_stream import check_size
from sansi.serve.api.errors import ServeError, find_model
from sansi.serve.api.requests import Policy, parse_body
from sansi.serve.http.bodies import Bodies
from sansi.serve.http.file_reader import FileReader
from sansi.serve.http.request_log import Record, record_of


def add_agents(
    app: FastAPI,
    models: Mapping[str, ChatModel],
    bodies: Bodies,
    policy: Policy,
    server: ServerTools,
    files: FileReader,
) -> None:
    """Routes: GET /v1/agent/tools; POST /v1/agent/runs, a run with the server's tools, as events where the body has
    `stream`; POST /v1/agent/runs/{id}/answers and /stop for a run under way; GET /v1/agent/shown/{digest}, all of a
    call that a question shows in part."""
    admission = app.state.admission
    admission.closers.append(server.stop_waiting)
    admission.others.append(server)
    errors = openapi.errors(*openapi.ERRORS)

    @app.get("/v1/agent/tools", responses=openapi.errors(*openapi.LOOKING))
    async def list_tools() -> dict[str, Any]:
        return server.described()

    @app.post("/v1/agent/runs", responses=errors)
    async def run(request: Request) -> Response:
        record = record_of(request.scope)
        admission.check()
        body = await files.body_of(await bodies.read(request), record)
        asked = parse_run(body, policy, server.limits)
        chat = find_model(models, asked.chat.model)
        check_size(chat, asked.chat)
        record.model, record.stream, record.asked = chat.name, asked.chat.stream, asked.chat.messages
        tools = await server_tools(server)
        agent = _agent(server, AdmittedChat(chat, admission, record.results.append), asked, tools)
        state = state_of(asked, tools, _conversation(record, asked), server.is_strangers)
        running = server.begin(record.key)
        start = _starter(server, agent, state, running, asked, record)
        return RunResponse(running, start, asked.chat.stream, record, lambda: server.end(running))

    @app.post("/v1/agent/runs/{id}/answers", responses=errors)
    async def answer(id: str, request: Request) -> Response:
        """The body: {"id": the call's, "choice": "once", "session", "always" or "no", "reason": text, "exact" and
        "seen": bool}; to a question in the middle of a call {"id": the question's, "action": "accept", "decline" or
        "cancel", "content": {…}}."""
        running = _running(server, id, request)
        body = dict(parse_body(await bodies.read(request)))
        asked = body.pop("id", None)
        if not isinstance(asked, str) or not running.desk.answer(asked, body):
            raise ServeError(404, f"no question {json.dumps(asked)} waits", "question_not_found")
        return JSONResponse({"object": "agent.answer", "id": asked})

    @app.get(SHOWN + "{digest}", response_class=PlainTextResponse, responses=openapi.errors(*openapi.LOOKING, 404))
    def shown(digest: str) -> Response:
        """Known by the SHA-256 of its text, which the question told; so nobody else's can be asked for."""
        file = shown_file(f"{digest}.txt")
        if file is None:
            raise ServeError(404, f'nothing is shown at "{digest[:64]}"', "not_found")
        return FileResponse(file, media_type="text/plain; charset=utf-8", headers={"X-Content-Type-Options": "nosniff"})

    @app.post("/v1/agent/runs/{id}/stop", responses=errors)
    async def stop(id: str, request: Request) -> Response:
        _running(server, id, request).stop.set()
        return JSONResponse({"object": "agent.stop", "id": id})


async def server_tools(server: ServerTools) -> dict[str, Any]:
    """The tools by name, once the servers that are starting have had their time."""
    return {tool.name: tool for tool in await on_thread(lambda: server.toolset.all(STARTING), "agent-tools")}


def _agent(server: ServerTools, chat: AdmittedChat, asked: RunRequest, tools: Mapping[str, Any]) -> Agent:
    client = InProcessChatClient(chat, asked.chat.options)
    return Agent(client, chosen(asked.tools, tools), limits=asked.limits, folder=server.folder)


def _starter(
    server: ServerTools, agent: Agent, state: RunState, running: Running, asked: RunRequest, record: Record
) -> Any:
    """Begins the run: with somebody who answers where its events are streamed, else with the answers of the body.

    Where the conversation is known, an answer holds for the call as it was asked about; else for the call of that id.
    """
    known = set[str]()

    async def approver(question: Question) -> Answer | None:
        given = None if question.id in known else asked.answers.get(question.id)
        if given is not None or not asked.chat.stream:
            return given
        return await running.desk(question)

    def start() -> AsyncIterator[AgentEvent]:
        agent.gate = server.approvals(record.key, state.conversation, approver)
        known.update(agent.gate.give_waiting(asked.answers))
        agent.ask = running.desk.ask if asked.chat.stream else None
        return agent.resume_astream(state, stop=running.stop, watch=server.hear)

    return start


def _conversation(record: Record, asked: RunRequest) -> str:
    """Its id; those of clients with different keys are never the same."""
    own = asked.conversation or token_hex(8)
    return own if record.key is None else f"key{record.key}-{own}"


def _running(server: ServerTools, id: str, request: Request) -> Running:
    found = server.running(id, record_of(request.scope).key)
    if found is None:
        raise ServeError(404, f'no run "{id[:64]}" is under way', "run_not_found")
    return found
