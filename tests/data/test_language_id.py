"""Languages are identified in every script, what is no text is told apart, and the same text has the same answer."""

from __future__ import annotations

import base64
import hashlib
import random
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.base import SansiError
from sansi.data.language_id import NOT_TEXT, identify, identify_all
from sansi.data.language_id import kernel as kernel_module
from sansi.data.language_id import model as model_module
from sansi.data.language_id.features import features_of
from sansi.data.language_id.identify import MODEL_FILE, UNKNOWN, chinese_variant, the_model
from sansi.data.language_id.registry import LABELS, label_of_iso, label_of_tag, main_language
from sansi.data.languages import LANGUAGES, canonical_tag

SENTENCES = {
    "en": "The children were still asleep when the first train of the morning left the station.",
    "de": "Die Kinder schliefen noch, als der erste Zug am Morgen den Bahnhof verließ.",
    "fr": "Les enfants dormaient encore quand le premier train du matin a quitté la gare.",
    "es": "Los niños todavía dormían cuando el primer tren de la mañana salió de la estación.",
    "pt": "As crianças ainda dormiam quando o primeiro trem da manhã saiu da estação.",
    "it": "I bambini dormivano ancora quando il primo treno del mattino lasciò la stazione.",
    "nl": "De kinderen sliepen nog toen de eerste trein van de ochtend het station verliet.",
    "pl": "Dzieci jeszcze spały, kiedy pierwszy poranny pociąg odjechał ze stacji.",
    "cs": "Děti ještě spaly, když první ranní vlak odjel ze stanice.",
    "sv": "Barnen sov fortfarande när morgonens första tåg lämnade stationen.",
    "fi": "Lapset nukkuivat vielä, kun aamun ensimmäinen juna lähti asemalta.",
    "hu": "A gyerekek még aludtak, amikor az első reggeli vonat elhagyta az állomást.",
    "tr": "Sabahın ilk treni istasyondan ayrıldığında çocuklar hâlâ uyuyordu.",
    "vi": "Bọn trẻ vẫn còn ngủ khi chuyến tàu đầu tiên của buổi sáng rời ga.",
    "id": (
        "Anak-anak masih tidur ketika kereta pertama pagi itu meninggalkan stasiun. Mereka baru bangun karena mobil "
        "tetangga, lalu pergi ke kantor pos bersama bibinya untuk mengambil uang."
    ),
    "sw": "Watoto walikuwa bado wamelala wakati treni ya kwanza ya asubuhi ilipoondoka kituoni.",
    "ru": "Дети ещё спали, когда первый утренний поезд отошёл от станции.",
    "uk": "Діти ще спали, коли перший ранковий потяг від'їхав від станції.",
    "bg": "Децата още спяха, когато първият сутрешен влак напусна гарата.",
    "el": "Τα παιδιά κοιμόντουσαν ακόμα όταν το πρώτο πρωινό τρένο έφυγε από τον σταθμό.",
    "he": "הילדים עדיין ישנו כאשר הרכבת הראשונה של הבוקר עזבה את התחנה.",
    "ar": "كان الأطفال لا يزالون نائمين عندما غادر أول قطار في الصباح المحطة.",
    "fa": "بچه‌ها هنوز خواب بودند که اولین قطار صبح ایستگاه را ترک کرد.",
    "hi": (
        "जब सुबह की पहली रेलगाड़ी स्टेशन से निकली तब बच्चे अभी सो रहे थे। उनके माता-पिता ने उन्हें नहीं जगाया, क्योंकि वे "
        "जानते थे कि उनका दिन बहुत लंबा होगा और उन्हें शाम तक कोई आराम नहीं मिलेगा।"
    ),
    "bn": "সকালের প্রথম ট্রেন যখন স্টেশন ছেড়ে গেল তখনও বাচ্চারা ঘুমাচ্ছিল।",
    "ta": "காலையின் முதல் ரயில் நிலையத்தை விட்டுப் புறப்பட்டபோது குழந்தைகள் இன்னும் தூங்கிக்கொண்டிருந்தனர்.",
    "th": "เด็ก ๆ ยังหลับอยู่ตอนที่รถไฟขบวนแรกของเช้าออกจากสถานี",
    "zh-Hans": "早上第一班火车离开车站的时候,孩子们还在睡觉。",
    "zh-Hant": (
        "早上第一班火車離開車站的時候,孩子們還在睡覺。他們的父母沒有叫醒他們,因為知道這一天會很長,到晚上都不能休息。"
    ),
    "ja": "朝の最初の列車が駅を出たとき、子どもたちはまだ眠っていた。",
    "ko": "아침 첫 기차가 역을 떠났을 때 아이들은 아직 자고 있었다.",
    "ka": "ბავშვებს ჯერ კიდევ ეძინათ, როცა დილის პირველი მატარებელი სადგურიდან გავიდა.",
    "hy": "Երեխաները դեռ քնած էին, երբ առավոտյան առաջին գնացքը մեկնեց կայարանից։",
}
SCRIPTS = {"zh-Hans": "Hani", "zh-Hant": "Hani", "ja": "Jpan", "ko": "Kore"}
CODE = """for (let i = 0; i < rows.length; i++) {
  const cell = table.querySelector(`#r${i}`);
  if (cell !== null) { cell.style.width = `${w[i]}px`; }
}"""


