"""What the scripts beside this share: where a runtime is, its server by our launch line, and what is seen of it.

Each `with_NAME.py` is one runtime: what it needs, how it is installed, and what is tried. Its program lies in an
environment of its own, .runtimes/NAME (or SANSI_RUNTIMES/NAME); `--install` makes that from the registry of Python.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sansi.deploy.conform import Endpoint, Probe, run_suite
from sansi.text import Codec

from model import make, make_experts

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(os.environ.get("SANSI_RUNTIMES", ROOT / ".runtimes")).resolve()
WORK = ROOT / "build" / "runtimes"
START_SECONDS, INSTALL_SECONDS, ANSWER_SECONDS = 400, 3600, 300
ALIKE = (
    0.75  # the least share of greedy answers that are to be Sansi's: near ties fall either way beside rounded weights
)
SUMS = ((12, 7), (35, 8), (41, 27), (26, 15), (18, 3), (44, 5), (31, 19), (23, 14), (37, 6), (15, 22))
QUESTIONS = tuple(f"What is {a} + {b}?" for a, b in SUMS)


@dataclass(frozen=True)
class Seen:
    """What a runtime did with one export."""

    opened: str
    """The export, as a command names it."""
    said: str
    right: bool


@dataclass(frozen=True)
class Runtime:
    """A program that serves models, and how it comes here."""

    name: str
    version: str
    """That the launch line was checked against."""
    packages: tuple[str, ...] = ()
    """Of the registry of Python, pinned; none: it is not there."""
    remove: tuple[str, ...] = ()
    """Packages that come along and do not fit the others."""
    programs: tuple[str, ...] = ()
    """Of which one has to be there: within the environment, or where the shell finds it."""
    absent: str = "not installed"
    """Why it may not be here."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """For the build, where it has to be built."""
    after: Callable[[Path], None] | None = None
    """What is left to do in its folder once it is installed."""
    known: Mapping[str, str] = field(default_factory=dict)
    """Checks of `sansi conform` that this version fails, and why."""

    @property
    def folder(self) -> Path:
        return HOME / self.name

    @property
    def program(self) -> Path | None:
        for name in self.programs:
            places = [self.folder / "bin", *self.folder.glob("lib/python*/site-packages/*/bin")]
            places += [Path(place) for place in os.get_exec_path()] if not self.packages else []
            found = next((place / name for place in places if (place / name).is_file()), None)
            if found:
                return found
        return None

    def install(self) -> None:
        if not self.packages:
            raise SystemExit(f"{self.name}: {self.absent}")
        pip = [str(self.folder / "bin" / "python"), "-m", "pip"]
        quiet = ["-q", "--disable-pip-version-check"]
        commands = [[sys.executable, "-m", "venv", str(self.folder)], [*pip, "install", *quiet, *self.packages]]
        commands += [[*pip, "uninstall", *quiet, "-y", *self.remove]] if self.remove else []
        for command in commands:
            subprocess.run(command, check=True, timeout=INSTALL_SECONDS, env={**os.environ, **self.environment})
        if self.after:
            self.after(self.folder)


def main(runtime: Runtime, tried: Callable[[], Iterator[Seen]]) -> int:
    """Of a script: 0 where all was right or nothing could be run, 1 where something was wrong."""
    parser = argparse.ArgumentParser(description=f"{runtime.name} {runtime.version}")
    parser.add_argument("--install", action="store_true", help="from the registry, into .runtimes/NAME, before")
    if parser.parse_args().install:
        runtime.install()
    return int(any(not seen.right for seen in look(runtime, tried)))


def look(runtime: Runtime, tried: Callable[[], Iterator[Seen]]) -> list[Seen]:
    """What was seen, told as it comes; nothing where the runtime is not there."""
    if runtime.program is None:
        print(f"{runtime.name} {runtime.version}: not run here ({runtime.absent})", flush=True)
        return []
    WORK.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # servers end with us, then too
    found = []
    for seen in tried():
        word = "right" if seen.right else "WRONG"
        print(f"{word} {runtime.name} {runtime.version}: {seen.opened}: {seen.said}", flush=True)
        found.append(seen)
    return found


def models() -> tuple[Path, Path]:
    """The small models, dense and of experts, made in a minute where they are not there."""
    WORK.mkdir(parents=True, exist_ok=True)
    dense = make(WORK / "dense")
    return dense, make_experts(dense, WORK / "experts")


# ---- Sansi's side ----------------------------------------------------------------------------------------------------


def sansi(*arguments: str) -> Any:
    """What `sansi … --json` says."""
    done = subprocess.run(
        [sys.executable, "-m", "sansi.cli", *arguments, "--json"], capture_output=True, text=True, cwd=ROOT
    )
    if done.returncode:
        raise SystemExit(f"sansi {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
    return json.loads(done.stdout)


def exported(model: Path, to: str, kind: str | None = None, *more: str) -> Path:
    """The model in another format, made once."""
    end = ".gguf" if to == "gguf" else ""
    target = WORK / f"{model.name}-{'-'.join(filter(None, (to, kind)))}{end}"
    if not target.exists():
        sansi(
            "export",
            str(model),
            "--to",
            to,
            *(("--kind", kind) if kind else ()),
            "-o",
            str(target),
            "--no-report",
            *more,
        )
    return target


def launched(runtime: str, model: Path) -> list[str]:
    """The words of our launch line."""
    return list(sansi("export", str(model), "--to", runtime)["command"])


# ---- servers ---------------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


@contextmanager
def serving(command: Sequence[str], port: int, log: str, **environment: str) -> Iterator[str]:
    """The URL of a server that is started, and ended with all its processes."""
    offline = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "HF_HUB_CACHE": str(WORK / "hub")}
    (WORK / "hub").mkdir(parents=True, exist_ok=True)
    with (WORK / f"{log}.log").open("wb") as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=out,
            cwd=WORK,
            env={**os.environ, **offline, **environment},
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}/v1"
        _wait(process, url, log)
        yield url
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: str) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{url}/models", timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(2)
    tail = (WORK / f"{log}.log").read_text(errors="replace").strip().splitlines()[-1:]
    raise RuntimeError(f"it did not start: {' '.join(tail)[:300]}")


def answers(url: str, model: str) -> list[str]:
    """Greedy answers, thoughts and all, in both modes."""
    found = []
    for question in QUESTIONS:
        for thinking in (True, False):
            body = {
                "model": model,
                "messages": [{"role": "user", "content": question}],
                "temperature": 0,
                "repetition_penalty": 1.0,
                "max_tokens": 96,
                "chat_template_kwargs": {"enable_thinking": thinking},
            }
            got = httpx.post(f"{url}/chat/completions", json=body, timeout=ANSWER_SECONDS)
            got.raise_for_status()
            message = got.json()["choices"][0]["message"]
            thought = message.get("reasoning_content") or message.get("reasoning") or ""
            found.append(f"{thought.strip()}|{(message.get('content') or '').strip()}")
    return found


def sansi_answers(model: Path, *options: str) -> list[str]:
    """Those of Sansi's own server with the same files."""
    port = free_port()
    command = [sys.executable, "-m", "sansi.cli", "serve", str(model), "--name", "model", "--port", str(port), *options]
    with serving(command, port, f"sansi-{model.name}") as url:
        return answers(url, "model")


