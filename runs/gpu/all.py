"""Every GPU check of this folder, for one H100 that is there for some minutes: a failure costs no other its turn.

    python runs/gpu/all.py [--out DIR] [--from FILE] [--minutes 5] [--tasks A,B] [--list] [--device cuda]

First what is right or wrong, side by side, since the host compiles most of that time (and compiles in advance what is
measured later); then what is measured, one task at a time. Each task is a process of its own with a limit of seconds;
one that passed by FILE (the results.json of an earlier run) is not run again, and a script goes on at its first part
without a result. Into DIR ($OUT, or here): results.json, rewritten as results come, and log.txt, all that the tasks
print. A short table comes last. Exits with 1 if a task failed, with 2 if time ran out.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LEAST = 15  # seconds of time left in which a task is still begun


@dataclass(frozen=True)
class Task:
    """A script with its arguments, and the seconds after which it is killed."""

    name: str
    script: str
    seconds: int
    arguments: tuple[str, ...] = ()
    goes_on: str = ""
    """A task of the same script whose findings are taken over."""

    def command(self, folder: Path, device: str, minutes: float) -> list[str]:
        if self.script == "pytest":
            return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *self.arguments]
        given = ["--out", str(folder), "--device", device, "--minutes", f"{minutes:.2f}", *self.arguments]
        return [sys.executable, str(HERE / f"{self.script}.py"), *given]


def parts(script: str, seconds: int, *names: str) -> Task:
    return Task(names[0], script, seconds, ("--parts", ",".join(names)))


TOGETHER = (
    parts("check_kernels", 150, "kernels"),
    parts("check_kernels", 150, "greedy_nano", "greedy_06b"),
    parts("check_nano", 150, "logits", "sparse", "greedy", "budgets"),
    parts("train_mfu", 150, "attention", "logprobs", "packed_model"),
    parts("train_mfu", 170, "compile_documents", "compile_rows"),
    Task("tests", "pytest", 120, ("-m", "gpu", "tests/gpu", "tests/model/test_transformer.py")),
)
ALONE = (
    parts("check_kernels", 60, "device", "steps"),
    Task("engine", "bench_engine", 110, ("--contenders", "sansi")),
    parts("train_mfu", 60, "rows_eager"),
    parts("train_mfu", 120, "documents"),
    parts("train_mfu", 120, "rows"),
    parts("check_kernels", 60, "decode_attention"),
    parts("check_kernels", 40, "prefill_attention", "grouped_products"),
    parts("check_nano", 60, "speed"),
    parts("train_mfu", 60, "mixture_of_experts"),
    parts("train_mfu", 100, "documents_muon"),
    parts("train_mfu", 100, "documents_recomputed"),
    parts("check_kernels", 100, "engine_speed"),
    Task("peers", "bench_engine", 150, goes_on="engine"),
)


@dataclass
class Running:
    task: Task
    folder: Path
    process: subprocess.Popen
    kill_at: float
    begun: float = field(default_factory=time.monotonic)


class Session:
    """What has been found so far, and the time that is left."""

    def __init__(self, out: Path, device: str, minutes: float, known: dict[str, Any]):
        self.out, self.device, self.deadline = out, device, time.monotonic() + 60 * minutes
        self.work = Path(tempfile.mkdtemp())
        self.results: dict[str, Any] = known
        out.mkdir(parents=True, exist_ok=True)
        (out / "log.txt").write_text("")

    def run(self, tasks: Sequence[Task], together: bool) -> None:
        waiting = [task for task in tasks if self.results.get(task.name, {}).get("status") != "passed"]
        running: list[Running] = []
        while waiting or running:
            while waiting and (together or not running):
                task = waiting.pop(0)
                if self.left() > LEAST:
                    running.append(self.begin(task))
                else:
                    self.results.setdefault(task.name, {"status": "no time"})
            running = [one for one in running if not self.ended(one)]
            self.write(running)
            time.sleep(0.5)

    def begin(self, task: Task) -> Running:
        folder = self.work / task.name
        folder.mkdir()
        known = (self.results.get(name, {}).get("facts") for name in (task.name, task.goes_on))
        if facts := next(filter(None, known), None):  # the script goes on from there
            (folder / f"{task.script}.json").write_text(json.dumps(facts))
        seconds = min(task.seconds, self.left() - 5)
        with (folder / "log.txt").open("w") as log:
            process = subprocess.Popen(
                task.command(folder, self.device, seconds / 60),
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=HERE.parents[1],
                env={**os.environ, "PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"},
                start_new_session=True,
            )
        print(f"{task.name}: begun, {seconds:.0f} s at most", flush=True)
        return Running(task, folder, process, time.monotonic() + seconds)

    def ended(self, one: Running) -> bool:
        late = time.monotonic() > one.kill_at
        if one.process.poll() is None and not late:
            return False
        status = "too late" if late else "passed" if one.process.returncode == 0 else f"exit {one.process.returncode}"
        _kill(one.process)
        self.note(one, status)
        log = (one.folder / "log.txt").read_text(errors="replace")
        with (self.out / "log.txt").open("a") as file:
            file.write(f"===== {one.task.name}: {status}\n{log[-1_000_000:]}\n")
            for more in sorted(one.folder.glob("*.log")):
                file.write(f"----- {one.task.name}: {more.name}\n{more.read_text(errors='replace')[-200_000:]}\n")
        print(f"{one.task.name}: {status} after {time.monotonic() - one.begun:.0f} s", flush=True)
        return True

    def note(self, one: Running, status: str) -> None:
        file = one.folder / f"{one.task.script}.json"
        facts: dict[str, Any] = {}
        if file.exists():
            try:
                facts = json.loads(file.read_text())
            except ValueError:  # killed while it wrote
                facts = self.results.get(one.task.name, {}).get("facts", {})
        seconds = round(time.monotonic() - one.begun, 1)
        last = (one.folder / "log.txt").read_text(errors="replace")[-1500:] if status != "passed" else ""
        self.results[one.task.name] = {"status": status, "seconds": seconds, "facts": facts, "last_words": last}

    def write(self, running: Sequence[Running] = ()) -> None:
        for one in running:
            self.note(one, "running")
        draft = self.out / "results.part"
        draft.write_text(json.dumps(self.results, indent=1) + "\n")
        draft.replace(self.out / "results.json")

    def left(self) -> float:
        return self.deadline - time.monotonic()


def _kill(process: subprocess.Popen) -> None:
    """The task and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def table(results: dict[str, Any]) -> str:
    """A line for each task and each of its parts; of failures the last words."""
    lines = []
    for name, result in results.items():
        lines.append(f"{name}: {result['status']}, {result.get('seconds', 0)} s")
        facts = result.get("facts", {})
        for part, found in facts.items():
            shown = {k: v for k, v in found.items() if k != "traceback"} if isinstance(found, dict) else found
            lines.append(f"    {part} {_short(shown)}")
        if result["status"] not in ("passed", "no time") and not any("error" in str(f) for f in facts.values()):
            lines.append("    … " + result.get("last_words", "")[-500:].replace("\n", "\n    … "))
    return "\n".join(lines)


