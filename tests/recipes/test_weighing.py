"""The kind document_weights: from a corpus to weights.json, whatever it is stopped at."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from sansi.base import SansiError
from sansi.base.errors import ConfigError
from sansi.data import read_corpus
from sansi.data.corpus import Origin, write_corpus
from sansi.data.documents import Document, text_sha256
from sansi.data.mixture import load_weights, times_included
from sansi.recipes.kinds.weighing import WeighDocuments, make_weights
from sansi.recipes.recipe import load_recipe
from sansi.recipes.runner import Runner
from sansi.recipes.stages import Given, Inputs, StageRun

FAST = {"proxies": 4, "rounds": 1, "confirmations": 1, "epochs": 0.5, "workers": 0, "axes": ["quality", "field"]}
FAST |= {
    "proxy": {"hidden_size": 16, "num_hidden_layers": 1, "sequence_length": 32, "batch_size": 8},
    "training": {"steps": 12, "learning_rate": 2e-2, "compile": False},
}


def made(number: int, field: str, quality: float) -> Document:
    rng = random.Random(number)
    words = {"law": ("court", "judge", "appeal", "the"), "noise": ("qx", "zzv", "kjw", "vqz")}[field]
    text = " ".join(rng.choices(words, k=120))
    facts = {"licence": "CC0-1.0", "kind": "prose", "language": "en", "detected_language": "en", "quality": quality}
    return Document(f"made/{number}", "made", sha256=text_sha256(text), text=text, field=field, **facts)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """Useful and useless documents of one source, and beside it what is to be predicted."""
    folder = tmp_path_factory.mktemp("weighing")
    write(folder / "asked", [made(99 + i, "law", 1) for i in range(6)])
    return write(
        folder / "corpus",
        [made(i, ("law", "noise")[i % 2], 1 - (i % 2) * 0.5 + i / 1000) for i in range(80)],
    )


def write(folder: Path, documents: list[Document]) -> Path:
    write_corpus(folder, Origin("made", "made", "1", "CC0-1.0"), documents)
    return folder


def make(corpus: Path, folder: Path, **changes) -> Path:
    """With the corpus `asked` beside the corpus, if there is one, as the input "evaluation"."""
    folder.mkdir(exist_ok=True)
    run = StageRun(folder, folder, "weights", 3, digests={"corpus: corpus": "0" * 64})
    beside = corpus.parent / "asked"
    given = {"corpus": [Given("corpus", corpus)]}
    given |= {"evaluation": [Given("asked", beside)]} if beside.exists() else {}
    return make_weights(WeighDocuments(**{**FAST, **changes}), Inputs(given), run)


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory) -> Path:
    return make(corpus, tmp_path_factory.mktemp("whole"))


def test_the_weights_prefer_what_helps(whole, corpus):
    weights = load_weights(whole)
    by_field = {field: [weights(d) for d in read_corpus(corpus) if d.field == field] for field in ("law", "noise")}
    assert min(by_field["law"]) > max(by_field["noise"])
    documents = list(read_corpus(corpus))
    read, size = sum(weights(d) * d.size for d in documents), sum(d.size for d in documents)
    assert read == pytest.approx(0.5 * size, rel=1e-6)
    assert max(times_included(weights(d), d.id, 0) for d in documents) <= 4
    assert weights.fitted_on["inputs"] == {"corpus: corpus": "0" * 64} and weights.fitted_on["documents"] == 80


def test_the_report_tells_what_was_compared(whole):
    report = (whole / "report.md").read_text(encoding="utf-8")
    for part in ("proportional", "fitted x", "| quality |", "Price of concentration", "field=law", "## Read by field"):
        assert part in report
    assert (whole / "effects.png").stat().st_size > 1000


@pytest.mark.slow
def test_a_killed_stage_goes_on_to_the_same_bytes(whole, corpus, tmp_path):
    files = {file.name: file.read_bytes() for file in whole.iterdir()}
    folder = tmp_path / "begun"
    proxies = folder / "proxies"
    proxies.mkdir(parents=True)
    done = sorted((whole.parent / "proxies").glob("1-*.json"))
    for file in done[:2]:  # two proxies were done, of the third a piece of its run is there
        (proxies / file.name).write_bytes(file.read_bytes())
    assert {file.name: file.read_bytes() for file in make(corpus, folder).iterdir()} == files
    assert (proxies / done[0].name).read_bytes() == done[0].read_bytes()


def test_it_is_a_stage_of_a_recipe_that_pack_reads(corpus, tmp_path):
    """Corpus, weights, packed tokens: each document is packed as often as its weight says."""
    (corpus.parent / "weigh.toml").write_text(
        f"""
