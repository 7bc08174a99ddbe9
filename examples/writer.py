"""An article: an outline, then section by section: python examples/writer.py [URL [MODEL [TOPIC]]]"""

import sys

from sansi.agents.compositions import write_article
from sansi.client import HTTPChatClient

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000/v1"
client = HTTPChatClient(url, sys.argv[2] if len(sys.argv) > 2 else "Qwen3-0.6B")
topic = sys.argv[3] if len(sys.argv) > 3 else "Why bridges stand"

print(write_article(client, topic, max_sections=3, options={"thinking_budget": 256}).markdown)
