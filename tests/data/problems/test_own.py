"""Problems of one's own: files whose every bad line is named, verifiers by name, tasks by module and by file."""

from __future__ import annotations

import json
import sys

import pytest
from sansi.base import SansiError
from sansi.data.problems import (
    OUTCOMES,
    Problem,
    Verdict,
    as_task,
    as_verdict,
    evaluation_problems,
    final_answer,
    get_task,
    registry,
    task_of,
    verify_safely,
)
from sansi.data.problems.own import read_problems
from sansi.data.problems.verifiers import VERIFIERS
from sansi.text import Message


def outcome(verifier, answer, said: str) -> str:
    task = as_task(task_of(Problem("mine", "?", answer, verifier=verifier)))
    return task.verify(Problem("mine", "?", answer, verifier=verifier), Message("assistant", said)).outcome


@pytest.mark.parametrize(
    ("verifier", "answer", "said", "expected"),
    [
        ("exact", "Paris", " Paris\n", "right"),
        ("exact", "Paris", "<answer>Rome</answer> no, <answer> Paris </answer>.", "right"),
        ("exact", "Paris", r"So it is $\boxed{Paris}$.", "right"),
        ("exact", "Paris", "paris", "wrong"),
        ({"name": "exact", "ignore_case": True}, "Paris", "paris", "right"),
        ("exact", ["New York", "NYC"], "New  York", "right"),
        ("exact", 5, "5", "right"),
        ("exact", "Paris", "It is Paris", "wrong"),
        ("contains", "Paris", "It is Paris.", "right"),
        ("contains", ["a", "b"], "only a", "wrong"),
        ({"name": "contains", "any": True}, ["x", "only"], "only a", "right"),
        ("numeric", 1234.5, "That makes 1,234.50 €.", "right"),
        ("numeric", "3/4", "0.75", "right"),
        ("numeric", 0.12, "12 %", "right"),
        ("numeric", -3, "x = −3", "right"),
        ("numeric", 1000, "1e3", "right"),
        ("numeric", 2, "First 1, then 3", "wrong"),
        ("numeric", 2, "I do not know", "malformed"),
        ("numeric", 7, "There are 7.", "right"),
        ("numeric", 3.14159, "3.14", "wrong"),
        ({"name": "numeric", "absolute_tolerance": 0.01}, 3.14159, "3.14", "right"),
        ({"name": "numeric", "relative_tolerance": 1}, 10, "19", "right"),
        ("numeric", 1, "1/0", "malformed"),
        ("numeric", 1, "9" * 5000, "malformed"),
        ("numeric", 1, "1e9999", "wrong"),
        ("choice", "B", "B", "right"),
        ("choice", "B", "(B) Paris", "right"),
        ("choice", "B", "The answer is **B**.", "right"),
        ("choice", "B", "答案是B", "right"),
        ("choice", "B", "C. Rome", "wrong"),
        ("choice", "B", "A fine question; hard to say", "malformed"),
        ("choice", "A", "A", "right"),
        ({"name": "choice", "choices": ["Rome", "Paris"]}, "B", "Paris.", "right"),
        ({"name": "choice", "choices": ["Rome", "Paris"]}, "B", "rome", "wrong"),
        ("regex", r"\b\d{4}\b", "In 1984, I think", "right"),
        ({"name": "regex", "full": True}, r"\d{4}", "In 1984", "wrong"),
        ({"name": "regex", "full": True, "ignore_case": True}, r"in \d+", "IN 1984", "right"),
        ("json_schema", {"type": "object", "required": ["a"]}, '{"a": 1}', "right"),
        ("json_schema", {"type": "object", "required": ["a"]}, '```json\n{"a": 1}\n```', "right"),
        ("json_schema", {"type": "object", "required": ["a"]}, '{"b": 1}', "wrong"),
        ("json_schema", {"type": "object"}, "{a: 1}", "malformed"),
        ("math", r"\frac{1}{2}", r"The result is $\boxed{0.5}$.", "right"),
        ("math", "x**2 + 2*x + 1", r"\boxed{(x+1)^2}", "right"),
        ("math", "2", r"\boxed{3}", "wrong"),
        ("math", "2", "no idea at all", "malformed"),
    ],
)
def test_verifiers_by_name(verifier, answer, said, expected):
    assert outcome(verifier, answer, said) == expected


