"""Thought and answer as they come, from a local server: python examples/streaming.py [URL [MODEL]]"""

import sys

from openai import OpenAI

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000/v1"
model = sys.argv[2] if len(sys.argv) > 2 else "nano"
client = OpenAI(base_url=url, api_key="none")
stream = client.chat.completions.create(
    model=model,
    messages=[{"role": "user", "content": "What is 12 + 7?"}],
    temperature=0,
    stream=True,
    stream_options={"include_usage": True},
)


def pieces(chunk):
    for choice in chunk.choices:
        yield "thought", getattr(choice.delta, "reasoning_content", None)
        yield "answer", choice.delta.content


part = None
for chunk in stream:
    for name, text in pieces(chunk):
        if text:
            print("" if name == part else f"\n{name}: ", text, sep="", end="", flush=True)
            part = name
    if chunk.usage:
        print(f"\ntokens: {chunk.usage.completion_tokens}")
