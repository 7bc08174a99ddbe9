"""Keys, passwords and pickles: what nobody means to publish, and what nobody should open."""

from __future__ import annotations

import fnmatch
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from sansi.deploy.publish.contents import Contents, PublishedFile
from sansi.deploy.publish.finding import Finding

MOST_SCANNED = 32 * 2**20
"""Bytes of a text file that are looked through."""
MOST_TOLD = 3
"""Of a file."""
SECRETS: Mapping[str, re.Pattern[str]] = {
    "a Hugging Face token": re.compile(r"\bhf_[A-Za-z0-9]{30,}\b"),
    "a ModelScope token": re.compile(r"\bms-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"),
    "a Kaggle token": re.compile(r"\bKGAT_[A-Za-z0-9]{20,}\b|\"key\"\s*:\s*\"[0-9a-f]{32}\""),
    "an API key": re.compile(r"\bsk-(?:proj-|ant-|or-)?[A-Za-z0-9_-]{24,}"),
    "a GitHub token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})\b"),
    "a GitLab token": re.compile(r"\bglpat-[A-Za-z0-9_-]{20,}"),
    "an AWS key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a Google key": re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b"),
    "a Slack token": re.compile(r"\bxox[abprs]-[0-9A-Za-z-]{10,}"),
    "a Weights & Biases key": re.compile(r"(?i)wandb[\w.-]{0,20}\W{1,4}[0-9a-f]{40}\b"),
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    "an address with a password": re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@\"'<>]{1,64}:[^\s/@\"'<>]{3,}@[\w.-]+"),
}
"""What each looks like."""
NAMES = ("*.pem", "*.p12", "*.pfx", "id_rsa*", "id_ed25519*", "kaggle.json", "credentials*", "*.kdbx", "keys.txt")
"""Of files that hold keys."""
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill", ".npy", ".npz", ".h5", ".msgpack")
_PICKLED = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_HOME = re.compile(r"(?:/home/|/Users/|/root/|[A-Z]:\\\\?Users\\\\?)[\w.\\/-]+")
_TELLING = (".json", ".jinja", ".md", ".txt", ".toml", ".yaml", ".yml", ".jsonl", ".csv", ".py", ".sh", ".ini", ".cfg")


def check_secrets(contents: Contents) -> Iterator[Finding]:
    """Keys in the text of files and in the heads of weights, and files that are keys by their names."""
    for file in contents.files:
        base = file.name.rpartition("/")[2].lower()
        if any(fnmatch.fnmatch(base, pattern) for pattern in NAMES):
            yield Finding(file.name, "files of this name hold keys; move it away (or --exclude it)")
            continue
        text = _text_of(file)
        found = secrets_in(file.name, text)
        yield from found
        if not found and file.name.lower().endswith(_TELLING) and (home := _HOME.search(text)):
            yield Finding(file.name, f"it names a path of this machine ({home[0][:60]})", blocks=False)


def secrets_in(name: str, text: str) -> list[Finding]:
    """Keys in a text that goes up by this name."""
    found = [what for what, pattern in SECRETS.items() if pattern.search(text)][:MOST_TOLD]
    todo = "take it out, and revoke what others saw"
    return [Finding(name, f"it holds {what}{_line(text, what)}; {todo}") for what in found]


def check_pickles(contents: Contents) -> Iterator[Finding]:
    """Files that run what is in them where they are opened, whatever their names say."""
    for file in contents.files:
        if is_pickle(file.path):
            told = "a pickle, which can run any program where it is opened; write safetensors, or --exclude it"
            yield Finding(file.name, told)
        elif file.name.endswith(".py"):
            yield Finding(file.name, "a program; who loads the model with trust_remote_code runs it", blocks=False)


def is_pickle(path: Path) -> bool:
    """Whether a file is a pickle, or an archive with one, by its content."""
    with path.open("rb") as file:
        beginning = file.read(4096)
    if beginning.startswith(_PICKLED):
        return path.suffix.lower() in PICKLES or _ends_as_pickle(path)
    if beginning.startswith(b"\x93NUMPY"):
        return b"'|O'" in beginning
    if beginning.startswith(b"PK\x03\x04"):
        return _holds_pickle(path)
    return False


def _ends_as_pickle(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"."


def _holds_pickle(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            return any(name.endswith((".pkl", ".pickle")) for name in names) or any(
                name.endswith(".npy") and b"'|O'" in archive.open(name).read(256) for name in names
            )
    except (zipfile.BadZipFile, OSError, RuntimeError):
        return False


def _text_of(file: PublishedFile) -> str:
    """A file's text; of weights the head, which holds what their writer put there; "" for other bytes."""
    with file.path.open("rb") as opened:
        if file.name.lower().endswith(".safetensors"):
            length = int.from_bytes(opened.read(8), "little")
            return opened.read(min(length, MOST_SCANNED)).decode("utf-8", "replace")
        data = opened.read(MOST_SCANNED)
    if file.name.lower().endswith(".gguf"):  # texts stand in its head as they are
        return data[: 2**20].decode("latin-1")
    return "" if b"\0" in data[:8192] else data.decode("utf-8", "replace")


def _line(text: str, what: str) -> str:
    found = SECRETS[what].search(text)
    assert found is not None
    return f" in line {text.count(chr(10), 0, found.start()) + 1}" if "\n" in text else ""
