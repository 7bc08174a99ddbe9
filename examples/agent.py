"""An agent in five lines; it needs a model that was trained to call tools: python examples/agent.py [URL [MODEL]]"""

import sys

from sansi.agents import Agent
from sansi.agents.toolset import Toolset
from sansi.client import HTTPChatClient

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000/v1"
model = sys.argv[2] if len(sys.argv) > 2 else "Qwen3-0.6B"

with Toolset(["calculator", "clock"]) as tools:  # MCP servers too: Toolset(["calculator"], mcp=["mcp.json"])
    agent = Agent(HTTPChatClient(url, model), tools.all(), thinking_budget=512)
    run = agent.run([{"role": "user", "content": "What is 17 * 23?"}])
    for record in run.calls:
        print(f"{record.call.name}({record.call.arguments}) -> {record.observation}")
    print(run.answer)