def _short(value: Any, most: int = 420) -> str:
    text = json.dumps(_rounded(value)).replace('"', "")
    return text if len(text) <= most else text[:most] + " …"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", ".")))
    parser.add_argument("--from", dest="known", type=Path, help="an earlier results.json to go on from")
    parser.add_argument("--minutes", type=float, default=5.0, help="all ends by then")
    parser.add_argument("--tasks", help="only these, in their usual order")
    parser.add_argument("--list", action="store_true", help="show the tasks, and run nothing")
    options = parser.parse_args()
    everything = [*TOGETHER, *ALONE]
    chosen = options.tasks.split(",") if options.tasks else [task.name for task in everything]
    if unknown := set(chosen) - {task.name for task in everything}:
        parser.error(f"unknown tasks: {', '.join(sorted(unknown))}")
    if options.list:
        print("\n".join(f"{t.name}: {t.script} {' '.join(t.arguments)}, {t.seconds} s at most" for t in everything))
        return
    known = json.loads(options.known.read_text()) if options.known and options.known.exists() else {}
    session = Session(options.out, options.device, options.minutes, known)
    for tasks, together in ((TOGETHER, True), (ALONE, False)):
        session.run([task for task in tasks if task.name in chosen], together)
    session.write()
    print(table(session.results))
    states = {session.results[name]["status"] for name in chosen}
    sys.exit(0 if states <= {"passed"} else 2 if states <= {"passed", "no time"} else 1)


if __name__ == "__main__":
    main()
