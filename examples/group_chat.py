"""A group chat: two agents discuss until one of them agrees: python examples/group_chat.py [URL [MODEL]]"""

import sys

from sansi.agents import Agent
from sansi.agents.compositions import GroupChat, Member
from sansi.client import HTTPChatClient

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000/v1"
client = HTTPChatClient(url, sys.argv[2] if len(sys.argv) > 2 else "Qwen3-0.6B")
group = GroupChat(
    {
        "Ann": Member(Agent(client), "You propose. Two sentences at most."),
        "Ben": Member(Agent(client), "You doubt. Two sentences at most. Say AGREED once you are convinced."),
    },
    done=lambda text: "AGREED" in text,
)
for said in group.run("What should the town build: a library or a pool?", max_turns=6):
    print(f"{said.name}: {said.text}")
