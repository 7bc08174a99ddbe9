"""Marked-up text to plain text: HTML, man pages, hard-wrapped lines, tagged words."""

from __future__ import annotations

from sansi.data.html_text import Block, Page, html_to_text, parse_html
from sansi.data.lines import display_width, join_lines, unwrap
from sansi.data.roff import man_to_text
from sansi.data.tagged import untag

__all__ = [
    "Block",
    "Page",
    "display_width",
    "html_to_text",
    "join_lines",
    "man_to_text",
    "parse_html",
    "untag",
    "unwrap",
]
