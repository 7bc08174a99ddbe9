"""Results in the room that there is: head and tail for the model, the whole text in a file of the conversation."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from sansi.agents.loop.calls import Fitted
from sansi.agents.loop.conversation import Conversation
from sansi.agents.observation import SHORTEST_HEAD, Observation, head_and_tail
from sansi.agents.tool import Tool
from sansi.agents.tools.read_result import RESULTS, result_name
from sansi.base.files import write_text
from sansi.base.words import count
from sansi.client import chars_within
from sansi.client.token_count import CHARS_PER_TOKEN
from sansi.text import Message

_NOTED = re.compile(r"\n\[\d+ characters left out; read_result\(name=\"([^\"\n]+)\"\) has the whole text\]\n")


@dataclass
class Results:
    """Those of one conversation."""

    conversation: Conversation

    def fit(self, seen: Observation, tool: Tool, room: int | None) -> Fitted:
        """An observation of at most `tool.max_result_chars` characters and about `room` tokens."""
        text = _with_files(seen)
        chars = min(tool.max_result_chars, chars_within(text, room))
        if len(text) <= chars:
            return Fitted(seen.with_text(text))
        name = self.save(text, tool.name, seen.tainted)
        return Fitted(seen.with_text(head_and_tail(text, chars, _note(name))), name)

    def shortened(self, message: Message, chars: int) -> Message:
        """A tool's message with head and tail of its text; whole, it is in a file, where it was not already."""
        name = self._whole_of(message.content)
        name = name or self.save(message.content, message.name or "tool", self.conversation.tainted)
        return replace(message, content=head_and_tail(message.content, chars, _note(name)))

    def _whole_of(self, text: str) -> str | None:
        """The file of which a text is the head; what a text says of itself may be a stranger's word."""
        for found in _NOTED.finditer(text):
            file = self.conversation.folder / RESULTS / Path(found[1]).name
            whole = file.read_bytes().decode() if file.is_file() else ""
            if found.start() >= SHORTEST_HEAD and whole.startswith(text[: found.start()]):
                return file.name
        return None

    def save(self, text: str, tool: str, tainted: bool) -> str:
        """Write a whole text; returns the name under which `read_result` has it.

        A text that is there already keeps its name: the same result then reads the same, and the loop breaker sees it.
        """
        folder = self.conversation.folder / RESULTS
        folder.mkdir(exist_ok=True, mode=0o700)
        if known := _saved(folder, text, tool, tainted):
            return known
        self.conversation.saved = max(self.conversation.saved, len(list(folder.iterdir()))) + 1
        name = result_name(self.conversation.saved, tool, tainted)
        write_text(folder / name, text)
        return name


def _saved(folder: Path, text: str, tool: str, tainted: bool) -> str | None:
    """The file that holds a text of this tool already, if one does."""
    data, ending = text.encode("utf-8", "surrogatepass"), result_name(0, tool, tainted)[4:]
    for file in sorted(folder.iterdir()):
        same = file.name[4:] == ending and file.stat().st_size == len(data)
        if same and file.read_bytes() == data:
            return file.name
    return None


def room_in_chars(tool: Tool, room: int | None) -> int:
    """What a tool is told of the room for its result: characters of Latin text."""
    return tool.max_result_chars if room is None else min(tool.max_result_chars, int(room * CHARS_PER_TOKEN))


def _note(name: str) -> str:
    return f'{{cut}} characters left out; read_result(name="{name}") has the whole text'


def _with_files(seen: Observation) -> str:
    """The text, with the names of files that it does not mention itself."""
    missing = [file for file in seen.attachments if file.name not in seen.text]
    lines = [f"[file {file.name}: {file.media_type}, {count(len(file.data), 'byte')}]" for file in missing]
    return "\n".join([seen.text, *lines] if seen.text else lines) if lines else seen.text
