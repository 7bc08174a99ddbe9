"""`retrieval`: passages of the user's documents that fit a question, each with its place."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from sansi.agents.context import ALONE, ToolContext
from sansi.agents.observation import Result
from sansi.agents.tool import Tool
from sansi.agents.tools.library import Found, Library, Passage
from sansi.base.errors import SansiError, did_you_mean
from sansi.base.words import count as counted

MOST, SHOWN_NAMES, SHOWN_NOTES = 20, 30, 5
MOST_CONVERSATIONS = 1000  # whose numbers are known
_HEAD = re.compile(r"^(?=\[\d+\])", re.MULTILINE)
"""Where a passage has a line as one begins with: it is set back, so that no file speaks for another."""
TIMEOUT = 120.0  # seconds for one file, as each begins the time anew


class Retriever:
    """Searches one library for whoever asks; one search at a time brings it up to date."""

    def __init__(self, library: Library):
        self._library = library
        self._lock = threading.Lock()
        self._given: OrderedDict[str, int] = OrderedDict()

    def retrieval(self, query: str, context: ToolContext, count: int = 5, file: str | None = None) -> Result:
        """Search the user's documents and get the passages that fit best, each with its file, page and place.

        Cite what you take from one by its number, as [1]. Other words, or fewer, find other passages.

        Args:
            query: What to look for: a question, or words that stand in the text.
            count: How many passages, 1 to 20.
            file: Only in this file.
        """
        if not query.strip():
            raise SansiError("query is empty; say what to look for", param="query")
        with self._lock:  # of the library's notes, too
            self._library.refresh(context.progress, context.cancelled.is_set)
            names = self._library.names
            if file is not None and file not in names:
                raise SansiError(f'there is no file "{file[:200]}" here{did_you_mean(file, names)}', param="file")
            found = self._library.search(query, min(max(count, 1), MOST), None if file is None else [file])
            told, given = _told(found, names, self._library.notes, context.room, self._given_to(context))
            if context.conversation != ALONE:
                self._given[context.conversation] = given
            return told

    def _given_to(self, context: ToolContext) -> int:
        """Passages that the conversation has by now: numbers go on from search to search, so that each names one."""
        given = self._given.pop(context.conversation, 0)  # it comes last again
        while len(self._given) >= MOST_CONVERSATIONS:
            self._given.popitem(last=False)
        return given


def retrieval_tool(library: Library) -> Tool:
    """The tool `retrieval` over a library."""
    return Tool.from_function(
        Retriever(library).retrieval,
        name="retrieval",
        timeout=TIMEOUT,
        effects={"read"},
        origin="built-in",
        tainted=True,
    )


def tools(workspace: Any) -> list[Tool]:
    """Over the files of a workspace's folder. Raises SansiError where it has none."""
    if getattr(workspace, "folder", None) is None:
        raise SansiError("retrieval searches a folder, and none was given")
    library = Library.of(workspace.folder, embeddings=getattr(workspace, "embeddings", None))
    workspace.close_with(library.close)
    return [retrieval_tool(library)]


def _told(
    found: Sequence[Found], names: Sequence[str], notes: Sequence[str], room: int, given: int
) -> tuple[Result, int]:
    """The passages, numbered on from `given`, and the last number."""
    noted = "".join(f"\n({note})" for note in notes[:SHOWN_NOTES])
    noted += (
        f"\n({counted(len(notes) - SHOWN_NOTES, 'more file')} could not be read)" if len(notes) > SHOWN_NOTES else ""
    )
    if not found:
        listed = ", ".join(names[:SHOWN_NAMES]) + (", …" if len(names) > SHOWN_NAMES else "")
        where = f"in {counted(len(names), 'file')}: {listed}" if names else "as there are no files"
        return Result(f"Nothing was found {where}.{noted}"), given
    passages = _joined([each.passage for each in found])
    parts: list[str] = []
    left = room - len(noted) - 100
    for number, passage in enumerate(passages, given + 1):
        head = f"[{number}] {passage.place}" + (f" (under “{passage.heading}”)" if passage.heading else "")
        if parts and left < len(head) + 200:
            noted += f"\n(no room here for {counted(len(passages) - len(parts), 'more passage')})"
            break
        text = (
            passage.text if len(passage.text) <= left - len(head) else passage.text[: max(left - len(head), 100)] + "…"
        )
        parts.append(f"{' '.join(head.split())}\n{_HEAD.sub(' ', text)}")
        left -= len(parts[-1]) + 2
    origin = ", ".join(dict.fromkeys(passage.file for passage in passages))
    return Result("\n\n".join(parts) + noted, origin=origin[:500]), given + len(parts)


def _joined(passages: Sequence[Passage]) -> list[Passage]:
    """Neighbours as one passage, at the place of the better one."""
    out: list[Passage] = []
    for passage in passages:
        near = next((i for i, other in enumerate(out) if _touch(other, passage)), None)
        if near is None:
            out.append(passage)
        else:
            first, second = sorted((out[near], passage), key=lambda each: each.start)
            between = {0: "", 1: " "}.get(second.start - first.end, "\n\n")
            text = first.text + between + second.text
            out[near] = Passage(first.file, text, first.start, second.end, first.page, first.heading)
    return out


def _touch(one: Passage, other: Passage) -> bool:
    gap = max(one.start, other.start) - min(one.end, other.end)
    return one.file == other.file and one.page == other.page and 0 <= gap <= 4
