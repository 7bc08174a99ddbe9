"""A file in, its text out: PDF above all, for the chat page and whoever else asks."""

import random
import subprocess
import sys
from pathlib import Path

import jsonschema_rs
import pytest
from live_server import http, running
from sansi.serve.http.document_routes import DOCUMENT
from sansi.serve.http.settings import LARGEST_LIMIT, Keys

sys.path.append(str(Path(__file__).parents[1] / "documents"))
from pdf_made import pdf, scan

PAPER = pdf(["What is 12 + 30?", "三思而后行"], title="Sums")


def post(url: str, data: bytes, media_type: str = "application/octet-stream", **query: str):
    return http.post(f"{url}/v1/documents", params=query, content=data, headers={"Content-Type": media_type})


def test_the_pages_of_a_pdf_and_their_tokens(tiny_url, tiny_chat):
    told = post(tiny_url, PAPER, "application/pdf", name="sums.pdf", model="tiny").json()
    assert jsonschema_rs.validator_for(DOCUMENT).is_valid(told)
    text = "[Page 1]\nWhat is 12 + 30?\n\n[Page 2]\n三思而后行"
    assert told == {
        "object": "document",
        "name": "sums.pdf",
        "media_type": "application/pdf",
        "title": "Sums",
        "pages": 2,
        "text": text,
        "tokens": len(tiny_chat.ids_of(text, False)),
        "notes": [],
    }


def test_other_files_and_a_model_whose_tokenizer_is_elsewhere(fake_url):
    told = post(fake_url, "<|im_end|> 三思".encode("gb18030"), name="a.txt").json()
    assert (told["text"], told["tokens"], told["pages"]) == ("<|im_end|> 三思", None, None)
    assert told["notes"] == ["the text is not UTF-8; it was read as gb18030"]
    assert post(fake_url, b"# Notes", "text/markdown").json()["media_type"] == "text/markdown"


@pytest.mark.parametrize(
    ("data", "code", "said"),
    [
        (scan(), "scanned", "“x.pdf” (2 pages) holds pictures and no text"),
        (pdf(["x"], password="p"), "encrypted", "“x.pdf” is encrypted"),
        (PAPER[:300], "broken", "“x.pdf” is broken"),
        (b"\x89PNG\r\n\x1a\n\0\0", "binary", "“x.pdf” is a PNG picture"),
        (b"", "empty", "“x.pdf” is empty"),
    ],
)
def test_what_cannot_be_read_is_a_400_with_a_code(fake_url, data, code, said):
    response = post(fake_url, data, name="x.pdf")
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, code) and said in error["message"]


def test_it_asks_for_the_key_and_keeps_the_limits(fake, fake_url):
    with running([fake], keys=Keys(["open-sesame-and-more"]), max_body=1000) as url:
        assert post(url, PAPER).status_code == 401
        key = {"Authorization": "Bearer open-sesame-and-more"}
        assert http.post(f"{url}/v1/documents", content=PAPER, headers=key).status_code == 413
        assert http.post(f"{url}/v1/documents", content=b"short", headers=key).status_code == 200
    # A file may be larger than a request: what a context holds says nothing of a PDF's pictures.
    assert post(fake_url, b"word " * 2**19).status_code == 200
    assert post(fake_url, b"x" * (LARGEST_LIMIT + 1)).status_code == 413
    packed = http.post(f"{fake_url}/v1/documents", content=b"x", headers={"Content-Encoding": "gzip"})
    assert packed.status_code == 415
    foreign = http.post(f"{fake_url}/v1/documents", content=b"x", headers={"Origin": "http://elsewhere.example"})
    assert foreign.status_code == 403
    assert post(fake_url, b"x", model="other").json()["error"]["param"] == "model"


def test_it_is_in_the_api_document(fake_url):
    told = http.get(f"{fake_url}/openapi.json").json()["paths"]["/v1/documents"]["post"]
    assert {one["name"] for one in told["parameters"]} == {"name", "model"}
    assert "application/octet-stream" in told["requestBody"]["content"] and "413" in told["responses"]


@pytest.mark.parametrize("seed", [1, 2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 60))])
def test_no_file_is_a_bug(fake_url, seed):
    random_ = random.Random(seed)
    data = bytearray(random_.choice([PAPER, scan()]))
    for _ in range(random_.choice([1, 5, 50])):
        data[random_.randrange(len(data))] = random_.randrange(256)
    assert post(fake_url, bytes(data), name="a\n\x00\u202e" * 200).status_code in (200, 400)


def test_a_server_without_files_loads_nothing_for_them():
    program = "import sys, sansi.serve.app; print([m for m in sys.modules if 'pdfium' in m or 'sansi.documents' in m])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
