"""Answers on the disk, each under the key of its request: what was answered once is not asked again."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sansi.base import SansiError

ABANDONED = 24 * 3600.0  # seconds after which a draft is one of a process that died


class AnswerCache:
    """A file of JSON for each answer. Whole files only are ever seen, so several processes may share a folder."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self._drafts = self.folder / "drafts"
        try:
            self._drafts.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SansiError(f"{self.folder}: answers can not be kept there ({error.strerror})") from error
        self._clean()

    def get(self, key: str) -> dict[str, Any] | None:
        """The answer's facts, or None where it is not known, or its file is damaged (a disk that was full)."""
        try:
            found = json.loads(self._path(key).read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and found.get("key") == key else None

    def put(self, key: str, facts: Mapping[str, Any]) -> None:
        """Keep an answer. Raises SansiError where the disk can not: an answer that is lost is paid for twice."""
        path, draft = self._path(key), self._drafts / f"{key[:16]}-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            path.parent.mkdir(exist_ok=True)
            draft.write_text(json.dumps({"key": key, **facts}, ensure_ascii=False), encoding="utf-8", errors="replace")
            os.replace(draft, path)
        except OSError as error:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise SansiError(f"{path}: the answer can not be kept ({error.strerror}); make room, then go on") from error

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

    def _clean(self) -> None:
        with suppress(OSError):
            for draft in self._drafts.iterdir():
                with suppress(OSError):
                    if time.time() - draft.stat().st_mtime > ABANDONED:
                        draft.unlink()
