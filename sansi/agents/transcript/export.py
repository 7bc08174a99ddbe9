"""A transcript as a document: Markdown, HTML, or OpenAI's messages in JSON. What tools said stays text in each."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sansi.agents.transcript.lines import Lines
from sansi.base import SansiError
from sansi.base.errors import did_you_mean
from sansi.text import Message, message_to_dict
from sansi.text.fence import fenced

TITLES = {"system": "System", "user": "User", "assistant": "Assistant"}
FORMS = ("html", "json", "jsonl", "md")
SHOWN_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_LOADS = re.compile(
    r"!(?=\[)|<(?=(?:img|picture|source|video|audio|iframe|object|embed|svg|script|link|style|base|meta|form|input)\b)",
    re.I,
)
_STYLE = (
    "body{max-width:50rem;margin:2rem auto;padding:0 1rem;font:16px/1.5 sans-serif}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#8881;padding:.6rem;border-radius:.4rem}"
    "h2{font-size:1rem;margin:1.6rem 0 .3rem}.fact{opacity:.7;font-size:.9rem}img{max-width:100%}"
)


@dataclass(frozen=True)
class Part:
    """One thing in a document. kind: "title", "turn" (who speaks), "said", "thought", "code" (a call, a result, as it
    was written), "fact" (one line of what happened) or "picture"."""

    kind: str
    text: str
    label: str = ""
    data: str = ""


def export(lines: Lines, messages: Iterable[Message], form: str, title: str = "") -> str:
    """The transcript in a form: "md", "html", "json" (the messages) or "jsonl" (every event).

    Neither document loads anything: pictures of a model or a tool are links in Markdown and text in HTML; those that
    tools attached are in the HTML itself. Raises SansiError for another form.
    """
    check_form(form)
    if form == "json":
        return json.dumps([message_to_dict(message) for message in messages], ensure_ascii=False, indent=1) + "\n"
    if form == "jsonl":
        return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines.objects)
    writers: dict[str, Callable[[Iterable[Part]], str]] = {"md": _markdown, "html": _html}
    return writers[form]([Part("title", title or str(lines.objects[0]["conversation"])), *parts_of(lines.objects)])


def check_form(form: str) -> None:
    """Raises SansiError for a form that there is not."""
    if form not in FORMS:
        raise SansiError(f'".{form}" is no form of a session{did_you_mean(form, FORMS)}', param="export")


def parts_of(lines: Iterable[Mapping[str, Any]]) -> Iterator[Part]:
    """What happened, in order."""
    for line in lines:
        kind = line["kind"]
        if kind in ("transcript", "turn"):
            for message in line.get("messages", ()):
                yield from _said(message)
        elif kind == "message" and line["message"]["role"] != "tool":
            yield from _said(line["message"])
        elif kind == "observation":
            yield from _observed(line)
        elif kind == "approval_answered":
            reason = f": {line['reason']}" if line.get("reason") else ""
            yield Part("fact", f"{line['name']}: {line['answer']}, by {line['by']}{reason}")
        elif kind == "notice":
            yield Part("fact", line["text"])
        elif kind == "finished" and (line["status"] != "finished" or line["stopped_reason"] != "answer"):
            yield Part(
                "fact", f"{line['status']} ({line['stopped_reason']}){': ' * bool(line['error'])}{line['error'] or ''}"
            )


def _said(message: Mapping[str, Any]) -> Iterator[Part]:
    if message["role"] == "tool":
        yield Part("code", message["content"], f"{message.get('name') or 'a tool'}: result")
        return
    yield Part("turn", TITLES[message["role"]])
    if message.get("reasoning_content"):
        yield Part("thought", message["reasoning_content"])
    if message.get("content"):
        yield Part("said", message["content"])
    for call in message.get("tool_calls") or ():
        yield Part("code", call["function"]["arguments"], f"calls {call['function']['name']}")


def _observed(line: Mapping[str, Any]) -> Iterator[Part]:
    facts = [line["status"], f"{line['seconds']:.2f} s"]
    facts += [str(line["origin"])] if line.get("origin") else []
    facts += ["text of strangers"] if line.get("tainted") else []
    facts += [f"file {file['name']}" for file in line.get("attachments") or ()]
    yield Part("code", line["text"], f"{line['name']} ({', '.join(facts)})")
    for file in line.get("attachments") or ():
        if file["media_type"] in SHOWN_PICTURES:
            yield Part("picture", file["name"], file["media_type"], file["base64"])


def _markdown(parts: Iterable[Part]) -> str:
    return "\n\n".join(text for part in parts if (text := _markdown_part(part))) + "\n"


def _markdown_part(part: Part) -> str:
    if part.kind in ("title", "turn"):
        return f"{'#' if part.kind == 'title' else '##'} {' '.join(part.text.split())}"
    if part.kind == "thought":
        return f"<details>\n<summary>Thought</summary>\n\n{fenced(part.text)}\n\n</details>"
    if part.kind == "said":
        return _LOADS.sub(r"\\\g<0>", part.text)  # a picture would tell its server that the document was read
    if part.kind == "code":
        return f"**{_plain(part.label)}**\n\n{fenced(part.text)}"
    return f"*{_plain(part.text)}*" if part.kind == "fact" else ""


def _plain(text: str) -> str:
    """In one line, with nothing that Markdown reads as more than text."""
    return re.sub(r"([\\`*_\[\]<>!&])", r"\\\1", " ".join(text.split()))


def _html(parts: Iterable[Part]) -> str:
    parts = list(parts)
    body = "\n".join(map(_html_part, parts))
    title = html.escape(parts[0].text)
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        f'<!doctype html>\n<html><head><meta charset="utf-8"><title>{title}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n<style>{_STYLE}</style></head>\n'
        f"<body>\n{body}\n</body></html>\n"
    )


def _html_part(part: Part) -> str:
    text, label = html.escape(part.text), html.escape(part.label)
    if part.kind == "picture":
        data = base64.b64encode(base64.b64decode(part.data)).decode()
        return f'<figure><img src="data:{label};base64,{data}" alt="{text}"></figure>'
    return {
        "title": f"<h1>{text}</h1>",
        "turn": f"<h2>{text}</h2>",
        "said": f"<pre>{text}</pre>",
        "thought": f"<details><summary>Thought</summary><pre>{text}</pre></details>",
        "code": f'<details open><summary class="fact">{label}</summary><pre>{text}</pre></details>',
        "fact": f'<p class="fact">{text}</p>',
    }[part.kind]
