"""autogen-ext at its defaults, which sends the name of who speaks: a client, and an agent with a tool."""

import asyncio
import os

from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient

INFO = {"vision": False, "function_calling": True, "json_output": True, "family": "unknown", "structured_output": True}


def client(model: str) -> OpenAIChatCompletionClient:
    base_url = os.environ["URL"] + "/v1"
    return OpenAIChatCompletionClient(model=model, base_url=base_url, api_key="none", model_info=INFO, max_retries=0)


async def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


async def main() -> None:
    answer = await client("fake").create([UserMessage(content="What is 12 + 30?", source="ada")])
    assert answer.content == "It is 42", answer
    agent = AssistantAgent("weather", client("agent"), tools=[get_weather], reflect_on_tool_use=True)
    done = await agent.run(task="Weather?")
    assert "sunny in 上海" in done.messages[-1].content, done
    print("create and AssistantAgent with a tool, names sent")


asyncio.run(main())
