"""Characters of PDF files that are written otherwise in text."""

from __future__ import annotations

import re
import unicodedata

_HYPHEN = re.compile("[\x02\ufffe]\r?\n?")  # PDFium's for a word that was parted at the end of a line
# Ligatures and the shapes of Arabic letters: drawn forms of letters that text has of its own.
_FORMS = re.compile("[\ufb00-\ufb06\ufb13-\ufb17\ufb1d-\ufdfb\ufe70-\ufefc]+")
# What has no width, and glyphs of formulas whose font does not tell their characters: PDFium gives U+FFFD, or their
# codes. U+0002 is its hyphen.
_CONTROLS = "".join(map(chr, (0, 1, *range(3, 9), 0x0B, *range(0x0E, 0x20), 0x7F)))
_DROPPED = dict.fromkeys(map(ord, f"{_CONTROLS}\xad\ufeff\u200b\ufffd"), None)
_SPACES = dict.fromkeys(map(ord, "\xa0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\t"), " ")


def clean_page(text: str) -> str:
    """PDFium's text of a page with \\n line ends, whole words and no character that UTF-8 can not hold."""
    text = _HYPHEN.sub("", text).replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")


def plain(text: str) -> str:
    """Letters in the place of their drawn forms, plain spaces, nothing that has no width."""
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").translate(_SPACES).translate(_DROPPED)
    return _FORMS.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
