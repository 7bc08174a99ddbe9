"""The blocks of a plain text with Markdown's headings, lists and fences, and what is left when some are taken out."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

_FENCE = re.compile(r"^[ ]{0,3}(`{3,}|~{3,})", re.MULTILINE)
_HEADING = re.compile(r"(#{1,6})\s[^\n]*")
_ITEM = re.compile(r"(?:[-*+•]|\d+[.)])\s")
_ENDED = re.compile(r"[.!?…;。!?;।॥؟۔።།]['\"”’»」』))\]]*$")
_LEADS_IN = re.compile(r"[:：]\s*$")


@dataclass(frozen=True)
class Block:
    """A paragraph, heading, list or fenced listing: what stands between blank lines, a fence as a whole."""

    text: str

    @property
    def level(self) -> int:
        """1 to 6 of a heading, else 0."""
        heading = _HEADING.fullmatch(self.text.strip())
        return len(heading[1]) if heading else 0

    @property
    def is_fenced(self) -> bool:
        return bool(_FENCE.match(self.text))

    @property
    def is_list(self) -> bool:
        return bool(_ITEM.match(self.text.lstrip()))

    @property
    def leads_in(self) -> bool:
        """Whether it announces what follows, with a colon."""
        return bool(_LEADS_IN.search(self.text))

    @property
    def is_title(self) -> bool:
        """Whether it looks like a heading without a mark: one line that does not end as a sentence."""
        text = self.text.strip()
        return bool(text) and "\n" not in text and not self.is_list and not _ENDED.search(text)


def split_blocks(text: str) -> list[Block]:
    """The blocks of a text; joined with blank lines they are the text again, but for the number of blank lines."""
    blocks: list[str] = []
    fence = ""
    for part in re.split(r"\n[ \t]*\n(?:[ \t]*\n)*", text):
        if fence:
            blocks[-1] += "\n\n" + part
        elif part.strip():
            blocks.append(part)
        for mark in _FENCE.findall(part):
            if not fence:
                fence = mark
            elif mark.startswith(fence):
                fence = ""
    return [Block(block) for block in blocks]


def join_blocks(blocks: Sequence[Block]) -> str:
    return "\n\n".join(block.text for block in blocks)


def without(blocks: Sequence[Block], gone: Collection[int]) -> list[Block]:
    """The blocks that stay when those with the numbers `gone` go."""
    return [block for index, block in enumerate(blocks) if index not in gone]


def with_orphans(blocks: Sequence[Block], removed: set[int], short: set[int]) -> set[int]:
    """The blocks that go when `removed` go: they, and what would be left without its text.

    That are headings whose section lost all its text, titles and lead-ins (of the blocks in `short`) right before a
    block that goes, and lists right after a lead-in that goes.
    """
    gone = set(removed)
    for index, block in enumerate(blocks):
        if block.is_list and index - 1 in gone and blocks[index - 1].leads_in:
            gone.add(index)
    for index in reversed(range(len(blocks))):
        block = blocks[index]
        if index in gone:
            continue
        if block.level:
            section = _section(blocks, index)
            text = [i for i in section if not blocks[i].level]
            if text and all(i in gone for i in text):
                gone.add(index)
        elif index + 1 in gone and index in short and (block.leads_in or block.is_title):
            gone.add(index)
    return gone


def _section(blocks: Sequence[Block], heading: int) -> range:
    level = blocks[heading].level
    end = next((i for i in range(heading + 1, len(blocks)) if 0 < blocks[i].level <= level), len(blocks))
    return range(heading + 1, end)