def test_the_final_answer_is_read_by_one_rule():
    assert final_answer(r"\boxed{1} and \boxed{\frac{1}{2}}") == r"\frac{1}{2}"
    assert final_answer(r"<answer>7</answer> \boxed{8}") == "7"
    assert final_answer(r"\boxed{1} and \boxed{2") == "1"
    assert final_answer("  12 \n") == "12"


GOOD = [
    {"messages": [{"role": "user", "content": "2 + 3?"}], "answer": 5, "verifier": "numeric"},
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "Capital of France?"},
        ],
        "answer": "Paris",
        "metadata": {"source": "me"},
        "difficulty": 2,
    },
    {"question": "Name a year.", "answer": "[0-9]{4}", "verifier": {"name": "regex", "full": True}},
]


def write(path, lines) -> str:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return str(path)


def test_a_file_of_problems_is_a_task(tmp_path):
    name = write(tmp_path / "mine.jsonl", GOOD)
    task = get_task(name)
    assert (task.name, task.levels, task.size) == (name, 3, 3)
    first, again, hard = task.problem(0), task.problem(2), task.problem(9, 2)
    assert first == again and first.question == "2 + 3?" and hard.question == "Capital of France?"
    assert hard.messages == GOOD[1]["messages"] and hard.metadata == {"source": "me"}
    assert verify_safely(task, first, "It is 5.").right
    assert verify_safely(None, hard, "Paris").right
    assert verify_safely(None, task.problem(1), "1984").right  # a pattern: in a worker
    with pytest.raises(SansiError, match="no problem of difficulty 1"):
        task.problem(0, 1)
    assert [p.question for p in evaluation_problems([task], 2, 0)] == ["2 + 3?", "Name a year."]
    assert [p.question for p in evaluation_problems([task])] == ["2 + 3?", "Capital of France?", "Name a year."]
    assert [p.question for p in evaluation_problems([task], difficulty=2)] == ["Capital of France?"]
    assert [p.task for p in evaluation_problems([task, "gcd"], 2)] == [name, "gcd"] * 2
    with pytest.raises(SansiError, match="has 3 problems, not 4; ask for fewer"):
        evaluation_problems([task], 4)
    with pytest.raises(SansiError, match="has 2 problems of level 0, not 3"):
        evaluation_problems([task], 3, 0)
    monkey = write(tmp_path / "mine.jsonl", GOOD[:1])
    assert get_task(monkey).size == 1  # a file that has changed is read anew


