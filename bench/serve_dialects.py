"""What each dialect of the API costs beside chat completions, and those beside an earlier checkout's.

    python bench/serve_dialects.py [--before CHECKOUT] [--clients 1 8 32] [--rounds 9] [--publish]

The same questions at temperature 0 with thought, so the same tokens, streamed to some clients at a time: OpenAI's chat
completions and responses, Anthropic's messages, Ollama's chat. One server per checkout, each round in another order,
with the same model folder. Told are tokens a second and, steadier on a shared machine, the processor time that the
server's process takes for a token (all threads, the model's own work included: the floor that no dialect goes below).
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import re
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import ROOT, commit, cpu_seconds, machine, publish
from sansi.base.files import read_json, write_json
from serve_cases import LoadCase
from serve_load import HOST, Exchange, free_port, request_of

CASES = {clients: LoadCase("dialects", clients, 64 if clients > 1 else 16) for clients in (1, 8, 32)}
RESULTS = ROOT / "bench" / "results" / "serve-dialects.json"
MOST = 256  # tokens of an answer


@dataclass(frozen=True)
class Way:
    """One way to ask: where, how, and where the reply tells its tokens."""

    name: str
    path: str
    body: Callable[[list[dict[str, str]]], dict[str, Any]]
    count: re.Pattern[bytes]


WAYS = (
    Way(
        "chat completions",
        "/v1/chat/completions",
        lambda m: {"messages": m, "max_tokens": MOST, "stream_options": {"include_usage": True}},
        re.compile(rb'"completion_tokens": ?(\d+)'),
    ),
    Way(
        "responses",
        "/v1/responses",
        lambda m: {"input": m[0]["content"], "max_output_tokens": MOST, "store": False},
        re.compile(rb'"output_tokens": ?(\d+)'),
    ),
    Way(
        "messages",
        "/v1/messages",
        lambda m: {"messages": m, "max_tokens": MOST, "thinking": {"type": "adaptive"}},
        re.compile(rb'"output_tokens": ?(\d+)'),
    ),
    Way(
        "Ollama's chat",
        "/api/chat",
        lambda m: {"messages": m, "think": True, "options": {"num_predict": MOST, "temperature": 0}},
        re.compile(rb'"eval_count": ?(\d+)'),
    ),
)


class Server:
    """`sansi serve` of one checkout."""

    def __init__(self, checkout: Path, model: str):
        self.port = free_port()
        environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "2"}
        command = [sys.executable, "-m", "sansi.cli", "serve", model, "--port", str(self.port), "--log-format", "off"]
        self._process = subprocess.Popen(command, cwd=checkout, env=environment, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://{HOST}:{self.port}/health", timeout=5).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"the server of {checkout} does not answer") from None
                time.sleep(0.2)

    def processor_seconds(self) -> float:
        return cpu_seconds(self._process.pid)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(30)


def body_of(way: Way, messages: list[dict[str, str]]) -> dict[str, Any]:
    asked = way.body(messages)
    return {"model": "nano", **({} if "options" in asked else {"temperature": 0}), **asked}


async def ask(port: int, requests: Sequence[bytes], concurrency: int) -> list[bytes]:
    """The replies, `concurrency` at a time; they are read when all is over."""
    replies, order, loop = [b""] * len(requests), itertools.count(), asyncio.get_running_loop()

    async def client() -> None:
        while (index := next(order)) < len(requests):
            _, exchange = await loop.create_connection(lambda i=index: Exchange(requests[i]), HOST, port)
            await exchange.done
            replies[index] = b"".join(exchange.reads)

    await asyncio.gather(*(client() for _ in range(concurrency)))
    return replies


def measure(server: Server, way: Way, case: LoadCase, round_: int) -> dict[str, float]:
    requests = [request_of(body_of(way, body["messages"]), way.path) for body in case.make(round_)]
    begun, processor = time.perf_counter(), server.processor_seconds()
    replies = asyncio.run(ask(server.port, requests, case.concurrency))
    seconds, processor = time.perf_counter() - begun, server.processor_seconds() - processor
    counts = []
    for reply in replies:
        if not reply.startswith(b"HTTP/1.1 200") or not (found := way.count.findall(reply)):
            raise SystemExit(f"{way.name}: {reply[:500].decode(errors='replace')}")
        counts.append(int(found[-1]))
    tokens = sum(counts)
    return {"tokens": tokens, "tokens_per_second": tokens / seconds, "cpu_us_per_token": 1e6 * processor / tokens}


def run(before: Path | None, model: str, rounds: int, clients: Sequence[int]) -> dict[str, Any]:
    servers = {"": Server(ROOT, model)}
    try:
        if before is not None:
            servers["before: "] = Server(before, model)
        lanes = [("", way) for way in WAYS] + [("before: ", way) for way in WAYS[:1] if before is not None]
        found: dict[int, dict[str, list[dict[str, float]]]] = {}
        for many in clients:
            found[many] = {prefix + way.name: [] for prefix, way in lanes}
            for prefix, way in lanes:
                measure(servers[prefix], way, CASES[many], -1)  # thrown away
        for number, many in itertools.product(range(rounds), clients):
            turn = number % len(lanes)
            for prefix, way in [*lanes[turn:], *lanes[:turn]]:
                found[many][prefix + way.name].append(measure(servers[prefix], way, CASES[many], number))
    finally:
        for server in servers.values():
            server.close()
    return {
        "commit": commit(),
        "machine": machine(2),
        "rounds": rounds,
        "before": before and commit(before),
        "clients": found,
    }


def report(results: dict[str, Any]) -> str:
    """Medians, and the medians of the ratios within each round."""
    lines = ["| clients | way | tokens/s | beside chat | server µs of processor a token | beside chat |"]
    lines.append("|--:|---|--:|--:|--:|--:|")
    for clients, ways in results["clients"].items():
        for name, runs in ways.items():
            cells = [str(clients), name]
            for key, digits in (("tokens_per_second", 0), ("cpu_us_per_token", 1)):
                pairs = zip(runs, ways["chat completions"], strict=True)
                ratios = [run[key] / other[key] for run, other in pairs]
                value = statistics.median(run[key] for run in runs)
                cells += [
                    f"{value:,.{digits}f}",
                    f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
                ]
            lines.append("| " + " | ".join(cells) + " |")
    about = results["machine"]
    where = f"{about['cores']} cores of {about['cpu']} ({', '.join(about['features'])})"
    earlier = f"; before: `{results['before']}`" if results["before"] else ""
    rounds = f"{results['rounds']} rounds of {CASES[8].requests} questions ({CASES[1].requests} for one client)"
    lines.append(f"\nCommit `{results['commit']}`{earlier}; {where}; {rounds}.")
    return "\n".join(lines) + "\n"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--before", type=Path, help="a checkout to compare chat completions with")
    options.add_argument("--model", default=str(ROOT / "checkpoints" / "nano"))
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32], choices=list(CASES))
    options.add_argument("--publish", action="store_true", help="only write the saved figures into docs/RESULTS.md")
    chosen = options.parse_args()
    if chosen.publish:
        return publish("serve:dialects", report(read_json(RESULTS)))
    results = run(
        chosen.before and chosen.before.resolve(), str(Path(chosen.model).resolve()), chosen.rounds, chosen.clients
    )
    write_json(RESULTS, results)
    print(report(results))


if __name__ == "__main__":
    main()
