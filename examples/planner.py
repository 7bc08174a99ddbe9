"""A plan, then its steps, each by an agent with tools: python examples/planner.py [URL [MODEL [TASK]]]"""

import sys

from sansi.agents import Tool, calculator
from sansi.agents.compositions import Planner
from sansi.client import HTTPChatClient

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000/v1"
client = HTTPChatClient(url, sys.argv[2] if len(sys.argv) > 2 else "Qwen3-0.6B")
task = sys.argv[3] if len(sys.argv) > 3 else "What do 3 tickets at 14 and 2 at 9 cost together?"

done = Planner(client, [Tool.from_function(calculator)], max_steps=4).run(task)
for step in done.steps:
    calls = ", ".join(f"{record.call.arguments} -> {record.observation}" for record in step.run.calls)
    print(f"- {step.step} {calls}")
print(done.answer)
