"""pydantic-ai over chat completions, responses and Anthropic's messages: a tool, and thoughts kept."""

import os

from pydantic_ai import Agent
from pydantic_ai.messages import ThinkingPart
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

provider = OpenAIProvider(base_url=os.environ["URL"] + "/v1", api_key="none")
models = {
    "chat": OpenAIChatModel("agent", provider=provider),
    "responses": OpenAIResponsesModel("agent", provider=provider),
    "messages": AnthropicModel("agent", provider=AnthropicProvider(base_url=os.environ["URL"], api_key="none")),
}
for name, model in models.items():
    agent = Agent(model)

    @agent.tool_plain
    def get_weather(city: str) -> str:
        """The weather of a city."""
        return f"sunny in {city}"

    done = agent.run_sync("Weather?")
    assert "sunny in 上海" in done.output, (name, done.output)
    parts = [part for message in done.all_messages() for part in message.parts]
    assert any(isinstance(part, ThinkingPart) for part in parts), name
    assert "sunny" in agent.run_sync("And now?", message_history=done.all_messages()).output
print("chat, responses, messages: tool loop, thoughts kept, second turn")
