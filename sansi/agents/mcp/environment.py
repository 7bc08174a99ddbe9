"""The environment of a server's program: what programs need to run and to be fetched, and of the rest what is named.

A server is somebody else's program: tokens and keys that this process happens to have are none of its business.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from sansi.agents.mcp.config import ServerConfig

USUAL = (
    # who, where, and in which language
    *("HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "LANG", "LANGUAGE", "LC_*", "TZ"),
    *("TMPDIR", "TEMP", "TMP", "XDG_*", "NO_COLOR", "LD_LIBRARY_PATH", "DYLD_*", "DISPLAY", "WAYLAND_DISPLAY"),
    *("APPDATA", "HOMEDRIVE", "HOMEPATH", "LOCALAPPDATA", "PATHEXT", "PROCESSOR_ARCHITECTURE", "SYSTEMDRIVE"),
    *("SYSTEMROOT", "USERNAME", "USERPROFILE", "PROGRAMFILES", "COMSPEC"),
    # the way out, and whom to believe there
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"),
    # where languages and their programs are
    *("VIRTUAL_ENV", "CONDA_PREFIX", "PYENV_ROOT", "PYENV_VERSION", "NVM_DIR", "NVM_BIN", "VOLTA_HOME", "FNM_DIR"),
    *("ASDF_DIR", "ASDF_DATA_DIR", "MISE_DATA_DIR", "JAVA_HOME", "DOTNET_ROOT", "CARGO_HOME", "RUSTUP_HOME", "GOPATH"),
    *("GOROOT", "BUN_INSTALL", "DENO_DIR", "PNPM_HOME"),
)
INSTALLERS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("uv", "uvx"), ("UV_*", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")),
    **dict.fromkeys(("pip", "pipx"), ("PIP_*", "PIPX_*")),
    **dict.fromkeys(("npm", "npx", "pnpm", "yarn", "bunx", "bun"), ("npm_config_*", "NPM_CONFIG_*", "BUN_*")),
    **dict.fromkeys(("docker", "podman"), ("DOCKER_*", "CONTAINER_*")),
}
"""By program: which registry to ask, where its cache is. Such variables may hold a registry's password."""
NEVER = ("UV_PUBLISH_*",)
_NAME = re.compile(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b")


def environment_of(config: ServerConfig, own: Mapping[str, str] | None = None) -> dict[str, str]:
    """What the program gets: the usual of this process's variables (`own`), those that its entry names, its `env`."""
    own = os.environ if own is None else own
    program = os.path.basename(config.command or "").removesuffix(".exe").removesuffix(".cmd")
    usual = (*USUAL, *INSTALLERS.get(program, ()))
    passed = {
        name: value
        for name, value in own.items()
        if _fits(name, config.inherit) or (_fits(name, usual) and not _fits(name, NEVER) and value[:2] != "()")
    }  # "()" begins a shell's function
    return {**passed, **config.env}


def kept_back(told: Iterable[str], env: Mapping[str, str], own: Mapping[str, str] | None = None) -> list[str]:
    """Variables that a program speaks of in these lines, and that are set here and were not passed on."""
    own = os.environ if own is None else own
    return sorted({name for line in told for name in _NAME.findall(line) if name in own and name not in env})


def _fits(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
