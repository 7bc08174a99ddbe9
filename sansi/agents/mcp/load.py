"""Reading `{"mcpServers": …}`: one file for Qwen-Agent, Claude, qwen-code, Cline, LM Studio, VS Code and this program.

| key | meaning |
|---|---|
| `command`, `args`, `env`, `cwd` | a program that is started and spoken to over stdin and stdout |
| `inheritEnv` | variables that it gets beside the usual ones: a list of names, with `*` for anything; true: all |
| `url`, `serverUrl`, `headers` | an address: streamable HTTP, and SSE where it does not speak that |
| `httpUrl` | an address of streamable HTTP |
| `type`, `transport`, `transportType` | stdio; http, streamable-http, streamableHttp; sse |
| `start_timeout_s`, `list_timeout_s`, `call_timeout_s`, `call_limit_s` | seconds, a phase each |
| `timeout`, `sse_read_timeout`, `discoveryTimeoutMs` | other programs' spellings of the same |
| `trust`, `alwaysAllow`, `autoApprove` | followed only when the caller trusts the file |
| `includeTools`, `excludeTools`, `disabledTools`, `disabled`, `enabled` | what is offered |
| `pollingTools` | tools that are there to be asked the same again and again |
| `versionNegotiation`, `era` | which protocol is spoken |

`${NAME}` and `${NAME:-default}` stand for environment variables in every string; `$NAME` too where it is a whole value.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sansi.agents.mcp.config import REMOTE_START, STDIO_START, Era, ServerConfig, Transport
from sansi.agents.mcp.variables import Variables
from sansi.base import SansiError
from sansi.base.errors import did_you_mean, nearest
from sansi.base.strict_json import parse_json

SECTIONS = ("mcpServers", "mcp_servers", "servers")
TRANSPORTS: dict[str, Transport] = {
    "stdio": "stdio",
    "http": "http",
    "streamable-http": "http",
    "streamable_http": "http",
    "streamablehttp": "http",
    "sse": "sse",
    "auto": "auto",
}
ERAS: dict[str, Era] = {"auto": "auto", "legacy": "legacy", "modern": "modern", "2026-07-28": "modern"}
TYPES = ("type", "transport", "transportType")
ADDRESSES = ("url", "httpUrl", "serverUrl")
PHASES = {
    "start_timeout_s": "start_timeout",
    "list_timeout_s": "list_timeout",
    "call_timeout_s": "call_timeout",
    "call_limit_s": "call_limit",
    "max_message_mib": "max_message_mib",
}
LISTS = ("args", "alwaysAllow", "autoApprove", "includeTools", "excludeTools", "disabledTools", "pollingTools")
SWITCHES = ("trust", "disabled", "enabled")
TEXTS = ("command", "cwd", "description", *TYPES, *ADDRESSES, "versionNegotiation", "era")
KNOWN = {
    *TEXTS,
    *LISTS,
    *SWITCHES,
    *PHASES,
    "env",
    "inheritEnv",
    "headers",
    "timeout",
    "sse_read_timeout",
    "discoveryTimeoutMs",
    "oauth",
}
MILLISECONDS_FROM = 1000
"""A `timeout` of at least so much is in milliseconds (qwen-code writes 600000), a smaller one in seconds (Cline)."""


@dataclass(frozen=True)
class ToolList:
    """A list of tools as Qwen-Agent takes it: names of built-in tools, and objects with `mcpServers`."""

    names: tuple[str, ...]
    servers: tuple[ServerConfig, ...]


def load_servers(source: str | Path | Mapping[str, Any], *, trusted: bool = False) -> list[ServerConfig]:
    """The servers of a file or of an object with `mcpServers`, in its order.

    trusted: whether `trust`, `alwaysAllow` and `autoApprove` are followed. A file that came with somebody's project
    must not raise its own trust, so they are noted and not followed otherwise.

    A server that cannot be started (an unset variable, a wrong value) is returned with its `problem`; SansiError is
    raised only for what leaves no servers to speak of: no such file, no JSON, no `mcpServers`.
    """
    given, where = (
        (source, "the MCP configuration") if isinstance(source, Mapping) else _read(Path(source).expanduser())
    )
    entries = _section(given, where)
    return without_clashes([_server(str(name), entry, trusted) for name, entry in entries])


def read_tool_list(tools: Sequence[Any], *, trusted: bool = False) -> ToolList:
    """The parts of a list such as `[{"mcpServers": {…}}, "code_interpreter"]`. Raises SansiError for other members."""
    names: list[str] = []
    servers: list[ServerConfig] = []
    for position, entry in enumerate(tools):
        if isinstance(entry, str):
            names.append(entry)
        elif isinstance(entry, Mapping) and any(section in entry for section in SECTIONS):
            servers += load_servers(entry, trusted=trusted)
        elif isinstance(entry, Mapping) and isinstance(entry.get("name"), str) and len(entry) == 1:
            names.append(entry["name"])
        else:
            raise SansiError(
                f'tools[{position}] must be a tool\'s name or {{"mcpServers": …}}, not {entry!r}', param="tools"
            )
    return ToolList(tuple(names), tuple(without_clashes(servers)))


class _Pairs(list[tuple[str, Any]]):
    """An object's members in their order, a key that stands twice included."""


