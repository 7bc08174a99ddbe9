"""langchain-openai: messages, streams, tools, structured output; and thoughts, by a few lines that it lacks."""

from __future__ import annotations

import asyncio

import pytest
from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from live_server import LONG
from pydantic import BaseModel, Field
from scripted import PLACES, WEATHER

QUESTION = "State the final answer to the following arithmetic problem: 4 + 3 ="


class ThinkingChatOpenAI(ChatOpenAI):
    """Keeps `reasoning_content`, which ChatOpenAI leaves out since it is not in OpenAI's own API."""

    def _create_chat_result(self, response, generation_info=None):
        result = super()._create_chat_result(response, generation_info)
        answer = response if isinstance(response, dict) else response.model_dump()
        for generation, choice in zip(result.generations, answer["choices"], strict=True):
            thought = choice["message"].get("reasoning_content")
            generation.message.additional_kwargs["reasoning_content"] = thought
        return result

    def _convert_chunk_to_generation_chunk(self, chunk, default_chunk_class, base_generation_info):
        found = super()._convert_chunk_to_generation_chunk(chunk, default_chunk_class, base_generation_info)
        thought = [choice["delta"].get("reasoning_content") for choice in chunk.get("choices", ())]
        if found is not None and any(thought):
            found.message.additional_kwargs["reasoning_content"] = thought[0]
        return found


@pytest.fixture
def chat(base_url):
    def chat(model: str = "fake", **options) -> ThinkingChatOpenAI:
        return ThinkingChatOpenAI(
            model=model, base_url=base_url, api_key="none", max_retries=0, timeout=LONG, stream_usage=True, **options
        )

    return chat


def joined(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    total = chunks[0]
    for chunk in chunks[1:]:
        total += chunk
    return total


def test_answer_thought_and_usage(chat):
    answer = chat().invoke(QUESTION)
    assert (answer.content, answer.additional_kwargs["reasoning_content"]) == ("It is 42", "12 + 30 is 42.")
    assert answer.usage_metadata["output_token_details"]["reasoning"] == 5
    assert answer.response_metadata["finish_reason"] == "stop"


def test_a_stream_adds_up_to_the_answer(chat):
    total = joined(list(chat().stream(QUESTION)))
    assert (total.content, total.additional_kwargs["reasoning_content"]) == ("It is 42", "12 + 30 is 42.")
    assert total.usage_metadata["output_token_details"]["reasoning"] == 5


def test_asynchronous_streams(chat):
    async def all_at_once() -> list[str]:
        async def one(seed: int) -> str:
            chunks = [c async for c in chat("nano", seed=seed, extra_body={"thinking_budget": 8}).astream(QUESTION)]
            return joined(chunks).content

        return await asyncio.gather(*(one(seed) for seed in range(4)))

    alone = [chat("nano", seed=seed, extra_body={"thinking_budget": 8}).invoke(QUESTION).content for seed in range(4)]
    assert asyncio.run(all_at_once()) == alone


def test_switches_go_into_the_extra_body(chat):
    plain = chat("nano", seed=1, extra_body={"enable_thinking": False}).invoke(QUESTION)
    assert not plain.additional_kwargs["reasoning_content"]
    assert plain.usage_metadata["output_token_details"]["reasoning"] == 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_round_with_two_tools_at_once(chat, stream):
    model = chat("caller").bind_tools([WEATHER])
    asked = [HumanMessage("What will the weather be?")]
    answer = joined(list(model.stream(asked))) if stream else model.invoke(asked)
    assert [call["args"] for call in answer.tool_calls] == list(PLACES)
    assert not answer.invalid_tool_calls
    results = [ToolMessage(call["args"]["city"], tool_call_id=call["id"]) for call in answer.tool_calls]
    assert model.invoke([*asked, answer, *results]).content == '上海 and Fort "Wayne"'


def test_a_prompt_that_is_too_long_is_an_error_of_its_own(chat):
    for stream in (False, True):
        with pytest.raises(ContextOverflowError):
            model = chat("nano")
            list(model.stream("4 + 3 " * 9000)) if stream else model.invoke("4 + 3 " * 9000)


class Step(BaseModel):
    """One step of a sum."""

    digit: int = Field(ge=0, le=9)
    sure: bool


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # langchain-openai's own
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output(chat, method):
    model = chat("nano", seed=2, extra_body={"enable_thinking": False})
    # Not strict, a schema lets more keys in, and a model of a million parameters writes some to the end of its context.
    assert isinstance(model.with_structured_output(Step, method=method, strict=True).invoke(QUESTION), Step)
