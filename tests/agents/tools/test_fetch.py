"""`fetch`: pages as text for a model, in bounds of size, time and kind."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import threading
import zlib
from pathlib import Path

import pytest
from sansi.agents import ToolContext
from sansi.agents.tools.fetch import fetch_tool
from sansi.agents.tools.web import WebAccess

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[2] / "documents")]
from pdf_made import pdf, scan
from web_server import Site, serving

SENTENCE = "Whoever thinks three times before acting makes fewer mistakes than others. "
PAGE = (
    "<html><head><title>On thinking</title></head><body><nav>Home Prices</nav><article><h1>Thought</h1>"
    f"<p>{SENTENCE * 6}</p><p>三思而后行。{SENTENCE * 3}</p></article><footer>Imprint</footer></body></html>"
)
HTML, PLAIN = {"Content-Type": "text/html; charset=utf-8"}, {"Content-Type": "text/plain; charset=utf-8"}


def at_home(**options) -> WebAccess:
    return WebAccess(allowed_networks=("127.0.0.0/8",), ports=None, **options)


def fetched(site: Site, path: str = "/", room: int = 20_000, access: WebAccess | None = None, **arguments):
    tool = fetch_tool(access or at_home())
    given = json.dumps({"url": site.url(path), **arguments})
    return tool.call(given, ToolContext(room=room))


def test_the_main_text_of_a_page_which_is_words_of_strangers():
    pytest.importorskip("trafilatura", reason="the extra `agents` is not installed")
    with serving({"/": (200, HTML, PAGE.encode())}) as site:
        seen = fetched(site)
    assert (seen.status, seen.tainted) == ("ok", True) and seen.origin is not None and site.url() in seen.origin
    assert seen.text.startswith(f"{site.url()}\nOn thinking\n\n") and "三思而后行。" in seen.text
    assert seen.text.count(SENTENCE.strip()) == 9 and "Imprint" not in seen.text
    [(path, headers)] = site.asked
    assert path == "/" and headers["host"] == f"127.0.0.1:{site.port}" and "cookie" not in headers


def test_what_the_tool_says_of_itself():
    tool = fetch_tool()
    assert (tool.name, tool.effects, tool.origin, tool.tainted) == ("fetch", {"network"}, "built-in", True)
    assert list(tool.parameters["properties"]) == ["url", "start"]
    assert "has blanks, control characters or backslashes in it" in tool.shown({"url": "http://0x7f.1:80/a b"})
    assert tool.shown({"url": "HTTP://0X7F.1:80/x?y=z#frag"}) == "http://127.0.0.1/x?y=z"
    assert tool.shown({"url": "https://例え.テスト/道"}) == "https://xn--r8jz45g.xn--zckzah/%E9%81%93"


@pytest.mark.parametrize(
    ("headers", "body", "said"),
    [
        (PLAIN, "你好".encode(), "你好"),
        ({"Content-Type": "text/plain; charset=gb2312"}, "三思而后行".encode("gb18030"), "三思而后行"),
        ({"Content-Type": "application/json"}, b'{"a": 1}', '{"a": 1}'),
        ({"Content-Type": "application/ld+json"}, b'{"b": 1}', '{"b": 1}'),
        ({"Content-Type": "application/pdf"}, pdf(["A page", "三思"]), "[Page 2]\n三思"),
        ({"Content-Type": "application/octet-stream"}, b"# some text", "# some text"),
        ({}, b"no type at all", "no type at all"),
        (PLAIN | {"Content-Encoding": "gzip"}, gzip.compress(b"packed", mtime=0), "packed"),
        (PLAIN | {"Content-Encoding": "deflate"}, zlib.compress(b"deflated"), "deflated"),
        (PLAIN | {"Content-Encoding": "deflate"}, zlib.compress(b"raw deflated")[2:-4], "raw deflated"),
        (PLAIN, b"", "(the page is empty)"),
    ],
)
def test_kinds_of_answers(headers, body, said):
    with serving({"/a": (200, headers, body)}) as site:
        seen = fetched(site, "/a")
    assert seen.status == "ok" and seen.text.endswith(said)


@pytest.mark.parametrize(
    ("headers", "body", "said"),
    [
        ({"Content-Type": "image/png"}, b"\x89PNG", "is image/png; text, HTML, JSON, XML and PDF are read"),
        ({"Content-Type": "application/zip"}, b"PK", "is application/zip"),
        ({"Content-Type": "video/mp4"}, b"....", "is video/mp4"),
        (PLAIN, b"\x89PNG\r\n\x1a\n" + bytes(9), "is a PNG picture"),
        ({"Content-Type": "application/pdf"}, scan(), "holds pictures and no text"),
        (PLAIN | {"Content-Encoding": "br"}, b"....", 'packed its answer as "br"'),
        (PLAIN | {"Content-Encoding": "gzip, gzip"}, b"....", 'packed its answer as "gzip, gzip"'),
        (PLAIN | {"Content-Encoding": "gzip"}, b"no gzip at all", "can not be unpacked"),
    ],
)
def test_what_is_not_read_is_said(headers, body, said):
    with serving({"/": (200, headers, body)}) as site:
        seen = fetched(site)
    assert seen.status == "error" and said in seen.text and "Traceback" not in seen.text


def test_a_page_is_read_as_far_as_there_is_room():
    body = b"".join(b"line %05d\n" % number for number in range(30_000))
    with serving({"/": (200, PLAIN, body)}) as site:
        seen = fetched(site, access=at_home(max_bytes=100_000))
        assert "only its beginning was read" in seen.text and "line 00000" in seen.text
        assert "line 09999" not in seen.text
        bomb = gzip.compress(bytes(2**26))  # 64 MiB of zeros in 64 KiB
        assert len(bomb) < 2**17
        site.answers["/bomb"] = (200, PLAIN | {"Content-Encoding": "gzip"}, bomb)
        seen = fetched(site, "/bomb", access=at_home(max_bytes=2**20))
        assert seen.status == "error" and "is empty" in seen.text  # its first MiB are zeros
        site.answers["/big.pdf"] = (200, {"Content-Type": "application/pdf"}, pdf(["x" * 5000]))
        assert "is not read" in fetched(site, "/big.pdf", access=at_home(max_bytes=2**10)).text


def test_a_body_without_end_is_left():
    def endless(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/plain")
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"word " * 1000)
        except OSError:
            pass

    with serving({"/": endless}) as site:
        assert "only its beginning was read" in fetched(site, access=at_home(max_bytes=50_000)).text


def test_a_server_that_drips_is_left_when_the_time_is_up():
    gone = threading.Event()

    def dripping(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/plain")
        handler.end_headers()
        while not gone.wait(0.05):
            handler.wfile.write(b".")

    with serving({"/": dripping}) as site:
        seen = fetched(site, access=at_home(seconds=0.4))
        gone.set()
    assert seen.status == "error" and "did not answer within 0.4 seconds" in seen.text


def test_who_reads_on_gets_the_next_part_without_asking_again():
    body = "".join(f"line {number:05}\n" for number in range(1000)).encode()
    tool = fetch_tool(at_home())
    with serving({"/": (200, PLAIN, body)}) as site:
        call = lambda start: tool.call(json.dumps({"url": site.url(), "start": start}), ToolContext(room=1400))  # noqa: E731
        first, second = call(0), call(1000)
        assert "characters 0 to 1000 of 10999; call fetch again with start=1000" in first.text
        assert "line 00090" in first.text and "line 00091" in second.text and len(site.asked) == 1
        last = call(10_500)
        assert last.text.endswith("line 00999") and "call fetch again" not in last.text
        assert "start is 99999, and the text" in call(99_999).text


def test_a_redirect_to_another_site_is_told():
    elsewhere = {"Location": "http://other.example/secret?x=1"}
    with serving(
        {"/": (302, elsewhere, b""), "/a": (301, {"Location": "b"}, b""), "/b": (200, PLAIN, b"here")}
    ) as site:
        seen = fetched(site)
        assert "redirects to another site, http://other.example/secret?x=1" in seen.text and len(site.asked) == 1
        assert fetched(site, "/a").text.endswith("here")


def test_an_error_of_the_server_is_one():
    with serving({"/gone": (410, PLAIN, b"It has left.")}) as site:
        seen = fetched(site, "/gone")
        assert seen.status == "error" and seen.text == f"error: {site.url('/gone')} answered 410:\nIt has left."
        assert seen.tainted
        assert "404" in fetched(site, "/nothing").text
    assert "can not be read" in fetched(site).text  # nobody is there any more
    assert "is not known" in fetch_tool().call('{"url": "https://nowhere.invalid/"}').text


def test_what_is_no_http_is_said():
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n" * 9)
        writer.close()

    async def main():
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await fetch_tool(at_home()).acall(json.dumps({"url": f"http://127.0.0.1:{port}/"}))

    seen = asyncio.run(main())
    assert seen.status == "error" and "can not be read" in seen.text
