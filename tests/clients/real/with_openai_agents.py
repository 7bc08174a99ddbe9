"""openai-agents at its defaults, which is the responses API: a tool, a stream, a handoff and a structured answer."""

import asyncio
import os

from openai import AsyncOpenAI

from agents import Agent, Runner, function_tool, set_default_openai_client, set_tracing_disabled

set_tracing_disabled(True)


@function_tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


async def main() -> None:
    client = AsyncOpenAI(base_url=os.environ["URL"] + "/v1", api_key="none", max_retries=0)
    set_default_openai_client(client, use_for_tracing=False)
    agent = Agent(name="weather", instructions="Be short.", model="agent", tools=[get_weather])
    done = await Runner.run(agent, "How is the weather?")
    assert "sunny in 上海" in done.final_output, done.final_output
    kinds = [type(item).__name__ for item in done.new_items]
    assert "ReasoningItem" in kinds and "ToolCallOutputItem" in kinds, kinds
    streamed = Runner.run_streamed(agent, "How is the weather?")
    deltas = 0
    async for event in streamed.stream_events():
        deltas += event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
    assert deltas and "sunny" in streamed.final_output
    again = await Runner.run(agent, [*done.to_input_list(), {"role": "user", "content": "And now?"}])
    assert "sunny" in again.final_output
    print("default model class: tool loop, stream, second turn; reasoning items kept")


asyncio.run(main())
