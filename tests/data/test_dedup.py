"""Deduplication: what goes, what stays readable, and that no order of documents changes it."""

from __future__ import annotations

import dataclasses
import random

import pytest
from documents_made import ENGLISH, document, prose
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.base import SansiError
from sansi.data.blocks import split_blocks
from sansi.data.dedup import Deduplicator, jaccard, word_shingles
from sansi.data.documents import Document


def texts() -> st.SearchStrategy[list[str]]:
    paragraph = st.integers(0, 6).map(lambda seed: prose(seed, 2))
    return st.lists(st.lists(paragraph, min_size=1, max_size=4).map("\n\n".join), min_size=1, max_size=10)


@settings(max_examples=30, derandomize=True, deadline=None)
@given(texts())
def test_deduplication_is_idempotent_and_no_order_changes_it(texts: list[str]):
    documents = [dataclasses.replace(document(text), id=str(i)) for i, text in enumerate(texts)]
    once = Deduplicator()(documents)
    assert Deduplicator()(once) == once
    assert {d.text for d in Deduplicator()(documents[::-1])} == {d.text for d in once}
    paragraphs = [part for d in once for part in d.text.split("\n\n")]
    assert len(paragraphs) == len(set(paragraphs))
    for lost in {d.id for d in documents} - {d.id for d in once}:  # only what stands elsewhere for a third at least
        parts = set(texts[int(lost)].split("\n\n"))
        assert 3 * len(parts & set(paragraphs)) >= len(parts) - 1


def test_near_duplicates_are_found_in_any_script():
    chinese = "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。" * 2
    for text, other in ((prose(1), prose(2)), (chinese, ENGLISH)):
        near, deduplicate = text.replace(text[20], "x", 1), Deduplicator()
        kept = list(deduplicate([document(text), document(near), document(other)]))
        assert {d.text for d in kept} >= {other} and len(kept) == 2 and deduplicate.dropped == {"duplicate": 1}


def test_code_keeps_its_repeated_paragraphs():
    header = "# " + prose(0, 2)
    programs = [document(f"{header}\n\n{prose(n)}", kind="code") for n in (1, 2)]
    assert list(Deduplicator()(programs)) == programs


BODY = [prose(n, 2) for n in range(30)]


def edition(heading: str = "## Article {}", body: list[str] = BODY) -> str:
    return "\n\n".join(f"{heading.format(n)}\n\n{part}" for n, part in enumerate(body))


def kept_of(*texts: str, kind: str = "prose") -> list[str]:
    made = [dataclasses.replace(document(text, kind=kind), id=str(n)) for n, text in enumerate(texts)]
    return [d.text for d in Deduplicator()(made)]


@pytest.mark.parametrize(
    "heading", ["## Section {}", "Section {}", "**{}.**", "# Teil {}\n\n## Kapitel {}", "第{}条", "{})"]
)
def test_a_second_edition_leaves_no_skeleton(heading: str):
    second = edition(heading.replace("{}", "{0}"))
    assert len(kept_of(edition(), second)) == 1
    # With a third of it new it would be a patchwork, with most of it new it is a document.
    patchwork = edition(heading.replace("{}", "{0}"), [prose(100 + n, 2) if n % 3 == 0 else BODY[n] for n in range(30)])
    assert len(kept_of(edition(), patchwork)) == 1
    fresh = [prose(100 + n, 2) if n % 5 else BODY[n] for n in range(30)]
    kept = kept_of(
        edition(body=[*BODY, *(prose(n, 2) for n in range(200, 210))]), edition(heading.replace("{}", "{0}"), fresh)
    )
    assert len(kept) == 2
    blocks = split_blocks(kept[1])
    assert not any(block.text in BODY for block in blocks)
    titles = [index for index, block in enumerate(blocks) if len(block.text) < 30]
    assert len(titles) in (24, 48) and len(blocks) - len(titles) == 24  # each with its text
    assert blocks[-1].text == fresh[-1]


