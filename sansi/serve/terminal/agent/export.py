"""A session as a document, or as the lines that it is."""

from __future__ import annotations

from pathlib import Path

from sansi.agents import transcript
from sansi.agents.tainted_files import TaintedFiles
from sansi.base.errors import SansiError
from sansi.base.files import write_text
from sansi.serve.terminal.agent.session import Session


def export(session: Session, file: Path) -> None:
    """Write .md, .html, .json (OpenAI's messages) or .jsonl (every event). Raises SansiError for other endings, and
    where the file is there already."""
    check_place(file)
    text = text_of(session, file.suffix.removeprefix("."))
    try:
        if session.tainted:
            TaintedFiles().note(file, f"the session {session.id}")
        write_text(file, text)
    except OSError as error:
        raise SansiError(f"{file}: cannot be written: {error.strerror or error}") from error


def check_place(file: Path) -> None:
    """Raises SansiError where no document can be of this name: for its ending, or since it is there already."""
    transcript.check_form(file.suffix.removeprefix("."))
    if file.exists():
        raise SansiError(f"{file} is there already; choose another name")


def text_of(session: Session, form: str) -> str:
    """The document. What strangers said in it stays theirs, also where a shell puts it into a file."""
    text = transcript.export(session.lines(), session.messages, form, session.title or session.id)
    if session.tainted:
        TaintedFiles().note_contents([text.encode("utf-8", "replace")], f"the session {session.id}")
    return text
