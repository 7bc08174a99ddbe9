"""PDF files in steps: their own text, pictures that an endpoint really gets, a pass that mends, and what is lost."""

import base64
import functools
import io
import json
import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sansi.base import SansiError
from sansi.base.errors import ConfigError
from sansi.client.bulk import Budget, EndpointDown, EndpointSettings
from sansi.data.documents import Record
from sansi.data.ledger import Dropped
from sansi.data.pdf import PdfReader, PdfSettings
from sansi.data.pdf.changed import changed
from sansi.data.pdf.recognise import names_of, unfenced
from sansi.documents import Limits
from sansi.documents.document import DocumentError
from sansi.documents.pdf import render_pages, tesseract

fpdf = pytest.importorskip("fpdf", reason="needs fpdf2, of the extra test")
needs_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="Tesseract is not installed")

PAGES = [
    "The river rises in the hills behind the town and runs for forty miles through meadows before it reaches the sea.",
    "Trade came later. When the bridge was finished, wagons that had gone round by the ford began to stop at the inn.",
    "Nobody expected that the railway would bring more people than it had cost, but so it was, and the inn grew.",
]  # fmt: skip


def document(texts, scanned=()):
    return made(tuple(texts), scanned)


@functools.cache
def made(texts, scanned):
    """A PDF of these texts, a page each; those in `scanned` are pictures of their text."""
    plain = fpdf.FPDF()
    plain.set_margin(30)
    plain.set_font("Times", size=14)
    for text in texts:
        plain.add_page()
        plain.multi_cell(150, 8, text)
    data = bytes(plain.output())
    if not scanned:
        return data
    pictures = dict(zip(scanned, render_pages(data, list(scanned), 1200, Limits()), strict=True))
    with_pictures = fpdf.FPDF()
    with_pictures.set_margin(30)
    with_pictures.set_font("Times", size=14)
    for number, text in enumerate(texts):
        with_pictures.add_page()
        if number in pictures:
            with_pictures.image(io.BytesIO(pictures[number]), 0, 0, 210, 297)
        else:
            with_pictures.multi_cell(150, 8, text)
    return bytes(with_pictures.output())


