"""Answers with citations from a search of one's own: python examples/retrieval.py [URL [MODEL]]"""

import sys
from pathlib import Path

from sansi.agents import Result, tool
from sansi.agents.compositions import RetrievalAssistant
from sansi.client import HTTPChatClient

PARAGRAPHS = [part for part in Path(__file__).with_name("README.md").read_text().split("\n") if part.strip()]


@tool(tainted=True)
def search(query: str) -> Result:
    """Search the list of examples.

    Args:
        query: Words to look for.
    """
    words = set(query.lower().split())
    best = sorted(PARAGRAPHS, key=lambda part: -len(words & set(part.lower().split())))[:3]
    return Result("\n\n".join(f"[{number}] {part}" for number, part in enumerate(best, 1)), origin="README.md")


url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000/v1"
client = HTTPChatClient(url, sys.argv[2] if len(sys.argv) > 2 else "Qwen3-0.6B")
answer = RetrievalAssistant(client, search).ask("Which example shows several thinking budgets?")
print(answer.text)
print("cited:", *answer.cited, "made up:", *answer.unknown)
