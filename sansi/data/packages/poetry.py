"""Classical Chinese poetry and prose: neighbouring poems of one poet as one document, as in a collection."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from sansi.data.packages.held_out import is_held_out
from sansi.data.packages.package import PackagePart
from sansi.data.packages.texts import read_text, text_record
from sansi.data.parts import Records

# Of the Song poems, which alone would be 60 MB, every second file.
GLOBS = tuple(
    f"package/dist/{pattern}.json"
    for pattern in (
        "caocaoshiji/*", "chuci/*", "lunyu/*", "quantangshi/poet.song.*[02468]000", "quantangshi/poet.tang.*",
        "shijing/*", "sishuwujing/*", "songci/ci.song.*", "yuanqu/*",
    )
)  # fmt: skip
COLLECTION_BYTES = 2400  # of a document, about
# Characters that are lost or described, and notes in the text.
_DAMAGED = re.compile(r"[□■〇●?？]{2}|[□■\ufffd{}<>\[\]/\\|]|（缺|（按|（以上|〖|〗")


def read_chinese_poetry(part: PackagePart) -> Records:
    """npm `chinese-poetry`: Tang and Song poems, songs, operas, the classics."""
    for path, name in zip(part.files, part.paths, strict=True):
        found = json.loads(read_text(path))
        works = [work for work in (found if isinstance(found, list) else [found]) if isinstance(work, dict)]
        stem = name.removeprefix("package/dist/").removesuffix(".json")
        number = 0
        for _, own in groupby(works, key=lambda work: work.get("author") or work.get("chapter")):
            for text in _collections(filter(None, map(_work, own))):
                id = f"{stem}/{number:04}"
                yield text_record(id, text, "verse", "lzh", held_out=is_held_out(f"chinese-poetry/{id}"))
                number += 1


def _collections(works: Iterator[str]) -> Iterator[str]:
    run: list[str] = []
    for work in works:
        run.append(work)
        if sum(len(text.encode()) for text in run) >= COLLECTION_BYTES:
            yield "\n\n".join(run)
            run = []
    if run:
        yield "\n\n".join(run)


def _work(work: Mapping[str, Any]) -> str | None:
    """The title with the poet, and the lines; None for what is damaged."""
    lines = work.get("paragraphs") or work.get("content") or work.get("para") or []
    title = work.get("title") or work.get("rhythmic") or work.get("chapter") or ""
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        return None
    text = "\n".join(filter(None, (line.strip() for line in lines)))
    if not text or _DAMAGED.search(text) or _DAMAGED.search(str(title)):
        return None
    head = f"《{title}》" if title else ""
    author = work.get("author") or ""
    return "\n".join(filter(None, (f"{head} {author}".strip(), text)))
