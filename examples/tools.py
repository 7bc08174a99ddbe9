"""A model with tools; it needs one that was trained to call them: python examples/tools.py [URL [MODEL]]"""

import sys

from sansi.agents import Agent, Tool, calculator
from sansi.client import HTTPChatClient


def population(country: str) -> int:
    """How many people live in a country.

    Args:
        country: Its English name.
    """
    return {"Iceland": 390_000, "Malta": 560_000}[country]


url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000/v1"
model = sys.argv[2] if len(sys.argv) > 2 else "Qwen3-0.6B"
tools = [Tool.from_function(population), Tool.from_function(calculator)]
agent = Agent(HTTPChatClient(url, model), tools, max_calls=8, thinking_budget=512)

run = agent.run([{"role": "user", "content": "How many people live in Iceland and Malta together?"}])
for record in run.calls:
    print(f"{record.call.name}({record.call.arguments}) -> {record.observation}")
print(run.answer)