def test_headings_and_lead_ins_go_with_their_text():
    first = f"{BODY[0]}\n\n{BODY[1]}"
    tail = "\n\n".join(prose(n, 4) for n in (50, 51))
    for orphan in ("# Part\n\n## Chapter", "The words are:", "A title without a mark"):
        text = f"{prose(52, 4)}\n\n{orphan}\n\n{BODY[0]}\n\n# Next\n\n{tail}"
        (_, rest) = kept_of(first + "\n\n" + prose(60, 40), text)
        assert rest == f"{prose(52, 4)}\n\n# Next\n\n{tail}"
    listed = f"{BODY[0][:-1]}:\n\n- one\n- two\n\n{tail}"
    (_, rest) = kept_of(f"{BODY[0][:-1]}:\n\n{prose(60, 40)}", listed)
    assert rest == tail
    # A heading with some text left stays, and so does a short paragraph that is a sentence of its own.
    (_, rest) = kept_of(first + "\n\n" + prose(60, 40), f"# Part\n\nIt is so.\n\n{BODY[0]}\n\n## Next\n\n{tail}")
    assert rest == f"# Part\n\nIt is so.\n\n## Next\n\n{tail}"


def test_a_listing_is_one_block():
    listing = "```\n" + prose(1, 2) + "\n\n" + prose(2, 2) + "\n```"
    assert [block.is_fenced for block in split_blocks(f"{BODY[0]}\n\n{listing}\n\n{BODY[1]}")] == [False, True, False]
    texts = [f"{prose(10, 19)}\n\n{listing}", f"{prose(20, 5)}\n\n{listing}\n\n{prose(21, 5)}"]
    assert sorted(kept_of(*texts)) == sorted([texts[0], f"{prose(20, 5)}\n\n{prose(21, 5)}"])


def test_boilerplate_goes_and_the_page_stays():
    notice = "\n\n".join(prose(900 + n, 6) for n in range(3))
    for pages in ([f"{notice}\n\n{prose(n, 3)}" for n in range(6)], [f"{prose(n, 3)}\n\n{notice}" for n in range(6)]):
        kept = kept_of(*pages)
        assert len(kept) == 6 and sum(notice in text for text in kept) == 1


@pytest.mark.parametrize(
    ("mark", "begin", "end"),
    [("# ", "", ""), ("// ", "", ""), (" * ", "/*\n", "\n */"), ("", '"""', '"""'), ("-- ", "", "")],
)
def test_short_programs_under_one_licence_stay(mark: str, begin: str, end: str):
    licence = begin + "\n".join(f"{mark}{prose(500 + n, 1)}" for n in range(30)) + end

    def program(number: int) -> str:
        rng = random.Random(number)
        lines = [
            f"    {rng.choice('abcdef')}{rng.randrange(99)} = {rng.choice('xyz')} * {rng.randrange(999)}"
            for _ in range(9)
        ]
        return f"{licence}\n\ndef f{number}():\n" + "\n".join(lines) + "\n"

    programs = [program(number) for number in range(10)]
    assert kept_of(*programs, kind="code") == [text.strip() for text in programs]
    assert len(kept_of(programs[0], programs[0].replace(licence, "# Another licence"), kind="code")) == 1


@pytest.mark.parametrize(("changed", "kept"), [(0.02, 0), (0.03, 0), (0.05, 20), (0.1, 20)])
def test_the_border_of_near_duplicates_is_sharp(changed: float, kept: int):
    found = 0
    for seed in range(20):
        rng = random.Random(seed)
        words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=6)) for _ in range(400)]
        other = list(words)
        for place in range(0, 400, round(1 / changed)):
            other[place] = "changed" + "".join(rng.choices("abcdefgh", k=5))
        found += len(kept_of(" ".join(words), " ".join(other))) - 1
    assert found == kept


def test_similarity_is_exact_and_the_same_in_any_writing():
    assert jaccard(word_shingles(ENGLISH), word_shingles(ENGLISH.upper().replace(" ", "\n"))) == 1.0
    assert jaccard(word_shingles("a b c d e"), word_shingles("a b c d f")) == 0.5  # abc bcd | cde cdf
    assert jaccard(word_shingles("a b"), word_shingles("a b")) == 1.0
    with pytest.raises(SansiError, match='"similarity" is 80'):
        Deduplicator(similarity=80)


def test_verse_keeps_its_refrain():
    poem = "\n\n".join([prose(1, 3), prose(2, 3), prose(1, 3), prose(3, 3)])
    made: list[Document] = [document(poem, kind="verse")]
    assert Deduplicator()(made) == made
