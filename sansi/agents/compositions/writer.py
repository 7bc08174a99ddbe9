"""A writer: an outline first, then section by section, each with the outline and the end of what stands before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sansi.agents.compositions import prompts
from sansi.agents.compositions.asking import items_of
from sansi.agents.loop import Agent
from sansi.agents.running import run_sync
from sansi.base import SansiError
from sansi.client import ChatClient
from sansi.text import Message

CONTEXT, MAX_CUTS = 1500, 3  # characters of what stands before; how often a section that is cut may go on


@dataclass(frozen=True)
class Section:
    """A part of an article."""

    title: str
    text: str


@dataclass(frozen=True)
class Article:
    """An article in sections."""

    topic: str
    sections: tuple[Section, ...]

    @property
    def markdown(self) -> str:
        return "\n\n".join([f"# {self.topic}", *(f"## {s.title}\n\n{s.text}" for s in self.sections)]) + "\n"


def write_article(client: ChatClient, topic: str, **how: Any) -> Article:
    """As `awrite_article`, for programs without an event loop."""
    return run_sync(awrite_article(client, topic, **how))


async def awrite_article(
    client: ChatClient,
    topic: str,
    *,
    material: str = "",
    max_sections: int = 6,
    options: Mapping[str, Any] | None = None,
) -> Article:
    """Write about `topic`, from `material` where some is given; a section that a limit cuts is gone on with.

    Raises SansiError where the outline is empty, or as `Agent.run` does."""
    given = f"\nFrom this material alone:\n{material}\n" if material else ""
    outline = await _written(client, prompts.OUTLINE.format(topic=topic, material=given, most=max_sections), options)
    titles = items_of(outline, max_sections)
    if not titles:
        raise SansiError("the model wrote no outline", param="topic")
    listed, sections = "\n".join(f"{i}. {title}" for i, title in enumerate(titles, 1)), list[Section]()
    for title in titles:
        before = "\n\n".join(section.text for section in sections)[-CONTEXT:] or "(this is the first section)"
        prompt = prompts.SECTION.format(topic=topic, outline=listed, material=given, before=before, title=title)
        sections.append(Section(title, await _written(client, prompt, options)))
    return Article(topic, tuple(sections))


async def _written(client: ChatClient, prompt: str, options: Mapping[str, Any] | None) -> str:
    """The reply to a prompt, gone on with where it is cut."""
    agent, messages, text = Agent(client, options=options), [Message("user", prompt)], ""
    for _ in range(MAX_CUTS + 1):
        run = await agent.arun(messages)
        text += run.answer
        if run.stopped_reason != "length":
            break
        messages = [*run.messages, Message("user", prompts.GO_ON)]
    return text.strip()
