"""What an agent costs beside its model and its tools: python bench/agents.py [PART ...] [--publish]

loop: time per step of the loop with a scripted client, whose replies cost nothing, and the calculator; whole and
streamed, from a program without an event loop and from one with it; with the tokens of each step counted or not.
sandbox: time to a first result and of each call on every rung, beside a plain process and, where `make torture` has
installed smolagents or `--smolagents PYTHON` names an interpreter that has it, its local executor.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from agents_sandbox import sandbox
from common import ROOT, commit, machine, publish
from sansi.agents import Agent, Tool, calculator
from sansi.client import AssistantReply, TokenCount, Usage
from sansi.text import Content, Message, Reasoning, ToolCall, ToolCallDelta

STEPS, ROUNDS, PIECES = 50, 7, 64
QUESTION = [{"role": "user", "content": "What is 17 * 23?"}]
INSTALLED = ROOT / ".clients" / "mcp-peers" / "smolagents" / "bin" / "python"
SMOLAGENTS = str(INSTALLED) if INSTALLED.exists() else None
THOUGHT = "I need the calculator for this. " * 8


class Scripted:
    """Calls the calculator STEPS times, then answers."""

    def __init__(self) -> None:
        self.step = 0

    def complete(self, messages: Any, tools: Any, **options: Any) -> AssistantReply:
        self.step += 1
        usage = Usage(100, 50, 40)
        if self.step > STEPS:
            return AssistantReply(Message("assistant", "391", THOUGHT), "stop", usage)
        call = ToolCall(f"call_{self.step}", "calculator", json.dumps({"expression": f"17*{self.step}"}))
        return AssistantReply(Message("assistant", "", THOUGHT, (call,)), "tool_calls", usage)


class Streamed(Scripted):
    """The same in PIECES pieces a step."""

    async def stream(self, messages: Any, tools: Any, **options: Any) -> AsyncIterator[Any]:
        reply = self.complete(messages, tools, **options)
        for _ in range(PIECES):
            yield Reasoning(THOUGHT[:4])
        for index, call in enumerate(reply.message.tool_calls):
            yield ToolCallDelta(index, call.id, call.name, "")
            yield ToolCallDelta(index, call.id, None, call.arguments)
        if reply.message.content:
            yield Content(reply.message.content)
        yield reply


class Counted(Streamed):
    """The same, with a count of each step's prompt."""

    context_length = 10**6

    def count_tokens(self, messages: Any, tools: Any, **options: Any) -> TokenCount:
        return TokenCount(len(messages), "codec")


def run_whole(client: Any) -> None:
    Agent(client, [Tool.from_function(calculator)], max_calls=None).run(QUESTION)


def run_on_a_loop(client: Any) -> None:
    asyncio.run(Agent(client, [Tool.from_function(calculator)], max_calls=None).arun(QUESTION))


def milliseconds_a_step(run: Callable[[Any], None], client: type[Scripted]) -> float:
    """The median over ROUNDS runs of STEPS steps each."""
    took = []
    for _ in range(ROUNDS):
        made, begun = client(), time.perf_counter()
        run(made)
        took.append((time.perf_counter() - begun) / (STEPS + 1) * 1000)
    return statistics.median(took)


def loop() -> str:
    cases = [
        ("whole replies, `run`", run_whole, Scripted),
        (f"{PIECES} pieces a reply, `run`", run_whole, Streamed),
        (f"{PIECES} pieces a reply, `arun`", run_on_a_loop, Streamed),
        (f"{PIECES} pieces a reply, tokens counted, `arun`", run_on_a_loop, Counted),
    ]
    tool = Tool.from_function(calculator)
    begun = time.perf_counter()
    for i in range(STEPS):
        tool.call(json.dumps({"expression": f"17*{i}"}))
    alone = (time.perf_counter() - begun) / STEPS * 1000
    rows = [(what, milliseconds_a_step(run, client)) for what, run, client in cases]
    lines = ["| a step of the loop with one call of the calculator | ms |", "|---|--:|"]
    lines += [f"| {what} | {took:.2f} |" for what, took in rows]
    return "\n".join([*lines, f"| the call alone, `Tool.call` | {alone:.2f} |"])


PARTS: dict[str, Callable[[argparse.Namespace], str]] = {
    "loop": lambda asked: loop(),
    "sandbox": lambda asked: sandbox(asked.smolagents),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--publish", action="store_true", help="write the tables into docs/RESULTS.md")
    parser.add_argument("--smolagents", metavar="PYTHON", default=SMOLAGENTS, help="interpreter that has smolagents")
    asked = parser.parse_args()
    for name in asked.parts or PARTS:
        table = PARTS[name](asked)
        told = machine(1)
        source = f"`python bench/agents.py {name}` at `{commit()}`, {told['cpu']}, {told['cores']} cores"
        print(f"{source}\n\n{table}\n")
        if asked.publish:
            publish(f"agents-{name}", f"\n{source}.\n\n{table}\n\n")


if __name__ == "__main__":
    main()
