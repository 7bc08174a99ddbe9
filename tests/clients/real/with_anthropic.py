"""Anthropic's own client: messages, thinking, tools, streams, counts and errors."""

import os

import anthropic

client = anthropic.Anthropic(base_url=os.environ["URL"], api_key="none", max_retries=0)
ASK = {"model": "fake", "max_tokens": 4096, "messages": [{"role": "user", "content": "What is 12 + 30?"}]}
assert client.messages.create(**ASK).content[0].text == "It is 42"
thinking = {"type": "enabled", "budget_tokens": 1024}
thought, text = client.messages.create(**ASK, thinking=thinking).content
assert (thought.type, text.text) == ("thinking", "It is 42") and thought.signature
with client.messages.stream(**ASK, thinking=thinking) as stream:
    assert "".join(stream.text_stream) == "It is 42"
    assert [block.type for block in stream.get_final_message().content] == ["thinking", "text"]
schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
loop = {"model": "agent", "max_tokens": 4096, "tools": [{"name": "get_weather", "input_schema": schema}]}
turns = [{"role": "user", "content": "Weather?"}]
first = client.messages.create(**loop, messages=turns, thinking=thinking)
call = first.content[-1]
assert (first.stop_reason, call.input) == ("tool_use", {"city": "上海"})
result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
turns += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
assert "sunny" in client.messages.create(**loop, messages=turns).content[0].text
assert client.messages.count_tokens(model="nano", messages=ASK["messages"]).input_tokens > 5
try:
    client.messages.create(**ASK | {"model": "other"})
    raise AssertionError("a model that is not there")
except anthropic.NotFoundError as error:
    assert "not served here" in str(error)
print("messages, thinking with a budget, stream helper, tool loop, count_tokens, errors")
