"""A conversation in Python, without a server: python examples/chat.py [MODEL FOLDER]"""

import sys

from sansi.base.bundled import bundled_models
from sansi.chat import ChatModel, ChatOptions

folder = sys.argv[1] if len(sys.argv) > 1 else bundled_models()["nano"]
options = ChatOptions(temperature=0)

with ChatModel.from_pretrained(folder) as chat:
    messages = []
    for question in ("What is 12 + 7?", "What is 30 - 4?"):
        messages.append({"role": "user", "content": question})
        result = chat.complete(messages, options)
        messages.append(result.message)
        print(question, "->", result.message.content)
        print(f"  thought {result.usage.reasoning_tokens} tokens: {result.message.reasoning_content!r}")
