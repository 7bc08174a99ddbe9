"""A router: the agent that fits the question answers it: python examples/router.py [URL [MODEL]]"""

import sys

from sansi.agents import Agent, Tool, calculator
from sansi.agents.compositions import Expert, Router
from sansi.client import HTTPChatClient

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000/v1"
client = HTTPChatClient(url, sys.argv[2] if len(sys.argv) > 2 else "Qwen3-0.6B")
experts = {
    "mathematician": Expert(Agent(client, [Tool.from_function(calculator)]), "sums and all that can be computed"),
    "poet": Expert(Agent(client), "verses and stories"),
}
router = Router(client, experts, options={"enable_thinking": False})

for question in ("What is 17 * 23?", "A line about the sea, please."):
    routed = router.run([{"role": "user", "content": question}])
    print(f"{routed.name}: {routed.run.answer}")
