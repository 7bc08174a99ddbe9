"""A run notices that another verifier would go on with it: by what the code is, not by its name or its layout."""

from __future__ import annotations

import functools
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from sansi.data.problems import Problem, as_task
from sansi.data.problems.fingerprints import judge_fingerprint, task_digest

PLAIN = """
LEAST = 3
WORDS = {"yes": 1.0, "no": 0.0}

def helper(text):
    return len(text) >= LEAST

def check(problem, message):
    return WORDS.get(message.content, 0.0) if helper(message.content) else 0.0

def unused():
    return 1

class Own:
    name, levels = "own", 1

    def __init__(self, least=2):
        self.least = least

    def problem(self, seed, difficulty=0):
        raise NotImplementedError

    def verify(self, problem, message):
        return helper(message.content * self.least)

def own():
    return Own()
"""
"""The text of a module with a verifier, and a task of its own."""


def digest_of(folder: Path, text: str, attribute: str = "check") -> str:
    file = folder / f"verifiers_{len(list(folder.glob('*.py')))}.py"
    file.write_text(text)
    return task_digest(as_task(f"{file}:{attribute}"))


@pytest.mark.parametrize(
    "old, new",
    [
        ("LEAST = 3", "LEAST = 4"),
        ("len(text) >=", "len(text) >"),
        ('"no": 0.0', '"no": 0.5'),
        ("else 0.0", "else 0.1"),
    ],
)
def test_code_helpers_and_constants_count(tmp_path, old, new):
    assert digest_of(tmp_path, PLAIN) != digest_of(tmp_path, PLAIN.replace(old, new))


@pytest.mark.parametrize(
    "old, new",
    [
        ("LEAST = 3", "LEAST = 3  # no fewer"),
        ("    return 1", "    return 2"),  # of what the verifier never calls
        ("\ndef check", "\n\n\ndef check"),
        ("def check(problem, message):\n", "def check(problem, message):\n    # marks\n"),
    ],
)
def test_comments_layout_and_what_is_not_called_do_not(tmp_path, old, new):
    assert digest_of(tmp_path, PLAIN) == digest_of(tmp_path, PLAIN.replace(old, new))


def test_a_task_counts_with_its_class_and_its_state(tmp_path):
    first = digest_of(tmp_path, PLAIN, "own")
    assert first == digest_of(tmp_path, PLAIN, "own")
    assert first != digest_of(tmp_path, PLAIN.replace("return Own()", "return Own(3)"), "own")
    assert first != digest_of(tmp_path, PLAIN.replace("content * self.least", "content + str(self.least)"), "own")


def test_what_a_function_closes_over_counts():
    def verifier(word, least=1):
        return lambda problem, message: message.content.count(word) >= least

    words = {task_digest(as_task(verifier(word))) for word in ("a", "b", "a")}
    assert len(words) == 2 and task_digest(as_task(verifier("a", 2))) not in words
    with_word = functools.partial(lambda word, problem, message: word in message.content)
    a, b = (task_digest(as_task(functools.partial(with_word, word))) for word in "ab")
    assert a != b


def test_problems_name_their_verifiers(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(PLAIN)
    named = f"{file}:check"
    problems = [
        Problem("mine", "?", "yes", verifier=named),
        Problem("mine", "?", 1, verifier={"name": "numeric", "tolerance": 0.1}),
        Problem("mine", "?", "yes"),
        Problem("gcd", "?", "1"),
    ]
    found = judge_fingerprint(None, problems)
    assert list(found) == [named, "numeric", "exact", "gcd"] and len(set(found.values())) == 4
    assert judge_fingerprint(as_task("gcd"), problems) == {"gcd": found["gcd"]}


def test_digests_are_the_same_in_another_process(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(PLAIN)
    program = f"""
        from sansi.data.problems import as_task
        from sansi.data.problems.fingerprints import task_digest
        print(task_digest(as_task({f"{file}:check"!r})), task_digest(as_task({f"{file}:own"!r})))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    here = [task_digest(as_task(f"{file}:{name}")) for name in ("check", "own")]
    assert done.stdout.split() == here
