"""Plain prose from texts in which every word carries a tag, as in the Brown corpus."""

from __future__ import annotations

import re
from collections.abc import Sequence

HEADLINE = re.compile(r"-hl\b")
_OPEN = "\x02"
RUN_IN = 5  # words of plain text after a heading on the same line, from which they part

Token = tuple[str, str]  # the word and its tag


def untag(text: str) -> str:
    """Plain prose from `word/tag` tokens: a line is a sentence, a tab opens a paragraph, headlines are headings.

    A line is a headline if most of its words are tagged so (`-hl`): agencies and quotation marks are not.
    """
    paragraphs: list[list[str]] = []
    opens = True
    for line in text.splitlines():
        head, body = _split_heading([_token(part) for part in line.split()])
        if heading := _attach(head):
            paragraphs.append([f"## {heading}"])
            opens = True
        if sentence := _attach(body):
            if opens or line.startswith("\t"):
                paragraphs.append([])
            paragraphs[-1].append(sentence)
            opens = False
    return "\n\n".join(" ".join(sentences) for sentences in paragraphs)


def _token(part: str) -> Token:
    word, mark, tag = part.rpartition("/")
    return (word, tag.lower()) if mark else (part, "")


def _split_heading(tokens: Sequence[Token]) -> tuple[Sequence[Token], Sequence[Token]]:
    """The heading and the sentence of a line; either may be empty."""
    words = [bool(HEADLINE.search(tag)) for word, tag in tokens if any(map(str.isalnum, word))]
    if words and 2 * sum(words) >= len(words):
        return tokens, []
    run = next((i for i, (_, tag) in enumerate(tokens) if not HEADLINE.search(tag)), len(tokens))
    if run and tokens[run - 1][0] in (".", ":", "--", "?", "!") and len(tokens) - run >= RUN_IN:
        return tokens[:run], tokens[run:]
    return [], tokens


def _attach(tokens: Sequence[Token]) -> str:
    """Spaced tokens as running text: quotes and punctuation go back to their words."""
    text, quoted = "", False
    for word, tag in tokens:
        if word == "'" and tag.startswith("'"):  # a single quotation mark, the same at both ends
            text, quoted = text + (word if quoted else f" {_OPEN}"), not quoted
        else:
            text += f" {word}"
    text = text.replace(f"{_OPEN} ", "'").replace(_OPEN, "'").strip()
    text = re.sub(r"([.?!,;:])(?: \1)+", r"\1", text)  # the corpus doubles the mark that ends a line and a sentence
    text = re.sub(r"([(\[]) ", r"\1", text)
    text = re.sub(r" ([,.;:?!)\]]|'')", r"\1", text)
    return re.sub(r"`` ?|''", '"', text)
