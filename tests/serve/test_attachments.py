"""Files in messages, as OpenAI's and Anthropic's clients send them: read as text, bounded, and nothing is fetched."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import pytest
from fake_chat import FakeChat
from live_server import http, running
from sansi.base import SansiError
from sansi.documents import Limits
from sansi.serve.api import attachments

sys.path.append(str(Path(__file__).resolve().parents[1] / "documents"))
from docx_made import docx, p
from pdf_made import pdf


def encoded(data):
    return base64.b64encode(data).decode()


REPORT = encoded(docx(p("The keeper counts ships."), title="Logbook"))
TEXT = encoded("Größe: 7 ``` Zoll".encode())


@pytest.fixture(scope="module")
def served():
    chat = FakeChat()
    with running([chat]) as url:
        yield url, chat


def asked(chat):
    """What the model was given of the last message."""
    last = chat.seen[-1][0][-1]
    return last["content"] if isinstance(last, dict) else last.content


def chat_body(*parts):
    return {"model": "fake", "messages": [{"role": "user", "content": [{"type": "text", "text": "See: "}, *parts]}]}


def file(data, name="log.docx", **more):
    return {"type": "file", "file": {"filename": name, "file_data": data, **more}}


def document(data, media_type="application/pdf", **more):
    return {"type": "document", "source": {"type": "base64", "media_type": media_type, "data": data}, **more}


def read(body, **limits):
    attachments.read_files(body, Limits(**limits))
    return body


def test_openai_s_file_parts(served):
    url, chat = served
    data = f"data:application/octet-stream;base64,{REPORT}"
    assert http.post(f"{url}/v1/chat/completions", json=chat_body(file(data))).status_code == 200
    assert asked(chat) == "See: Attached file “log.docx”:\n```\nThe keeper counts ships.\n```\n"
    http.post(f"{url}/v1/chat/completions", json=chat_body(file(TEXT, "a.txt"), {"type": "text", "text": "?"}))
    assert asked(chat) == "See: Attached file “a.txt”:\n````\nGröße: 7 ``` Zoll\n````\n?"


def test_a_pdf_of_responses(served):
    pytest.importorskip("pypdfium2")
    url, chat = served
    part = {"type": "input_file", "filename": "two.pdf", "file_data": encoded(pdf(["First page.", "Second page."]))}
    body = {"model": "fake", "input": [{"role": "user", "content": [{"type": "input_text", "text": "See: "}, part]}]}
    assert http.post(f"{url}/v1/responses", json=body).status_code == 200
    assert asked(chat).startswith("See: Attached file “two.pdf” (2 pages):\n```\n[Page 1]\nFirst page.")


def test_anthropic_s_documents_keep_title_and_context_and_stand_in_results_too(served):
    url, chat = served
    block = document(REPORT, "application/msword", title="Log", context="Of 1890.", cache_control={"type": "ephemeral"})
    body = {"model": "fake", "max_tokens": 9, "messages": [{"role": "user", "content": [block]}]}
    assert http.post(f"{url}/v1/messages", json=body).status_code == 200
    assert asked(chat) == "Log\nOf 1890.\nThe keeper counts ships.\n"
    counted = http.post(f"{url}/v1/messages/count_tokens", json={k: v for k, v in body.items() if k != "max_tokens"})
    assert counted.status_code in (200, 400) and "document" not in counted.text  # a fake has no tokenizer
    untitled = {**body, "messages": [{"role": "user", "content": [document(REPORT)]}]}
    http.post(f"{url}/v1/messages", json=untitled)
    assert asked(chat) == "Logbook\nThe keeper counts ships.\n"
    call = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "c", "content": [document(TEXT, "text/plain")]}
    turns = [("user", "Go"), ("assistant", [call]), ("user", [result])]
    body["messages"] = [{"role": role, "content": content} for role, content in turns]
    assert http.post(f"{url}/v1/messages", json=body).status_code == 200
    assert "Größe: 7" in asked(chat)


@pytest.mark.parametrize(
    ("part", "place", "told"),
    [
        (file("https://example.com/a.pdf"), "file.file_data", "is an address: this server fetches no files"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "file.file_id", "no files are stored here"),
        ({"type": "input_file", "file_url": "https://x.example"}, "file_url", "this server fetches no files"),
        (file("%%%"), "file.file_data", "is no base64"),
        (file(""), "file.file_data", "must be the file's bytes in base64"),
        (file(7), "file.file_data", "not 7"),
        (file(encoded(b"\x89PNG\r\n\x1a\n"), "a.png"), "file.file_data", "“a.png” is a PNG picture"),
        (file(REPORT, 5), "file.filename", "must be text, not 5"),
        (
            {"type": "document", "source": {"type": "url", "url": "http://x.example/a"}},
            "source.url",
            "fetches no files",
        ),
        ({"type": "document", "source": {"type": "file", "file_id": "f"}}, "source.file_id", "stored"),
        ({"type": "document", "source": {"type": "disk"}}, "source.type", 'must be "base64" or "text"'),
        (document("a"), "source.data", "is no base64"),
    ],
)
def test_what_cannot_be_read_is_named(part, place, told):
    body = chat_body(part)
    with pytest.raises(SansiError) as error:
        read(body)
    assert error.value.param == f"messages[0].content[1].{place}" and told in str(error.value)
    assert str(error.value).startswith(error.value.param)


def test_an_error_is_an_answer_of_the_dialect(served):
    url, _ = served
    answer = http.post(f"{url}/v1/chat/completions", json=chat_body(file(encoded(b"PK\x03\x04" + bytes(40)))))
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "messages[0].content[1].file.file_data"
    assert "broken Word document" in answer.json()["error"]["message"]


def test_all_files_of_a_request_share_the_bounds():
    body = read(chat_body(file(encoded(b"a" * 80), "a.txt"), file(encoded(b"b" * 80), "b.txt")), max_characters=150)
    texts = [part["text"] for part in body["messages"][0]["content"][1:]]
    assert "a" * 80 in texts[0] and "only the first" in texts[1] and texts[1].count("b" * 10) < 8
    with pytest.raises(SansiError, match="has 33 files; at most 32"):
        read(chat_body(*[file(TEXT, "a.txt")] * 33))


def test_a_data_url_without_base64_and_what_stands_beside_a_file():
    [_, part] = read(chat_body({**file("data:text/plain,a%20b", "a.txt"), "cache_control": 1}))["messages"][0][
        "content"
    ]
    assert part == {"type": "text", "text": "Attached file “a.txt”:\n```\na b\n```\n", "cache_control": 1}


@pytest.mark.parametrize(
    "body",
    [{"messages": 5}, {"messages": [5, {"content": "x"}, {"content": [7, {"type": "file"}]}]}, {"input": "document"}],
)
def test_what_holds_no_file_is_left_to_its_dialect(body):
    before = json.dumps(body)
    assert not attachments.has_files(body) and json.dumps(read(body)) == before
