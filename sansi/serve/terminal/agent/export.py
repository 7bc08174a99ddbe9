"""A session as a document, or as the lines that it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError
from sansi.base.files import write_text
from sansi.serve.terminal.agent.session import Session
from sansi.serve.terminal.saved import fenced

TITLES = {"system": "System", "user": "User", "assistant": "Assistant"}


def export(session: Session, file: Path) -> None:
    """Write .md, .json (OpenAI's messages) or .jsonl (every event). Raises SansiError for other endings."""
    text = text_of(session, file.suffix.removeprefix("."))
    try:
        write_text(file, text)
    except OSError as error:
        raise SansiError(f"{file}: cannot be written: {error.strerror or error}") from error


def text_of(session: Session, form: str) -> str:
    lines = list(session.lines())
    if form == "jsonl":
        return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    if form == "json":
        return (
            json.dumps(
                [line["message"] for line in lines if line.get("kind") == "message"], ensure_ascii=False, indent=1
            )
            + "\n"
        )
    if form == "md":
        return "\n\n".join(_parts(session, lines)) + "\n"
    raise SansiError(
        f'".{form}" is no form of a session: .md, .json (messages) or .jsonl (every event)', param="export"
    )


def _parts(session: Session, lines: list[dict[str, Any]]) -> Iterator[str]:
    yield f"# {session.title or session.id}"
    yield f"Session {session.id}, model {session.head.get('model', 'unknown')}"
    if session.head.get("system"):
        yield f"## System\n\n{session.head['system']}"
    for line in lines:
        if line.get("kind") == "message" and line["message"]["role"] != "tool":
            yield from _message(line["message"])
        elif line.get("kind") == "observation":
            yield _observation(line)
        elif line.get("kind") == "approval_answered":
            reason = f": {line['reason']}" if line.get("reason") else ""
            yield f"*{line['name']}: {line['answer']}, by {line.get('by', 'user')}{reason}*"
        elif line.get("kind") == "notice":
            yield f"*{line['text']}*"


def _message(message: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {TITLES[message['role']]}"
    if message.get("reasoning_content"):
        yield f"<details>\n<summary>Thought</summary>\n\n{message['reasoning_content']}\n\n</details>"
    if message.get("content"):
        yield message["content"]
    for call in message.get("tool_calls") or ():
        yield f"**calls {call['function']['name']}**\n\n{fenced(call['function']['arguments'])}"


def _observation(line: Mapping[str, Any]) -> str:
    facts = [line["status"], f"{line['seconds']:.2f} s"]
    facts += [str(line["origin"])] if line.get("origin") else []
    facts += ["text of strangers"] if line.get("tainted") else []
    facts += [f"file {each['name']}" for each in line.get("attachments") or ()]
    return f"**{line['name']}** ({', '.join(facts)})\n\n{fenced(line['text'])}"
