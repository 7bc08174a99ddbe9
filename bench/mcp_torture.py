"""Twenty faulty MCP servers, each beside a sound one, before Sansi's client and others.

    python bench/mcp_torture.py                                # Sansi and the official SDK's client
    python bench/mcp_torture.py --with fastmcp=PYTHON …        # others, each with the Python that has it installed

Per fault and client a fresh process connects to both servers with a deadline of 3 s for the start and 3 s for a call,
and does what a user would do. A fault is survived when all of this holds:

- the process goes on and ends by itself; the sound server answers before and after;
- what must work works; what cannot work is an error, at most 0.5 s after its deadline;
- the error names the cause (for a silence "timed out" will do; for a death an exit, a signal or its stderr);
- no process of a server is left.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SERVERS = HERE.parent / "tests" / "agents" / "mcp"

DEADLINE, SLACK, HUNG = 3.0, 0.5, 40.0  # seconds
SILENCE = r"time.?out|timed out|no answer|at work for|did not respond|not respond within"


@dataclass(frozen=True)
class Fault:
    """`expect`: "works"; "start" or "call": an error there whose text matches `cause`; "either": works, or such an
    error in a call; "names", "changed": what the client makes of the tools is looked at."""

    word: str
    expect: str
    cause: str = "."
    http: bool = False


FAULTS = [
    Fault("silent", "start", SILENCE),
    Fault("slow_start", "works"),
    Fault("banner", "works"),
    Fault("bad_byte", "works"),
    Fault("huge_line", "either", r"large|MiB|size|limit|exceed|too long"),
    Fault("dies_at_start", "start", r"code 3|exit|API_TOKEN"),
    Fault("dies_in_call", "call", r"SIGKILL|signal|exit|killed|segmentation"),
    Fault("bad_schema", "works"),
    Fault("forgets", "either", r"session|404", http=True),
    Fault("orphan", "works"),
    Fault("stays", "works"),
    Fault("rug_pull", "changed"),
    Fault("name_clash", "names"),
    Fault("endless_progress", "call", SILENCE),
    Fault("hangs_in_call", "call", SILENCE),
    Fault("floods_stderr", "works"),
    Fault("lies", "call", r"schema|valid|structured|integer"),
    Fault("wrong_ids", "call", SILENCE),
    Fault("duplicate_replies", "works"),
    Fault("endless_list", "works"),
]
TEXT = {"bad_byte": "BYTE", "huge_line": "huge", "dies_in_call": "die", "endless_progress": "go"}
TEXT |= {"hangs_in_call": "hang", "duplicate_replies": "x"}


@dataclass(frozen=True)
class Verdict:
    fault: str
    problems: tuple[str, ...]
    seconds: float | None
    """Until the error, where one was expected."""
    told: str


def run(client: str, python: str, fault: Fault) -> Verdict:
    mark = f"torture-{os.getpid()}-{client}-{fault.word}"
    faulty: dict[str, object] = {
        "command": sys.executable,
        "args": ["-I", "-S", str(SERVERS / "mcp_faulty.py"), fault.word, mark],
    }
    over_http = None
    if fault.http:
        command = [sys.executable, str(SERVERS / "mcp_faulty_http.py"), fault.word]
        over_http = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert over_http.stdout
        faulty = {"url": over_http.stdout.readline().strip()}
    sound = {"command": sys.executable, "args": ["-I", "-S", str(SERVERS / "mcp_faulty.py"), "sound", mark]}
    task = {
        "servers": {"faulty": faulty, "sound": sound},
        "deadline": DEADLINE,
        "fault": fault.word,
        "text": TEXT.get(fault.word, "x"),
    }
    try:
        return _judged(fault, *_observed(client, python, task), _left(mark))
    finally:
        for pid in _left(mark):
            os.kill(pid, signal.SIGKILL)
        if over_http:
            over_http.kill()


def _observed(client: str, python: str, task: dict[str, object]) -> tuple[dict[str, object], str]:
    """What the client's process told, by key, and how it ended."""
    script = HERE / "mcp_clients" / f"with_{client}.py"
    env = {**os.environ, "PYTHONPATH": str(HERE.parent) if client == "sansi" else ""}
    process = subprocess.Popen(
        [python, str(script), json.dumps(task)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=env,
        start_new_session=True,
    )
    try:
        out, _ = process.communicate(timeout=HUNG)
        ended = "" if process.returncode == 0 else f"the client's process ended with {process.returncode}"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, _ = process.communicate()
        ended = f"still hanging after {HUNG:g} s"
    told: dict[str, object] = {}
    for line in out.splitlines():
        if line.startswith("{"):
            told.update(json.loads(line))
    time.sleep(0.3)
    return told, ended


def _judged(fault: Fault, told: dict[str, object], ended: str, left: list[int]) -> Verdict:
    problems = [ended] if ended else []
    error, seconds = str(told.get("error") or ""), told.get("seconds")
    for when in ("before", "after"):
        if told.get(when) != "ok":
            problems.append(f"the sound server does not answer {when}: {str(told.get(when, 'never asked'))[:80]}")
    if fault.expect == "works" and told.get("phase") != "none":
        problems.append(f"does not work: {error[:120]}")
    if fault.expect in ("start", "call") and told.get("phase") != fault.expect:
        problems.append(f"no error in the {fault.expect}: {told.get('phase')}")
    if fault.expect in ("names", "changed") and told.get(fault.expect) != "ok":
        problems.append(str(told.get(fault.expect) or error or "nothing was noticed")[:120])
    failed = told.get("phase") in ("start", "call") and fault.expect in ("start", "call", "either")
    if failed and not re.search(fault.cause, error, re.IGNORECASE):
        problems.append(f"the cause is not named: {error[:100]}")
    if failed and isinstance(seconds, float) and seconds > DEADLINE + SLACK:
        problems.append(f"late: {seconds:.1f} s")
    if left:
        problems.append(f"{len(left)} processes left")
    return Verdict(fault.word, tuple(problems), seconds if failed else None, error)  # type: ignore[arg-type]


def _left(mark: str) -> list[int]:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if mark.encode() in line and b"mcp_clients" not in line and int(pid) != os.getpid():
            found.append(int(pid))
    return found


def table(verdicts: dict[str, list[Verdict]], words: list[str]) -> str:
    """A line a fault, a column a client: survived, with the seconds to the error, or what was wrong."""
    names = list(verdicts)
    lines = ["| server that … | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for position, word in enumerate(words):
        cells = [_cell(verdicts[name][position]) for name in names]
        lines.append(f"| `{word}` | " + " | ".join(cells) + " |")
    counts = [f"**{sum(not v.problems for v in verdicts[name])} of {len(words)}**" for name in names]
    return "\n".join([*lines, "| survived | " + " | ".join(counts) + " |"])


def _cell(verdict: Verdict) -> str:
    if verdict.problems:
        return "no: " + "; ".join(verdict.problems).replace("|", "/").replace("\n", " ")
    return f"yes, {verdict.seconds:.1f} s" if verdict.seconds is not None else "yes"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--with", dest="others", action="append", default=[], metavar="CLIENT=PYTHON")
    parser.add_argument("--only", nargs="*", help="clients")
    parser.add_argument("--faults", nargs="*", help="faults; default: all twenty")
    chosen = parser.parse_args()
    clients = {"sansi": sys.executable, "sdk": sys.executable, **dict(each.split("=", 1) for each in chosen.others)}
    clients = {name: python for name, python in clients.items() if not chosen.only or name in chosen.only}
    faults = [fault for fault in FAULTS if not chosen.faults or fault.word in chosen.faults]
    verdicts: dict[str, list[Verdict]] = {}
    for name, python in clients.items():
        verdicts[name] = []
        for fault in faults:
            verdicts[name].append(run(name, python, fault))
            print(name, fault.word, _cell(verdicts[name][-1]), file=sys.stderr, flush=True)
    print(table(verdicts, [fault.word for fault in faults]))


if __name__ == "__main__":
    main()
