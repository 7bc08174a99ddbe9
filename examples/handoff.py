"""Hand-off: a front desk passes a caller on to who can help: python examples/handoff.py [URL [MODEL]]"""

import sys

from sansi.agents import tool
from sansi.agents.compositions import Team, TeamMember
from sansi.client import HTTPChatClient


@tool(effects={"write"})
def refund(order: str) -> str:
    """Give the money for an order back.

    Args:
        order: Its number.
    """
    return f"the money for {order} is on its way"


url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000/v1"
client = HTTPChatClient(url, sys.argv[2] if len(sys.argv) > 2 else "Qwen3-0.6B")
members = {
    "desk": TeamMember("finds out what a caller wants", "You are the front desk. Pass money matters on to billing."),
    "billing": TeamMember("refunds and invoices", "You are billing. You can refund orders.", [refund]),
}
done = Team(client, members).run([{"role": "user", "content": "I want my money for order A17 back."}])
print(" -> ".join(done.names))
print(done.run.answer)
