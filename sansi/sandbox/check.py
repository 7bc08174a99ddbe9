"""The full check: every attempt to get out, on every rung that can be had here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sansi.sandbox.inside.attempts import ATTEMPTS
from sansi.sandbox.limits import Limits
from sansi.sandbox.rungs import Kind
from sansi.sandbox.system import INSIDE
from sansi.sandbox.targets import targets
from sansi.sandbox.worker import Worker

SECONDS = 300.0
CODE = "import json\nfrom inside.attempts import run_attempts\nprint(json.dumps(run_attempts(json.loads({!r}))))"


def attempts_on(kind: Kind) -> dict[str, str]:
    """By attempt: "blocked" and why, or what got through. Raises SansiError where the rung can not be had."""
    limits = Limits(seconds=SECONDS)
    with targets() as laid, Worker(kind=kind, limits=limits, readable=[Path(laid["shown"]).parent]) as worker:
        done = worker.run(CODE.format(json.dumps(laid)))
        if done.error:
            raise RuntimeError(done.error)
        return _read(done.text)


def attempts_without() -> dict[str, str]:
    """The same without any sandbox: an attempt that fails here too proves nothing."""
    with targets() as laid:
        code = f"import sys\nsys.path.insert(0, {str(INSIDE.parent)!r})\n" + CODE.format(json.dumps(laid))
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=laid["outside"],
            pass_fds=laid["inheritable"],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            start_new_session=True,
        )
        return _read(done.stdout or done.stderr)


def escapes(results: dict[str, str]) -> dict[str, str]:
    """What was not blocked, an attempt that could not be made included."""
    missing = {name: "not made" for name in ATTEMPTS if name not in results}
    return {name: said for name, said in results.items() if not said.startswith("blocked")} | missing


def _read(text: str) -> dict[str, str]:
    lines: Iterable[str] = reversed(text.strip().splitlines())
    found: Any = json.loads(next(line for line in lines if line.startswith("{")))
    return {str(name): str(said) for name, said in found.items()}
