"""datatrove's filters on a file of texts, a pass for each line on stdin: CPU seconds and documents kept, as JSON.

usage: python filters_peer.py TEXTS.json  (an environment with datatrove)

Its own splitter of English is spaCy's. Here words are split at spaces and sentences at full stops, which costs less
than any splitter: the figures are what its filters themselves take.
"""

from __future__ import annotations

import json
import sys
import time

import datatrove.pipeline.filters.c4_filters as c4
import datatrove.pipeline.filters.fineweb_quality_filter as fineweb
import datatrove.pipeline.filters.gopher_quality_filter as gopher
import datatrove.pipeline.filters.gopher_repetition_filter as repetition
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)

for module in (c4, fineweb, gopher, repetition):
    if hasattr(module, "split_into_words"):
        module.split_into_words = lambda text, language: text.split()
    if hasattr(module, "split_into_sentences"):
        module.split_into_sentences = lambda text, language: text.split(". ")


def judged_by_all(filters: list, text: str) -> bool:
    """Every filter is asked, as every signal of ours is counted."""
    found = []
    for one in filters:
        result = one.filter(Document(text=text, id="x"))
        found.append(result is True or (isinstance(result, tuple) and result[0] is True))
    return all(found)


def judged_until_one(filters: list, text: str) -> bool:
    """The first filter that says no ends it, as in a pipeline."""
    for one in filters:
        result = one.filter(Document(text=text, id="x"))
        if not (result is True or (isinstance(result, tuple) and result[0] is True)):
            return False
    return True


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        texts = json.load(file)
    filters = [
        GopherRepetitionFilter(),
        GopherQualityFilter(),
        C4QualityFilter(filter_no_terminal_punct=False),
        FineWebQualityFilter(),
    ]
    judged_by_all(filters, texts[0])  # what is loaded on first use is loaded
    print("ready", flush=True)
    for line in sys.stdin:
        judge = judged_by_all if line.strip() == "all" else judged_until_one
        begin = time.process_time()
        kept = sum(judge(filters, text) for text in texts)
        print(json.dumps({"seconds": time.process_time() - begin, "kept": kept}), flush=True)


if __name__ == "__main__":
    main()
