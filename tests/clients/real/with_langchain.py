"""langchain-openai over chat completions and over responses, and create_agent with a named agent."""

import os

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


def model(name: str, **more: object) -> ChatOpenAI:
    return ChatOpenAI(model=name, base_url=os.environ["URL"] + "/v1", api_key="none", max_retries=0, **more)


assert model("fake").invoke("What is 12 + 30?").content == "It is 42"
assert "".join(chunk.text for chunk in model("fake").stream("What is 12 + 30?")) == "It is 42"
responses = model("fake", reasoning={"effort": "low", "summary": "auto"})
assert responses.invoke("What is 12 + 30?").text == "It is 42"
for chat in (model("agent"), model("agent", use_responses_api=True)):
    agent = create_agent(chat, [get_weather], name="weather")
    done = agent.invoke({"messages": [{"role": "user", "content": "Weather?", "name": "ada"}]})
    assert "sunny in 上海" in done["messages"][-1].text, done
print("chat and responses (reasoning, summary), stream, create_agent with a name over both")
