"""The server that real clients are run against: scripted answers, and the bundled model. Prints its port."""

from __future__ import annotations

import dataclasses
import json
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "serve"))
from fake_chat import FakeChat
from sansi.chat import ChatModel, ChatOptions
from sansi.serve.app import create_app
from sansi.serve.http.server import Server
from sansi.serve.http.settings import ServerSettings
from sansi.text import Content, Message, Reasoning, ToolCall, ToolCallDelta, read_messages
from sansi.text.messages import read_tools

ROOM = 10**6  # of their contexts: coding agents begin with tens of thousands of characters
# What the scripted agent writes for the tools that clients bring, by what begins the tool's name.
ARGUMENTS = {
    "get_weather": {"city": "上海"},
    "exec_command": {"cmd": "echo forty-two"},
    "shell": {"command": ["echo", "forty-two"]},
    "run_shell_command": {"command": "echo forty-two", "description": "say it", "is_background": False},
}


class Agent(FakeChat):
    """Calls a tool that it is offered and knows, once; then says what came of it."""

    def __init__(self) -> None:
        super().__init__("agent")
        self.context_length = ROOM

    def stream(self, messages: Any, options: ChatOptions) -> AsyncIterator[Any]:
        read_tools(options.tools)
        read = read_messages(messages)
        results = [message.content for message in read if message.role == "tool"]
        names = [tool["function"]["name"] for tool in options.tools or ()]
        name = next((name for name in ARGUMENTS if name in names), None)
        if results or name is None:
            return self._say(f"The tool says: {results[-1].strip()}" if results else "No tool is known.", options)
        return self._call(name, options)

    async def _say(self, text: str, options: ChatOptions) -> AsyncIterator[Any]:
        for word in text.split(" "):
            yield Content(word + " ")
        result = self._result(options, False, [], False)
        yield dataclasses.replace(result, message=Message("assistant", text + " "))

    async def _call(self, name: str, options: ChatOptions) -> AsyncIterator[Any]:
        call = ToolCall("call_7f", name, json.dumps(ARGUMENTS[name], ensure_ascii=False))
        yield Reasoning("Look it up.")
        yield ToolCallDelta(0, call.id, name, "")
        for at in range(0, len(call.arguments), 3):
            yield ToolCallDelta(0, call.id, None, call.arguments[at : at + 3])
        message = Message("assistant", "", reasoning_content="Look it up.", tool_calls=(call,))
        result = self._result(options, True, ["Look ", "it ", "up."], False)
        yield dataclasses.replace(result, message=message, finish_reason="tool_calls")


class Prompted(Agent):
    """Writes its call as text, as models do whose tools stand in the prompt."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "prompted"

    def stream(self, messages: Any, options: ChatOptions) -> AsyncIterator[Any]:
        last = read_messages(messages)[-1].content
        if "<tool_response>" in last:
            return self._say("The tool says: " + last.split("<tool_response>")[1].split("</tool_response>")[0], options)
        call = json.dumps({"name": "get_weather", "arguments": ARGUMENTS["get_weather"]}, ensure_ascii=False)
        return self._say(f"<tool_call>\n{call}\n</tool_call>", options)


def main() -> None:
    fake = FakeChat()
    fake.context_length = ROOM
    nano = ChatModel.from_pretrained(Path(__file__).resolve().parents[3] / "checkpoints" / "nano", device="cpu")
    settings = ServerSettings()
    server = Server(create_app([nano, fake, Agent(), Prompted()], None, settings), settings)
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(listener.getsockname()[1], flush=True)
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
