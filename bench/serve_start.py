"""How long from `sansi serve` to the first answer, how much processor time, and how much memory the server takes?

    python bench/serve_start.py [--model checkpoints/nano] [--runs 5]

Limits: importing torch and the web stack is the floor, about 2 s of one core here; the weights (4.2 MB) are nothing
beside the 300 MB that an imported torch occupies.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import time

import httpx
from common import cpu_seconds, peak_memory

QUESTION = "State the final answer to the following arithmetic problem: 4 + 3 ="


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def first_answer(port: int, deadline: float) -> str:
    body = {"model": "nano", "messages": [{"role": "user", "content": QUESTION}], "seed": 0}
    while True:
        try:
            reply = httpx.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body, timeout=30)
            return reply.raise_for_status().json()["choices"][0]["message"]["content"]
        except httpx.ConnectError:
            if time.monotonic() > deadline:
                raise SystemExit("the server did not start within a minute") from None
            time.sleep(0.05)


def measure(model: str) -> dict[str, float]:
    port, started = free_port(), time.monotonic()
    command = [sys.executable, "-m", "sansi.cli", "serve", model, "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        first_answer(port, started + 60)
        seconds = time.monotonic() - started
        return {"seconds": seconds, "cpu": cpu_seconds(server.pid), "megabytes": peak_memory(server.pid) / 2**20}
    finally:
        server.terminate()
        server.wait(10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="checkpoints/nano")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    runs = [measure(arguments.model) for _ in range(arguments.runs)]
    print(json.dumps({key: round(statistics.median(run[key] for run in runs), 2) for key in runs[0]}))


if __name__ == "__main__":
    main()
