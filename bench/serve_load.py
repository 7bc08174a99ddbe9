"""The load generator of `bench/serve.py`: streamed chat completions over bare sockets, and what their replies tell.

While a server is measured, a client does nothing but keep the bytes that come and the time of each read; JSON is
parsed when all is over. So one Python process takes far more events a second than any contender sends: `ceiling`
measures how many, from a server that computes nothing.
"""

from __future__ import annotations

import asyncio
import bisect
import itertools
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
TIMEOUT = 900  # seconds for all requests of a case together
# Where a stream's bytes hold text of the model: a piece of thought or of answer that is not empty.
TEXT = re.compile(rb'"(?:reasoning_content|reasoning|content)": ?"(?!")')
STATUS = re.compile(rb"HTTP/1\.[01] (\d+)")


@dataclass(frozen=True)
class Answer:
    """What one request came to; seconds are counted from the moment it was sent."""

    first: float = 0.0
    """Until the first piece of text."""
    last: float = 0.0
    """Until the last piece of text."""
    tokens: int = 0
    prompt_tokens: int | None = None
    error: str | None = None
    """Why it does not count."""

    @property
    def per_token(self) -> float:
        """Seconds from one token to the next."""
        return (self.last - self.first) / max(1, self.tokens - 1)


class Exchange(asyncio.Protocol):
    """One request on a connection of its own, and the bytes of its reply as they came."""

    def __init__(self, request: bytes):
        self._request = request
        self.reads: list[bytes] = []
        self.times: list[float] = []
        self.failed: str | None = None
        self.done = asyncio.get_running_loop().create_future()
        self.sent = time.perf_counter()

    def connection_made(self, transport: Any) -> None:
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self.times.append(time.perf_counter())
        self.reads.append(data)

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None:
            self.failed = f"{type(error).__name__}: {error}"
        if not self.done.done():
            self.done.set_result(None)

    def answer(self, length: int | None) -> Answer:
        return read_answer(b"".join(self.reads), self.reads, [at - self.sent for at in self.times], length, self.failed)


def run_load(port: int, bodies: Sequence[Mapping[str, Any]], concurrency: int, length: int | None) -> dict[str, Any]:
    """Ask for all `bodies`, `concurrency` at a time: whoever has an answer asks the next question.

    length: tokens that each answer must have; None: as many as it likes. The reply: "answers" (dicts of Answer),
    "seconds" from the first request to the end of the last reply, "generator_cpu" seconds of this process meanwhile.
    """
    return asyncio.run(_run_load(port, [request_of(body) for body in bodies], concurrency, length))


async def _run_load(port: int, requests: Sequence[bytes], concurrency: int, length: int | None) -> dict[str, Any]:
    exchanges: list[Exchange | str] = [""] * len(requests)
    order = itertools.count()
    loop = asyncio.get_running_loop()

    async def client() -> None:
        while (index := next(order)) < len(requests):
            try:
                _, exchange = await loop.create_connection(lambda i=index: Exchange(requests[i]), HOST, port)
                exchanges[index] = exchange
                await exchange.done
            except OSError as error:
                exchanges[index] = f"{type(error).__name__}: {error}"

    cpu, start = time.process_time(), time.perf_counter()
    clients = [asyncio.ensure_future(client()) for _ in range(concurrency)]
    await asyncio.wait(clients, timeout=TIMEOUT)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    for task in clients:
        task.cancel()
    answers = [e.answer(length) if isinstance(e, Exchange) else Answer(error=e or "no time left") for e in exchanges]
    return {"answers": [asdict(answer) for answer in answers], "seconds": seconds, "generator_cpu": cpu}


def request_of(body: Mapping[str, Any], path: str = "/v1/chat/completions") -> bytes:
    """A request for a stream, on a connection of its own."""
    content = json.dumps({**body, "stream": True}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode() + content


# --- what a reply says ------------------------------------------------------------------------------------------------


def read_answer(
    reply: bytes, reads: Sequence[bytes], times: Sequence[float], length: int | None, failed: str | None = None
) -> Answer:
    """The Answer in the bytes of a reply, which came as `reads` at `times`."""
    head, _, body = reply.partition(b"\r\n\r\n")
    status = STATUS.match(head)
    if failed or status is None:
        return Answer(error=failed or "no reply")
    if b"chunked" in head.lower():
        body = dechunked(body)
    if status[1] != b"200":
        return Answer(error=f"status {status[1].decode()}: {body[:200].decode(errors='replace')}")
    events = [line[6:] for line in body.splitlines() if line.startswith(b"data: ")]
    chunks = [json.loads(event) for event in events if event != b"[DONE]"]
    told = next((chunk["error"] for chunk in chunks if "error" in chunk), None)
    if told is not None or not events or events[-1] != b"[DONE]":
        return Answer(error="the stream broke off" if told is None else f"in the stream: {told}")
    return _checked(chunks, _text_times(reply, reads, times), length)


def _text_times(reply: bytes, reads: Sequence[bytes], times: Sequence[float]) -> list[float]:
    """When each piece of text came."""
    ends = list(itertools.accumulate(map(len, reads)))
    return [times[bisect.bisect_right(ends, found.start())] for found in TEXT.finditer(reply)]


def _checked(chunks: Sequence[Mapping[str, Any]], texts: Sequence[float], length: int | None) -> Answer:
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk.get("choices", ())]
    reason = next(filter(None, reversed(reasons)), None)
    usage = next((chunk["usage"] for chunk in reversed(chunks) if chunk.get("usage")), {})
    tokens = usage.get("completion_tokens") or (length if length and reason == "length" else len(texts))
    if length is not None and (reason != "length" or tokens != length):
        return Answer(error=f"{tokens} tokens, finish_reason {reason}; {length} were asked for")
    if not texts:
        return Answer(error="no text")
    return Answer(texts[0], texts[-1], tokens, usage.get("prompt_tokens"))


def dechunked(body: bytes) -> bytes:
    """The content of a body in HTTP's chunked coding, as far as it came."""
    parts, at = [], 0
    while (end := body.find(b"\r\n", at)) >= 0:
        size = int(body[at:end].split(b";")[0] or b"0", 16)
        if size == 0:
            break
        parts.append(body[end + 2 : end + 2 + size])
        at = end + 2 + size + 2
    return b"".join(parts)


# --- what the generator itself can take -------------------------------------------------------------------------------


def ceiling(concurrency: int = 32, requests: int = 64, events: int = 400) -> dict[str, float]:
    """Events a second that come from a server which sends canned ones, one write each, and computes nothing.

    "cpu_us" is what one event costs this process in µs: the share of a core that the generator takes from whoever is
    measured on the same machine is that times the events a second.
    """
    command = [sys.executable, str(Path(__file__).parent / "peers" / "canned_server.py"), str(events)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        reply = run_load(port, [{"messages": []}] * requests, concurrency, events)
    finally:
        server.kill()
        server.wait()
    failed = [answer["error"] for answer in reply["answers"] if answer["error"]]
    assert not failed, failed[0]
    total = requests * events
    return {"events_per_second": total / reply["seconds"], "cpu_us": 1e6 * reply["generator_cpu"] / total}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]
