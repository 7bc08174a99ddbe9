"""A server's program as a process: started under a supervisor, spoken to over pipes, ended with all that it started."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import signal
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from sansi.agents.mcp.config import ServerConfig
from sansi.agents.mcp.environment import environment_of, kept_back
from sansi.agents.mcp.foreign import one_line
from sansi.agents.mcp.secrets import secrets_of, without
from sansi.base import SansiError
from sansi.base.words import count

SUPERVISOR = Path(__file__).with_name("supervisor.py")
CHUNK = 2**20  # bytes that are read at a time
STDERR_KEPT, LINES_TOLD, LINE_TOLD = 64 * 2**10, 20, 300  # bytes, lines, characters

INSTALL = {
    "uvx": "uv (pip install uv)",
    "uv": "uv (pip install uv)",
    "npx": "Node.js, which brings npx",
    "npm": "Node.js, which brings npm",
    "node": "Node.js",
    "bun": "Bun",
    "bunx": "Bun",
    "deno": "Deno (pip install deno)",
    "docker": "Docker",
    "podman": "Podman",
    "python": "Python under this name, or write python3",
    "pipx": "pipx (pip install pipx)",
    "java": "a Java runtime",
    "go": "Go",
    "cargo": "Rust",
    "dotnet": ".NET",
    "git": "Git",
}
"""What brings a program that files of MCP servers name."""


def find_program(config: ServerConfig, env: Mapping[str, str]) -> str:
    """The path of the server's program. Raises SansiError that says what to install."""
    command = config.command or ""
    if hint := _with_arguments(command, config, env):
        raise SansiError(hint, param="command")
    where = config.cwd or os.getcwd()
    if not os.path.isdir(where):
        raise SansiError(f'its folder "{where}" (cwd) is not there', param="cwd")
    if os.path.dirname(command):
        path = os.path.join(where, command)
        if not os.path.isfile(path):
            raise SansiError(f'its program "{command}" is not there', param="command")
        if not os.access(path, os.X_OK):
            raise SansiError(f'its program "{command}" may not be executed (chmod +x)', param="command")
        return path
    found = shutil.which(command, path=env.get("PATH"))
    if found is None:
        install = INSTALL.get(command)
        hint = f"install {install}" if install else "install it, or give its whole path"
        folders = [folder for folder in (env.get("PATH") or "").split(os.pathsep) if folder]
        looked = f"its PATH, {count(len(folders), 'folder')}" if folders else "an empty PATH"  # clients read it
        raise SansiError(f'its program "{command}" is not installed; {hint} (looked in {looked})', param="command")
    return os.path.abspath(found)


def _with_arguments(command: str, config: ServerConfig, env: Mapping[str, str]) -> str:
    """What to write instead, where a command is a program and its arguments in one; "" where it is not."""
    try:
        program, *arguments = shlex.split(command)
    except ValueError:
        return ""
    whole = os.path.join(config.cwd or os.getcwd(), command)
    if not arguments or os.path.isfile(whole) or shutil.which(command, path=env.get("PATH")):
        return ""  # there are programs with blanks in their names
    args = json.dumps([*arguments, *config.args], ensure_ascii=False)
    return (
        f'its command "{command}" is a program with arguments: write "command": {json.dumps(program)}, "args": {args}'
    )


class Tail:
    """The end of what a server writes to stderr, less the secrets that it was given."""

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        self._chunks: deque[bytes] = deque()
        self._secrets = secrets
        self._size = 0

    def add(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._size += len(chunk)
        while self._size - len(self._chunks[0]) >= STDERR_KEPT:
            self._size -= len(self._chunks.popleft())

    @property
    def lines(self) -> list[str]:
        text = b"".join(self._chunks)[-STDERR_KEPT:].decode("utf-8", "replace")
        lines = (one_line(line)[:LINE_TOLD] for line in without(text, self._secrets).splitlines())
        return [line for line in lines if line][-LINES_TOLD:]

    @property
    def last(self) -> str:
        """The last line, or the last few where it says little."""
        lines = self.lines
        return " | ".join(lines[-3:])[-LINE_TOLD:]


class ServerProcess:
    """A running program. Made by `start`, ended by `stop`."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        lifeline: int,
        env: Mapping[str, str],
        secrets: Sequence[str] = (),
        discreet: bool = False,
    ):
        assert process.stdin and process.stdout and process.stderr
        self._process, self._lifeline, self._env, self._discreet = process, lifeline, env, discreet
        self.stdin, self.stdout = process.stdin, process.stdout
        self.stderr = Tail(secrets)
        self._reading = asyncio.create_task(self._read_stderr(process.stderr))

    @classmethod
    async def start(cls, config: ServerConfig) -> ServerProcess:
        """Start the program. Raises SansiError where that cannot be."""
        env = environment_of(config)
        program = find_program(config, env)
        lifeline, held = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(SUPERVISOR), str(lifeline), str(os.getpid()), program, *config.args),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=env,
                cwd=config.cwd,
                pass_fds=(lifeline,),
                start_new_session=True,  # Ctrl-C in the terminal is the user's word to this program, not to servers
                limit=CHUNK,
            )
        except BaseException as error:
            os.close(held)  # by which what was started ends, where its start was cancelled
            if isinstance(error, OSError | ValueError):  # a NUL in an argument, no memory for another process
                raise SansiError(f"its program could not be started: {error}") from error
            raise
        finally:
            os.close(lifeline)
        return cls(process, held, env, secrets_of(config), config.discreet)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    async def ending(self, seconds: float) -> str:
        """How the program ended, which its closed stdout has shown, in words."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), seconds)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._reading), seconds)
        return f"{_how_it_ended(self.returncode)}{self.told()}"

    def told(self) -> str:
        """What it wrote to stderr last, as the end of a sentence; "" of a discreet server."""
        last = "" if self._discreet else self.stderr.last
        hint = "".join(f" ({each})" for each in self._hints()) if last else ""
        return f'; its stderr ends with "{last}"{hint}' if last else ""

    def lines(self) -> tuple[str, ...]:
        """What it wrote to stderr last, and what explains it."""
        return (*self.stderr.lines, *self._hints())

    def _hints(self) -> list[str]:
        names = kept_back(self.stderr.lines, self._env)
        return [f"{name} is set here and was not passed on: name it in inheritEnv" for name in names[:1]]

    async def stop(self, grace: float) -> None:
        """Close its stdin, give it `grace` seconds, then end it and all that it started. Never raises."""
        self.stdin.close()
        if grace and self.returncode is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), grace)
        os.close(self._lifeline)
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:  # the supervisor itself hangs: its program has asked to die with it
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)
            await self._process.wait()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _read_stderr(self, stream: asyncio.StreamReader) -> None:
        while chunk := await stream.read(CHUNK):
            self.stderr.add(chunk)


Begun = ServerProcess | SansiError | None


async def begin(config: ServerConfig) -> Begun:
    """The program of a server, or why it cannot be started; None for what is no program, or is not to be started."""
    if config.command is None or config.disabled or config.problem is not None:
        return None
    try:
        return await ServerProcess.start(config)
    except SansiError as error:
        return error
    except OSError as error:  # such as of a working directory that is gone
        return SansiError(f"its program could not be started: {error}")


def _how_it_ended(code: int | None) -> str:
    if code is None:
        return "it closed its stdout"
    if code > 128:
        with contextlib.suppress(ValueError):
            return f"it was ended by {signal.Signals(code - 128).name}"
    return f"it exited with code {code}" if code != 126 else "its program could not be run"
