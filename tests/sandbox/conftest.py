"""Every test of the sandbox runs on each rung that can be had here; the others are skipped with the reason."""

import time
from functools import cache

import pytest
from sansi.base.processes import stat_fields
from sansi.sandbox import survey
from sansi.sandbox.rungs import KINDS, NAMES

found = cache(survey)


# The middle rung differs from the first in one option: the soak alone tries it in full.
TRIED = [pytest.param(kind, marks=[pytest.mark.slow] if kind == "bubblewrap-as-root" else []) for kind in KINDS]


@pytest.fixture(params=TRIED)
def kind(request):
    if reason := found()[request.param]:
        pytest.skip(f"{NAMES[request.param]} can not be had here: {reason}")
    return request.param


@pytest.fixture
def some_rung():
    if all(found().values()):
        pytest.skip(f"no sandbox can be had here: {found()}")


@pytest.fixture
def gone():
    """Wait until a process is gone; a test of a busy machine gives it time."""
    return _gone


def _gone(pid: int, seconds: float = 30) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if (fields := stat_fields(pid)) is None or fields[0] == "Z":
            return True
        time.sleep(0.02)
    return False
