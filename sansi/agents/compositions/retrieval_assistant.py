"""An assistant that looks things up before it answers, and whose citations are checked against what it was shown."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sansi.agents.compositions import prompts
from sansi.agents.compositions.passages import PASSAGE, counting_on
from sansi.agents.loop import Agent
from sansi.agents.loop.run import AgentRun
from sansi.agents.running import run_sync
from sansi.agents.tool import Tool
from sansi.base import SansiError
from sansi.client import ChatClient
from sansi.text import Message, ToolCall

_CITED = re.compile(r"\[(\d{1,3})\]")


@dataclass(frozen=True)
class CitedAnswer:
    """An answer, and what it cites."""

    text: str
    cited: tuple[int, ...]
    """Numbers of passages that it was shown."""
    unknown: tuple[int, ...]
    """Numbers that it made up."""
    run: AgentRun = field(repr=False)


@dataclass
class RetrievalAssistant:
    """Over a tool that takes a `query` and gives numbered passages ("[1] …"), such as the built-in `retrieval`.

    The first search is made with the question itself, so that a model which calls no tools has passages, too.
    """

    client: ChatClient
    tool: Tool
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of the Agent: options, limits, gate."""

    def ask(self, question: str) -> CitedAnswer:
        """Raises SansiError as `Agent.run` does."""
        return run_sync(self.aask(question))

    async def aask(self, question: str) -> CitedAnswer:
        """As `ask`, on the event loop of the caller."""
        if not question.strip():
            raise SansiError("the question is empty", param="question")
        first = ToolCall("call_first", self.tool.name, json.dumps({"query": question}, ensure_ascii=False))
        messages = [
            Message("system", prompts.CITE.format(tool=self.tool.name)),
            Message("user", question),
            Message("assistant", "", None, (first,)),  # a call without its result: the run begins by answering it
        ]
        run = await Agent(self.client, [counting_on(self.tool)], **self.settings).arun(messages)
        shown = {int(n) for record in run.calls if record.status == "ok" for n in PASSAGE.findall(record.observation)}
        cited = dict.fromkeys(map(int, _CITED.findall(run.answer)))
        known, unknown = [n for n in cited if n in shown], [n for n in cited if n not in shown]
        return CitedAnswer(run.answer, tuple(known), tuple(unknown), run)