def test_every_bad_line_is_named_with_its_number(tmp_path):
    ask = {"question": "?", "answer": "1"}
    bad = [
        (ask | {"verifer": "exact"}, 'unknown field "verifer"; did you mean "verifier"'),
        ({"question": "?"}, '"answer" is missing'),
        ({"answer": "1"}, 'needs either "messages" or "question"'),
        (ask | {"messages": []}, 'needs either "messages" or "question"'),
        (ask | {"question": 3}, '"question" must be a text'),
        ({"messages": [{"role": "assistant", "content": "x"}], "answer": "1"}, "must be a user's question"),
        ({"messages": [{"role": "usr", "content": "x"}], "answer": "1"}, "messages[0]"),
        (ask | {"verifier": "numerc"}, 'no verifier "numerc"; did you mean "numeric"'),
        (ask | {"verifier": {"name": "numeric", "tolerance": 1}}, 'no option "tolerance"'),
        (ask | {"verifier": {"name": "numeric", "absolute_tolerance": "1"}}, "must be float"),
        (ask | {"verifier": 7}, "must be a name"),
        (ask | {"verifier": "numeric", "answer": "many"}, "must be a number"),
        (ask | {"verifier": "choice", "answer": "yes"}, "one letter"),
        (ask | {"verifier": {"name": "choice", "choices": ["x"]}, "answer": "B"}, "one of the 1 choices"),
        (ask | {"verifier": "regex", "answer": "("}, "no regular expression"),
        (ask | {"verifier": "json_schema", "answer": {"type": "objct"}}, "no JSON schema"),
        (ask | {"verifier": "math", "answer": "words alone"}, "as mathematics"),
        (ask | {"answer": None}, "must be a text or a number"),
        (ask | {"answer": " "}, "must not be empty"),
        (ask | {"metadata": []}, '"metadata" must be an object'),
        (ask | {"difficulty": -1}, '"difficulty" must be'),
        (ask | {"verifier": "no.such.module:check"}, "can not be imported"),
        (ask | {"verifier": "json:nothing"}, 'json has no "nothing"'),
        (ask | {"verifier": "json:__doc__"}, "must be a function"),
        ("[1]", "must be a JSON object"),
        ("{", "not JSON"),
        ('{"question": "a", "question": "b", "answer": "1"}', "twice"),
        ('{"question": "a", "answer": NaN}', "NaN is not JSON"),
        ("", "empty"),
    ]
    for line, message in bad:
        name = write(tmp_path / "bad.jsonl", [ask, line, ask])
        with pytest.raises(SansiError) as error:
            get_task(name)
        assert "line 2: " in str(error.value) and message in str(error.value), (line, str(error.value))
        assert "line 1" not in str(error.value) and "line 3" not in str(error.value)
    name = write(tmp_path / "bad.jsonl", ["{"] * 30)
    with pytest.raises(SansiError, match=r"line 1: .*line 20: .*; and 10 more bad lines"):
        get_task(name)
    (tmp_path / "bytes.jsonl").write_bytes(b'{"question": "\xff", "answer": "1"}\n')
    with pytest.raises(SansiError, match="line 1: not UTF-8"):
        get_task(str(tmp_path / "bytes.jsonl"))
    for name, message in ((write(tmp_path / "none.jsonl", []), "no problems"), (str(tmp_path / "x.jsonl"), "No such")):
        with pytest.raises(SansiError, match=message):
            get_task(name)


