"""Quality signals: what is counted, in any script, and what is usual in a language."""

from __future__ import annotations

import pytest
from documents_made import ENGLISH, document, prose
from sansi.data.filters import Rules, reason_to_drop
from sansi.data.signal_ranges import measure, ranges_for
from sansi.data.signals import letter_share, read_signals

THAI = "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ต่างมีเหตุผลและมโนธรรม"
CHINESE = "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,并应以兄弟关系的精神相对待。"


def test_words_and_characters_are_counted():
    found = read_signals("The cat # sat on 12 mats… {x}\n- A List item\n", "Latn", frozenset({"the", "on"}))
    assert found["words"] == 12 and found["stop_words"] == round(2 / 12, 4) and found["hashes"] == round(1 / 12, 4)
    assert found["capitals"] == round(3 / 25, 4) and found["list_lines"] == 0.5 and found["braces"] == round(2 / 32, 4)
    assert found["alphabetic_words"] == round(9 / 12, 4) and found["ellipses"] == round(1 / 12, 4)
    assert read_signals(" \n\t", None) == {}


def test_lines_and_paragraphs_that_stood_before():
    found = read_signals("One line here.\nTwo lines here,\nOne line here.\n\nOne line here.", "Latn")
    assert found["duplicate_lines"] == 0.5 and found["duplicate_line_letters"] == round(28 / 57, 4)
    assert found["marked_lines"] == 0.75 and found["short_lines"] == 1.0
    assert read_signals("We use cookies.\nReal text.", "Latn")["boilerplate_lines"] == 0.5
    assert read_signals("Lorem ipsum dolor", "Latn")["placeholder"] == 1


@pytest.mark.parametrize(("text", "script"), [(ENGLISH, "Latn"), (THAI, "Thai"), (CHINESE, "Hani")])
def test_repeated_runs_are_found_in_every_script(text: str, script: str):
    once, thrice = read_signals(text, script), read_signals(f"{text}\n{text}\n{text}", script)
    assert once["duplicate_5_grams"] < 0.05
    assert thrice["duplicate_5_grams"] == pytest.approx(2 / 3, abs=0.03) == thrice["duplicate_10_grams"]
    assert ("mean_word_length" in once) == (script == "Latn")


def test_a_longer_run_is_counted_only_where_it_is_repeated():
    words = [f"w{n}" for n in range(40)]
    found = read_signals(" ".join([*words, "a b c d e f", *words[:6]]), "Latn")
    assert found["duplicate_6_grams"] > 0 == found["duplicate_7_grams"]
    assert read_signals(" ".join(["x y"] * 50), "Latn")["top_2_gram"] == 1


def test_letters_of_all_scripts_count():
    assert letter_share("ab 1?") == 0.5 and letter_share(THAI) == 1.0 and letter_share("") == 0.0


def test_ranges_come_from_texts_of_the_language():
    table = measure([("en", prose(n, 30)) for n in range(40)] + [("th", THAI * 10)] * 3)
    english = table["languages"]["en"]
    assert english["script"] == "Latn" and english["ranges"]["digits"][1] > 0.05
    assert table["languages"]["th"] == {"script": "Thai", "stop_words": [], "ranges": {}}


def test_outliers_are_judged_by_the_language_and_dropped_where_asked():
    ranges = ranges_for("en", "Latn")
    assert {"the", "of", "and"} <= ranges.stop_words and ranges_for("zh-Hant", "Hani").low
    text = "\n".join(f"{n * 7919} ## buy 12 {n}… {{3}}" for n in range(80))
    junk, good = document(text, language="en"), document(ENGLISH * 3, language="en")
    assert {"digits", "hashes", "stop_words"} <= set(ranges.outliers(junk.signals))
    rules = Rules(min_bytes=50, min_quality=0.0, max_outliers=2)
    found = reason_to_drop(junk, rules)
    assert found is not None and found.rule == "unlike its language" and "digits" in str(found.value)
    assert reason_to_drop(junk, Rules(min_bytes=50, min_quality=0.0)) is None
    fair = document(ENGLISH + " " + ENGLISH.replace("human", "free").replace("spirit", "mind"), language="en")
    assert reason_to_drop(fair, Rules(min_bytes=50, max_outliers=4)) is None
    repeated = reason_to_drop(good, Rules(min_bytes=50, max_repetition=0.2))
    assert repeated is not None and repeated.rule in ("repeats itself", "too repetitive")
