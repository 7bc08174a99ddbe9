"""The file of a transcript: one object of JSON to a line, written at once, readable however its writer ended.

Each line has a seal over itself and all that stands before it in the file, so that what this user's programs wrote is
told from what others wrote, changed or put together.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from sansi.base import SansiError
from sansi.base.files import as_path, check_above, make_folder
from sansi.base.seal import LENGTH, is_sealed, seal_of
from sansi.base.strict_json import parse_json

FORMAT = 1
SEAL, FOREIGN = "seal", "foreign"
"""Keys of a line: its seal, as it stands in the file, and a mark that it has none that holds, set by who reads it."""
_SEALED = re.compile(rb',"seal":"([0-9a-f]{%d})"\}$' % LENGTH)
try:
    import fcntl
except ImportError:  # not everywhere; then two writers are not kept apart
    fcntl = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Lines:
    """What could be read of a file."""

    objects: tuple[dict[str, Any], ...]
    whole_bytes: int
    """Up to the end of the last line that counts."""
    notices: tuple[str, ...] = ()
    """What could not be read, or is not to be trusted, a sentence each."""

    @property
    def foreign(self) -> bool:
        """Whether lines were written by somebody else, or changed since."""
        return any(line.get(FOREIGN) for line in self.objects)


def read_lines(path: Path) -> Lines:
    """The lines of a transcript. One that is cut in the middle is read up to there, and a notice says so. A line whose
    seal does not hold is marked with `FOREIGN`, and a conversation that it names is called otherwise.

    Raises SansiError where there is no file, or it is no transcript of this format.
    """
    path = as_path(path, "a transcript")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SansiError(f"{path}: the transcript can not be read ({error.strerror})", param="path") from error
    objects: list[dict[str, Any]] = []
    notices: list[str] = []
    end = broken = 0  # broken: the number of the first line that cannot be read
    before, begun = hashlib.sha256(), 0
    for number, (line, at) in enumerate(_split(data), 1):
        before.update(data[begun : at - len(line) - 1])
        value, begun = _read(line), at - len(line) - 1
        if value is not None and not _holds(line, before.digest()):
            value = _marked(value, path)
        if value is None:
            broken = broken or number
        elif value["kind"] == "reopened":
            objects, broken, end = objects[: value.get("kept", len(objects))], 0, at
        elif not broken:
            objects.append(value)
            end = at
    if broken:
        notices.append(f"{path}: line {broken} is cut or damaged; the transcript is read up to there")
    _check_header(path, objects)
    lines = Lines(tuple(objects), end)
    if lines.foreign:
        notices.append(
            f"{path} was not written by your Sansi on this machine, or was changed since: what it says was approved "
            "does not count, its settings are not used, and its words count as those of strangers"
        )
    return replace(lines, notices=tuple(notices))


def _split(data: bytes) -> Iterator[tuple[bytes, int]]:
    at = 0
    for line in data.split(b"\n"):
        at += len(line) + 1
        if line.strip():
            yield line if at <= len(data) else b"", at  # what no line break ends was not written to its end


def _read(line: bytes) -> dict[str, Any] | None:
    try:
        value = parse_json(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and isinstance(value.get("kind"), str) else None


def _holds(line: bytes, before: bytes) -> bool:
    found = _SEALED.search(line)
    return found is not None and is_sealed(before + line[: found.start()] + b"}", found[1].decode("ascii"))


def _marked(value: dict[str, Any], path: Path) -> dict[str, Any]:
    """A conversation of somebody else's must not be one of the user's, whose files it would have."""
    named = f"elsewhere-{hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:12]}"
    return {**value, FOREIGN: True, **({"conversation": named} if "conversation" in value else {})}


def _check_header(path: Path, objects: list[dict[str, Any]]) -> None:
    if not objects or objects[0]["kind"] != "transcript":
        raise SansiError(f"{path} is no transcript: its first line does not say so", param="path")
    if objects[0].get("format") != FORMAT:
        found = f"{objects[0].get('format')!r:.40}"
        raise SansiError(f"{path}: the transcript's format is {found}; this version of Sansi reads {FORMAT}")


class Writer:
    """Appends lines to a transcript. One writer at a time: a second one is refused.

    Each line is handed to the system before `write` returns, so that the end of the program loses none.
    """

    def __init__(self, path: Path, file: IO[bytes], before: bytes = b""):
        self.path, self._file, self._lock = path, file, threading.Lock()
        self._before = hashlib.sha256(before)  # all that stands in the file

    @classmethod
    def create(cls, path: Path, header: dict[str, Any]) -> Writer:
        """A new file; the header may be marked as `FOREIGN`. Raises SansiError where there is one already, or none can
        be made."""
        path = as_path(path, "a transcript").expanduser()
        check_above(path)
        make_folder(path.parent)
        try:
            # It holds what was said, and what tools found: nobody else may read it, not even while it is made.
            file = open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600))  # noqa: SIM115
        except FileExistsError as error:
            raise SansiError(f"{path} is there already; choose another name", param="path") from error
        except OSError as error:
            raise SansiError(f"{path} can not be made ({error.strerror})", param="path") from error
        writer = cls(path, _locked(file, path))
        writer.write({"kind": "transcript", "format": FORMAT, **header})
        return writer

    @classmethod
    def reopen(cls, path: Path) -> Writer:
        """Go on in a file that is there. It is to be read, and `keep` told what counts, once nobody else can write."""
        path = as_path(path, "a transcript").expanduser()
        try:
            file = open(path, "ab", opener=lambda name, flags: os.open(name, flags & ~os.O_CREAT))  # noqa: SIM115
        except OSError as error:
            raise SansiError(f"{path} can not be written ({error.strerror})", param="path") from error
        return cls(path, _locked(file, path), path.read_bytes())

    def keep(self, lines: Lines) -> None:
        """Go on after the lines that count; what else is in the file stays there, and is passed over."""
        if lines.whole_bytes < self.path.stat().st_size:
            self._append(lambda: b"\n")
            self.write({"kind": "reopened", "kept": len(lines.objects)})

    def write(self, line: dict[str, Any]) -> None:
        """With its seal, unless it is marked as `FOREIGN`: a copy of somebody else's line is somebody else's.

        Raises SansiError where it can not be written: a run whose transcript has gaps could not be resumed.
        """
        plain = {name: value for name, value in line.items() if name not in (SEAL, FOREIGN)}
        text = json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        self._append(lambda: (text if line.get(FOREIGN) else self._sealed(text)) + b"\n")

    def _sealed(self, text: bytes) -> bytes:
        return text[:-1] + f',"{SEAL}":"{seal_of(self._before.digest() + text)}"}}'.encode()

    def _append(self, made: Callable[[], bytes]) -> None:
        try:
            with self._lock:
                data = made()
                self._file.write(data)
                self._file.flush()
                self._before.update(data)
        except (OSError, ValueError) as error:
            raise SansiError(
                f"{self.path}: the transcript can not be written ({error}), so the run is ended"
            ) from error

    def close(self) -> None:
        with self._lock:
            self._file.close()


def _locked(file: IO[bytes], path: Path) -> IO[bytes]:
    if fcntl is None:
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise SansiError(f"{path} is in use by another program; close it there, or fork it", param="path") from error
    return file
