"""Decontamination finds an evaluation text however it is written, and only where it is quoted."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from documents_made import prose
from sansi.base import SansiError
from sansi.data.decontaminate import Decontaminator, EvaluationText
from sansi.data.decontaminate.units import candidates_in
from sansi.data.problems import evaluation_set
from test_words import ARTICLE, SAME

QUESTION = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. "
    "How many clips did Natalia sell altogether in April and May?"
)


def test_runs_of_words():
    question = prose(5, 3)
    check = Decontaminator([question, "too short to tell", "一个篮子里有十二个苹果，吃掉三个，还剩几个？"])
    assert check.is_contaminated("Before. " + question.upper().replace(" ", "  ") + " After.")
    assert check.is_contaminated("题：一个篮子里有十二个苹果,吃掉三个,还剩几个？答")
    assert not check.is_contaminated(prose(6, 30)) and not check.is_contaminated("it is too short to tell")
    assert not Decontaminator([]).is_contaminated(question)
    assert (check.overlap("First. " + question) or "").startswith(" ".join(question.lower().split()[:9]))
    with pytest.raises(SansiError, match="one text"):
        Decontaminator(question)
    with pytest.raises(SansiError, match="min_words"):
        Decontaminator([], n=3)


def test_every_question_is_found_in_its_own_text_and_within_another():
    questions = sorted(evaluation_set(1000), key=lambda problem: len(problem.question))
    for problem in [*questions[:60], *questions[60::20]]:
        check = Decontaminator([problem.question])
        assert check.is_contaminated(problem.question)
        assert check.is_contaminated(f"An exercise. Q: {problem.question}\nA: {problem.answer}. The next one.")


@pytest.mark.parametrize("name", [name for name in SAME if name not in ("hyphenation", "rules")])
def test_another_writing_hides_no_question(name: str):
    for mine, other in (SAME[name], SAME[name][::-1]):
        check = Decontaminator([f"{mine} {QUESTION[:60]}"])
        assert check.is_contaminated(f"{prose(3)}\n{other} {QUESTION[:60]}\n{prose(4)}")


@pytest.mark.parametrize("language", ARTICLE)
def test_an_article_is_found_and_a_name_in_it_is_not(language: str):
    article = ARTICLE[language]
    other = next(text for name, text in ARTICLE.items() if name != language)
    assert Decontaminator([article]).is_contaminated(f"{other} {article} {other}")
    most = article[: len(article) * 5 // 6]
    assert Decontaminator([article]).is_contaminated(f"{other} {most}")
    for begin in range(0, len(article) - 20, 7):
        assert not Decontaminator([article]).is_contaminated(f"{other} {article[begin : begin + 20]} {other}")


@pytest.mark.parametrize(
    ("question", "found", "not_found"),
    [
        ("What is 12 + 7?", "Sums. What is 12 + 7? It is 19.", "What is 12 - 7? And what is 12 + 70?"),
        ("What is 12 + 7?", "- **What is 12 + 7**", "We ask what is 12 + 7 in base 8 and more"),
        ("Solve for x: 4 - 9*x = -95", "1. solve for x: 4 − 9 × x = −95", "Solve for x: 4 - 9*x = 95"),
        ("Who wrote Hamlet?", "\nWho wrote Hamlet?\n", "The man who wrote Hamlet lived there."),
        ("谁写了红楼梦？", "问：谁写了红楼梦？答：", "我们都知道谁写了红楼梦的后四十回。"),
        ("ประเทศไทยมีกี่จังหวัด", "เขาถามว่า ประเทศไทยมีกี่จังหวัด แล้วเธอก็ตอบ", "ไม่มีใครรู้ว่าประเทศไทยมีกี่จังหวัดเมื่อก่อน"),
        ("ປະເທດລາວມີຈັກແຂວງ?", "ຖາມ: ປະເທດລາວມີຈັກແຂວງ? ຕອບ", "ຮູ້ວ່າປະເທດລາວມີຈັກແຂວງແລ້ວ"),
        ("1+1等于几？", "问题：1+1等于几？答案：2", "他不知道1+1等于几个苹果"),
        ("日本の首都は？", "問 日本の首都は？ 答 東京", "日本の首都はどこか知らない"),
        ("3 + 4 = ?", "2 + 2 = ?\n3 + 4 = ?\n", "13 + 4 = 17"),
        ("Hello", "Hello", "Hello! This is a letter."),
        ("你好", "你好", "你好！我是小王。"),
    ],
)
def test_short_questions_where_they_stand_alone(question: str, found: str, not_found: str):
    check = Decontaminator([question])
    assert check.is_contaminated(question) and check.is_contaminated(found) and not check.is_contaminated(not_found)


def test_a_list_of_numbers_is_no_quotation():
    check = Decontaminator(["Sort these numbers: " + ", ".join(map(str, range(1, 16)))])
    assert not check.is_contaminated("The rooms are " + ", ".join(map(str, range(1, 16))) + " and 16.")


def test_a_name_in_thai_is_no_contamination():
    question = "คำถาม: ปฏิญญาสากลว่าด้วยสิทธิมนุษยชนประกาศใช้ในปีใด และมีกี่ข้อ"
    text = "วันนี้นักเรียนไปทัศนศึกษา และครูเล่าเรื่องปฏิญญาสากลว่าด้วยสิทธิมนุษยชนให้ฟัง"
    check = Decontaminator([question])
    assert not check.is_contaminated(text) and check.is_contaminated(text + question + text)


@pytest.mark.parametrize("wrong", [1, None, b"one two", ["one two"]])
def test_evaluation_texts_are_texts(wrong: object):
    with pytest.raises(SansiError, match=f"evaluation text 1 is {type(wrong).__name__}; give texts"):
        Decontaminator(["one two three", wrong])  # type: ignore[arg-type]


def runs_in(check: Decontaminator, text: str) -> set[int]:
    """The runs that stand in a text, by all its words."""
    index = check.index
    inside = candidates_in(text, index.n, index.anywhere, index.alone, is_whole=True)
    return set(index.find(inside.keys).tolist()) - {-1}


def wrapped(text: str, rng: random.Random) -> str:
    """The same words in another writing: case, breaks, invisible characters, Markdown, curly quotes."""
    changes = [
        str.upper,
        lambda t: "\n".join(" ".join(t.split()[i : i + 8]) for i in range(0, len(t.split()), 8)),
        lambda t: "> " + t.replace(" ", "\n> "),
        lambda t: t.replace("e", "e\u200b").replace("a", "a\u00ad"),
        lambda t: t.replace(" ", "  ").replace("'", "’"),
        lambda t: " ".join(f"**{word}**" if n % 5 == 0 else word for n, word in enumerate(t.split(" "))),
        lambda t: " ".join(
            f"[{word}](http://example.org/{n})" if n % 4 == 0 else word for n, word in enumerate(t.split(" "))
        ),
        lambda t: "".join(chr(ord(c) + 0xFEE0) if "a" <= c <= "z" else c for c in t),
        lambda t: " ".join(f"<i>{word}</i>" if n % 3 == 0 else word for n, word in enumerate(t.split(" "))),
        lambda t: t,
    ]
    return rng.choice(changes)(text)


def test_what_is_looked_at_first_hides_no_run():
    """Anchors name all places where a run stands: the runs found are those of all words of the text."""
    questions = [problem.question for problem in evaluation_set(60)] + list(ARTICLE.values()) + [QUESTION]
    questions += [
        "1+1等于几？",
        "3 + 4 = ?",
        "Who wrote Hamlet?",
        "Hello",
        "ประเทศไทยมีกี่จังหวัด",
        "A b c d e f g h i j k l m n o",
    ]
    check = Decontaminator(questions)
    rng = random.Random(5)
    for size in (0, 2, 60):  # the last are longer than what is split as a whole
        for _ in range(60):
            question = rng.choice(questions)
            begin = rng.randrange(len(question) // 2 + 1)
            quoted = wrapped(question[begin:] if rng.random() < 0.5 else question, rng)
            text = f"{prose(rng.randrange(99), size)}\n\n{quoted}\n\n{prose(rng.randrange(99), size)}".strip()
            assert {match.run for match in check.matches(text)} == runs_in(check, text), text[:600]


def test_many_texts_at_once_are_told_as_each_alone():
    check = Decontaminator([QUESTION, "What is 12 + 7?", "谁写了红楼梦？"])
    texts = [
        prose(1),
        QUESTION,
        "",
        "A control \x01 character",
        f"{prose(2, 80)}\nWhat is 12 + 7?\n",
        "谁写了红楼梦？",
        prose(3),
    ]
    assert check.find_all(texts) == [check.find(text) for text in texts]
    assert [bool(found) for found in check.find_all(texts)] == [False, True, False, False, True, True, False]


def test_an_index_is_saved_and_mapped(tmp_path: Path):
    made = Decontaminator([EvaluationText("sums/1", "What is 12 + 7?"), EvaluationText("clips", QUESTION)])
    made.save(tmp_path / "index")
    check = Decontaminator.load(tmp_path / "index")
    found = check.find(f"{prose(1, 90)} {QUESTION} {prose(2, 90)}")
    assert found is not None and found.text == "clips" and found.passage.startswith("natalia sold clips to 48")
    assert check.index.digest == made.index.digest != Decontaminator([QUESTION]).index.digest
    (tmp_path / "index" / "keys.npy").write_bytes(b"no")
    with pytest.raises(SansiError, match="build it again"):
        Decontaminator.load(tmp_path / "index")
    with pytest.raises(SansiError, match="build the index"):
        Decontaminator.load(tmp_path)


def test_the_frame_of_many_questions_is_no_evidence():
    frame = (
        "Construct a complete truth table for the following argument and then say whether it is valid using the table:"
    )
    names = "alder birch cedar elder fir gorse hazel ivy juniper larch".split()  # noqa: SIM905
    check = Decontaminator(
        [f"{frame} {name} implies {other} and {name}" for name, other in zip(names, names[::-1], strict=True)]
    )
    assert not check.is_contaminated(f"{prose(1)} {frame} it rains, so the street is wet. {prose(2)}")
    assert check.is_contaminated(f"{prose(1)} {frame} cedar implies ivy and cedar {prose(2)}")
    assert Decontaminator([f"{frame} fir implies fir"]).is_contaminated(f"{prose(1)} {frame} it rains")


CASES = [json.loads(line) for line in (Path(__file__).parent / "decontamination_cases.jsonl").read_text().splitlines()]


def test_labelled_cases_are_told_apart():
    """By one index of all evaluation texts, alone and inside long documents."""
    check = Decontaminator(sorted({case["evaluation"] for case in CASES}))
    for around in ("", prose(7, 100)):
        texts = [f"{around}\n\n{case['document']}\n\n{around}".strip() for case in CASES]
        told = [found is not None for found in check.find_all(texts)]
        assert [case["what"] for case, flag in zip(CASES, told, strict=True) if flag != case["contaminated"]] == []
