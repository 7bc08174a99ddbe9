"""Language tags are BCP-47, each of the 119 languages has its rule, and the rules suit the scripts."""

from __future__ import annotations

import pytest
from documents_made import ENGLISH, document
from sansi.base import SansiError
from sansi.data.annotate import quality, rule_of
from sansi.data.filters import Rules, reason_to_drop
from sansi.data.language_id import LANGUAGE_MODEL
from sansi.data.languages import LANGUAGES, canonical_tag, is_close, rule_for
from test_words import ARTICLE

HEBREW = (
    "כל בני אדם נולדו בני חורין ושווים בערכם ובזכויותיהם. "
    "כולם חוננו בתבונה ובמצפון, לפיכך חובה עליהם לנהוג איש ברעהו ברוח של אחווה."
)
PIDGIN = (
    "Dem recognise say human beings get dignity wey dey with us and rights "
    "wey go make all of us friendly with each other, so tay, "
    "we all come be like one family. Na dis be di foundation of our freedom and peace wey de for di whole world. "
)
SCOTS = (
    "Forsameikle as kenning for the inherent dignity and for the richts, equal and nane-alienable, o aw "
    "members o the human faimily "
    "is the foond o freedom, justice and peace in the warld. "
)


@pytest.mark.parametrize(
    ("given", "tag"),
    [
        ("iw", "he"), ("jw", "jv"), ("in", "id"), ("ji", "yi"), ("mo", "ro"), ("sh", "sr-Latn"), ("zh_cn", "zh-CN"),
        ("EN-us", "en-US"), ("eng", "en"), ("zh-hant", "zh-Hant"), ("sr-latn", "sr-Latn"), ("tl", "tl"), ("prs", "prs"),
        ("zh-min-nan", "nan"), ("und-tfng", "und-Tfng"), ("tl_tglg", "tl-Tglg"),
    ],
)  # fmt: skip
def test_tags_are_canonical(given: str, tag: str):
    assert canonical_tag(given) == tag == canonical_tag(tag)


@pytest.mark.parametrize("wrong", ["", "english", "x", "xx", "053", "python", "en--US", "12"])
def test_what_is_no_tag_is_refused(wrong: str):
    with pytest.raises(SansiError, match="no language tag"):
        canonical_tag(wrong)


def test_documents_know_their_language_and_script():
    made = document(HEBREW, language="iw", url="https://example.org/he", date="1948", metadata={"edition": "2"})
    assert (made.language, made.script, made.detected_language, made.language_model) == (
        "he",
        "Hebr",
        "he",
        LANGUAGE_MODEL,
    )
    assert (made.url, made.date, made.metadata) == ("https://example.org/he", "1948", {"edition": "2"})
    odd = document(HEBREW, language="053")
    assert odd.language == "he" and odd.metadata == {"source_language": "053"}


@pytest.mark.parametrize(("tag", "text"), [("pcm", PIDGIN), ("sco", SCOTS), ("en-GB", ENGLISH), ("eng", ENGLISH)])
def test_a_near_variety_of_english_is_no_missing_translation(tag: str, text: str):
    assert reason_to_drop(document(text * 3, language=tag), Rules(min_bytes=50)) is None


def test_a_missing_translation_is_one():
    assert reason_to_drop(document(ENGLISH, language="nb"), Rules()).rule == "not translated"
    assert not is_close("enq", "en") and is_close("bi", "en") and is_close("als", "sq")


def test_each_of_the_119_languages_has_its_rule():
    assert len(LANGUAGES) == 119 == len({rule.name for rule in LANGUAGES.values()})
    for tag, rule in LANGUAGES.items():
        assert canonical_tag(tag) == tag == rule.tag and rule_for(tag) is rule
        assert 0.4 < rule.words < 1.7 and 0.7 < rule.bytes < 4 and 7 < rule.max_compression < 15
    same = {
        "zh-CN": "zh-Hans",
        "zh-TW": "zh-Hant",
        "zh": "zh-Hans",
        "sq": "als",
        "yi": "ydd",
        "no": "nb",
        "arb": "ar",
        "pt-BR": "pt",
    }
    assert {tag: rule_for(tag).tag for tag in same} == same
    assert rule_for("sr-Latn").script == "Latn" and rule_for("uz-Cyrl").script == "Cyrl"
    assert not rule_for("th").has_sentence_marks and not rule_for("shn-Lana").has_sentence_marks
    assert rule_of("und", "Thai").script == "Thai" and rule_for("oj").words > 0


@pytest.mark.parametrize("language", ARTICLE)
def test_good_text_has_good_quality_in_every_script(language: str):
    article = ARTICLE[language]
    made = document("\n\n".join(f"{article}" for _ in range(1)), language={"zh": "zh-Hans"}.get(language, language))
    assert made.quality > 0.9 and reason_to_drop(made, Rules(min_bytes=50)) is None
    fragments = "\n".join(article[n : n + 9] + " | 12" for n in range(0, len(article), 9))
    assert quality(fragments, rule_of(made.language, made.script)) < 0.7


@pytest.mark.parametrize("tag", ["th", "hi", "zh-Hans", "en"])
def test_how_short_is_too_short_depends_on_the_script(tag: str):
    rule = rule_for(tag)
    text = {
        "th": ARTICLE["th"],
        "zh-Hans": ARTICLE["zh"],
        "en": ENGLISH,
        "hi": "सभी मनुष्य जन्म से स्वतन्त्र तथा मर्यादा और अधिकारों में समान होते हैं। " * 2,
    }[tag]
    limit = len(text.encode()) / rule.bytes
    assert reason_to_drop(document(text, language=tag), Rules(min_bytes=int(limit) + 1)).rule == "too short"
    assert reason_to_drop(document(text, language=tag), Rules(min_bytes=int(limit) - 1)) is None
