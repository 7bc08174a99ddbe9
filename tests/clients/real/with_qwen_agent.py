"""Qwen-Agent both ways: calls in the text, as by default, and `use_raw_api`."""

import json
import os

from qwen_agent.agents import Assistant
from qwen_agent.tools.base import BaseTool, register_tool


@register_tool("get_weather")
class GetWeather(BaseTool):
    description = "The weather of a city."
    parameters = {  # noqa: RUF012 (as the library wants it)
        "type": "object",
        "properties": {"city": {"type": "string", "description": "its name"}},
        "required": ["city"],
    }

    def call(self, params: str, **kwargs: object) -> str:
        return f"sunny in {json.loads(params)['city']}"


def answer(model: str, **config: object) -> str:
    server = {"model": model, "model_type": "oai", "model_server": os.environ["URL"] + "/v1", "api_key": "none"}
    bot = Assistant(llm={**server, "generate_cfg": config}, function_list=["get_weather"])
    *_, last = bot.run([{"role": "user", "content": "Weather?"}])
    return last[-1]["content"]


said = answer("prompted")
assert "sunny in 上海" in said, said
said = answer("agent", use_raw_api=True)
assert "sunny in 上海" in said, said
print("Assistant with a tool: calls in the text (default) and use_raw_api")