def _read(path: Path) -> tuple[Any, str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SansiError(f"{path}: {error.strerror or error}", param="mcp") from error
    except UnicodeDecodeError as error:
        raise SansiError(f"{path} is not UTF-8 text ({error})", param="mcp") from error
    try:
        return parse_json(text, object_of=_Pairs), str(path)
    except ValueError as error:
        raise SansiError(f"{path} is no JSON ({error})", param="mcp") from error


def _section(given: Any, where: str) -> list[tuple[str, Any]]:
    """The members of `mcpServers`, a name that stands twice as two."""
    members = _members(given)
    if members is None:
        raise SansiError(f'{where} must be an object with "mcpServers"', param="mcp")
    found = [value for key, value in members if key in SECTIONS]
    if not found:
        keys = [key for key, _ in members]
        like = next((f'; did you mean "mcpServers" by "{key}"?' for key in keys if nearest(key, SECTIONS)), "")
        raise SansiError(f'{where} has no "mcpServers"{like}; it has {", ".join(keys[:20]) or "nothing"}', param="mcp")
    entries = [_members(value) for value in found]
    if any(section is None for section in entries):
        raise SansiError(f'{where}: "mcpServers" must be an object of servers by name', param="mcp")
    return [entry for section in entries for entry in section or ()]


def _members(value: Any) -> list[tuple[str, Any]] | None:
    if isinstance(value, _Pairs):
        return list(value)
    return [(str(key), item) for key, item in value.items()] if isinstance(value, Mapping) else None


def _plain(value: Any) -> Any:
    """The value with its objects as dictionaries. Raises ValueError for a key that stands twice in one."""
    if isinstance(value, _Pairs):
        keys = [key for key, _ in value]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise ValueError(f'the key "{twice}" stands twice')
        return {key: _plain(item) for key, item in value}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def without_clashes(servers: Sequence[ServerConfig]) -> list[ServerConfig]:
    """Two servers of one name become one that cannot be started: nobody could say which of them was meant."""
    names = [server.name for server in servers]
    kept: dict[str, ServerConfig] = {}
    for server in servers:
        twice = names.count(server.name) > 1
        problem = "two servers have this name; rename one of them"
        kept[server.name] = ServerConfig(server.name, problem=problem) if twice else server
    return list(kept.values())


def _server(name: str, entry: Any, trusted: bool) -> ServerConfig:
    try:
        entry = _plain(entry)
        if not isinstance(entry, dict):
            raise ValueError("it must be an object with a command or a url")
        return _Entry(name, entry, trusted).config()
    except ValueError as error:
        text = str(error).removeprefix(f'MCP server "{name}": ')
        return ServerConfig(name or "(no name)", problem=text)


class _Entry:
    """One server's object while it is read; what is wrong with it is raised as ValueError."""

    def __init__(self, name: str, entry: dict[str, Any], trusted: bool):
        self.name, self.trusted = name, trusted
        self._variables, self._written = Variables(), entry
        self.notes: list[str] = [_unknown(key) for key in entry if key not in KNOWN]
        self.entry = {key: value for key, value in entry.items() if value is not None}
        self._check_types()
        self.entry = {key: self._variables.expanded(value, key) for key, value in self.entry.items()}

    def config(self) -> ServerConfig:
        address, transport = self._address()
        local = address is None
        return ServerConfig(
            self.name,
            command=self._home(self.entry.get("command")),
            args=tuple(map(str, self.entry.get("args", ()))),
            env={key: str(value) for key, value in self.entry.get("env", {}).items()},
            inherit=self._inherited(),
            cwd=self._home(self.entry.get("cwd")),
            url=address,
            headers={key: str(value) for key, value in self.entry.get("headers", {}).items()},
            transport=transport,
            era=self._era(),
            disabled=self.entry.get("disabled", False) or not self.entry.get("enabled", True),
            include=self._names("includeTools"),
            exclude=(*(self._names("excludeTools") or ()), *(self._names("disabledTools") or ())),
            polling=self._names("pollingTools") or (),
            **self._trust(),
            **self._times(STDIO_START if local else REMOTE_START),
            notes=tuple(self.notes),
            hidden=tuple(self._variables.hidden),
        )

    def _check_types(self) -> None:
        kinds: list[tuple[Iterable[str], type | tuple[type, ...], str]] = [
            (TEXTS, str, "text"),
            (LISTS, list, "a list"),
            (SWITCHES, bool, "true or false"),
            (("env", "headers", "oauth"), dict, "an object"),
            ((*PHASES, "timeout", "sse_read_timeout", "discoveryTimeoutMs"), (int, float), "a number"),
        ]
        for keys, kind, words in kinds:
            for key in keys:
                value = self.entry.get(key)
                wrong = value is not None and (not isinstance(value, kind) or (kind is not bool and value is True))
                if wrong and not (key == "oauth" and isinstance(value, bool)):
                    raise ValueError(f'"{key}" must be {words}, not {_shown(key, value)}')
        for key in ("args", "env", "headers"):
            values = self.entry.get(key, [])
            for value in values.values() if isinstance(values, dict) else values:
                if not isinstance(value, str | int | float):
                    raise ValueError(f'"{key}" must hold text, not {_shown(key, value)}')

    def _address(self) -> tuple[str | None, Transport]:
        word = next((self.entry[key] for key in TYPES if key in self.entry), None)
        transport = TRANSPORTS.get(word.lower()) if word is not None else None
        if word is not None and transport is None:
            raise ValueError(f'type "{word}" is not known{did_you_mean(word, ("stdio", "http", "sse"))}')
        given = [key for key in ADDRESSES if key in self.entry]
        if len({self.entry[key] for key in given}) > 1:
            raise ValueError(f"{' and '.join(given)} name different addresses; keep one")
        address = self.entry[given[0]] if given else None
        if address is not None and not re.match(r"https?://[^/\s]", address):
            raise ValueError(f'{given[0]} "{self._written[given[0]]}" must start with http:// or https://')
        if (address is not None and transport == "stdio") or (address is None and transport in ("http", "sse")):
            missing = "command" if address else "url"
            raise ValueError(f'type "{word}" needs a {missing}')
        if address is None:
            self._need_command()
            return None, "stdio"
        default: Transport = "http" if "httpUrl" in given else "auto"
        return address, transport or default

    def _need_command(self) -> None:
        if self.entry.get("command"):
            return
        keys = ("command", "url", "httpUrl")
        like = next((f' (did you mean "{near}" by "{key}"?)' for key in self.entry if (near := nearest(key, keys))), "")
        if not self.entry.get("disabled"):
            raise ValueError(f"it has neither a command nor a url{like}")

    def _era(self) -> Era:
        given = self.entry.get("era", self.entry.get("versionNegotiation", "auto"))
        if given not in ERAS:
            raise ValueError(f'era "{given}" is not known{did_you_mean(given, ERAS)}')
        return ERAS[given]

    def _inherited(self) -> tuple[str, ...]:
        given = self.entry.get("inheritEnv", False)
        if isinstance(given, bool):
            return ("*",) if given else ()
        if not isinstance(given, list) or not all(isinstance(name, str) and name for name in given):
            raise ValueError(f'"inheritEnv" must be a list of names, or true for all, not {given!r}')
        return tuple(given)

    def _home(self, path: str | None) -> str | None:
        return os.path.expanduser(path) if path else None

    def _names(self, key: str) -> tuple[str, ...] | None:
        return tuple(map(str, self.entry[key])) if key in self.entry else None

    def _trust(self) -> dict[str, Any]:
        asked = [key for key in ("trust", "alwaysAllow", "autoApprove") if self.entry.get(key)]
        if "oauth" in self.entry:
            self.notes.append('"oauth" is not applied: signing in is not built; give a token in "headers"')
        if not self.trusted:
            if asked:
                self.notes.append(f"{', '.join(asked)}: not followed, since a file cannot raise its own trust")
            return {}
        names = (*(self._names("alwaysAllow") or ()), *(self._names("autoApprove") or ()))
        return {"trusted": self.entry.get("trust", False), "allow": tuple(dict.fromkeys(names))}

    def _times(self, start: float) -> dict[str, Any]:
        times: dict[str, float] = {"start_timeout": start}
        if "discoveryTimeoutMs" in self.entry:
            times["start_timeout"] = times["list_timeout"] = self.entry["discoveryTimeoutMs"] / 1000
        if "timeout" in self.entry:
            times["call_timeout"] = self._seconds(self.entry["timeout"])
        if "sse_read_timeout" in self.entry:
            times["call_timeout"] = float(self.entry["sse_read_timeout"])
        times |= {field: float(self.entry[key]) for key, field in PHASES.items() if key in self.entry}
        silent = times.get("call_timeout", 0.0)
        if "call_limit" not in times and silent > ServerConfig.call_limit:
            times["call_limit"] = silent
        return times

    def _seconds(self, value: float) -> float:
        if value < MILLISECONDS_FROM:
            return float(value)
        self.notes.append(
            f'"timeout": {value} is read as milliseconds ({value / 1000:g} s); "call_timeout_s" says which'
        )
        return value / 1000


def _shown(key: str, value: Any) -> str:
    """A wrong value; of what may be a secret its kind alone."""
    kinds = {str: "text", bool: "true or false", list: "a list", dict: "an object", type(None): "null"}
    return kinds.get(type(value), "a number") if key in ("args", "env", "headers", "oauth") else repr(value)


def _unknown(key: str) -> str:
    near = nearest(key, KNOWN)
    return f'the key "{key}" is not known and not applied' + (f'; did you mean "{near}"?' if near else "")