@pytest.mark.parametrize("tag", SENTENCES)
def test_a_sentence_has_its_language_and_script(tag: str):
    found = identify(SENTENCES[tag])
    assert (found.tag, found.is_text) == (tag, True) and found.score >= 0.5
    assert found.script == SCRIPTS.get(tag, LABELS[tag].script)


def test_a_language_of_two_scripts_is_read_in_both():
    latin = "Deca su još spavala kada je prvi jutarnji voz krenuo sa stanice, a vozovođa je tek popio kafu."
    cyrillic = "Деца су још спавала када је први јутарњи воз кренуо са станице, а возовођа је тек попио кафу."
    assert [found.tag for found in identify_all([cyrillic, latin])] in [
        ["sr", tag] for tag in ("sr-Latn", "hr", "bs", None)
    ]
    assert identify(latin).script == "Latn"


@pytest.mark.parametrize(
    "piece",
    [
        CODE,
        base64.b64encode(random.Random(1).randbytes(90)).decode(),
        hashlib.sha256(b"a").hexdigest(),
        SENTENCES["ru"].encode().decode("cp1251", "replace"),
        SENTENCES["el"].encode().decode("latin-1"),
        "12.5 17 3,000 | 2021-03-05 14:07 -3.1e-5",
        '10.0.0.1 - - [05/Mar/2021:14:07:11] "GET /a/b.png HTTP/1.1" 304 0',
        "★☆★ 🙂🙂 →→→ !!!",
        "",
    ],
)
def test_what_is_no_text_has_no_language(piece: str):
    found = identify(piece)
    assert (found.tag, found.is_text) == (NOT_TEXT, False) and found.score > 0.5


def test_too_little_to_tell_has_no_answer():
    for text in ("zxq 12", "Ok", "ab"):
        found = identify(text)
        assert found.tag in (None, NOT_TEXT) and 0 <= found.score <= 1
    assert identify("x").script == "Latn" and identify("...").script is None


def test_text_around_numbers_signs_and_addresses_stays_text():
    text = f"1. {SENTENCES['de']} (2021, 37 %) – https://example.org/a?b=1 [3] | {SENTENCES['de'].upper()}"
    assert identify(text).tag == "de"


def test_chinese_is_told_apart_by_its_characters():
    assert [chinese_variant(text) for text in ("火车站", "火車站", "人山", "", "这張")] == [
        "zh-Hans",
        "zh-Hant",
        None,
        None,
        None,
    ]


def test_many_texts_have_the_answers_of_each_alone():
    texts = [*SENTENCES.values(), CODE, "", "zxq"] * 20
    assert identify_all(iter(texts)) == [identify(text) for text in texts[:36]] * 20
    assert identify_all([]) == []


def test_composed_and_decomposed_text_is_the_same():
    for text in SENTENCES.values():
        assert identify(unicodedata.normalize("NFD", text)) == identify(unicodedata.normalize("NFC", text))


def test_a_long_text_is_judged_by_pieces_of_it():
    long = (SENTENCES["hu"] + " ") * 20_000
    assert len(long) >= 1_500_000 and identify(long).tag == "hu"
    assert identify("a" * 3_000_000).score <= 1


HOSTILE = st.text(
    st.one_of(
        st.characters(),  # surrogates, too
        st.sampled_from("'’ʼ aбاखあ漢한\u0301\u0e31\u200d\x00\n👍\U00020000\U0003fffe\U0010ffff"),
    ),
    max_size=80,
)


@settings(max_examples=150, deadline=None)
@given(texts=st.lists(HOSTILE, max_size=4))
def test_the_kernel_and_numpy_give_the_same_bits(texts: list[str]):
    model, kernel = the_model(), kernel_module.load_kernel()
    if kernel is None:
        pytest.skip("no C++ compiler")
    by_kernel, by_numpy = model._empty(len(texts)), model._empty(len(texts))
    if texts:
        model._sum_by_kernel(kernel, texts, by_kernel)
    model._sum_by_numpy(texts, by_numpy)
    for name in ("sums", "counts", "shape_sums", "shape_counts", "groups", "histogram"):
        assert np.array_equal(getattr(by_kernel, name), getattr(by_numpy, name)), name
    for found in identify_all(texts):
        assert 0 <= found.score <= 1


