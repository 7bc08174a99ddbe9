"""Text recognition by Tesseract, a program that is installed apart: `apt install tesseract-ocr tesseract-ocr-all`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache

from sansi.base.errors import SansiError

SECONDS = 300.0  # for one page
DPI = 300  # that is assumed of a picture, which changes sizes of letters that are looked for
SCRIPTS = {"Han": "HanS", "Korean": "Hangul", "Hangul": "Hangul", "Fraktur": "Fraktur", "Japanese": "Japanese"}
UNSURE = "eng"


class RecognitionError(SansiError):
    """A page that could not be recognised; the message says why in a few words."""


@cache
def program() -> str:
    """Where Tesseract is. Raises SansiError where it is not."""
    found = shutil.which("tesseract")
    if found is None:
        raise SansiError("reading pictures needs Tesseract; run: apt install tesseract-ocr-all", code="missing")
    return found


@cache
def version() -> str:
    """As it tells it: "tesseract 5.3.0"."""
    return _said(["--version"], b"").split("\n")[0].strip()


@cache
def models() -> frozenset[str]:
    """Names of the languages and scripts that it has: "deu", "Latin"."""
    return frozenset(_said(["--list-langs"], b"").split("\n")[1:]) - {""}


def recognise(png: bytes, languages: Sequence[str] = ()) -> str:
    """The text of a picture, an empty line between paragraphs.

    languages: names of `models()`; none: by the script that is seen. Raises RecognitionError.
    """
    chosen = [name for name in languages if name in models()] or [seen_script(png)]
    said = _said(["stdin", "stdout", "-l", "+".join(dict.fromkeys(chosen)), "--dpi", str(DPI)], png)
    return re.sub(r"\n\s*\n+", "\n\n", said.replace("\f", "")).strip()


def seen_script(png: bytes) -> str:
    """The model for the script of a picture; that of English where it is not sure."""
    try:
        said = _said(["stdin", "stdout", "--psm", "0", "-l", "osd", "--dpi", str(DPI)], png)
    except RecognitionError:  # too few characters
        return UNSURE
    found = re.search(r"^Script: (\w+)", said, re.MULTILINE)
    name = SCRIPTS.get(found[1], found[1]) if found else UNSURE
    return name if name in models() else UNSURE


def _said(arguments: Sequence[str], data: bytes) -> str:
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}  # its threads slow each other down
    try:
        done = subprocess.run(
            [program(), *arguments], input=data, capture_output=True, timeout=SECONDS, env=environment, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise RecognitionError("Tesseract took too long") from error
    except OSError as error:
        raise RecognitionError(f"Tesseract can not be started: {error.strerror}") from error
    if done.returncode:
        raise RecognitionError(f"Tesseract ended with status {done.returncode}")
    return done.stdout.decode("utf-8", "replace")
