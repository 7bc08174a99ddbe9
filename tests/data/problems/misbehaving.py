"""Verifiers that do what a verifier must not, for `file.py:function`."""

from __future__ import annotations

import os
import subprocess
import sys
import time


def same(problem, message):
    return message.content.strip() == problem.answer


def raises(problem, message):
    raise RuntimeError("no such luck")


def leaves(problem, message):
    sys.exit(0)


def hangs(problem, message):
    while True:
        pass


def hangs_on_a_bad_word(problem, message):
    while message.content == "bad":
        pass
    return True


def waits(problem, message):
    time.sleep(10_000)


def waits_for_a_child_that_hangs(problem, message):
    subprocess.run([sys.executable, "-c", "while True: pass"])


def eats_memory(problem, message):
    held = []
    while True:
        held.append(bytearray(10_000_000))


def kills_its_process(problem, message):
    os._exit(3)


def crashes(problem, message):
    os.kill(os.getpid(), 11)


def prints(problem, message):
    print("chatter " * 1000)
    return True


def decides_nothing(problem, message):
    return None


def says_nan(problem, message):
    return float("nan")


def says_two(problem, message):
    return 2


def half(problem, message):
    return 0.5