OWN = """
from sansi.data.problems import Problem, Verdict

class Doubling:
    name = "doubling"
    levels = 2
    def problem(self, seed, difficulty=0):
        n = seed % 10 ** (difficulty + 1)
        return Problem("doubling", f"Twice {n}?", str(2 * n), difficulty=difficulty)
    def verify(self, problem, message):
        return Verdict(1.0, "right") if message.content == problem.answer else Verdict(0.0, "wrong")

task = Doubling()
def make(): return Doubling()
def check(problem, message): return message.content == "yes"
def broken(): raise RuntimeError("not today")
number = 3
class Lacking:
    name = "lacking"
def lacking(): return Lacking()
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "own_tasks_for_a_test.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    registry._from_attribute.cache_clear()
    yield "own_tasks_for_a_test"
    sys.modules.pop("own_tasks_for_a_test", None)
    sys.path[:] = [path for path in sys.path if path != str(tmp_path)]


def test_a_task_of_a_module_here_or_of_a_file(module, tmp_path):
    for name in (f"{module}:task", f"{module}:make", f"{module}:Doubling", f"{tmp_path / module}.py:task"):
        task = get_task(name)
        problem = task.problem(37, 1)
        assert (problem.question, problem.difficulty) == ("Twice 37?", 1)
        assert verify_safely(task, problem, "74").right
        assert verify_safely(task, problem, "75").outcome == "wrong"
    check = get_task(f"{module}:check")
    assert verify_safely(check, Problem("mine", "?", ""), "yes").right
    with pytest.raises(SansiError, match="draws no problems"):
        check.problem(0)
    line = {"question": "Sure?", "verifier": f"{module}:check"}
    problem = get_task(write(tmp_path / "x.jsonl", [line])).problem(0)
    assert verify_safely(None, problem, "yes").right and not verify_safely(None, problem, "no").right


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{}:tsk", 'has no "tsk"; did you mean "task"'),
        ("{}:broken", "not today"),
        ("{}:number", "is no task; it lacks name"),
        ("{}:lacking", "lacks levels, problem, verify"),
        ("no_such_module_at_all:task", "can not be imported"),
        ("nothing.py:task", "no file nothing.py"),
        ("{}:", "not of the form module:attribute"),
        ("a b:c", "not of the form module:attribute"),
        ("", "must be a text"),
        (3, "must be a text"),
        ("chain_sm", 'did you mean "chain_sum"'),
    ],
)
def test_a_name_that_is_no_task_is_explained(module, name, message):
    with pytest.raises(SansiError, match=message):
        get_task(name.format(module) if isinstance(name, str) else name)


def test_tasks_of_an_installed_package(module, monkeypatch):
    import importlib.metadata as metadata

    points = [metadata.EntryPoint("doubling", f"{module}:task", registry.GROUP)]
    points.append(metadata.EntryPoint("broken", f"{module}:broken", registry.GROUP))
    monkeypatch.setattr(metadata, "entry_points", lambda group: points)
    monkeypatch.syspath_prepend(".")
    registry._entry_points.cache_clear(), registry._from_entry_point.cache_clear()
    try:
        assert get_task("doubling").problem(4).answer == "8"
        assert "doubling" in [info.name for info in registry.list_tasks()]
        with pytest.raises(SansiError, match="not today"):
            get_task("broken")
        points.append(metadata.EntryPoint("doubling", "other:task", registry.GROUP))
        registry._entry_points.cache_clear()
        with pytest.raises(SansiError, match="two packages"):
            get_task("doubling")
    finally:
        registry._entry_points.cache_clear(), registry._from_entry_point.cache_clear()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"score": 1.0, "outcome": "rigth"}, 'did you mean "right"'),
        ({"score": None, "outcome": "right"}, "belongs to unknown alone"),
        ({"score": 0.0, "outcome": "unknown"}, "belongs to unknown alone"),
        ({"score": 0.5, "outcome": "right"}, "full marks are 1.0"),
        ({"score": float("nan"), "outcome": "wrong"}, "finite"),
        ({"score": "1", "outcome": "right"}, "finite"),
        ({"score": 0.0, "outcome": "wrong", "parts": {"a": float("inf")}}, r"parts\[a\]"),
        ({"score": 0.0, "outcome": "wrong", "parts": [1]}, "mapping"),
    ],
)
def test_a_verdict_that_does_not_fit_together_is_refused(fields, message):
    with pytest.raises(SansiError, match=message):
        Verdict(**fields)


def test_what_a_verifier_returns_becomes_a_verdict():
    assert as_verdict(True) == as_verdict(1) == as_verdict(1.0) == Verdict(1.0, "right")
    assert as_verdict(False) == Verdict(0.0, "wrong")
    assert as_verdict(0.25) == Verdict(0.25, "wrong")
    assert as_verdict(Verdict(0.0, "refused")).outcome == "refused"
    for value in (None, "yes", 2, -1, float("nan"), [1]):
        with pytest.raises(SansiError):
            as_verdict(value)
    assert len(OUTCOMES) == 7 and set(VERIFIERS) > {"exact", "numeric", "math", "choice", "regex", "json_schema"}


def test_a_class_and_a_number_are_no_tasks():
    for value in (object(), 3, Problem):
        with pytest.raises(SansiError, match="is no task"):
            as_task(value)


def test_half_of_a_surrogate_pair_is_named_with_its_line(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text('{"question": "a", "answer": "b"}\n{"question": "\\ud800", "answer": "b"}\n')
    with pytest.raises(SansiError, match="line 2: holds half of a surrogate pair"):
        read_problems(path)
