"""The bulk client, the PDF steps and synthesis against a real small model behind a real server. `make soak` runs it.

SmolLM2-135M is served by Sansi itself. It sees no pictures and writes poorly: what is shown is that the path is real
from request to ledger, not that its answers are any good.
"""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sansi.base import SansiError
from sansi.client.bulk import Budget, BulkClient, EndpointSettings, Request, picture, user_message
from sansi.data.annotate import annotate
from sansi.data.documents import RawDocument, Record
from sansi.data.pdf import PdfReader, PdfSettings
from sansi.data.store import read_entries
from sansi.data.synthesise import SynthesiseConfig, synthetic_corpus

from real_language import smollm2

pytestmark = pytest.mark.slow

PAGES = (
    "The river rises in the hills behind the town and runs for forty miles through meadows before it reaches the sea.",
    "Trade came later. When the bridge was finished, wagons that had gone round by the ford began to stop at the inn.",
)
SEED = " ".join(PAGES) + " " + "In wet years it floods the lower fields, which is why nobody has built there. " * 4


@pytest.fixture(scope="module")
def endpoint():
    file = smollm2()
    if isinstance(file, str):
        pytest.skip(file)
    command = [sys.executable, "-m", "sansi.cli", "serve", str(file), "--port", "0", "--log-format", "off"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            line = ""
            while "API" not in line:
                line = server.stdout.readline()
                assert line, server.stderr.read()
            url = re.search(r"http://127\.0\.0\.1:\d+", line)[0]
            name = re.search(r"\"id\":\s*\"([^\"]+)\"", _models(url))[1]
            yield EndpointSettings(f"{url}/v1", name, concurrency=2, options={"max_tokens": 160})
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(60)


def _models(url: str) -> str:
    import httpx

    return httpx.get(f"{url}/v1/models", timeout=60).text


def test_many_questions(endpoint, tmp_path):
    requests = [Request([user_message(f"Say in a sentence what {n} is.")]) for n in ("rain", "bread", "a river")]
    with BulkClient(endpoint, tmp_path, Budget(max_requests=3)) as client:
        answers = client.ask_all(requests)
        again = client.ask_all([*requests, Request([user_message("And what is snow?")])])
    assert all(answer.status in ("ok", "cut") and answer.text.strip() for answer in answers)
    assert all(answer.usage.completion_tokens and not answer.oddities for answer in answers)
    assert [answer.cached for answer in again] == [True, True, True, False]
    assert again[-1].reason == "over budget"


def test_a_model_that_sees_nothing_says_so(endpoint, tmp_path):
    with BulkClient(endpoint, tmp_path) as client:
        (answer,) = client.ask_all([Request([user_message("What is written here?", picture(b"\x89PNG\r\n\x1a\n"))])])
    assert answer.status == "failed"
    assert answer.reason.startswith("http 4")


def test_pages_are_refined_or_stay(endpoint, tmp_path):
    fpdf = pytest.importorskip("fpdf", reason="needs fpdf2, of the extra test")
    made = fpdf.FPDF()
    made.set_font("Times", size=14)
    for text in PAGES:
        made.add_page()
        made.multi_cell(150, 8, text)
    settings = PdfSettings(endpoint=endpoint, refine=True)
    with PdfReader(settings, tmp_path) as reader:
        raw = reader.extract(Record("id", bytes(made.output()), "application/pdf", "paper.pdf"))
    counts = [int(number) for number in re.findall(r" (\d+)(?:,|$)", raw.provenance["refined"])]
    assert sum(counts) == len(PAGES)
    words = set(re.findall(r"\w+", " ".join(PAGES).lower()))
    assert len(words & set(re.findall(r"\w+", raw.text.lower()))) >= 0.85 * len(words)


def test_synthesis_ends_in_documents_and_reasons(endpoint, tmp_path):
    seeds = [
        annotate(RawDocument(str(n), f"{SEED} It is river {n}.", language="en"), "rivers", "CC0") for n in range(2)
    ]
    config = SynthesiseConfig(endpoint=endpoint, prompts=("rewrite", "questions"), max_tokens=200, reasoning=1)
    out = tmp_path / "out"
    report, asked = synthetic_corpus(out, config, seeds, tmp_path / "answers")
    entries = [e for file in sorted(Path(out, "ledger").glob("**/*.parquet")) for e in read_entries(file)]
    assert len(entries) == asked.answers + 1 == 5
    assert sum(entry.state == "kept" for entry in entries) == report.documents
    assert all(entry.rule for entry in entries if entry.state == "dropped")


def test_a_model_that_is_not_there(endpoint, tmp_path):
    from dataclasses import replace

    with (
        BulkClient(replace(endpoint, model="none-such"), tmp_path) as client,
        pytest.raises(SansiError, match="none-such"),
    ):
        client.ask_all([Request([user_message("Hello?")])])
