"""What replicas cost beside one server, and what it brings to send a prompt where its beginning is.

    python bench/fleet.py [--model FOLDER] [--rounds 40]

The same streamed question to one server and to a fleet of two in turn: time to the first token and to the end. Then
conversations of four turns, six at a time: the share of their prompts that caches held, with routing by prefix and
with routing by load alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from common import ROOT, commit

MAIN = "from sansi.cli import main; main()"
BY_LOAD_ALONE = "import sansi.serve.fleet.front as front; front.prompt_blocks = lambda asked: (); "
SENTENCE = "the river runs past old stones while children count numbers and birds sing of spring rain"
WORDS = SENTENCE.split(" ")
CHAT = "/v1/chat/completions"


@contextlib.contextmanager
def served(model: Path, *options: str, before: str = "") -> Iterator[str]:
    """A server on a free port; its address."""
    argv = ["sansi", "serve", str(model), "--name", "m", "--port", "0", "--device", "cpu", "--log-format", "off"]
    program = f"import sys; sys.argv = {[*argv, *options]!r}; {before}{MAIN}"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        lines = iter(process.stdout.readline, "")
        yield next(found[1] for line in lines if (found := re.search(r"chat +(http\S+)", line)))
    finally:
        process.terminate()
        process.communicate()


def timed(client: httpx.Client, url: str) -> tuple[float, float]:
    """Milliseconds to the first text, and to the end."""
    question = [{"role": "user", "content": "Solve for e: 8*e - 5 = 3"}]
    body = {"model": "m", "messages": question, "stream": True, "max_tokens": 64, "temperature": 0}
    first, begun = None, time.perf_counter()
    with client.stream("POST", url + CHAT, json=body) as response:
        for line in response.iter_lines():
            if first is None and re.search(r'"(?:reasoning_)?content":"[^"]', line):
                first = time.perf_counter() - begun
    assert first is not None
    return 1e3 * first, 1e3 * (time.perf_counter() - begun)


def cost(model: Path, rounds: int) -> dict[str, Any]:
    """Medians of one server and of a fleet, asked in turn."""
    with served(model) as alone, served(model, "--replicas", "2") as fleet, httpx.Client(timeout=120) as client:
        found: dict[str, list[tuple[float, float]]] = {"one server": [], "two replicas": []}
        for turn in range(rounds + 3):
            for name, url in zip(found, (alone, fleet), strict=True):
                times = timed(client, url)
                found[name] += [times] if turn >= 3 else []
    medians = {
        name: [round(statistics.median(column), 2) for column in zip(*times, strict=True)]
        for name, times in found.items()
    }
    return {name: {"first_ms": first, "end_ms": end} for name, (first, end) in medians.items()}


def hits(model: Path, before: str) -> dict[str, float]:
    """What of the prompts came from caches, in conversations that are asked in a mixed order."""
    mixed = random.Random(0)
    conversations = [[{"role": "user", "content": " ".join(mixed.choices(WORDS, k=25))}] for _ in range(24)]
    with served(model, "--replicas", "2", before=before) as url, httpx.Client(timeout=120) as client:

        def turn(conversation: list[dict[str, str]]) -> None:
            options = {"max_tokens": 24, "temperature": 0, "enable_thinking": False}
            answer = client.post(url + CHAT, json={"model": "m", "messages": conversation, **options})
            said = answer.raise_for_status().json()["choices"][0]["message"]["content"]
            conversation.append({"role": "assistant", "content": said})

        with ThreadPoolExecutor(6) as pool:
            for _ in range(4):
                mixed.shuffle(conversations)
                list(pool.map(turn, conversations))
                for conversation in conversations:
                    conversation.append({"role": "user", "content": " ".join(mixed.choices(WORDS, k=12))})
        text = client.get(url + "/metrics").text
    names = {"hit_ratio": "sansi_prefix_cache_hit_ratio", "prefilled": "sansi_prefill_tokens_total"}
    return {key: float(re.search(rf'^{name}{{model="m"}} (\S+)', text, re.M)[1]) for key, name in names.items()}  # type: ignore[index]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "checkpoints" / "nano")
    parser.add_argument("--rounds", type=int, default=40)
    asked = parser.parse_args()
    found = {
        "commit": commit(),
        "cost": cost(asked.model, asked.rounds),
        "by prefix": hits(asked.model, ""),
        "by load alone": hits(asked.model, BY_LOAD_ALONE),
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
