"""One normalisation and one segmenter: what readers take for the same text gives the same words, in any script."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.data.words import count_words, read_words, split_words

SAME = {
    "case and accents": ("Ein CAFÉ in İzmir, Straße", "ein cafe in izmir, STRASSE"),
    "decomposed": ("caf\u00e9 na\u00efve", "cafe\u0301 nai\u0308ve"),
    "invisible": ("friends and half", "fri\u00adends a\u200bn\u2060d h\ufeffal\u200df"),
    "full width": ("ABC 123 ガギグ", "ＡＢＣ　１２３ ｶﾞｷﾞｸﾞ"),
    "ligatures": ("final office", "ﬁnal oﬃce"),
    "apostrophes": ("don't l'homme oʻzbek", "don’t l‘homme o'zbek"),
    "thousands": ("1234567 people", "1,234,567 people"),
    "thousands by spaces": ("1234567 people", "1\u202f234\u00a0567 people"),
    "thousands by points": ("1234567 people", "1.234.567 people"),
    "thousands in India": ("12345678 people", "1,23,45,678 people"),
    "decimal marks": ("3.14 litres", "3,14 litres"),
    "digits": ("1961 48", "١٩٦١ ४८"),
    "entities": ("Tom & Ann's < café", "Tom &amp; Ann&#39;s &lt; caf&eacute;"),
    "tags": ("half as many clips", "<p>ha<b>lf</b> as <i class='x'>many</i> clips</p>"),
    "markdown": (
        "half as many clips",
        "**half** as ha".replace("as ha", "as") + " _many_ [clips](http://example.org/a_(b))",
    ),
    "code marks": ("the call f is made", "the call `f` is ***made***"),
    "quotation": ("one two\nthree four", "> one two\n> three four"),
    "rules": ("Title\none two", "Title\n=====\none two"),
    "hyphenation": ("the clipping of it", "the clip-\nping of it"),
    "powers": ("10^6 and x^2", "10⁶ and x²"),
    "powers in HTML": ("10^6 people", "10<sup>6</sup> people"),
    "signs": ("3 - 4 * 5 / 2", "3 − 4 × 5 ÷ 2"),
    "Arabic": ("محمد إلى مكتبة", "مُحَمَّـد الي مكتبه"),
    "Hebrew": ("שלום", "שָׁלוֹם"),
    "Cyrillic": ("еще один", "Ещё один"),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_text_gives_the_same_words(name: str):
    first, second = SAME[name]
    assert split_words(first) == split_words(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [("3 + 4", "3 - 4"), ("10^6", "106"), ("x = -5", "x = 5"), ("का कि", "क क"), ("ชาย ช้า", "ชาย ชา"), ("3 * 4", "34")],
)
def test_other_texts_give_other_words(first: str, second: str):
    assert split_words(first) != split_words(second)


def test_words_of_scripts():
    assert split_words("विश्वविद्यालय अनुदान आयोग") == ["विश्वविद्यालय", "अनुदान", "आयोग"]
    assert split_words("ที่นี่") == ["ที่", "นี่"]
    assert split_words("བོད་ཡིག་གི") == ["བོད", "ཡིག", "གི"]
    assert split_words("snake_case 12km") == ["snake", "case", "12", "km"]
    assert split_words("2*x - 3 = 5") == ["2", "*", "x", "-", "3", "=", "5"]
    assert split_words("well-known - and so on") == ["well", "known", "and", "so", "on"]
    assert split_words("") == [] and count_words("...") == 0


# Article 1 of the Universal Declaration, the same text in every script.
ARTICLE = {
    "en": "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience and should act towards one another in a spirit of brotherhood.",  # noqa: E501
    "zh": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。人間は、理性と良心とを授けられており、互いに同胞の精神をもって行動しなければならない。",  # noqa: E501
    "th": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ต่างมีเหตุผลและมโนธรรม และควรปฏิบัติต่อกันด้วยเจตนารมณ์แห่งภราดรภาพ",
    "lo": "ມະນຸດທຸກຄົນເກີດມາມີກຽດສັກສີ, ສິດທິ, ເສລີພາບ ແລະ ຄວາມສະເໝີພາບເທົ່າທຽມກັນ. ທຸກໆຄົນມີເຫດຜົນ ແລະ ຄວາມຄິດຄວາມເຫັນສ່ວນຕົວຂອງໃຜຂອງມັນ, ແຕ່ວ່າມະນຸດແຕ່ລະຄົນຄວນປະພຶດຕໍ່ກັນດ້ວຍນໍ້າໃຈຄືພີ່ນ້ອງກັນ.",  # noqa: E501
    "km": "មនុស្សទាំងអស់ កើតមកមានសេរីភាព និងសមភាព ក្នុងផ្នែកសេចក្ដីថ្លៃថ្នូរនិងសិទ្ធិ ។ មនុស្ស មានវិចារណញ្ញាណនិងសតិសម្បជញ្ញៈជាប់ពីកំណើត ហើយគប្បីប្រព្រឹត្ដចំពោះគ្នាទៅវិញទៅមក ក្នុងស្មារតីភាតរភាពជាបងប្អូន ។",  # noqa: E501
    "my": "လူတိုင်းသည် တူညီ လွတ်လပ်သော ဂုဏ်သိက္ခာဖြင့် လည်းကောင်း၊ တူညီလွတ်လပ်သော အခွင့်အရေးများဖြင့် လည်းကောင်း၊ မွေးဖွားလာသူများ ဖြစ်သည်။ ထိုသူတို့၌ ပိုင်းခြား ဝေဖန်တတ်သော ဉာဏ်နှင့် ကျင့်ဝတ် သိတတ်သော စိတ်တို့ရှိကြ၍ ထိုသူတို့သည် အချင်းချင်း မေတ္တာထား၍ ဆက်ဆံကျင့်သုံးသင့်၏။",  # noqa: E501
    "bo": "འགྲོ་བ་མིའི་རིགས་རྒྱུད་ཡོངས་ལ་སྐྱེས་ཙམ་ཉིད་ནས་ཆེ་མཐོངས་དང༌། ཐོབ་ཐངགི་རང་དབང་འདྲ་མཉམ་དུ་ཡོད་ལ། ཁོང་ཚོར་རང་བྱུང་གི་བློ་རྩལ་དང་བསམ་ཚུལ་བཟང་པོ་འདོན་པའི་འོས་བབས་ཀྱང་ཡོད།",  # noqa: E501
}


@pytest.mark.parametrize("language", ARTICLE)
def test_a_word_says_about_as_much_in_every_script(language: str):
    assert 0.6 < count_words(ARTICLE[language]) / count_words(ARTICLE["en"]) < 1.7


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_words_stand_alone_and_windows_are_shortest(first: str, second: str):
    words = read_words(first + "\n" + second)
    assert len(words.tokens) == len(words.weights) == len(words.opens) == len(words.closes)
    assert not words.tokens or (words.opens[0] and words.closes[-1])
    begins, ends = words.windows(3)
    for begin, end in zip(begins, ends, strict=True):
        assert words.weights[begin:end].sum() >= 300 > words.weights[begin : end - 1].sum()
    assert np.all(begins == np.arange(len(begins)))


def test_digits_newer_than_pythons_tables_are_words():
    assert split_words("a \U0001e4f1 b") == ["a", "\U0001e4f1", "b"]  # Nag Mundari, Unicode 15


@pytest.mark.parametrize(
    "text", ["", "All human beings, 12 of 1,234,567.", "人人生而自由 1234567", "<b>a</b> x*2 = -3"]
)
def test_counting_is_reading_without_the_words(text: str):
    assert count_words(text) == read_words(text).count
