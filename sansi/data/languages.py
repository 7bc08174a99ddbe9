"""Languages: their tags (BCP-47), the 119 that Qwen3 was announced with, and what the filters ask of a text in each.

How many words and bytes a language needs for the same text is measured on the Universal Declaration, relative to
English; where there is no translation, taken from a near relation (named beside the row). The thresholds follow from
that: a Malayalam paragraph of 5 words is as long as an English one of 10, and 500 bytes of Burmese say what 140 of
English do.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass

from sansi.base.errors import SansiError
from sansi.base.installing import install_command

MIN_QUALITY = 0.35
LONG_PARAGRAPH = 10  # English words
MAX_REPEATED_LINES = 0.3  # share of the text, by length, in lines that occurred before
COMPRESSION = 3.5  # times more than prose of that script is compressed

# How much smaller zlib makes prose of each script, by the Universal Declaration (median of its languages).
_COMPRESSED = {
    "Latn": 2.8, "Cyrl": 3.1, "Grek": 3.0, "Arab": 2.8, "Hebr": 2.8, "Armn": 3.3, "Geor": 3.6, "Ethi": 3.0, "Deva": 3.4,
    "Beng": 3.4, "Guru": 3.4, "Gujr": 3.5, "Orya": 3.4, "Taml": 3.7, "Telu": 3.4, "Knda": 3.4, "Mlym": 3.7, "Sinh": 3.3,
    "Thai": 3.3, "Laoo": 3.4, "Khmr": 3.5, "Mymr": 3.7, "Tibt": 4.0, "Hans": 2.1, "Hant": 2.1, "Hani": 2.1, "Jpan": 2.6,
    "Kore": 2.6, "Java": 3.7, "Yiii": 2.5,
}  # fmt: skip
# Scripts in which sentences end without a mark, with a space or not at all.
_WITHOUT_MARKS = frozenset(["Thai", "Laoo", "Lana", "Talu", "Tale", "Tavt", "Java", "Bali", "Bugi", "Batk"])

# What the detector takes for a language though it is another one, close to it: no sign of a missing translation.
# For English: Scots, Yola, older English, and the creoles and pidgins with English words.
_CLOSE_TO_ENGLISH = (
    "sco yol enm ang aig bah bi bjs bzj cpi djk fpe gcl gpe gul gyn hwc icr jam kri lir ngm pcm pih pis rop srm srn "
    "svc tch tcs tgh tpi trf vic wes"
)
CLOSE = {"en": frozenset(_CLOSE_TO_ENGLISH.split())}

# Tag, name, script, words and bytes of the same text relative to English.
_TABLE: tuple[tuple[str, str, str, float, float], ...] = (
    ("en", "English", "Latn", 1.00, 1.00),
    ("fr", "French", "Latn", 1.14, 1.19),
    ("pt", "Portuguese", "Latn", 1.05, 1.09),
    ("de", "German", "Latn", 0.93, 1.13),
    ("ro", "Romanian", "Latn", 1.05, 1.19),
    ("sv", "Swedish", "Latn", 0.89, 1.04),
    ("da", "Danish", "Latn", 0.94, 1.04),
    ("cs", "Czech", "Latn", 0.85, 1.04),
    ("es", "Spanish", "Latn", 1.09, 1.13),
    ("nl", "Dutch", "Latn", 1.12, 1.19),
    ("sk", "Slovak", "Latn", 0.85, 1.04),
    ("hr", "Croatian", "Latn", 0.86, 0.95),
    ("pl", "Polish", "Latn", 0.86, 1.10),
    ("lt", "Lithuanian", "Latn", 0.84, 1.09),
    ("nb", "Norwegian Bokmål", "Latn", 0.92, 0.98),
    ("nn", "Norwegian Nynorsk", "Latn", 0.97, 0.96),
    ("sl", "Slovenian", "Latn", 0.88, 1.00),
    ("lv", "Latvian", "Latn", 0.81, 1.10),
    ("it", "Italian", "Latn", 1.03, 1.12),
    ("oc", "Occitan", "Latn", 1.04, 1.05),
    ("lb", "Luxembourgish", "Latn", 1.09, 1.19),
    ("vec", "Venetian", "Latn", 1.18, 1.13),
    ("cy", "Welsh", "Latn", 0.96, 0.97),
    ("szl", "Silesian", "Latn", 0.86, 1.10),  # as pl
    ("ast", "Asturian", "Latn", 1.09, 1.13),
    ("ga", "Irish", "Latn", 1.11, 1.13),
    ("fo", "Faroese", "Latn", 0.90, 0.98),
    ("lmo", "Lombard", "Latn", 1.11, 1.10),  # as lij
    ("lij", "Ligurian", "Latn", 1.11, 1.10),
    ("scn", "Sicilian", "Latn", 1.03, 1.12),  # as it
    ("fur", "Friulian", "Latn", 1.12, 1.05),
    ("sc", "Sardinian", "Latn", 1.18, 1.20),
    ("gl", "Galician", "Latn", 1.04, 1.08),
    ("ca", "Catalan", "Latn", 1.06, 1.10),
    ("is", "Icelandic", "Latn", 0.92, 1.05),
    ("als", "Tosk Albanian", "Latn", 1.06, 1.12),
    ("li", "Limburgish", "Latn", 1.12, 1.19),  # as nl
    ("af", "Afrikaans", "Latn", 0.96, 0.98),
    ("bs", "Bosnian", "Latn", 0.88, 0.95),
    ("mt", "Maltese", "Latn", 1.06, 1.12),
    ("id", "Indonesian", "Latn", 0.98, 1.17),
    ("ms", "Malay", "Latn", 0.98, 1.17),  # as id
    ("tl", "Tagalog", "Latn", 1.10, 1.15),
    ("ceb", "Cebuano", "Latn", 1.10, 1.13),
    ("jv", "Javanese", "Latn", 1.12, 1.28),
    ("su", "Sundanese", "Latn", 1.04, 1.16),
    ("min", "Minangkabau", "Latn", 0.96, 1.09),
    ("ban", "Balinese", "Latn", 0.96, 1.18),
    ("bjn", "Banjar", "Latn", 0.96, 1.15),
    ("pag", "Pangasinan", "Latn", 1.09, 1.19),  # as ilo
    ("ilo", "Iloko", "Latn", 1.09, 1.19),
    ("war", "Waray", "Latn", 1.08, 1.06),
    ("tr", "Turkish", "Latn", 0.78, 1.04),
    ("az", "North Azerbaijani", "Latn", 0.85, 1.18),
    ("uz", "Northern Uzbek", "Latn", 0.91, 1.16),
    ("fi", "Finnish", "Latn", 0.72, 1.08),
    ("et", "Estonian", "Latn", 0.79, 1.05),
    ("hu", "Hungarian", "Latn", 0.88, 1.23),
    ("vi", "Vietnamese", "Latn", 1.41, 1.54),
    ("eu", "Basque", "Latn", 0.80, 1.03),
    ("ht", "Haitian Creole", "Latn", 1.30, 1.10),
    ("pap", "Papiamento", "Latn", 1.09, 1.07),
    ("kea", "Kabuverdianu", "Latn", 1.35, 1.25),
    ("tpi", "Tok Pisin", "Latn", 1.05, 0.95),
    ("sw", "Swahili", "Latn", 0.93, 0.92),
    ("bg", "Bulgarian", "Cyrl", 1.01, 1.93),
    ("ru", "Russian", "Cyrl", 0.91, 2.01),
    ("uk", "Ukrainian", "Cyrl", 0.90, 1.82),
    ("be", "Belarusian", "Cyrl", 0.92, 1.93),
    ("sr", "Serbian", "Cyrl", 0.86, 1.61),
    ("tg", "Tajik", "Cyrl", 0.94, 1.74),
    ("mk", "Macedonian", "Cyrl", 0.99, 1.80),
    ("kk", "Kazakh", "Cyrl", 0.85, 1.89),
    ("ba", "Bashkir", "Cyrl", 0.80, 1.73),  # as tt
    ("tt", "Tatar", "Cyrl", 0.80, 1.73),
    ("el", "Greek", "Grek", 1.09, 2.21),
    ("hy", "Armenian", "Armn", 0.79, 1.91),
    ("ka", "Georgian", "Geor", 0.78, 2.93),
    ("he", "Hebrew", "Hebr", 0.73, 1.22),
    ("ydd", "Eastern Yiddish", "Hebr", 1.00, 1.96),
    ("fa", "Persian", "Arab", 1.06, 1.52),
    ("prs", "Dari", "Arab", 1.06, 1.52),
    ("sd", "Sindhi", "Arab", 1.20, 1.58),  # as ur
    ("ur", "Urdu", "Arab", 1.20, 1.58),
    ("ar", "Standard Arabic", "Arab", 0.75, 1.28),
    ("ars", "Najdi Arabic", "Arab", 0.75, 1.28),  # as ar
    ("apc", "Levantine Arabic", "Arab", 0.75, 1.28),  # as ar
    ("arz", "Egyptian Arabic", "Arab", 0.75, 1.28),  # as ar
    ("ary", "Moroccan Arabic", "Arab", 0.75, 1.28),  # as ar
    ("acm", "Mesopotamian Arabic", "Arab", 0.75, 1.28),  # as ar
    ("acq", "Ta'izzi-Adeni Arabic", "Arab", 0.75, 1.28),  # as ar
    ("aeb", "Tunisian Arabic", "Arab", 0.75, 1.28),  # as ar
    ("ne", "Nepali", "Deva", 0.77, 2.23),
    ("mr", "Marathi", "Deva", 0.90, 2.86),
    ("hne", "Chhattisgarhi", "Deva", 1.11, 2.60),  # as hi
    ("awa", "Awadhi", "Deva", 1.11, 2.60),  # as hi
    ("mai", "Maithili", "Deva", 0.82, 2.25),
    ("bho", "Bhojpuri", "Deva", 0.98, 2.08),
    ("hi", "Hindi", "Deva", 1.11, 2.60),
    ("mag", "Magahi", "Deva", 0.94, 1.93),
    ("as", "Assamese", "Beng", 0.80, 2.41),  # as bn
    ("bn", "Bengali", "Beng", 0.80, 2.41),
    ("gu", "Gujarati", "Gujr", 0.87, 2.43),
    ("pa", "Punjabi", "Guru", 1.20, 2.48),
    ("or", "Oriya", "Orya", 0.80, 2.41),  # as bn
    ("si", "Sinhala", "Sinh", 0.89, 2.59),
    ("ta", "Tamil", "Taml", 0.68, 3.36),
    ("te", "Telugu", "Telu", 0.64, 2.80),
    ("kn", "Kannada", "Knda", 0.61, 2.68),
    ("ml", "Malayalam", "Mlym", 0.45, 2.69),
    ("th", "Thai", "Thai", 1.03, 2.50),
    ("lo", "Lao", "Laoo", 1.00, 2.77),
    ("km", "Khmer", "Khmr", 1.00, 2.85),
    ("my", "Burmese", "Mymr", 1.03, 3.95),
    ("zh-Hans", "Chinese (Simplified)", "Hans", 1.01, 0.80),
    ("zh-Hant", "Chinese (Traditional)", "Hant", 1.01, 0.80),  # as zh-Hans
    ("yue", "Cantonese", "Hant", 1.01, 0.80),
    ("ja", "Japanese", "Jpan", 1.00, 1.14),
    ("ko", "Korean", "Kore", 0.67, 1.06),
)

# Tags that name the same language, or one whose rule is used: of macrolanguages the member in the table.
_SAME = {
    "sq": "als", "yi": "ydd", "no": "nb", "fil": "tl", "arb": "ar", "azj": "az", "uzn": "uz", "ekk": "et", "lvs": "lv",
    "npi": "ne", "ory": "or", "pes": "fa", "swh": "sw", "zsm": "ms", "cmn": "zh", "hbs": "sr", "zlm": "ms", "asm": "as",
}  # fmt: skip
_KEPT = frozenset(["tl", "prs", "cnr"])  # valid tags that CLDR would replace


@dataclass(frozen=True)
class LanguageRule:
    """What the filters ask of a text in a language."""

    tag: str  # BCP-47
    name: str
    script: str  # ISO 15924
    words: float = 1.0  # that a text has for each word of the same text in English
    bytes: float = 1.0  # that a text has for each byte of the same text in English
    min_quality: float = MIN_QUALITY
    max_repeated_lines: float = MAX_REPEATED_LINES

    @property
    def long_paragraph(self) -> float:
        """Words from which a paragraph counts as running text."""
        return LONG_PARAGRAPH * self.words

    @property
    def max_compression(self) -> float:
        """Times smaller by zlib that no prose of this script gets."""
        return COMPRESSION * _COMPRESSED.get(self.script, 3.4)

    @property
    def has_sentence_marks(self) -> bool:
        return self.script not in _WITHOUT_MARKS


LANGUAGES: dict[str, LanguageRule] = {row[0]: LanguageRule(*row) for row in _TABLE}


def canonical_tag(tag: str) -> str:
    """The tag as BCP-47 wants it: `zh_cn` is zh-CN, `iw` he, `eng` en, `sh` sr-Latn. Raises SansiError for no tag."""
    try:
        import langcodes
    except ImportError as error:
        raise SansiError(f"language tags need langcodes; run: {install_command('train')}") from error
    try:
        canonical = langcodes.standardize_tag(tag)
        primary = tag.replace("_", "-").split("-")[0].lower()
        if primary in _KEPT:  # the rest of the tag is as it was
            canonical = langcodes.Language.get(tag, normalize=False).to_tag()
    except (ValueError, AttributeError) as error:
        raise SansiError(f'"{tag}" is no language tag ({error}); give BCP-47, such as "en" or "zh-Hant"') from error
    primary = canonical.split("-")[0]
    if not primary.isalpha() or not langcodes.Language.get(canonical, normalize=False).is_valid():
        raise SansiError(f'"{tag}" is no language tag that is registered; give BCP-47, such as "en" or "zh-Hant"')
    return canonical


@functools.lru_cache(4096)
def rule_for(tag: str) -> LanguageRule:
    """The rule of a language; of one outside the table, what its script asks for. `tag` is canonical, or "und"."""
    parts = tag.split("-")
    script = next((part for part in parts[1:] if len(part) == 4 and part.isalpha()), None)
    primary = _SAME.get(parts[0], parts[0])
    if primary == "zh":
        return LANGUAGES["zh-Hant" if (script or likely_script(tag)) == "Hant" else "zh-Hans"]
    rule = LANGUAGES.get(primary)
    if rule and script in (None, rule.script):
        return rule
    script = script or likely_script(tag) or "Latn"
    script = "Hans" if script == "Hani" else script
    kin = [rule for rule in LANGUAGES.values() if rule.script == script]
    words, size = (_median(rule.words for rule in kin), _median(rule.bytes for rule in kin)) if kin else (1.0, 2.0)
    return LanguageRule(tag, rule.name if rule else tag, script, words, size)


def likely_script(tag: str) -> str | None:
    """The script in which a language is mostly written (CLDR), ISO 15924."""
    import langcodes

    try:
        return langcodes.Language.get(tag).maximize().script
    except ValueError:
        return None


def is_close(tag: str, detected: str) -> bool:
    """Whether a text in `tag` may well be taken for `detected`: the same language, or a close variety of it."""
    primary, other = tag.split("-")[0], detected.split("-")[0]
    return _SAME.get(primary, primary) == _SAME.get(other, other) or primary in CLOSE.get(other, ())


def _median(values: Iterable[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
