"""Ollama's own client: chat and generate with think, a tool, a schema; which models there are."""

import json
import os

import ollama

client = ollama.Client(host=os.environ["URL"])
ASK = [{"role": "user", "content": "What is 12 + 30?"}]
answer = client.chat(model="fake", messages=ASK, think=True)
assert (answer.message.content, bool(answer.message.thinking)) == ("It is 42", True)
assert client.chat(model="fake", messages=ASK, think=False).message.thinking is None
assert "".join(part.message.content for part in client.chat(model="fake", messages=ASK, stream=True)) == "It is 42"
assert client.generate(model="fake", prompt="What is 12 + 30?").response == "It is 42"


def get_weather(city: str) -> str:
    """The weather of a city.

    Args:
        city: its name
    """
    return f"sunny in {city}"


first = client.chat(model="agent", messages=ASK, tools=[get_weather])
(call,) = first.message.tool_calls
result = {"role": "tool", "tool_name": call.function.name, "content": get_weather(**call.function.arguments)}
second = client.chat(model="agent", messages=[*ASK, first.message, result], tools=[get_weather])
assert "sunny in 上海" in second.message.content
schema = {"type": "object", "properties": {"value": {"type": "integer"}}, "required": ["value"]}
bound = client.chat(model="nano", messages=ASK, format=schema, think=False, options={"seed": 1, "num_predict": 64})
assert isinstance(json.loads(bound.message.content)["value"], int)
assert "nano" in [model.model for model in client.list().models] and client.show("nano").capabilities
try:
    client.embed(model="nano", input="x")
    raise AssertionError("a chat model made an embedding")
except ollama.ResponseError as error:
    assert "embedding" in error.error
print("chat (think, stream, tool, schema), generate, list, show; embed answered with a sentence")
