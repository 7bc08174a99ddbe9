"""Twenty faulty MCP servers, each beside a sound one, before Sansi's client and others.

    python bench/mcp_torture.py            # Sansi and the official SDK's client
    python bench/mcp_torture.py --peers    # and four others, each in an environment of its own (`make torture`)

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

from common import ROOT, commit, machine, publish

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
SERVER_THAT = {
    "silent": "never says a word",
    "slow_start": "needs a while to start",
    "banner": "prints a banner on stdout",
    "bad_byte": "bytes that are no UTF-8",
    "huge_line": "a message of 64 MiB",
    "dies_at_start": "exits before it answers",
    "dies_in_call": "is killed in a call",
    "bad_schema": "one bad schema among 301 tools",
    "forgets": "its session is gone (HTTP 404)",
    "orphan": "starts a process that outlives it",
    "stays": "does not end when asked",
    "rug_pull": "changes a tool after its first call",
    "name_clash": "two tools of one name, names too long",
    "endless_progress": "tells progress for ever",
    "hangs_in_call": "never answers a call",
    "floods_stderr": "50 MB a second on stderr",
    "lies": "results that do not fit its schema",
    "wrong_ids": "answers requests that nobody made",
    "duplicate_replies": "answers thrice",
    "endless_list": "pages of a list go in a circle",
}
CLIENTS = {
    "sansi": "Sansi",
    "sdk": "official SDK",
    "fastmcp": "FastMCP",
    "openai_agents": "OpenAI Agents",
    "qwen_agent": "Qwen-Agent",
    "smolagents": "smolagents",
}
PEERS = {  # the last two were written for `mcp` 1, whose names they import
    "fastmcp": ("fastmcp==4.2.3",),
    "openai_agents": ("openai-agents==0.24.0",),
    "qwen_agent": ("qwen-agent==0.0.34", "mcp==1.30.0", "numpy", "soundfile", "python-dateutil", "tqdm"),
    "smolagents": ("smolagents[mcp]==1.26.0", "mcp==1.30.0"),
}
SHORT = (  # of what went wrong the worst, in few words
    ("still hanging", "hangs"),
    ("the sound server does not answer", "loses both servers"),
    ("does not work: MCPError: Request", "the answer is lost"),
    ("does not work", "loses its tools"),
    ("late", "late"),
    ("the cause is not named", "no cause"),
    ("processes left", "leaves a process"),
    ("a tool with another definition", "calls it all the same"),
    ("names stand twice", "one name twice"),
    ("names that models", "names that APIs refuse"),
    ("the client's process ended", "dies"),
)
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
    heads = [CLIENTS.get(name, name) for name in names]
    lines = ["| a server that … | " + " | ".join(heads) + " |", "|---" * (len(names) + 1) + "|"]
    for position, word in enumerate(words):
        cells = [_short(verdicts[name][position]) for name in names]
        lines.append(f"| {SERVER_THAT[word]} | " + " | ".join(cells) + " |")
    counts = [f"**{sum(not v.problems for v in verdicts[name])}**" for name in names]
    return "\n".join([*lines, f"| **survived of {len(words)}** | " + " | ".join(counts) + " |"])


def _short(verdict: Verdict) -> str:
    if not verdict.problems:
        return _cell(verdict)
    told = " ".join(verdict.problems)
    word = next((short for sign, short in SHORT if sign in told), told[:60].replace("|", "/"))
    return f"{word}, {verdict.seconds:.1f} s" if word == "late" and verdict.seconds is not None else word


def install_peers() -> dict[str, str]:
    """The Python of each other client, in an environment of its own."""
    pythons = {}
    for name, packages in PEERS.items():
        place = ROOT / ".clients" / "mcp-peers" / name
        pythons[name] = str(place / "bin" / "python")
        done, wanted = place / "installed", " ".join(packages)
        if not done.exists() or done.read_text() != wanted:
            subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
            subprocess.run([pythons[name], "-m", "pip", "install", "-q", *packages], check=True)
            done.write_text(wanted)
    return pythons


def _cell(verdict: Verdict) -> str:
    if verdict.problems:
        return "no: " + "; ".join(verdict.problems).replace("|", "/").replace("\n", " ")
    return f"yes, {verdict.seconds:.1f} s" if verdict.seconds is not None else "yes"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--with", dest="others", action="append", default=[], metavar="CLIENT=PYTHON")
    parser.add_argument("--peers", action="store_true", help="install and try the others, too")
    parser.add_argument("--only", nargs="*", help="clients")
    parser.add_argument("--faults", nargs="*", help="faults; default: all twenty")
    parser.add_argument("--publish", action="store_true", help="write the table into docs/RESULTS.md")
    chosen = parser.parse_args()
    clients = {"sansi": sys.executable, "sdk": sys.executable, **(install_peers() if chosen.peers else {})}
    clients |= dict(each.split("=", 1) for each in chosen.others)
    clients = {name: python for name, python in clients.items() if not chosen.only or name in chosen.only}
    faults = [fault for fault in FAULTS if not chosen.faults or fault.word in chosen.faults]
    verdicts: dict[str, list[Verdict]] = {}
    for name, python in clients.items():
        verdicts[name] = []
        for fault in faults:
            verdicts[name].append(run(name, python, fault))
            print(name, fault.word, _cell(verdicts[name][-1]), file=sys.stderr, flush=True)
    made = table(verdicts, [fault.word for fault in faults])
    print(made)
    if chosen.publish:
        publish("mcp-torture", f"{made}\n\nCommit `{commit()}`, {machine(1)['cpu']}, {machine(1)['cores']} cores.\n")


if __name__ == "__main__":
    main()
