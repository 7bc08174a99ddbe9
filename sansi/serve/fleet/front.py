"""The application in front of the replicas: who may ask, where a request goes, and its answer on the way back.

A request whose replica ends before anything of its answer has gone to the client goes to another one, from the start.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.types import Receive, Scope, Send

from sansi import __version__
from sansi.serve.api.dialects import places
from sansi.serve.api.errors import ClientGone, ServeError
from sansi.serve.fleet import metrics
from sansi.serve.fleet.prefix import answers_of, asked_in, prompt_blocks
from sansi.serve.fleet.replica import Replica
from sansi.serve.fleet.router import Choice, Router
from sansi.serve.fleet.upstream import Answer, Headers, Lost, ask
from sansi.serve.http import logs
from sansi.serve.http.access import AccessControl
from sansi.serve.http.admission import stopping
from sansi.serve.http.bodies import Bodies
from sansi.serve.http.error_responses import of_serve_error
from sansi.serve.http.paths import PROBES, known_path
from sansi.serve.http.request_log import Record, Recorder, record_of
from sansi.serve.http.server import Ending
from sansi.serve.http.settings import LARGEST_LIMIT, ServerSettings

MOST_LOST = 2
"""Replicas that may end while they are at a request: it may be the reason."""
UP_SECONDS = 60.0
"""For which a request waits until a replica is up again."""
WAIT_SECONDS = 0.05
LARGE = 2**18
"""Bytes of a body whose beginning another thread reads."""
METRICS_SECONDS = 5.0
_OWN = (b"x-request-id", b"request-id", b"date", b"server")
"""Headers of an answer that the front gives."""


class Front(Ending):
    """An ASGI application over replicas that somebody else starts and watches."""

    def __init__(self, replicas: Sequence[Replica], router: Router, models: Sequence[str], settings: ServerSettings):
        settings = replace(settings, max_body=settings.max_body or LARGEST_LIMIT)
        self._replicas, self._router, self._models = replicas, router, models
        self._bodies, self._settings = Bodies(settings), settings
        self._asking: dict[asyncio.Task[Any], int] = {}
        self._routed: Counter[str] = Counter()
        self._retried = 0
        self._dialects = {place.path: place for place in places()}
        self.closing = False
        self.state = SimpleNamespace(admission=self)  # what `Server` asks when it stops
        self._app = Recorder(AccessControl(self._route, settings=settings), done=_log)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    # --- as the server's admission ---

    def under_way(self) -> int:
        """Answers on their way."""
        return sum(self._asking.values())

    def close(self) -> None:
        """Take on nothing more."""
        self.closing = True

    def end_all(self) -> None:
        """End what is on its way."""
        for task in self._asking:
            task.cancel()

    # --- requests ---

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = known_path(scope["path"])
        try:
            if path in PROBES:
                await self._health()(scope, receive, send)
            elif path == "/metrics" and scope["method"] in ("GET", "HEAD"):
                await (await self._metrics(scope))(scope, receive, send)
            else:
                await self._forward(scope, receive, send, path)
        except ServeError as error:
            record_of(scope).error = error.code
            await of_serve_error(path, error)(scope, receive, send)

    def _health(self) -> Response:
        """Whether anybody answers; not what they are at, which is nobody's who has no key."""
        up = len(self._router.are_up())
        status = "stopping" if self.closing else "ok" if up else "no replica is up"
        replicas = {"up": up, "of": len(self._replicas)}
        body = {"status": status, "version": __version__, "models": list(self._models), "replicas": replicas}
        return JSONResponse(body, status_code=200 if status == "ok" else 503)

    async def _metrics(self, scope: Scope) -> Response:
        """A replica asks for the key that was given here."""
        credentials = [(name, value) for name, value in scope["headers"] if name in (b"authorization", b"x-api-key")]
        up = [self._replicas[number] for number in self._router.are_up()]
        texts = await asyncio.gather(*(self._metrics_of(replica, credentials) for replica in up))
        states = [replica.state for replica in self._replicas]
        restarts = [replica.restarts for replica in self._replicas]
        loads = [self._router.load(replica.number) for replica in self._replicas]
        found = metrics.merged(text for text in texts if text)
        found += metrics.own(states, restarts, loads, self._routed, self._retried)
        return Response(metrics.as_text(found), media_type=CONTENT_TYPE_LATEST)

    async def _metrics_of(self, replica: Replica, credentials: Headers) -> str:
        """An empty text where it does not answer."""
        headers = [(b"host", b"localhost"), *credentials]
        try:
            async with asyncio.timeout(METRICS_SECONDS):
                answer = await ask(replica.socket, b"GET", b"/metrics", headers, b"")
                text = b"".join([part async for part in answer.parts()])
                answer.close()
        except (Lost, TimeoutError):
            return ""
        return text.decode() if answer.status == 200 else ""

    async def _forward(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        if self.closing:
            raise stopping()
        body = b""
        if scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            body = await self._bodies.read(Request(scope, receive))
        blocks, answers = await self._beginning(path, body)
        task = asyncio.current_task()
        assert task is not None
        self._asking[task] = answers
        relay = _Relay(send, path, self._failed)
        leaving = asyncio.create_task(_until_gone(receive, task, relay))
        try:
            await self._try(scope, body, blocks, answers, relay)
        except asyncio.CancelledError:
            if leaving.done():
                task.uncancel()
                raise ClientGone from None
            task.uncancel()
            await relay.fail(stopping())
        finally:
            leaving.cancel()
            self._asking.pop(task, None)

    async def _beginning(self, path: str, body: bytes) -> tuple[tuple[int, ...], int]:
        """The blocks of a prompt, and how many answers are wanted; of what is no prompt none, and one."""
        if path not in self._dialects or not body:
            return (), 1
        if len(body) > LARGE:
            return await asyncio.to_thread(_read, body)
        return _read(body)

    async def _try(self, scope: Scope, body: bytes, blocks: Sequence[int], answers: int, relay: _Relay) -> None:
        """Ask one replica after the other until one answers, or none can be asked any more."""
        tried: set[int] = set()
        lost, refusal, first = 0, None, True
        ends = asyncio.get_running_loop().time() + min(UP_SECONDS, self._settings.timeout or UP_SECONDS)
        while True:
            choice = self._router.choose(blocks, tried)
            if choice is None and refusal is not None:
                return await relay.send_whole(*refusal)
            if choice is None:
                await self._until_one_is_up(scope, ends)
                tried.clear()
                continue
            tried.add(choice.replica)
            self._count(choice, first)
            first = False
            self._router.begin(choice.replica, blocks, answers)
            try:
                answer = await self._ask(choice.replica, scope, body)
                try:
                    if answer.status in (429, 503) and self._router.choose(blocks, tried) is not None:
                        refusal = (answer.status, answer.headers, b"".join([part async for part in answer.parts()]))
                        continue  # another may have room
                    return await relay.send(answer)
                finally:
                    answer.close()
            except Lost as error:
                lost += error.sent
                if relay.begun or lost >= MOST_LOST:
                    return await relay.fail(_lost())
                await asyncio.sleep(WAIT_SECONDS)  # until it is seen to be down
            finally:
                self._router.end(choice.replica, answers)

    async def _ask(self, number: int, scope: Scope, body: bytes) -> Answer:
        record = record_of(scope)
        record.elsewhere = True
        target = scope.get("raw_path") or scope["path"].encode()
        if query := scope.get("query_string"):
            target += b"?" + query
        headers = [(name, value) for name, value in scope["headers"] if name != b"x-request-id"]
        headers.append((b"x-request-id", record.id.encode()))
        return await ask(self._replicas[number].socket, scope["method"].encode(), target, headers, body)

    async def _until_one_is_up(self, scope: Scope, ends: float) -> None:
        """Raises ServeError where none is for too long."""
        record_of(scope).elsewhere = False
        while True:
            if self.closing:
                raise stopping()
            if asyncio.get_running_loop().time() > ends:
                raise ServeError(503, "no replica is up; try again later", "no_replica", {"Retry-After": "5"})
            await asyncio.sleep(WAIT_SECONDS)
            if self._router.are_up():
                return

    def _count(self, choice: Choice, first: bool) -> None:
        self._routed[choice.how] += first
        self._retried += not first

    def _failed(self, path: str, error: ServeError) -> bytes:
        """What a stream that has begun ends with."""
        dialect = self._dialects[path].load() if path in self._dialects else None
        if dialect is None:
            return b""
        return dialect.framing.chunk(dialect.error(error.body, error.status_code))


class _Relay:
    """The answer on its way to the client. Its head goes with the first piece: until then another may answer."""

    def __init__(self, send: Send, path: str, failed: Callable[[str, ServeError], bytes]):
        self._send, self._path, self._failed = send, path, failed
        self.begun = self.done = self._stream = False

    async def send(self, answer: Answer) -> None:
        """Raises Lost where the replica ends first."""
        self._stream = any((n == b"content-type" and b"json" not in v) or b"ndjson" in v for n, v in answer.headers)
        async for part in answer.parts():
            await self._head(answer.status, answer.headers)
            await self._send({"type": "http.response.body", "body": part, "more_body": True})
        await self._head(answer.status, answer.headers)
        await self._end(b"")

    async def send_whole(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        await self._head(status, headers)
        await self._end(body)

    async def fail(self, error: ServeError) -> None:
        """End with an error: of its own where nothing has gone out, in the stream where something has."""
        if not self.begun:
            raise error
        if not self._stream:
            raise ConnectionError("half of an answer was sent")  # the connection is closed, and the client sees it
        await self._end(self._failed(self._path, error))

    async def _end(self, body: bytes) -> None:
        self.done = True
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def _head(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        if self.begun:
            return
        self.begun = True
        passed = [(n, v) for n, v in headers if n not in _OWN and not n.startswith(b"access-control-")]
        await self._send({"type": "http.response.start", "status": status, "headers": passed})


def _read(body: bytes) -> tuple[tuple[int, ...], int]:
    asked = asked_in(body)
    return prompt_blocks(asked), answers_of(asked)


async def _until_gone(receive: Receive, task: asyncio.Task[Any], relay: _Relay) -> None:
    """End the task when the client leaves; after a whole answer it does so, too."""
    while (await receive())["type"] != "http.disconnect":
        pass
    if not relay.done:
        task.cancel()


def _lost() -> ServeError:
    message = "the replica that was at this answer ended; try again"
    return ServeError(502, message, "replica_lost", {"Retry-After": "1"})


def _log(record: Record) -> None:
    """What a replica has answered, it has logged."""
    if not record.elsewhere:
        logs.write(record, with_text=False)
