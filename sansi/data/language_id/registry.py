"""Every language that is known here by name: its BCP-47 tag, ISO 639-3 code, script, name and macrolanguage.

The two codes are translated into each other without loss. A tag says the script only where it is not the usual one of
the language (sr-Latn) or where both are usual (zh-Hans); an ISO label always does: srp_Latn, cmn_Hans. Where BCP-47 has
the macrolanguage's tag for its main member (fa, sw), ISO 639-3's code is that of the macrolanguage, too (fas, swa).

Of the 119 languages, those without text to learn from are answered with their macrolanguage: Najdi Arabic is ar.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from sansi.base.errors import SansiError, did_you_mean


@dataclass(frozen=True)
class Label:
    """A language in a script."""

    tag: str  # BCP-47
    iso639_3: str  # of the language, or of the macrolanguage where the tag is its
    script: str  # ISO 15924
    name: str
    macro: str | None  # tag of the macrolanguage that it belongs to, if that is another

    @property
    def iso(self) -> str:
        """ISO 639-3 and ISO 15924 in one: srp_Latn."""
        return f"{self.iso639_3}_{self.script}"


# The 119 first, in the order of `sansi.data.languages`.
_TABLE: tuple[tuple[str, str, str, str, str | None], ...] = (
    ("en", "eng", "Latn", "English", None),
    ("fr", "fra", "Latn", "French", None),
    ("pt", "por", "Latn", "Portuguese", None),
    ("de", "deu", "Latn", "German", None),
    ("ro", "ron", "Latn", "Romanian", None),
    ("sv", "swe", "Latn", "Swedish", None),
    ("da", "dan", "Latn", "Danish", None),
    ("cs", "ces", "Latn", "Czech", None),
    ("es", "spa", "Latn", "Spanish", None),
    ("nl", "nld", "Latn", "Dutch", None),
    ("sk", "slk", "Latn", "Slovak", None),
    ("hr", "hrv", "Latn", "Croatian", "sh"),
    ("pl", "pol", "Latn", "Polish", None),
    ("lt", "lit", "Latn", "Lithuanian", None),
    ("nb", "nob", "Latn", "Norwegian Bokmål", "no"),
    ("nn", "nno", "Latn", "Norwegian Nynorsk", "no"),
    ("sl", "slv", "Latn", "Slovenian", None),
    ("lv", "lav", "Latn", "Latvian", None),
    ("it", "ita", "Latn", "Italian", None),
    ("oc", "oci", "Latn", "Occitan", None),
    ("lb", "ltz", "Latn", "Luxembourgish", None),
    ("vec", "vec", "Latn", "Venetian", None),
    ("cy", "cym", "Latn", "Welsh", None),
    ("szl", "szl", "Latn", "Silesian", None),
    ("ast", "ast", "Latn", "Asturian", None),
    ("ga", "gle", "Latn", "Irish", None),
    ("fo", "fao", "Latn", "Faroese", None),
    ("lmo", "lmo", "Latn", "Lombard", None),
    ("lij", "lij", "Latn", "Ligurian", None),
    ("scn", "scn", "Latn", "Sicilian", None),
    ("fur", "fur", "Latn", "Friulian", None),
    ("sc", "srd", "Latn", "Sardinian", None),
    ("gl", "glg", "Latn", "Galician", None),
    ("ca", "cat", "Latn", "Catalan", None),
    ("is", "isl", "Latn", "Icelandic", None),
    ("als", "als", "Latn", "Tosk Albanian", "sq"),
    ("li", "lim", "Latn", "Limburgish", None),
    ("af", "afr", "Latn", "Afrikaans", None),
    ("bs", "bos", "Latn", "Bosnian", "sh"),
    ("mt", "mlt", "Latn", "Maltese", None),
    ("id", "ind", "Latn", "Indonesian", "ms"),
    ("ms", "msa", "Latn", "Malay", None),
    ("tl", "tgl", "Latn", "Tagalog", None),
    ("ceb", "ceb", "Latn", "Cebuano", None),
    ("jv", "jav", "Latn", "Javanese", None),
    ("su", "sun", "Latn", "Sundanese", None),
    ("min", "min", "Latn", "Minangkabau", "ms"),
    ("ban", "ban", "Latn", "Balinese", None),
    ("bjn", "bjn", "Latn", "Banjar", "ms"),
    ("pag", "pag", "Latn", "Pangasinan", None),
    ("ilo", "ilo", "Latn", "Iloko", None),
    ("war", "war", "Latn", "Waray", None),
    ("tr", "tur", "Latn", "Turkish", None),
    ("az", "aze", "Latn", "North Azerbaijani", None),
    ("uz", "uzb", "Latn", "Northern Uzbek", None),
    ("fi", "fin", "Latn", "Finnish", None),
    ("et", "est", "Latn", "Estonian", None),
    ("hu", "hun", "Latn", "Hungarian", None),
    ("vi", "vie", "Latn", "Vietnamese", None),
    ("eu", "eus", "Latn", "Basque", None),
    ("ht", "hat", "Latn", "Haitian Creole", None),
    ("pap", "pap", "Latn", "Papiamento", None),
    ("kea", "kea", "Latn", "Kabuverdianu", None),
    ("tpi", "tpi", "Latn", "Tok Pisin", None),
    ("sw", "swa", "Latn", "Swahili", None),
    ("bg", "bul", "Cyrl", "Bulgarian", None),
    ("ru", "rus", "Cyrl", "Russian", None),
    ("uk", "ukr", "Cyrl", "Ukrainian", None),
    ("be", "bel", "Cyrl", "Belarusian", None),
    ("sr", "srp", "Cyrl", "Serbian", "sh"),
    ("tg", "tgk", "Cyrl", "Tajik", None),
    ("mk", "mkd", "Cyrl", "Macedonian", None),
    ("kk", "kaz", "Cyrl", "Kazakh", None),
    ("ba", "bak", "Cyrl", "Bashkir", None),
    ("tt", "tat", "Cyrl", "Tatar", None),
    ("el", "ell", "Grek", "Greek", None),
    ("hy", "hye", "Armn", "Armenian", None),
    ("ka", "kat", "Geor", "Georgian", None),
    ("he", "heb", "Hebr", "Hebrew", None),
    ("ydd", "ydd", "Hebr", "Eastern Yiddish", "yi"),
    ("fa", "fas", "Arab", "Persian", None),
    ("prs", "prs", "Arab", "Dari", "fa"),
    ("sd", "snd", "Arab", "Sindhi", None),
    ("ur", "urd", "Arab", "Urdu", None),
    ("ar", "ara", "Arab", "Standard Arabic", None),
    ("ars", "ars", "Arab", "Najdi Arabic", "ar"),
    ("apc", "apc", "Arab", "Levantine Arabic", "ar"),
    ("arz", "arz", "Arab", "Egyptian Arabic", "ar"),
    ("ary", "ary", "Arab", "Moroccan Arabic", "ar"),
    ("acm", "acm", "Arab", "Mesopotamian Arabic", "ar"),
    ("acq", "acq", "Arab", "Ta'izzi-Adeni Arabic", "ar"),
    ("aeb", "aeb", "Arab", "Tunisian Arabic", "ar"),
    ("ne", "nep", "Deva", "Nepali", None),
    ("mr", "mar", "Deva", "Marathi", None),
    ("hne", "hne", "Deva", "Chhattisgarhi", None),
    ("awa", "awa", "Deva", "Awadhi", None),
    ("mai", "mai", "Deva", "Maithili", None),
    ("bho", "bho", "Deva", "Bhojpuri", None),
    ("hi", "hin", "Deva", "Hindi", None),
    ("mag", "mag", "Deva", "Magahi", None),
    ("as", "asm", "Beng", "Assamese", None),
    ("bn", "ben", "Beng", "Bengali", None),
    ("gu", "guj", "Gujr", "Gujarati", None),
    ("pa", "pan", "Guru", "Punjabi", None),
    ("or", "ori", "Orya", "Oriya", None),
    ("si", "sin", "Sinh", "Sinhala", None),
    ("ta", "tam", "Taml", "Tamil", None),
    ("te", "tel", "Telu", "Telugu", None),
    ("kn", "kan", "Knda", "Kannada", None),
    ("ml", "mal", "Mlym", "Malayalam", None),
    ("th", "tha", "Thai", "Thai", None),
    ("lo", "lao", "Laoo", "Lao", None),
    ("km", "khm", "Khmr", "Khmer", None),
    ("my", "mya", "Mymr", "Burmese", None),
    ("zh-Hans", "cmn", "Hans", "Chinese (Simplified)", "zh"),
    ("zh-Hant", "cmn", "Hant", "Chinese (Traditional)", "zh"),
    ("yue", "yue", "Hant", "Cantonese", "zh"),
    ("ja", "jpn", "Jpan", "Japanese", None),
    ("ko", "kor", "Kore", "Korean", None),
    ("sq", "sqi", "Latn", "Albanian", None),
    ("yi", "yid", "Hebr", "Yiddish", None),
    ("aa", "aar", "Latn", "Afar", None),
    ("ab", "abk", "Cyrl", "Abkhazian", None),
    ("ace", "ace", "Latn", "Acehnese", None),
    ("ady", "ady", "Cyrl", "Adyghe", None),
    ("am", "amh", "Ethi", "Amharic", None),
    ("an", "arg", "Latn", "Aragonese", None),
    ("arn", "arn", "Latn", "Mapuche", None),
    ("az-Cyrl", "aze", "Cyrl", "North Azerbaijani", None),
    ("bar", "bar", "Latn", "Bavarian", None),
    ("bcl", "bcl", "Latn", "Central Bikol", "bik"),
    ("bi", "bis", "Latn", "Bislama", None),
    ("bm", "bam", "Latn", "Bambara", None),
    ("bo", "bod", "Tibt", "Tibetan", None),
    ("br", "bre", "Latn", "Breton", None),
    ("bs-Cyrl", "bos", "Cyrl", "Bosnian", "sh"),
    ("ce", "che", "Cyrl", "Chechen", None),
    ("ch", "cha", "Latn", "Chamorro", None),
    ("chr", "chr", "Cher", "Cherokee", None),
    ("ckb", "ckb", "Arab", "Central Kurdish", "ku"),
    ("co", "cos", "Latn", "Corsican", None),
    ("crh", "crh", "Latn", "Crimean Tatar", None),
    ("csb", "csb", "Latn", "Kashubian", None),
    ("cv", "chv", "Cyrl", "Chuvash", None),
    ("diq", "diq", "Latn", "Dimli", "zza"),
    ("dsb", "dsb", "Latn", "Lower Sorbian", None),
    ("dv", "div", "Thaa", "Divehi", None),
    ("dyu", "dyu", "Latn", "Dyula", None),
    ("dz", "dzo", "Tibt", "Dzongkha", None),
    ("ee", "ewe", "Latn", "Ewe", None),
    ("eo", "epo", "Latn", "Esperanto", None),
    ("ff", "ful", "Latn", "Fula", None),
    ("ff-Adlm", "ful", "Adlm", "Fula", None),
    ("fj", "fij", "Latn", "Fijian", None),
    ("frp", "frp", "Latn", "Arpitan", None),
    ("fy", "fry", "Latn", "Western Frisian", None),
    ("gd", "gla", "Latn", "Scottish Gaelic", None),
    ("gn", "grn", "Latn", "Guarani", None),
    ("gsw", "gsw", "Latn", "Swiss German", None),
    ("gv", "glv", "Latn", "Manx", None),
    ("ha", "hau", "Latn", "Hausa", None),
    ("haw", "haw", "Latn", "Hawaiian", None),
    ("hsb", "hsb", "Latn", "Upper Sorbian", None),
    ("ia", "ina", "Latn", "Interlingua", None),
    ("ig", "ibo", "Latn", "Igbo", None),
    ("ike", "ike", "Cans", "Eastern Canadian Inuktitut", "iu"),
    ("io", "ido", "Latn", "Ido", None),
    ("jv-Java", "jav", "Java", "Javanese", None),
    ("kaa", "kaa", "Cyrl", "Kara-Kalpak", None),
    ("kab", "kab", "Latn", "Kabyle", None),
    ("kbd", "kbd", "Cyrl", "Kabardian", None),
    ("kk-Arab", "kaz", "Arab", "Kazakh", None),
    ("kl", "kal", "Latn", "Kalaallisut", None),
    ("koi", "koi", "Cyrl", "Komi-Permyak", None),
    ("kr", "kau", "Latn", "Kanuri", None),
    ("krc", "krc", "Cyrl", "Karachay-Balkar", None),
    ("krl", "krl", "Latn", "Karelian", None),
    ("ku", "kur", "Latn", "Kurdish", None),
    ("kw", "cor", "Latn", "Cornish", None),
    ("ky", "kir", "Cyrl", "Kyrgyz", None),
    ("la", "lat", "Latn", "Latin", None),
    ("lad", "lad", "Latn", "Ladino", None),
    ("lg", "lug", "Latn", "Ganda", None),
    ("ln", "lin", "Latn", "Lingala", None),
    ("lus", "lus", "Latn", "Mizo", None),
    ("mad", "mad", "Latn", "Madurese", None),
    ("mg", "mlg", "Latn", "Malagasy", None),
    ("mh", "mah", "Latn", "Marshallese", None),
    ("mi", "mri", "Latn", "Māori", None),
    ("mn", "mon", "Cyrl", "Mongolian", None),
    ("mnw", "mnw", "Mymr", "Mon", None),
    ("mos", "mos", "Latn", "Mossi", None),
    ("ms-Arab", "msa", "Arab", "Malay", None),
    ("nds", "nds", "Latn", "Low German", None),
    ("ng", "ndo", "Latn", "Ndonga", None),
    ("nqo", "nqo", "Nkoo", "N’Ko", None),
    ("nr", "nbl", "Latn", "South Ndebele", None),
    ("nso", "nso", "Latn", "Northern Sotho", None),
    ("nv", "nav", "Latn", "Navajo", None),
    ("ny", "nya", "Latn", "Nyanja", None),
    ("om", "orm", "Latn", "Oromo", None),
    ("os", "oss", "Cyrl", "Ossetic", None),
    ("pam", "pam", "Latn", "Pampanga", None),
    ("pcm", "pcm", "Latn", "Nigerian Pidgin", None),
    ("pms", "pms", "Latn", "Piedmontese", None),
    ("pnb", "pnb", "Arab", "Western Punjabi", "lah"),
    ("ps", "pus", "Arab", "Pashto", None),
    ("qu", "que", "Latn", "Quechua", None),
    ("rm", "roh", "Latn", "Romansh", None),
    ("rn", "run", "Latn", "Rundi", None),
    ("rw", "kin", "Latn", "Kinyarwanda", None),
    ("sa", "san", "Deva", "Sanskrit", None),
    ("sah", "sah", "Cyrl", "Yakut", None),
    ("sco", "sco", "Latn", "Scots", None),
    ("se", "sme", "Latn", "Northern Sami", None),
    ("sg", "sag", "Latn", "Sango", None),
    ("shn", "shn", "Mymr", "Shan", None),
    ("skr", "skr", "Arab", "Saraiki", "lah"),
    ("sm", "smo", "Latn", "Samoan", None),
    ("sn", "sna", "Latn", "Shona", None),
    ("so", "som", "Latn", "Somali", None),
    ("sr-Latn", "srp", "Latn", "Serbian", "sh"),
    ("ss", "ssw", "Latn", "Swati", None),
    ("st", "sot", "Latn", "Southern Sotho", None),
    ("tcy", "tcy", "Knda", "Tulu", None),
    ("tet", "tet", "Latn", "Tetum", None),
    ("ti", "tir", "Ethi", "Tigrinya", None),
    ("tk", "tuk", "Latn", "Turkmen", None),
    ("tk-Cyrl", "tuk", "Cyrl", "Turkmen", None),
    ("tly", "tly", "Latn", "Talysh", None),
    ("tn", "tsn", "Latn", "Tswana", None),
    ("to", "ton", "Latn", "Tongan", None),
    ("ts", "tso", "Latn", "Tsonga", None),
    ("tw", "twi", "Latn", "Twi", "ak"),
    ("ty", "tah", "Latn", "Tahitian", None),
    ("tyv", "tyv", "Cyrl", "Tuvinian", None),
    ("ug", "uig", "Arab", "Uyghur", None),
    ("uz-Cyrl", "uzb", "Cyrl", "Northern Uzbek", None),
    ("ve", "ven", "Latn", "Venda", None),
    ("vep", "vep", "Latn", "Veps", None),
    ("wa", "wln", "Latn", "Walloon", None),
    ("wo", "wol", "Latn", "Wolof", None),
    ("xh", "xho", "Latn", "Xhosa", None),
    ("yo", "yor", "Latn", "Yoruba", None),
    ("yua", "yua", "Latn", "Yucatec Maya", None),
    ("zgh", "zgh", "Tfng", "Standard Moroccan Tamazight", None),
    ("zu", "zul", "Latn", "Zulu", None),
)

LABELS: dict[str, Label] = {row[0]: Label(*row) for row in _TABLE}
_BY_ISO = {label.iso: label for label in LABELS.values()}
# What is written about in the tag of the macrolanguage or of its main member: one label for both.
SAME = {
    "als": "sq", "ydd": "yi", "prs": "fa", "pes": "fa", "npi": "ne", "ory": "or", "uzn": "uz", "azj": "az", "zlm": "ms",
    "zsm": "ms", "swh": "sw", "khk": "mn", "plt": "mg", "lvs": "lv", "ekk": "et", "pbu": "ps", "pbt": "ps", "arb": "ar",
    "cmn": "zh", "kmr": "ku", "gug": "gn", "nob": "nb", "no": "nb", "fil": "tl", "tgl": "tl", "knc": "kr", "sh": "sr",
    "gaz": "om", "fuv": "ff", "quz": "qu", "hbs": "sr", "iw": "he", "jw": "jv", "in": "id", "ji": "yi", "mo": "ro",
}  # fmt: skip
_TRADITIONAL = frozenset(["hant", "tw", "hk", "mo"])


def label_of_iso(iso: str) -> Label:
    """The label for an ISO label such as srp_Latn. Raises SansiError for one that is not in the table."""
    if iso not in _BY_ISO:
        raise SansiError(f'"{iso}" is no label that is known{did_you_mean(iso, _BY_ISO)}; give one such as srp_Latn')
    return _BY_ISO[iso]


def label_of_tag(tag: str) -> Label:
    """The label for a BCP-47 tag in the table. Raises SansiError for one that is not."""
    if tag not in LABELS:
        raise SansiError(f'"{tag}" is no label that is known{did_you_mean(tag, LABELS)}; give one such as sr-Latn')
    return LABELS[tag]


@functools.lru_cache(4096)
def main_language(tag: str) -> str | None:
    """The language of any spelling of a tag, as the table has it: pt_BR is pt, nob nb, zh-TW zh-Hant; None: no tag."""
    import langcodes

    parts = tag.replace("_", "-").replace("@", "-").lower().split("-")
    primary = SAME.get(parts[0], parts[0])
    if len(primary) == 3:
        try:
            primary = langcodes.standardize_tag(primary)
        except ValueError:
            return None
    primary = SAME.get(primary, primary)
    if primary != "zh":
        return primary.split("-")[0]
    if "latn" in parts[1:]:
        return None
    return "zh-Hant" if _TRADITIONAL & set(parts[1:]) else "zh-Hans"
