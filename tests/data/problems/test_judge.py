"""From an answer to its verdict: the form first, and no verifier that fails is a wrong answer or stops anything."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from sansi.base import SansiError
from sansi.base.processes import stat_fields
from sansi.data.problems import (
    Attempt,
    JsonlTask,
    Limits,
    Problem,
    Verdict,
    WorkerPool,
    as_task,
    generate,
    is_right,
    verify_all,
    verify_safely,
)
from sansi.data.problems.refusals import declines
from sansi.text import Message, ToolCall

MISBEHAVING = Path(__file__).with_name("misbehaving.py")
PROBLEM = Problem("mine", "What is 2 + 3?", "5")


def verifier(name: str):
    return as_task(f"{MISBEHAVING}:{name}")


@pytest.fixture(scope="module")
def pool():
    pool = WorkerPool(2, Limits(cpu_seconds=1, memory_bytes=300_000_000, idle_seconds=1.0))
    yield pool
    pool.close()


def said(content: str = "", **fields) -> Message:
    return Message("assistant", content, **fields)


@pytest.mark.parametrize(
    ("message", "finish", "thought", "outcome"),
    [
        (said("5"), "stop", "natural", "right"),
        (said(" 5\n"), None, None, "right"),
        (said("5"), "stop", "budget", "right"),  # the thought was cut, the answer was not
        (said("6"), "stop", None, "wrong"),
        (said("5"), "length", None, "cut"),  # it may have been going to be 52
        (said(""), "length", "length", "cut"),
        (said("5"), "max_tokens", None, "cut"),
        (said(""), "stop", "end_of_turn", "unanswered"),
        (said(" \n"), "stop", None, "unanswered"),
        (said("", tool_calls=(ToolCall("1", "add", "{}"),)), "tool_calls", None, "malformed"),
        (said("5" * 300_000), "stop", None, "malformed"),
        (said("5"), "content_filter", None, "refused"),
        (said("I'm sorry, but I can't help with that."), "stop", None, "refused"),
        (said("抱歉，我无法回答这个问题。"), "stop", None, "refused"),
        (said("5"), "abort", None, "unknown"),
    ],
)
def test_the_outcome_of_an_answer(message, finish, thought, outcome):
    verdict = verify_safely(None, PROBLEM, message, finish_reason=finish, thinking_end_reason=thought)
    assert verdict.outcome == outcome
    assert (verdict.score is None) == (outcome == "unknown")
    assert verdict.right == (outcome == "right") == (verdict.score == 1.0)


def test_a_right_answer_in_refusing_words_is_right():
    assert verify_safely(None, Problem("mine", "Say no.", "I can't."), "I can't.").right


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I cannot answer that.", True),
        ("Unfortunately, I am unable to do this", True),
        ("Sorry, I don't know.", True),
        ("Es tut mir leid, aber ich kann das nicht beantworten.", True),
        ("Je suis désolé, mais je ne peux pas répondre.", True),
        ("Lo siento, no puedo.", True),
        ("申し訳ありませんが、お答えできません。", True),
        ("Sorry for the long text: 12", False),
        ("I can do that: 12", False),
        ("12", False),
        ("I can't see a shortcut. " + "So we count. " * 80 + "12", False),
    ],
)
def test_who_declines(text, expected):
    assert declines(text) is expected


def test_a_text_or_a_dictionary_is_an_answer_and_other_things_are_not():
    assert verify_safely(None, PROBLEM, {"content": "5"}).right
    with pytest.raises(SansiError, match="message is 5"):
        verify_safely(None, PROBLEM, 5)
    with pytest.raises(SansiError, match="must be a Problem"):
        verify_safely(None, {"question": "?"}, "5")


@pytest.mark.parametrize(
    ("name", "reason", "detail"),
    [
        ("raises", "raised", "RuntimeError: no such luck"),
        ("leaves", "raised", "SystemExit"),
        ("decides_nothing", "raised", "must return True, False"),
        ("says_nan", "raised", "finite"),
        ("says_two", "raised", "between 0 and 1"),
        ("hangs", "hang", "over 1 s of processor time, twice"),
        ("waits", "hang", "waited 1 s for something without running, twice"),
        pytest.param("waits_for_a_child_that_hangs", "hang", "1 s", marks=pytest.mark.slow),
        ("eats_memory", "memory", "more memory than it may have, twice"),
        ("kills_its_process", "killed", "exit code 3, twice"),
        ("crashes", "killed", "SIGSEGV, twice"),
    ],
)
def test_a_verifier_that_fails_is_unknown_and_the_next_one_works(pool, monkeypatch, name, reason, detail):
    verdict = verify_safely(verifier(name), PROBLEM, "5", pool=pool)
    assert (verdict.outcome, verdict.score, verdict.reason) == ("unknown", None, reason), verdict
    assert detail in verdict.detail
    if reason == "hang":  # what a group of rollouts says alike costs its time once
        monkeypatch.setattr(pool, "_verdict", None)
        assert verify_safely(verifier(name), PROBLEM, "5", pool=pool) == verdict
        monkeypatch.undo()
    assert verify_safely(verifier("same"), PROBLEM, "5", pool=pool).right


def test_marks_below_one_are_not_right_and_chatter_harms_nothing(pool):
    half = verify_safely(verifier("half"), PROBLEM, "5", pool=pool)
    assert (half.score, half.outcome) == (0.5, "wrong")
    assert verify_safely(verifier("prints"), PROBLEM, "5", pool=pool).right


def test_many_verdicts_come_in_order_whatever_some_of_them_do(pool):
    good, bad = verifier("hangs_on_a_bad_word"), verifier("same")
    attempts = [Attempt(PROBLEM, said("5" if i % 2 else "6"), task=bad) for i in range(20)]
    attempts[3] = Attempt(PROBLEM, said("bad"), task=good)
    attempts[4] = Attempt(PROBLEM, said(""))
    outcomes = [verdict.outcome for verdict in verify_all(attempts, pool=pool)]
    expected = ["right" if i % 2 else "wrong" for i in range(20)]
    expected[3:5] = ["unknown", "unanswered"]
    assert outcomes == expected


def test_workers_are_used_again_and_from_many_threads(pool):
    task = verifier("same")
    verify_safely(task, PROBLEM, "5", pool=pool)
    started = {worker.pid for worker in pool._idle}
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        answers = ["5" if i % 3 else "x" for i in range(60)]
        verdicts = list(threads.map(lambda text: verify_safely(task, PROBLEM, text, pool=pool).right, answers))
    assert verdicts == [text == "5" for text in answers]
    assert started <= {worker.pid for worker in pool._idle} and len(pool._idle) <= pool.workers


def test_a_verifier_that_can_not_take_problem_and_message_is_named_before_anything_is_sampled():
    for wrong in (lambda: True, lambda message: True, lambda problem, message, more: True, lambda **named: True):
        with pytest.raises(SansiError, match=r"<lambda> can not be called with \(problem, message\)"):
            as_task(wrong)
    for right in (lambda *both: True, lambda problem, message, strict=False: True):
        assert as_task(right).name.endswith("<lambda>")


def test_a_task_that_only_this_process_knows_is_verified_in_a_fork(pool):
    wanted = {"5"}
    task = as_task(lambda problem, message: message.content in wanted)
    assert verify_safely(task, PROBLEM, "5", pool=pool).right
    assert verify_safely(task, PROBLEM, "6", pool=pool).outcome == "wrong"

    def dies(problem, message):
        os._exit(7)

    verdict = verify_safely(as_task(dies), PROBLEM, "5", pool=pool)
    assert (verdict.outcome, verdict.reason) == ("unknown", "killed")
    assert verify_safely(task, PROBLEM, "5", pool=pool).right


def test_a_problem_that_can_not_be_sent_is_unknown(pool):
    odd = Problem("mine", "?", "5", {"lock": (lambda: 1)})
    verdict = verify_safely(verifier("same"), odd, "5", pool=pool)
    assert verdict.outcome == "unknown" and "can not be sent" in verdict.detail


def test_a_trusted_task_is_verified_here_and_may_raise():
    class Here:
        name, levels, trusted = "here", 1, True

        def problem(self, seed, difficulty=0):
            return PROBLEM

        def verify(self, problem, message):
            if message.content == "raise":
                raise KeyError("x")
            return Verdict(1.0, "right", {"pid": os.getpid()})

    assert verify_safely(Here(), PROBLEM, "5").parts["pid"] == os.getpid()
    assert verify_safely(Here(), PROBLEM, "raise").detail == "raised: KeyError: 'x'"


def test_a_file_leaves_it_to_the_verifiers_that_its_problems_name(monkeypatch):
    monkeypatch.setattr("sansi.data.problems.judge.shared_pool", None)  # "exact" needs no process
    problem = Problem("a.jsonl", "2 + 3?", "5", verifier="exact")
    assert verify_safely(JsonlTask("a.jsonl", (problem,)), problem, "5").right


def test_the_six_families_are_verified_here(monkeypatch):
    monkeypatch.setattr("sansi.data.problems.judge.shared_pool", None)
    problem = generate("gcd", 7_000_000, 0)
    assert is_right(problem, problem.answer) and not is_right(problem, problem.answer + "1")
    assert not is_right(problem, None)


def test_no_worker_outlives_a_program_that_is_killed(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(
        textwrap.dedent(f"""
        import threading, time
        from sansi.data.problems import Problem, WorkerPool, as_task, verify_safely
        pool, problem = WorkerPool(2), Problem("mine", "?", "5")
        ok = verify_safely(as_task("{MISBEHAVING}:same"), problem, "5", pool=pool)
        idle = pool._idle[0].pid
        hang = as_task("{MISBEHAVING}:hangs")
        threading.Thread(target=verify_safely, args=(hang, problem, "5"), kwargs=dict(pool=pool), daemon=True).start()
        verify_safely(as_task("{MISBEHAVING}:same"), problem, "5", pool=pool)
        print(ok.outcome, idle, *[worker.pid for worker in pool._idle], flush=True)
        time.sleep(1000)
        """)
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as program:
        outcome, *pids = program.stdout.readline().split()
        program.kill()
    assert outcome == "right"
    deadline = time.monotonic() + 60
    while any(map(is_alive, map(int, pids))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, map(int, pids)))


def test_an_interrupt_does_not_wait_for_a_verifier_that_hangs(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(
        textwrap.dedent(f"""
        import threading
        from sansi.data.problems import Attempt, Problem, WorkerPool, as_task, verify_all
        from sansi.text import Message
        pool, hang = WorkerPool(2), as_task("{MISBEHAVING}:hangs")
        def tell():
            while len(pool._busy) < 2:
                pass
            print(*[worker.pid for worker in pool._busy], flush=True)
        threading.Thread(target=tell, daemon=True).start()
        try:
            verify_all([Attempt(Problem("mine", "?", "5"), Message("assistant", "5"), task=hang)] * 8, pool=pool)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        """)
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as program:
        pids = program.stdout.readline().split()
        program.send_signal(signal.SIGINT)
        assert program.stdout.readline() == "interrupted\n"
        assert program.wait(120) == 0
    assert len(pids) == 2 and not any(map(is_alive, map(int, pids)))


def is_alive(pid: int) -> bool:
    fields = stat_fields(pid)
    return fields is not None and fields[0] != "Z"


@pytest.mark.parametrize("fields", [{"cpu_seconds": 0}, {"memory_bytes": -1}, {"idle_seconds": "60"}])
def test_limits_are_checked(fields):
    with pytest.raises(SansiError, match=next(iter(fields))):
        Limits(**fields)


def test_a_pool_needs_workers():
    with pytest.raises(SansiError, match="workers must be"):
        WorkerPool(0)
