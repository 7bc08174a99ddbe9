"""A scripted agent for tests of transcripts: what it says depends on the conversation alone, so that a run that was
killed and one that was not come to the same end. Run as a program it is killed at each kind of event, in forks."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from sansi.agents import Agent, Tool, ToolContext
from sansi.agents.approvals import Approvals
from sansi.agents.transcript import Session
from sansi.client import AssistantReply, Usage
from sansi.text import Content, Message, Reasoning, ToolCall, ToolCallDelta

STEPS = [
    [("look", {"what": "door"}), ("write", {"text": "one"})],
    [("write", {"text": "two"}), ("look", {"what": "window"})],
    [],
]
LOOPING = [*STEPS[:2], *[[("look", {"what": "door"})]] * 4, []]
"""The same call with the same result, so that there are notices: it is told at the third and the fourth time."""
KINDS = [
    "step", "reasoning", "content", "call_started", "call_arguments", "reply", "message", "call_ready",
    "approval_asked", "approval_answered", "call_running", "progress", "observation", "notice", "finished",
]  # fmt: skip


class Model:
    """Answers by how many results it has read since the user spoke."""

    def __init__(self, steps=STEPS):
        self.steps = steps

    def reply(self, messages):
        last_user = max(i for i, message in enumerate(messages) if message.role == "user")
        step = sum(message.role == "assistant" for message in messages[last_user:])
        made = self.steps[step]
        calls = tuple(ToolCall(f"call_{i}", name, json.dumps(args)) for i, (name, args) in enumerate(made))
        text = "" if made else "done: " + " / ".join(m.content[:12] for m in messages if m.role == "tool")
        message = Message("assistant", text, f"thought {step}", calls)
        return AssistantReply(message, "tool_calls" if made else "stop", Usage(10, 5, 2))

    async def stream(self, messages, tools, **options):
        reply = self.reply(messages)
        yield Reasoning(reply.message.reasoning_content)
        yield Content(reply.message.content)
        for index, call in enumerate(reply.message.tool_calls):
            yield ToolCallDelta(index, call.id, call.name, "")
            yield ToolCallDelta(index, call.id, None, call.arguments)
        yield reply


def tools_in(folder: Path) -> list[Tool]:
    def look(what: str, context: ToolContext) -> str:
        """Look at something.

        Args:
            what: at what
        """
        context.progress("looking")
        return f"seen {what}"

    def write(text: str) -> str:
        """Write a line.

        Args:
            text: the line
        """
        with (folder / "effects.txt").open("a") as file:
            file.write(text + "\n")
        return f"wrote {text}"

    return [Tool.from_function(look), Tool.from_function(write, effects=frozenset({"write"}))]


def agent_in(folder: Path, approver=lambda question: "once", model=None, mode="ask") -> Agent:
    return Agent(model or Model(), tools_in(folder), gate=Approvals(mode, approver))


def model_for(kind: str) -> Model:
    return Model(LOOPING if kind == "notice" else STEPS)


def killed(folder: Path, kind: str, nth: int) -> None:
    """A run that the system kills once the line of the nth event of a kind has been written."""
    session = Session.create(folder / "run.jsonl", agent_in(folder, model=model_for(kind)))
    write, seen = session._writer.write, 0

    def watched(line):
        nonlocal seen
        write(line)
        seen += line["kind"] == kind
        if seen == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    session._writer.write = watched
    for _ in session.send("Go."):
        pass


def main(root: Path) -> None:
    for kind in KINDS:
        for nth in (1, 2):
            folder = root / f"{kind}-{nth}"
            folder.mkdir()
            child = os.fork()
            if child == 0:
                try:
                    killed(folder, kind, nth)
                finally:
                    os._exit(0)
            os.waitpid(child, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
