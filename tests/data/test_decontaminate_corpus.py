"""Decontamination of a corpus: what very many documents quote is no evidence, what one copies is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from dedup_made import kept_in, write_files
from documents_made import document, prose
from sansi.base import SansiError
from sansi.base.config import load_config
from sansi.data.decontaminate import DecontaminationConfig, Decontaminator, EvaluationText, find_contaminated
from sansi.data.dedup import decision_files, read_decisions
from sansi.data.documents import Document
from sansi.data.work import LocalExecutor

HERE = LocalExecutor(0)
SPEECH = (
    "Four score and seven years ago our fathers brought forth on this continent, a new nation, conceived in Liberty, "
    "and dedicated to the proposition that all men are created equal."
)
QUIZ = f"{SPEECH} Who spoke these words, in which year, and on which battlefield did he stand when he spoke them there?"
CLIPS = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. "
    "How many clips did Natalia sell altogether in April and May?"
)


def corpus() -> list[Document]:
    texts = [f"{prose(n)} {SPEECH} {prose(100 + n)}" for n in range(30)]  # 0 to 29: the famous passage
    texts += [f"{prose(200)} {QUIZ.upper()}", f"{prose(201)}\n{CLIPS}\n{prose(202)}"]  # 30, 31: copied
    texts += [f"{prose(300 + n)} {CLIPS}" for n in range(40)]  # 32 to 71: copied by many
    texts += [prose(400 + n) for n in range(30)]
    return [dataclasses.replace(document(text), id=f"s/{n}", source=f"s{n % 2}") for n, text in enumerate(texts)]


def index(folder: Path) -> Path:
    Decontaminator([EvaluationText("quiz/1", QUIZ), EvaluationText("clips/1", CLIPS)]).save(folder)
    return folder


def test_a_famous_passage_is_kept_and_copies_go(tmp_path: Path):
    made = corpus()
    dropped = []
    for number, (documents, files) in enumerate([(made, 1), (made[::-1], 3)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        paths = write_files(folder, documents, files)
        report = find_contaminated(paths, index(folder / "index"), folder / "out", executor=HERE)
        dropped.append({d.id for d in documents} - {d.id for d in kept_in(paths, folder / "out")})
        assert report.documents == len(made) and report.dropped == len(dropped[-1])
        assert report.by_set == {"clips": 41, "quiz": 1}
    assert dropped[0] == dropped[1] == {f"s/{n}" for n in range(30, 72)}


def test_a_passage_of_few_documents_is_evidence(tmp_path: Path):
    made = [document(f"{prose(n)} {SPEECH} {prose(100 + n)}") for n in range(4)]
    report = find_contaminated(
        write_files(tmp_path, made, 1), index(tmp_path / "index"), tmp_path / "out", executor=HERE
    )
    assert report.dropped == 4
    (decision, *_) = read_decisions(decision_files(tmp_path / "out", 1)[0])
    assert decision.rule == "in an evaluation set" and decision.other == "quiz/1"
    assert (decision.value or "").startswith("four score and seven years ago our fathers brought")


def test_what_a_source_puts_under_its_pages_is_no_evidence_there(tmp_path: Path):
    made = [dataclasses.replace(document(f"{prose(n)} {SPEECH}"), source="site") for n in range(8)]
    made += [dataclasses.replace(document(f"{prose(50)} {SPEECH}"), source="other")]
    made += [dataclasses.replace(document(f"{prose(n)} {SPEECH}"), source="copies") for n in [60] * 9]
    made += [dataclasses.replace(document(prose(n)), source="copies") for n in range(500, 560)]
    files = write_files(tmp_path, made, 1)
    report = find_contaminated(files, index(tmp_path / "index"), tmp_path / "out", executor=HERE)
    kept = [d.source for d in kept_in(files, tmp_path / "out")]
    assert kept.count("site") == 8 and "other" not in kept and report.dropped == 10  # nine copies are one text


@pytest.mark.parametrize("name", ["common_share", "complete", "template_texts", "common_documents"])
def test_impossible_settings_are_named(name: str):
    with pytest.raises(SansiError, match=f'"{name}" is 0'):
        load_config(DecontaminationConfig, {name: 0})


def test_what_is_no_index_is_named(tmp_path: Path):
    with pytest.raises(SansiError, match="holds no index of evaluation texts"):
        find_contaminated([], tmp_path / "nothing", tmp_path / "out", executor=HERE)
