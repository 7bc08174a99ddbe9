"""OpenAI's client against a local server: sansi serve, then python examples/openai_client.py [URL [MODEL]]"""

import sys

from openai import OpenAI

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000/v1"
model = sys.argv[2] if len(sys.argv) > 2 else "nano"
client = OpenAI(base_url=url, api_key="none")

answer = client.chat.completions.create(
    model=model,
    messages=[{"role": "user", "content": "What is 12 + 7?"}],
    temperature=0,
    extra_body={"thinking_budget": 64},
)
print("thought:", answer.choices[0].message.reasoning_content)
print("answer:", answer.choices[0].message.content)
print("thought tokens:", answer.usage.completion_tokens_details.reasoning_tokens)
print("ended:", answer.sansi["thinking_end_reason"])
