"""A corpus of made words, and the recipe `tiny` upon it, smaller still: no network, no time."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sansi.data.corpus import Origin, write_corpus
from sansi.data.documents import Document, text_sha256
from sansi.recipes.overrides import parse_override
from sansi.recipes.recipe import LIBRARY, Recipe, load_recipe
from sansi.recipes.records import StageRecord

SMALL = (
    "*.log_every=1",
    "general.shape={hidden_size = 16, intermediate_size = 32, num_hidden_layers = 1, max_position_embeddings = 128}",
    "tokenizer.worked_problems=40",
    "held-out.count=6",
    "worked.tokens=4000",
    "cold-start-samples.count=30",
    "fusion-samples.count=30",
    "evaluation.budgets=[0, 8]",
)


def make_corpus(folder: Path, texts: Sequence[str] = ()) -> Path:
    """A corpus folder of one made source: long documents and short ones, or `texts`."""
    rng = random.Random(0)
    words = ("river", "stones", "letter", "window", "morning", "history", "answer", "the", "a", "of", "in", "finds")
    texts = texts or [" ".join(rng.choices(words, k=size)) + "." for size in (1200, 40) * 6]
    facts: dict[str, Any] = {"source": "made", "licence": "CC0-1.0", "kind": "prose", "quality": 1.0}
    facts |= {"language": "en", "detected_language": "en"}
    documents = [Document(id=f"made/{i}", text=t, sha256=text_sha256(t), **facts) for i, t in enumerate(texts)]
    write_corpus(folder, Origin("made", "made", "1", "CC0-1.0"), documents)
    return folder


def write_small(corpus: Path) -> Path:
    """`tiny` as a file beside the corpus, which it reads in the place of making one."""
    text = (LIBRARY / "tiny.toml").read_text(encoding="utf-8")
    before, _, after = text.partition('[[stage]]\nkind = "corpus"\n')
    text = before + after[after.index("[[stage]]") :]
    file = corpus.parent / "tiny.toml"
    file.write_text(text.replace('corpus = "corpus"', f'corpus = "{corpus.name}"'), encoding="utf-8")
    return file


def small_tiny(corpus: Path, changes: Iterable[str] = ()) -> Recipe:
    """`tiny` on this corpus."""
    return load_recipe(write_small(corpus), [parse_override(text) for text in (*SMALL, *changes)])


def digests(out: Path) -> dict[str, str]:
    """Of every finished stage's result but the report's, in which minutes stand."""
    found = {folder.name: StageRecord.load(folder) for folder in sorted(out.iterdir()) if folder.is_dir()}
    return {name: record.digest for name, record in found.items() if record and record.done and name != "publish"}
