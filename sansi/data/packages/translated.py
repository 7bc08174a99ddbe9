"""What nobody translated: lines of a translation that stand in the English original too."""

from __future__ import annotations

import re

MIN_TRANSLATED = 2 / 3  # of a page, by length, without its listings
_WORDS = re.compile(r"[^\W\d_]{2,}")
MIN_WORDS = 3  # in a line that tells: names and short labels may be the same in both


def translated(text: str, original: str) -> str | None:
    """The text without the lines that are the original's; None where these are more than a third of it.

    Listings stay, and are not counted: code is not translated.
    """
    theirs = {line.strip() for line in original.split("\n") if len(_WORDS.findall(line)) >= MIN_WORDS}
    kept: list[str] = []
    own = same = 0
    listing = False
    for line in text.split("\n"):
        fence = line.lstrip().startswith("```")
        if listing or fence:
            listing = listing != fence
        elif line.strip() in theirs:
            same += len(line)
            continue
        else:
            own += len(line)
        kept.append(line)
    if own < MIN_TRANSLATED * (own + same):
        return None
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()