def compared(ours: Sequence[str], theirs: Sequence[str]) -> tuple[str, bool]:
    alike = sum(a == b for a, b in zip(ours, theirs, strict=True))
    return f"{alike} of {len(ours)} greedy answers are Sansi's", alike >= ALIKE * len(ours)


def conformed(runtime: Runtime, url: str, model: str, reference: Path) -> tuple[str, bool]:
    """What `sansi conform` says; right where nothing failed but what this version is known to fail."""
    codec = Codec.from_pretrained(reference)
    count = lambda messages, thinking: len(codec.render(messages, enable_thinking=thinking).ids)  # noqa: E731
    report = run_suite(Probe(Endpoint(url, model=model), count_prompt=count))
    (WORK / f"{runtime.name}-{reference.name}-conform.md").write_text(report.to_markdown(), encoding="utf-8")
    failed = [finding.check for finding in report.findings if finding.outcome in ("failed", "error")]
    new = [check for check in failed if check not in runtime.known]
    told = f"conform: {report.summary()}"
    told += f" ({', '.join(f'`{check}`' for check in failed)})" if failed else ""
    return told, not new


def judged(runtime: Runtime, url: str, model: str, folder: Path, ours: Sequence[str], opened: str) -> Seen:
    """Both of a server."""
    same, right = compared(ours, answers(url, model))
    told, conforms = conformed(runtime, url, model, folder)
    return Seen(opened, f"{same}; {told}", right and conforms)