@pytest.fixture(scope="module")
def mixed():
    return document(PAGES, scanned=(1,))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.bodies.append(body)
        found = self.server.answer(body)
        status, sent = found if isinstance(found, tuple) else (200, found)
        if isinstance(sent, str):
            message = {"role": "assistant", "content": sent}
            usage = {"prompt_tokens": 900, "completion_tokens": 50}
            sent = {"model": body["model"], "choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
        data = json.dumps(sent).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads, server.bodies = True, []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def endpoint(server, **fields):
    return EndpointSettings(f"http://127.0.0.1:{server.server_port}/v1", "sees", first_wait=0.001, **fields)


def picture_of(body):
    (content,) = (message["content"] for message in body["messages"])
    url = next(part["image_url"]["url"] for part in content if part["type"] == "image_url")
    return base64.b64decode(url.removeprefix("data:image/png;base64,"))


def extract(data, settings, folder=None, **fields):
    with PdfReader(settings, folder) as reader:
        return reader.extract(Record("id", data, "application/pdf", "paper.pdf", **fields))


def words(text):
    return re.findall(r"\w+", text.lower())


def test_pages_with_text_need_nobody():
    raw = extract(document(PAGES), PdfSettings())
    assert raw.text == "\n\n".join(PAGES)
    assert raw.provenance == {"extractor": "pdf", "pages": "3", "pages_ok": "3"}
    assert (raw.media_type, raw.kind) == ("application/pdf", "prose")


def test_without_recognition_the_page_is_lost_and_told(mixed):
    raw = extract(mixed, PdfSettings())
    assert raw.text == f"{PAGES[0]}\n\n{PAGES[2]}"
    assert raw.provenance["pages_lost"] == "1"
    assert raw.provenance["notes"] == "page 2 has pictures and no text"


@needs_tesseract
def test_an_endpoint_gets_the_picture_and_its_answer_becomes_the_page(mixed, server, tmp_path):
    server.answer = lambda body: tesseract.recognise(picture_of(body), ["eng"])
    settings = PdfSettings("endpoint", endpoint(server))
    raw = extract(mixed, settings, tmp_path)
    assert words(raw.text) == words(" ".join(PAGES))
    assert raw.provenance["recognised_by"] == "sees"
    assert (raw.provenance["pages_ok"], raw.provenance["pages_recognised"]) == ("2", "1")
    assert extract(mixed, settings, tmp_path) == raw
    assert len(server.bodies) == 1
    assert (tmp_path / "costs.jsonl").is_file()


@needs_tesseract
@pytest.mark.parametrize("fields", [{}, {"languages": ("en",)}])
def test_tesseract_reads_it_without_an_endpoint(mixed, tmp_path, fields):
    raw = extract(mixed, PdfSettings("tesseract", **fields), tmp_path)
    assert words(raw.text) == words(" ".join(PAGES))
    assert raw.provenance["recognised_by"].startswith("tesseract 5")


@pytest.mark.slow
@needs_tesseract
def test_the_language_of_a_scan_is_that_of_its_script_or_of_what_the_source_tells(monkeypatch):
    asked = []
    known = tesseract.recognise
    monkeypatch.setattr(tesseract, "recognise", lambda png, names: asked.append(names) or known(png, names))
    scan = document(PAGES[:1], scanned=(0,))
    assert words(extract(scan, PdfSettings("tesseract")).text) == words(PAGES[0])
    monkeypatch.setattr(tesseract, "recognise", lambda png, names: asked.append(names) or "read")
    extract(scan, PdfSettings("tesseract"), language="en")
    assert asked == [[], ["eng"]]


def test_without_tesseract_it_is_said_how_to_get_it(mixed, monkeypatch):
    tesseract.program.cache_clear(), tesseract.version.cache_clear()
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(SansiError, match="apt install tesseract"):
        extract(mixed, PdfSettings("tesseract"))
    tesseract.program.cache_clear()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("I'm sorry, but I can't read this.", "refused: refusal"),
        ("la la " * 200, "failed: loops"),
        ((400, {"error": {"message": "no pictures here"}}), "failed: http 400"),
        ({"choices": []}, "failed: not a completion"),
        ("\ufffd\ufffd\ufffd" * 30, "garbled: no characters"),
    ],
)
def test_a_page_that_the_endpoint_can_not_read_is_lost(mixed, server, tmp_path, answer, reason):
    server.answer = lambda body: answer
    settings = PdfSettings("endpoint", endpoint(server, retries=0))
    raw = extract(mixed, settings, tmp_path)
    assert raw.provenance["pages_lost"] == "1"
    assert raw.text == f"{PAGES[0]}\n\n{PAGES[2]}"
    found = extract(document(PAGES, scanned=(0, 1)), settings, tmp_path)
    assert isinstance(found, Dropped)
    assert found.rule == "lost pages"
    assert "2 of 3" in found.value and reason in found.value
    with pytest.raises(DocumentError, match=re.escape(reason)) as caught:
        extract(document(PAGES[:1], scanned=(0,)), settings, tmp_path)
    assert caught.value.code == "scanned"


def test_a_page_that_the_endpoint_finds_blank_is_blank(mixed, server, tmp_path):
    server.answer = lambda body: "[No text]"
    raw = extract(mixed, PdfSettings("endpoint", endpoint(server)), tmp_path)
    assert "pages_lost" not in raw.provenance
    assert raw.provenance["pages_blank"] == "1"


def test_an_endpoint_that_is_down_stops_and_does_not_lose_pages(mixed, server, tmp_path):
    server.answer = lambda body: (401, {"error": {"message": "key"}})
    with pytest.raises(EndpointDown, match="API key"):
        extract(mixed, PdfSettings("endpoint", endpoint(server)), tmp_path)


def test_the_budget_holds(server, tmp_path):
    server.answer = lambda body: "Some text of a page that was read."
    settings = PdfSettings("endpoint", endpoint(server), budget=Budget(max_requests=1), max_lost=1.0)
    raw = extract(document(PAGES, scanned=(0, 1)), settings, tmp_path)
    assert (raw.provenance["pages_recognised"], raw.provenance["pages_lost"]) == ("1", "1")
    assert len(server.bodies) == 1


@pytest.mark.parametrize(("lost", "pages", "kept"), [(1, 3, True), (2, 10, False), (2, 25, True), (3, 25, False)])
def test_files_with_too_many_lost_pages_are_dropped(lost, pages, kept):
    data = document([f"{n}: {PAGES[n % 3]}" for n in range(pages)], scanned=tuple(range(lost)))
    assert isinstance(extract(data, PdfSettings()), Dropped) is not kept


# ---- refining


