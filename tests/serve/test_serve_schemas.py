"""Every answer and every chunk is what the API's document says it is, and what OpenAI's types can hold."""

import jsonschema_rs
import pytest
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from sansi.serve.api import schemas
from test_serve_api import QUESTION
from test_serve_choices import chunks_of, whole_of

TOOL = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"enum": ["x"]}}}},
}
BODIES = {
    "plain": {},
    "direct": {"enable_thinking": False},
    "budget": {"thinking_budget": 8, "max_tokens": 200},
    "several": {"n": 3},
    "tokens": {"n": 2, "logprobs": True, "top_logprobs": 2, "return_token_ids": True},
    "tools": {"tools": [TOOL], "tool_choice": "required", "thinking_budget": 4, "max_tokens": 400},
    "json": {"response_format": {"type": "json_object"}, "enable_thinking": False},
    "stop": {"stop": ["a", "e", "1"], "enable_thinking": False},
}
TEXTS = {"plain": {}, "several": {"n": 2, "echo": True}, "tokens": {"logprobs": 2, "return_token_ids": True}}


def fits(schema, value):
    errors = [error.message for error in jsonschema_rs.validator_for(schema).iter_errors(value)]
    assert not errors, errors


@pytest.mark.parametrize("name", BODIES)
def test_chat_completions(tiny_url, name):
    body = {"model": "tiny", "messages": QUESTION, "max_tokens": 40, "seed": 5, **BODIES[name]}
    whole = whole_of(tiny_url, **body)
    fits(schemas.CHAT_COMPLETION, whole)
    ChatCompletion.model_validate(whole)
    for chunk in chunks_of(tiny_url, stream_options={"include_usage": True}, **body):
        fits(schemas.CHAT_CHUNK, chunk)
        ChatCompletionChunk.model_validate(chunk)
    if name == "tools":
        assert whole["choices"][0]["message"]["tool_calls"]


@pytest.mark.parametrize("name", TEXTS)
def test_completions(tiny_url, name):
    body = {"model": "tiny", "prompt": "What is 12", "max_tokens": 20, "seed": 5, **TEXTS[name]}
    whole = whole_of(tiny_url, "completions", **body)
    fits(schemas.TEXT_COMPLETION, whole)
    Completion.model_validate(whole)
    for chunk in chunks_of(tiny_url, "completions", stream_options={"include_usage": True}, **body):
        fits(schemas.TEXT_CHUNK, chunk)
        for choice in chunk["choices"]:  # OpenAI's type knows no null here, though its server sends one
            choice["finish_reason"] = choice["finish_reason"] or "stop"
        Completion.model_validate(chunk)
