"""Deduplication: what goes, what stays readable, and that no order of documents changes it."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import numpy.typing as npt
import pytest
from dedup_made import deduplicated, kept_of
from documents_made import ENGLISH, document, prose
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.base import SansiError
from sansi.base.config import load_config
from sansi.data.blocks import split_blocks
from sansi.data.dedup import DedupConfig
from sansi.data.dedup.shingles import block_codes, jaccard, word_shingles


def texts() -> st.SearchStrategy[list[str]]:
    paragraph = st.integers(0, 6).map(lambda seed: prose(seed, 2))
    return st.lists(st.lists(paragraph, min_size=1, max_size=4).map("\n\n".join), min_size=1, max_size=10)


@settings(max_examples=8, derandomize=True, deadline=None)
@given(texts())
def test_deduplication_is_idempotent_and_no_order_changes_it(texts: list[str]):
    documents = [dataclasses.replace(document(text), id=str(i)) for i, text in enumerate(texts)]
    once = deduplicated(documents)
    assert [d.text for d in deduplicated(once)] == [d.text for d in once]
    assert {d.text for d in deduplicated(documents[::-1], files=3)} == {d.text for d in once}
    paragraphs = [part for d in once for part in d.text.split("\n\n")]
    assert len(paragraphs) == len(set(paragraphs))
    for lost in {d.id for d in documents} - {d.id for d in once}:  # only what stands elsewhere for a third at least
        parts = set(texts[int(lost)].split("\n\n"))
        assert 3 * len(parts & set(paragraphs)) >= len(parts) - 1


def test_near_duplicates_are_found_in_any_script():
    chinese = "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。" * 2
    for text, other in ((prose(1), prose(2)), (chinese, ENGLISH)):
        kept = kept_of(text, text.replace(text[20], "x", 1), other)
        assert set(kept) >= {other} and len(kept) == 2


def test_code_keeps_its_repeated_paragraphs():
    header = "# " + prose(0, 2)
    programs = [f"{header}\n\n{prose(n)}" for n in (1, 2)]
    assert kept_of(*programs, kind="code") == programs


BODY = [prose(n, 2) for n in range(30)]


def edition(heading: str = "## Article {}", body: list[str] = BODY) -> str:
    return "\n\n".join(f"{heading.format(n)}\n\n{part}" for n, part in enumerate(body))


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
    texts = []
    for seed in range(20):
        rng = random.Random(seed)
        words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=6)) for _ in range(400)]
        other = list(words)
        for place in range(0, 400, round(1 / changed)):
            other[place] = "changed" + "".join(rng.choices("abcdefgh", k=5))
        texts += [" ".join(words), " ".join(other)]
    assert len(kept_of(*texts)) == 20 + kept


def shingles(text: str) -> npt.NDArray[np.uint32]:
    return word_shingles(block_codes(split_blocks(text)))


def test_similarity_is_exact_and_the_same_in_any_writing():
    assert jaccard(shingles(ENGLISH), shingles(ENGLISH.upper().replace(" ", "\n"))) == 1.0
    assert jaccard(shingles("a b c d e"), shingles("a b c d f")) == 0.5  # abc bcd | cde cdf
    assert jaccard(shingles("a b"), shingles("a b")) == 1.0
    assert jaccard(shingles("a b"), shingles("")) == 0.0


def test_verse_keeps_its_refrain():
    poem = "\n\n".join([prose(1, 3), prose(2, 3), prose(1, 3), prose(3, 3)])
    assert kept_of(poem, kind="verse") == [poem]


def words(seed: int, count: int) -> list[str]:
    rng = random.Random(seed)
    return ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=6)) for _ in range(count)]


def test_nothing_goes_through_a_chain():
    """B is like A, C like B, and C is not like A: C stays."""
    first = words(1, 400)
    second = [*words(2, 35), *first[35:]]
    third = [*words(2, 35), *words(3, 35), *first[70:]]
    assert len(kept_of(" ".join(first), " ".join(second))) == len(kept_of(" ".join(second), " ".join(third))) == 1
    kept = kept_of(" ".join(first), " ".join(second) + ".", " ".join(third) + "..")
    assert len(kept) == 2


def test_what_resembles_only_what_was_dropped_stays():
    """A patchwork of two kept documents goes; what is like the patchwork, but stands in no paragraph, stays."""
    parts = [prose(n, 4) for n in range(8)]
    longer = ["\n\n".join([*parts[:4], prose(50, 20)]), "\n\n".join([*parts[4:], prose(51, 20)])]
    patchwork = "\n\n".join(parts)
    like_it = patchwork.replace("\n\n", " ")  # one paragraph that nobody has
    kept = kept_of(*longer, patchwork, like_it)
    assert patchwork not in kept and like_it in kept and len(kept) == 3
    assert len(kept_of(patchwork, like_it)) == 1


def test_a_shortened_copy_is_contained():
    text = words(5, 400)
    assert len(kept_of(" ".join(text), " ".join(text[:280]))) == 1
    assert len(kept_of(" ".join(text), " ".join([*text[:280], *words(6, 40)]))) == 2
    assert len(kept_of(" ".join(text), " ".join([*text[:280], *words(6, 40)]), config={"containment": 0.8})) == 1


def test_a_dialogue_loses_its_notice_and_keeps_its_lines():
    notice = prose(900, 3)
    lines = "\n\n".join(f"{name}: {prose(n, 1).split('.')[0]}!" for n, name in enumerate("ABCDEFGHIJKL" * 2))
    kept = kept_of(f"{notice}\n\n{prose(1, 40)}", f"{notice}\n\n{lines}")
    assert len(kept) == 2 and lines in kept


def test_originals_stay_and_translations_go():
    kept = deduplicated([document(prose(1, 9) + " More.", original=False), document(prose(1, 9))])
    assert [d.text for d in kept] == [prose(1, 9)]


def test_copies_are_counted_on_the_document_that_stays():
    texts = [prose(1, 9), prose(1, 9), prose(1, 9).upper(), prose(2, 9)]
    made = [dataclasses.replace(document(text), id=str(n)) for n, text in enumerate(texts)]
    assert sorted(d.metadata.get("copies", "1") for d in deduplicated(made)) == ["1", "3"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"similarity": 80}, '"similarity" is 80'),
        ({"containment": 0}, '"containment" is 0'),
        ({"bands": 2000}, "at most 1024"),
        ({"boilerplate": 1}, '"boilerplate" is 1; give at least 2'),
        ({"similarty": 0.8}, "did you mean"),
        ({"on_source_loss": "ignore"}, "on_source_loss"),
    ],
)
def test_impossible_settings_are_named(wrong: dict[str, object], message: str):
    with pytest.raises(SansiError, match=message):
        load_config(DedupConfig, wrong)