def page_in(body):
    return body["messages"][0]["content"].partition("Answer with the text alone.\n\n")[2]


def test_refined_pages_are_used_where_they_keep_the_words(server, tmp_path):
    broken = PAGES[0].replace("forty miles", "fortymiles").replace("meadows", "mead ows")

    def answer(body):
        page = page_in(body)
        if page == broken:
            return f"```\n{PAGES[0]}\n```"
        if page == PAGES[1]:
            return "Trade came later, and with it came the wagons."  # shorter
        return f"{page} It was the largest inn of the whole county, and kings stayed there in many summers."  # longer

    server.answer = answer
    settings = PdfSettings(endpoint=endpoint(server), refine=True)
    raw = extract(document([broken, *PAGES[1:]]), settings, tmp_path)
    assert raw.text == "\n\n".join(PAGES)
    assert raw.provenance["refined"] == "invented words 1, lost words 1, used 1"
    assert raw.provenance["refined_by"] == "sees"


def test_refining_that_fails_keeps_the_page(server, tmp_path):
    server.answer = lambda body: (400, {})
    raw = extract(document(PAGES), PdfSettings(endpoint=endpoint(server), refine=True), tmp_path)
    assert raw.text == "\n\n".join(PAGES)
    assert raw.provenance["refined"] == "failed: http 400 3"


@pytest.mark.parametrize(
    ("old", "new", "lost", "invented"),
    [
        ("one two three", "one two three", (0, 0), (0, 0)),
        ("the settle ment grew", "the settlement grew", (0, 0.1), (0, 0.2)),
        ("thesettlement grew", "the settlement grew", (0, 0.1), (0, 0.1)),
        ("one two three four five", "one two", (0.5, 0.9), (0, 0)),
        ("one two", "one two three four five", (0, 0), (0.5, 0.9)),
        ("cats like milk a lot", "dogs hate rain very much", (0.5, 1), (0.5, 1)),
        ("", "", (0, 0), (0, 0)),
        ("春天来了", "春天来了。", (0, 0), (0, 0)),
        ("春天来了我们", "秋天走了他们", (0.5, 1), (0.5, 1)),
    ],
)
def test_how_much_a_text_has_changed(old, new, lost, invented):
    found = changed(old, new)
    assert lost[0] <= found.lost <= lost[1]
    assert invented[0] <= found.new <= invented[1]


# ---- settings


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"ocr": "endpoint"}, 'there is no "endpoint"'),
        ({"ocr": "tesserakt"}, "tesseract"),
        ({"refine": True}, '"refine" needs'),
        ({"pixels": 500}, '"pixels" needs "ocr"'),
        ({"languages": ["en"]}, '"languages" is read with'),
        ({"endpoint": {"base_url": "http://x/v1", "model": "m"}}, '"endpoint" is not asked'),
        ({"max_lost": -1}, "max_lost"),
        ({"endpoint": {"base_url": "x"}}, "model"),
    ],
)
def test_bad_settings_are_named(fields, told):
    with pytest.raises(ConfigError, match=re.escape(told)):
        PdfSettings(**fields)


def test_an_endpoint_needs_a_folder(server):
    with pytest.raises(SansiError, match="folder"):
        PdfReader(PdfSettings("endpoint", endpoint(server)))


def test_large_files_and_broken_ones_are_refused():
    with pytest.raises(DocumentError, match="at most 1 KiB"):
        extract(document(PAGES), PdfSettings(max_bytes=1024))
    with pytest.raises(DocumentError) as caught:
        extract(b"%PDF-1.7\n", PdfSettings())
    assert caught.value.code == "broken"


@pytest.mark.parametrize(
    ("tag", "name"), [("de", "deu"), ("zh-Hans", "chi_sim"), ("zh-Hant-TW", "chi_tra"), ("sr-Latn", "srp_latn"),
                      ("pt-BR", "por"), ("nb", "nor"), ("el", "ell"), ("mg", "mlg")],
)  # fmt: skip
def test_languages_have_their_names_in_tesseract(tag, name):
    assert names_of(tag) == [name]


@pytest.mark.parametrize(
    ("answer", "text"),
    [("```markdown\n# A\n\ntext\n```", "# A\n\ntext"), ("text", "text"), ("```\na\n```\nand\n```\nb\n```",) * 2],
)
def test_fences_around_the_whole_answer_are_taken_off(answer, text):
    assert unfenced(answer) == text
