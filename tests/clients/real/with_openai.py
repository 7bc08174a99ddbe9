"""OpenAI's own client: chat completions and responses, whole and as streams, with a tool and a schema."""

import os

import openai
from pydantic import BaseModel

client = openai.OpenAI(base_url=os.environ["URL"] + "/v1", api_key="none", max_retries=0)
ASK = [{"role": "user", "content": "What is 12 + 30?"}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


class Sum(BaseModel):
    value: int


whole = client.chat.completions.create(model="fake", messages=ASK)
assert whole.choices[0].message.content == "It is 42" and whole.choices[0].message.reasoning_content
streamed = client.chat.completions.create(model="fake", messages=ASK, stream=True)
assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed) == "It is 42"
parsed = client.chat.completions.parse(model="nano", messages=ASK, response_format=Sum, seed=1)
assert isinstance(parsed.choices[0].message.parsed, Sum)

response = client.responses.create(model="fake", input="What is 12 + 30?", reasoning={"summary": "auto"})
assert response.output_text == "It is 42" and response.output[0].summary[0].text
with client.responses.stream(model="fake", input="What is 12 + 30?") as stream:
    text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
    assert text == stream.get_final_response().output_text == "It is 42"
assert isinstance(client.responses.parse(model="nano", input="What is 12 + 30?", text_format=Sum).output_parsed, Sum)

tool = {"type": "function", "name": "get_weather", "parameters": PARAMETERS, "strict": False}
first = client.responses.create(model="agent", input="Weather?", tools=[tool])
call = next(item for item in first.output if item.type == "function_call")
result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
items = [{"role": "user", "content": "Weather?"}, *first.output, result]
assert "sunny" in client.responses.create(model="agent", input=items, tools=[tool]).output_text
print("chat and responses: whole, streamed, parsed, with a tool; thoughts shown")
