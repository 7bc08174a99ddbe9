"""A chat model as an MCP server: a tool `chat` with a thinking budget, and a calculator, for any MCP client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import Annotated, Any

import mcp_types as types
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import Field

from sansi import __version__
from sansi.agents.tools.calculator import calculator
from sansi.base import SansiError
from sansi.base.errors import did_you_mean
from sansi.client import AssistantReply, ChatClient, deltas_of
from sansi.text import Content, Message, Reasoning, read_messages
from sansi.text.schema import conform

TOLD_EVERY = 16  # pieces of text between two news of progress
INSTRUCTIONS = (
    "`chat` asks a local language model that can think before it answers. thinking_budget bounds the thought in "
    "tokens: 0 answers at once, a few dozen do for easy questions, none leaves it to the model."
)
ROLES = ("system", "user", "assistant")
LookUp = Callable[[], Awaitable[ChatClient]]
"""Gives the model, once it is loaded."""

Prompt = Annotated[str, Field(description="What to ask.")]
System = Annotated[str | None, Field(description="Instructions that hold for the whole conversation.")]
Budget = Annotated[
    int | None, Field(ge=0, description="Most tokens of thought; 0 answers without thinking. Default: no limit.")
]
History = Annotated[
    list[dict[str, Any]] | None,
    Field(description='Earlier turns, oldest first: {"role": "user" or "assistant", "content": "…"}.'),
]
MaxTokens = Annotated[int | None, Field(ge=1, description="Most tokens of thought and answer together.")]
Temperature = Annotated[float | None, Field(ge=0, description="0 always takes the likeliest token.")]
Seed = Annotated[int | None, Field(description="The same seed gives the same answer.")]
ReadOnly = types.ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)


class _Server(MCPServer[Any]):
    """One that says in a sentence which argument of a call is wrong, and why."""

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Any = None) -> Any:
        tools = {tool.name: tool for tool in self._tool_manager.list_tools()}
        with _told():
            if name not in tools:
                raise SansiError(f'there is no tool "{name:.60}"{did_you_mean(name, tools)}')
            given = {key: value for key, value in arguments.items() if value is not None}
            given = conform(_strict(tools[name].parameters), given, f'not called: the arguments of "{name}"')
        return await super().call_tool(name, given, context)


def _strict(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema that knows no other arguments, in which what may be null is what it is where it is not."""
    properties = {}
    for name, property in schema.get("properties", {}).items():
        options = [each for each in property.get("anyOf", ()) if each.get("type") != "null"]
        properties[name] = options[0] if len(options) == 1 else property
    return {**schema, "properties": properties, "additionalProperties": False}


def chat_server(client: LookUp, name: str, options: Mapping[str, Any] | None = None) -> MCPServer[Any]:
    """The server of one model. `options` hold for every call that does not say otherwise (thinking_budget, …)."""
    server = _Server(  # clients show their users what a server writes: no lines for what goes well
        "sansi", title=f"Sansi: {name}", version=__version__, instructions=INSTRUCTIONS, log_level="WARNING"
    )
    defaults = dict(options or {})

    @server.tool(title=f"Ask {name}", annotations=ReadOnly)
    async def chat(
        prompt: Prompt,
        ctx: Context[Any],
        system: System = None,
        history: History = None,
        thinking_budget: Budget = None,
        max_tokens: MaxTokens = None,
        temperature: Temperature = None,
        seed: Seed = None,
    ) -> types.CallToolResult:
        """Ask a language model that thinks before it answers; the thought is bounded by thinking_budget."""
        given = {
            "thinking_budget": thinking_budget,
            "max_tokens": max_tokens,
            "temperature": temperature,
            "seed": seed,
        }
        chosen = {**defaults, **{key: value for key, value in given.items() if value is not None}}
        with _told():
            messages = _conversation(system, history or [], prompt)
            return _result(await _complete(await client(), messages, chosen, ctx))

    @server.tool(title="Calculator", annotations=ReadOnly)
    async def calculate(
        expression: Annotated[str, Field(description="Such as (3 + 4) * sqrt(2) or factorial(20).")],
    ) -> str:
        """Compute an arithmetic expression exactly."""
        with _told():
            return await asyncio.to_thread(calculator, expression)

    for each in server._tool_manager.list_tools():
        each.parameters["additionalProperties"] = False  # as call_tool has it

    @server.resource("sansi://model", title="The model", mime_type="application/json")
    def model() -> str:
        """What is served here."""
        return json.dumps({"name": name, "defaults": defaults, "version": __version__}, ensure_ascii=False)

    return server


def http_app(server: MCPServer[Any]) -> Any:
    """The ASGI application of streamable HTTP at /mcp, both eras. It checks no names, origins or keys: guard it."""
    return server.streamable_http_app(
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False)
    )


@contextmanager
def _told() -> Iterator[None]:
    """A user's mistake reaches the client in its words; the SDK keeps those of other errors back."""
    try:
        yield
    except SansiError as error:
        raise ToolError(str(error)) from error


def _conversation(system: str | None, history: Sequence[Mapping[str, Any]], prompt: str) -> tuple[Message, ...]:
    for position, turn in enumerate(history):
        if turn.get("role") not in ROLES or not isinstance(turn.get("content"), str):
            raise SansiError(f'history[{position}] must have a role ({", ".join(ROLES)}) and a text as "content"')
    first = [{"role": "system", "content": system}] if system else []
    return tuple(read_messages([*first, *history, {"role": "user", "content": prompt}]))


async def _complete(
    client: ChatClient, messages: Sequence[Message], options: Mapping[str, Any], ctx: Context[Any]
) -> AssistantReply:
    """The reply; while it is written its progress is told. A call that is cancelled frees the model at once."""
    pieces = 0
    async with aclosing(deltas_of(client, messages, (), options)) as deltas:
        async for delta in deltas:
            if isinstance(delta, AssistantReply):
                return delta
            pieces += 1
            if pieces % TOLD_EVERY == 1 and isinstance(delta, Reasoning | Content):
                doing = "thinking" if isinstance(delta, Reasoning) else "answering"
                await ctx.report_progress(pieces, message=doing)
    raise SansiError("the model gave no reply")


def _result(reply: AssistantReply) -> types.CallToolResult:
    """The answer as text; the thought and what was counted go beside it, where the asking model does not read them."""
    answer = reply.message.content or ""
    cut = reply.finish_reason == "length"
    no_answer = "the reply was cut: allow more max_tokens or less thinking_budget" if cut else "the model said nothing"
    told: dict[str, Any] = {
        "thinking": reply.message.reasoning_content or "",
        "finish_reason": reply.finish_reason,
        "prompt_tokens": reply.usage.prompt_tokens,
        "completion_tokens": reply.usage.completion_tokens,
        "thinking_tokens": reply.usage.reasoning_tokens,
    }
    content: list[types.ContentBlock] = [types.TextContent(type="text", text=answer or f"(no answer: {no_answer})")]
    return types.CallToolResult(content=content, is_error=cut and not answer, _meta={"sansi": told})
