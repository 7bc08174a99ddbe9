"""Replay: a transcript once more, without model and tools. The same prompts, id by id, and the same decisions?"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sansi.agents.approvals import Answer, Approvals, Decision
from sansi.agents.approvals.questions import NotAsked
from sansi.agents.tools.read_result import READ_RESULT
from sansi.agents.transcript.reading import Transcript, Turn, read_transcript
from sansi.base import SansiError
from sansi.text import Message, ToolCall

Render = Callable[[Sequence[Message], Sequence[Mapping[str, Any]], Mapping[str, Any]], Sequence[int]]
"""From messages, tools and options to the ids that a model reads."""


class Codec(Protocol):
    """What is needed of `sansi.text.Codec`."""

    def render(self, messages: Sequence[Message], **options: Any) -> Any: ...


@dataclass(frozen=True)
class Replay:
    """What came of a replay."""

    messages: tuple[Message, ...]
    prompts: int
    """Replies whose prompt was rendered again and compared."""
    same_prompts: int
    decisions: int
    """Calls that were decided on again, and compared."""
    same_decisions: int
    differences: tuple[str, ...] = ()
    """A sentence for each that differs."""

    @property
    def same(self) -> bool:
        return not self.differences


def replay(transcript: Transcript | str | Path, codec: Codec | None = None, render: Render | None = None) -> Replay:
    """Render and decide again what a transcript holds. Neither a model nor a tool is needed.

    codec: renders as `sansi.chat` does; or `render`, where other options play a part. Without both, prompts are not
    compared, nor are those whose ids the endpoint did not tell. Raises SansiError where the transcript can not be read.
    """
    if not isinstance(transcript, Transcript):
        transcript = read_transcript(transcript)
    if render is None and codec is not None:
        render = rendering(codec)
    told = _Told()
    for number, turn in enumerate(transcript.turns, 1):
        _Again(turn, render, told, f"turn {number}").run()
    return Replay(
        transcript.messages,
        told.prompts,
        told.same_prompts,
        told.decisions,
        told.same_decisions,
        tuple(told.differences),
    )


def rendering(codec: Codec) -> Render:
    """As a chat model renders: a thinking budget of 0 does not think."""

    def render(
        messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], options: Mapping[str, Any]
    ) -> list[int]:
        thinking = False if options.get("thinking_budget") == 0 else options.get("enable_thinking")
        named = {name: options[name] for name in ("history", "soft_switch") if name in options}
        named["open_thought"] = options.get("soft_switch") != "model"
        return list(codec.render(list(messages), tools=list(tools) or None, enable_thinking=thinking, **named).ids)

    return render


@dataclass
class _Told:
    """Counts over all turns."""

    prompts: int = 0
    same_prompts: int = 0
    decisions: int = 0
    same_decisions: int = 0
    differences: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Definition:
    """A tool as the transcript remembers it."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    effects: frozenset[Any]
    origin: str
    title: str | None
    tainted: bool
    show: Any = None


class _Again:
    """One turn, line by line: a second `Turn` that grows, and approvals that decide on what it holds."""

    def __init__(self, turn: Turn, render: Render | None, told: _Told, where: str):
        self._lines, self._render, self._told, self._where = turn.events, render, told, where
        self._turn = Turn(turn.opened, list(turn.messages[: turn.given]), turn.given)
        self._begin(turn.opened)
        self._prompt: tuple[list[Message], dict[str, Any]] | None = None
        self._undecided: dict[str, ToolCall] = {}
        self._at = 0

    def _begin(self, setup: Mapping[str, Any]) -> None:
        saved = setup["approvals"]
        self._approvals = None if saved is None else Approvals.from_json(saved)
        self._options = dict(setup["options"])
        tools = [{**tool, "effects": frozenset(tool["effects"])} for tool in setup["tools"]]
        self._tools = {tool["name"]: _Definition(**tool) for tool in tools}

    def run(self) -> None:
        for at, line in enumerate(self._lines):
            self._at = at
            self._turn.take(line, keep=False)
            handle = getattr(self, f"_on_{line['kind']}", None)
            if handle is not None:
                handle(line)

    def _on_resumed(self, line: dict[str, Any]) -> None:
        self._begin(line)

    def _on_step(self, line: dict[str, Any]) -> None:
        options = dict(self._options)
        if line["thinking_budget"] is not None:
            options["thinking_budget"] = line["thinking_budget"]
        self._prompt = (list(self._turn.messages), {**options, "tools": line["tools"]})

    def _on_reply(self, line: dict[str, Any]) -> None:
        if self._render is None or line["prompt_ids"] is None or self._prompt is None:
            return
        messages, options = self._prompt
        names = options.pop("tools")
        specs = [_spec(self._tools.get(name) or READ_RESULT) for name in names]
        self._told.prompts += 1
        try:
            ids = list(self._render(messages, specs, options))
        except SansiError as error:
            self._told.differences.append(f"{self._where}: a prompt can not be rendered: {error}")
            return
        if ids == line["prompt_ids"]:
            self._told.same_prompts += 1
        else:
            at = next((i for i, (a, b) in enumerate(zip(ids, line["prompt_ids"], strict=False)) if a != b), "the end")
            self._told.differences.append(f"{self._where}: a prompt differs from id {at} on")

    # --- decisions: as the gate makes them ---------------------------------------------------------------------------

    def _on_call_ready(self, line: dict[str, Any]) -> None:
        if self._approvals is None:
            return
        call = ToolCall(line["id"], line["name"], json.dumps(line["arguments"], ensure_ascii=False))
        decided, written = self._decide(call).action, self._written(call.id)
        if decided == "ask":
            self._undecided[call.id] = call
        if written is not None and (decided, written) != ("ask", "allow"):
            self._compare(call, decided, written)

    def _on_approval_answered(self, line: dict[str, Any]) -> None:
        call = self._undecided.pop(line["id"], None)
        if call is None or self._approvals is None or line["by"] == "policy":
            return
        question = self._decide(call).question
        if question is not None:
            kind = Answer if line["by"] == "user" else NotAsked
            answer = kind(line["answer"], line["reason"], line["exact"], line["seen"])
            self._approvals.settle(question, answer, self._tools.get(call.name))

    def _on_call_running(self, line: dict[str, Any]) -> None:
        call = self._undecided.pop(line["id"], None)
        if call is not None:  # an answer to another question, given since, holds for it
            self._compare(call, self._decide(call).action, "allow")

    def _decide(self, call: ToolCall) -> Decision:
        assert self._approvals is not None
        return self._approvals.decide(call, self._tools.get(call.name) or READ_RESULT, self._turn.messages)

    def _written(self, id_: str) -> str | None:
        """What was decided on a call, by the lines after its `call_ready`; None where the transcript does not say."""
        for line in self._lines[self._at + 1 :]:
            kind = line["kind"]
            if kind == "resumed" or (kind == "message" and line["message"]["role"] == "assistant"):
                return None
            if line.get("id") == id_ and kind in ("call_running", "approval_asked", "approval_answered"):
                denied = kind == "approval_answered" and line["by"] == "policy"
                return "allow" if kind == "call_running" else "deny" if denied else "ask"
        return None

    def _compare(self, call: ToolCall, decided: str, written: str) -> None:
        self._told.decisions += 1
        if decided == written:
            self._told.same_decisions += 1
            return
        told = f'{self._where}: {call.name} ({call.id}): the decision is "{decided}", and was "{written}"'
        self._told.differences.append(told)


def _spec(tool: Any) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}
