"""What every test runs under: one thread of torch, and the hypothesis profiles.

"quick" (the default) tries the same examples each time; "thorough" tries ten thousand new ones of each property and
prints how to repeat a failure: `make properties`, or `pytest tests/text --hypothesis-profile thorough`.
"""

import atexit
import os
import shutil
import sys
import tempfile
import types
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Set before anything imports torch, and inherited by the processes that tests start.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
if not Path("/dev/nvidiactl").exists():  # Triton reads it when it is imported, and what compiles may import it first
    os.environ["TRITON_INTERPRET"] = "1"

# No test reads or writes what Sansi remembers for whoever runs them.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="sansi-state-")
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)

settings.register_profile("quick", max_examples=60, derandomize=True, deadline=None, database=None)
settings.register_profile(
    "thorough",
    max_examples=10_000,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("quick")


@pytest.hookimpl(optionalhook=True)  # of a plugin that not everybody has
def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as there are cores: a fifth of a worker's time is waiting, for servers and processes."""
    return round(1.5 * len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@pytest.fixture
def sansi(monkeypatch, capsys):
    """Run the command in this process: the exit code, standard output and standard error."""
    from sansi import cli

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["sansi", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        return types.SimpleNamespace(code=caught.value.code or 0, out=captured.out, err=captured.err)

    return run
