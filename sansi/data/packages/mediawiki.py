"""The messages of MediaWiki in some four hundred languages: sentences about editing, rights, files and searching.

A message alone is no text. Those of one topic, which stand together in the English file, become one document: what
is a sentence, in the order of the English file, without what only labels a button. The topics are the same in all
languages; three that nearly every language has are held out.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from sansi.base.errors import SansiError
from sansi.data.languages import LANGUAGES, LanguageRule, canonical_tag, rule_for
from sansi.data.packages.package import PackagePart
from sansi.data.packages.texts import read_text, text_record
from sansi.data.packages.wiki_messages import message_text
from sansi.data.parts import Records
from sansi.data.words import count_words
from sansi.documents.lines import join_lines

TOPIC_BYTES = 3000  # of English text, about
MIN_WORDS = 4  # of a sentence; what is shorter is a label
MIN_OPEN = 9  # of a message that does not end as a sentence
PARAGRAPH = 400  # characters in English
SENTENCE_END = re.compile(r"[.!?…。！？।॥۔؟։።།၊။៕᠃꓿][\"'”’»」』)）\]]*$")
HELD_OUT_TOPICS = frozenset(["languages/001", "languages/021", "languages/031"])
"""Of the pinned version: a twentieth of the sentences, in each of some 400 languages."""
# Tags of MediaWiki's own whose form says another language than they mean.
TAGS = {
    "als": "gsw", "eml": "egl", "bat-smg": "sgs", "be-x-old": "be-tarask", "cbk-zam": "cbk", "crh-ro": "crh-Latn-RO",
    "fiu-vro": "vro", "map-bms": "jv", "mo": "ro-Cyrl", "nah": "nci", "nds-nl": "nds-NL", "no": "nb",
    "roa-rup": "rup", "roa-tara": "nap", "sh": "sh", "simple": "en", "sr-ec": "sr-Cyrl", "sr-el": "sr-Latn",
    "zh-classical": "lzh", "zh-min-nan": "nan", "zh-yue": "yue",
}  # fmt: skip
# Not languages, near-copies of another file, and a folder about programming.
LEFT_OUT = frozenset(
    f"{name}.json" for name in ("qqq", "qqx", "x-xss", "de-formal", "es-formal", "hu-formal", "nl-informal")
) | {"api"}


def language_of(path: Path) -> str:
    """MediaWiki's tag of a file of messages."""
    return path.stem


def read_mediawiki(part: PackagePart) -> Records:
    """deb `mediawiki`: one document per topic and language."""
    files: dict[str, dict[Path, Path]] = {}  # language -> folder of a component -> file
    for path in part.files:
        files.setdefault(language_of(path), {})[path.parent] = path
    for tag in sorted(files):
        for folder in sorted(files[tag]):
            yield from _documents(tag, folder.relative_to(part.root), folder, files[tag][folder])


def _documents(tag: str, component: Path, folder: Path, file: Path) -> Records:
    messages, english = _messages(file), _messages(folder / "en.json")
    name = "/".join(part for part in component.parts if part not in ("usr", "share", "mediawiki", "i18n"))
    language = TAGS.get(tag, tag)
    rule = _rule_of(language)
    for number, keys in enumerate(_topics(folder)):
        topic = f"{name}/{number:03}"
        own = {key: messages[key] for key in keys if key in messages}
        if tag != "en":
            own = {key: message for key, message in own.items() if message != english[key]}
        if text := "\n\n".join(_paragraphs(own, keys, rule)):
            yield text_record(f"{tag}/{topic}", text, language=language, original=tag == "en",
                              held_out=topic in HELD_OUT_TOPICS)  # fmt: skip


def _rule_of(tag: str) -> LanguageRule:
    try:
        return rule_for(canonical_tag(tag))
    except SansiError:  # a language that has no tag yet
        return LANGUAGES["en"]


def _paragraphs(messages: Mapping[str, str], keys: Sequence[str], rule: LanguageRule) -> Iterator[str]:
    """Sentences of one line are put together to paragraphs; what has several lines is one of its own."""
    seen: set[str] = set()
    sentences: list[str] = []
    for key in keys:
        text = message_text(messages[key]) if key in messages else None
        if not text or text in seen or not (ends := _ends(text, rule)):
            continue
        seen.add(text)
        if ends == "open" or "\n" in text:
            yield from _flushed(sentences)
            yield text
        else:
            sentences.append(text)
            if sum(map(len, sentences)) >= PARAGRAPH / rule.bytes:
                yield from _flushed(sentences)
    yield from _flushed(sentences)


def _flushed(sentences: list[str]) -> Iterator[str]:
    if sentences:
        yield join_lines(sentences)
        sentences.clear()


def _ends(text: str, rule: LanguageRule) -> Literal["sentence", "open", ""]:
    """Whether a message is a sentence with its mark, or without one but long; "": it is a label."""
    if len(text) < 2 * MIN_WORDS:
        return ""
    words = count_words(text)
    if words >= MIN_WORDS and SENTENCE_END.search(text):
        return "sentence"
    return "open" if words >= (MIN_OPEN if rule.has_sentence_marks else MIN_WORDS + 2) else ""


@functools.lru_cache(256)
def _messages(path: Path) -> dict[str, str]:
    found = json.loads(read_text(path)) if path.is_file() else {}
    return {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}


@functools.lru_cache(256)
def _topics(folder: Path) -> list[list[str]]:
    """The keys of a component in the order of its English file, cut where the first word of the key changes."""
    topics: list[list[str]] = []
    size, before = TOPIC_BYTES, ""
    for key, message in _messages(folder / "en.json").items():
        head = key.partition("-")[0]
        if size >= TOPIC_BYTES and head != before:
            topics.append([])
            size = 0
        topics[-1].append(key)
        before, size = head, size + len(message)
    return topics
