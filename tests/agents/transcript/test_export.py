"""Transcripts as documents, in which what tools and models wrote stays text."""

import base64
import json

import pytest
from sansi.agents import Agent, Attachment, Result, Tool
from sansi.agents.approvals import Answer, Approvals
from sansi.agents.transcript import Session, export, read_transcript
from sansi.base import SansiError
from scenario import Model

EVIL = "![x](https://evil.example/?q=1) <img src=https://evil.example/> <script>x</script>\n```\n# no heading"


@pytest.fixture
def transcript(tmp_path):
    def page(url: str) -> Result:
        """Read a page.

        Args:
            url: its address
        """
        plot = Attachment("plot.png", "image/png", b"\x89PNG")
        return Result(
            EVIL, (plot, Attachment("x.svg", "image/svg+xml", b"<svg/>")), origin="https://evil.example", tainted=True
        )

    def put(text: str) -> str:
        """Put a text.

        Args:
            text: which
        """
        return text

    class Quoting(Model):
        def reply(self, messages):
            reply = super().reply(messages)
            if reply.finish_reason == "stop":
                object.__setattr__(reply.message, "content", f"It says: {EVIL}")
            return reply

    steps = [[("page", {"url": "https://evil.example"}), ("put", {"text": "x"})], []]
    tools = [Tool.from_function(page, tainted=True), Tool.from_function(put, effects=frozenset({"write"}))]
    gate = Approvals("ask", lambda question: Answer("no", "not <that>"))
    with Session.create(tmp_path / "run.jsonl", Agent(Quoting(steps), tools, gate=gate)) as session:
        list(session.send("Read it <please>."))
    return read_transcript(tmp_path / "run.jsonl")


def told(transcript, form):
    return export(transcript.lines, transcript.messages, form, "A title")


def test_markdown_tells_all_and_loads_nothing(transcript):
    text = told(transcript, "md")
    for part in (
        "# A title",
        "## User\n\nRead it",
        "thought 0",
        "**calls page**",
        "**page (ok",
        "text of strangers",
        "not \\<that\\>",
    ):
        assert part in text
    assert f"````\n{EVIL}" in text  # what the tool said, behind a fence that it can not close
    said = text[text.index("It says:") :]
    assert "\\![x]" in said and "\\<img" in said and "\\<script" in said


def test_html_tells_all_and_loads_nothing(transcript):
    text = told(transcript, "html")
    assert text.count("<img") == 1 and base64.b64encode(b"\x89PNG").decode() in text
    assert "<script" not in text and "svg" not in text.replace("x.svg", "").replace("image/svg", "")
    assert "default-src 'none'" in text and "<h1>A title</h1>" in text
    assert "Read it &lt;please&gt;." in text and "not &lt;that&gt;" in text


def test_json_holds_the_messages_and_jsonl_the_events(transcript):
    messages = json.loads(told(transcript, "json"))
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "tool", "assistant"]
    lines = [json.loads(line) for line in told(transcript, "jsonl").splitlines()]
    assert lines == list(transcript.lines.objects)
    with pytest.raises(SansiError, match='"html"'):
        told(transcript, "htm")