def test_without_a_compiler_the_answers_are_the_same(monkeypatch: pytest.MonkeyPatch):
    texts = [*SENTENCES.values(), CODE]
    before = identify_all(texts)
    monkeypatch.setattr(model_module, "load_kernel", lambda: None)
    assert identify_all(texts) == before


def test_a_build_that_fails_leaves_numpy(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kernel_module.shutil, "which", lambda name: None)
    assert kernel_module.load_kernel.__wrapped__() is None
    monkeypatch.setattr(kernel_module.shutil, "which", lambda name: "/bin/false")
    assert kernel_module.load_kernel.__wrapped__() is None


def test_features_are_counted_as_the_head_of_the_file_says():
    alphabet = the_model().alphabet
    # " it's ": 4 letters; 5 bigrams, 4, 3 and 2 longer ones with the spaces at the ends; the word
    assert len(features_of("It’s 7!", alphabet).hashes) == 4 + 5 + 4 + 3 + 2 + 1
    assert len(features_of("漢字", alphabet).hashes) == 2 + 3  # characters, pairs with the ends
    assert len(features_of("", alphabet).hashes) == 0
    assert np.array_equal(features_of("ΠΑΙΔΙ", alphabet).hashes, features_of("παιδι", alphabet).hashes)


def test_tags_and_iso_codes_are_translated_without_loss():
    assert len(LABELS) == len({label.iso for label in LABELS.values()}) >= 240
    for tag, label in LABELS.items():
        assert label_of_iso(label.iso) is label and label_of_tag(label.tag) is label and label.tag == tag
        assert canonical_tag(tag) == tag and len(label.iso639_3) == 3 and len(label.script) == 4 and label.name
    assert set(LANGUAGES) <= set(LABELS)
    assert label_of_iso("srp_Latn").tag == "sr-Latn" and label_of_iso("cmn_Hans").tag == "zh-Hans"
    assert label_of_tag("yue").iso == "yue_Hant" and label_of_tag("ars").macro == "ar"
    with pytest.raises(SansiError, match="no label that is known"):
        label_of_iso("eng")
    with pytest.raises(SansiError, match="no label that is known"):
        label_of_tag("klingon")


@pytest.mark.parametrize(
    ("given", "main"),
    [
        ("pt_BR", "pt"),
        ("sr@latin", "sr"),
        ("zh-TW", "zh-Hant"),
        ("zh_CN", "zh-Hans"),
        ("zh", "zh-Hans"),
        ("nob", "nb"),
        ("no", "nb"),
        ("eng", "en"),
        ("cmn_hans", "zh-Hans"),
        ("zh-Latn", None),
        ("als", "sq"),
        ("iw", "he"),
        ("fil", "tl"),
        ("prs", "fa"),
        ("yue-Hant", "yue"),
        ("!!!", None),
    ],
)
def test_every_spelling_of_a_tag_has_its_label(given: str, main: str | None):
    assert main_language(given) == main


def test_of_the_119_languages_110_have_a_label_of_their_own_and_8_their_macrolanguage():
    known = set(the_model().labels)
    own = {tag for tag in LANGUAGES if tag in known or main_language(tag) in known}
    rest = {tag: LABELS[tag].macro for tag in LANGUAGES if tag not in known and main_language(tag) not in known}
    assert len(own | {"prs"}) == len(own) and len(own) + len(rest) == 119
    assert {tag for tag, macro in rest.items() if macro in known} == {"ars", "apc", "arz", "ary", "acm", "acq", "aeb"}
    assert {tag for tag, macro in rest.items() if macro not in known} == {"pag"}


def test_the_model_is_small_and_its_card_names_permissive_licences_alone():
    assert MODEL_FILE.stat().st_size <= 8_000_000
    assert set(the_model().labels) - {UNKNOWN} <= set(LABELS)
    card = MODEL_FILE.with_suffix(".md").read_text(encoding="utf-8")
    packages = [line.split(" | ") for line in card.splitlines() if line.startswith(("| npm", "| pypi", "| deb"))]
    assert len(packages) == 21
    permissive = ("MIT", "Apache-2.0", "BSD-", "ISC", "Unicode-3.0", "CC-BY-4.0")
    assert all(row[2].startswith(permissive) for row in packages)
