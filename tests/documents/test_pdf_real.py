"""Real PDF files in 18 languages, beside their own HTML: slow, and only where Debian's packages can be had."""

import importlib.util
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from sansi.data.words import split_words
from sansi.documents.pdf import judge_all, lay_out, read_pages

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("apt-get") is None, reason="the files come from a Debian package"),
]
BENCH = Path(__file__).parents[2] / "bench" / "data_pdf.py"
LEAST = {"ko": 0.95, "cs": 0.99, "ja": 0.98, "ro": 0.985, "ru": 0.985, "vi": 0.99}  # recall of words; others 0.995


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("data_pdf", BENCH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_guides_in_18_languages(bench):
    try:
        guides = bench.guides()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"the package can not be fetched: {error}")
    assert len(guides) == 18
    for language, (data, text) in guides.items():
        file = read_pages(data, None, bench.LIMITS, lines=True)
        verdicts = judge_all(file)
        assert len(verdicts) == file.count
        assert {verdict.state for verdict in verdicts} == {"ok"}, language
        wanted, had = Counter(split_words(text)), Counter(split_words(lay_out(file.pages).text))
        assert (had & wanted).total() / wanted.total() > LEAST.get(language, 0.995), language