name = "weigh"
[[stage]]
kind = "tokenizer"
name = "tokenizer"
inputs = {{corpus = "{corpus.name}"}}
vocab_size = 300
[[stage]]
kind = "document_weights"
name = "weights"
inputs = {{corpus = "{corpus.name}", evaluation = "asked"}}
proxies = 4
rounds = 1
confirmations = 0
epochs = 0.5
workers = 0
axes = ["quality"]
proxy = {{hidden_size = 16, num_hidden_layers = 1, sequence_length = 32}}
training = {{steps = 10, compile = false}}
[[stage]]
kind = "pack"
name = "tokens"
inputs = {{corpus = "{corpus.name}", tokenizer = "tokenizer", weights = "weights"}}
seed = 5
"""
    )
    runner = Runner(load_recipe(corpus.parent / "weigh.toml", []), tmp_path / "out", "cpu")
    runner.run()
    weights = load_weights(tmp_path / "out" / "weights" / "weights")
    wanted = sum(times_included(weights(d), d.id, 5) for d in read_corpus(corpus))
    assert runner.states()[-1].record.facts["documents"] == wanted > 0


def test_texts_of_the_corpus_can_be_kept_back(corpus, tmp_path):
    alone = write(tmp_path / "alone", list(read_corpus(corpus)))
    folder = make(alone, tmp_path / "kept", hold_out=0.2, sets="field", confirmations=0)
    weights = load_weights(folder)
    assert weights.fitted_on["documents"] < 70
    assert "not compared" in (folder / "report.md").read_text(encoding="utf-8")


def test_without_evaluation_text_it_says_what_to_do(tmp_path):
    write(tmp_path / "bare", [made(i, "law", 0.5 + i / 100) for i in range(10)])
    with pytest.raises(SansiError, match=r'no evaluation text of 2,000 bytes or more .* set "hold_out"'):
        make(tmp_path / "bare", tmp_path / "run", axes=["quality"])


def test_a_corpus_that_is_too_small_is_told(tmp_path):
    write(tmp_path / "small", [made(i, "law", 0.5 + i / 100) for i in range(3)])
    write(tmp_path / "asked", [made(9 + i, "law", 1) for i in range(6)])
    with pytest.raises(SansiError, match="too few to learn anything; take a larger corpus"):
        make(tmp_path / "small", tmp_path / "run", axes=["quality"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"axes": ["qualty"]}, 'no axis "qualty" of documents; did you mean "quality"'),
        ({"axes": ["quality*fild"]}, 'no axis "fild"'),
        ({"sets": "langage"}, 'no axis "langage"'),
        ({"hold_out": 1.0}, '"hold_out" is a share'),
        ({"set_weights": {"en": -1.0}}, '"set_weights": en is -1'),
        ({"training": {"steps": 10, "evaluate_every": 2}}, '"training.evaluate_every"'),
        ({"evaluation_bytes": 10}, '"evaluation_bytes" must be at least 2000'),
    ],
)
def test_impossible_settings_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        WeighDocuments(**values)


def test_a_set_that_there_is_not_is_named(corpus, tmp_path):
    with pytest.raises(SansiError, match='"set_weights": no evaluation set "fr"; there are en'):
        make(corpus, tmp_path / "run", set_weights={"fr": 2.0})


def test_what_is_asked_comes_from_one_place(corpus, tmp_path):
    file = tmp_path / "r.toml"
    inputs = f'inputs = {{corpus = "{corpus}", evaluation = "{corpus.parent / "asked"}"}}'
    file.write_text(f'name = "r"\n[[stage]]\nkind = "document_weights"\nname = "w"\n{inputs}\nhold_out = 0.1\n')
    with pytest.raises(ConfigError, match='"hold_out" keeps back texts of the corpus, and "evaluation" gives others'):
        load_recipe(file, [])
