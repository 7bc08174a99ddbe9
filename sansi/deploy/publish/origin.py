"""What is known of a model that goes up: where it comes from, its licence, its languages, its format and size."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from sansi.base.errors import SansiError
from sansi.deploy.publish.check import ADAPTER_CONFIG, is_adapter, receipts_of, wholes_of
from sansi.deploy.publish.contents import CARD, Contents
from sansi.model.config import ModelConfig
from sansi.model.formats.gguf.file import GgufFile

RELATIONS = ("quantized", "finetune", "adapter", "merge")
_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_HUB_PAGE = re.compile(r"https?://(?:huggingface\.co|hf\.co|www\.modelscope\.cn/models)/([\w.-]+/[\w.-]+)")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")
LIBRARIES: Mapping[str, str] = {"mlx": "mlx", "sansi": "sansi"}
"""By format; anything else opens in transformers."""


@dataclass(frozen=True)
class Origin:
    """The facts of a model card."""

    licence: str | None = None
    """As hubs spell it: "apache-2.0"."""
    base_model: str | None = None
    """The model that these weights were made of, on a hub."""
    relation: str | None = None
    """What they are to it: one of RELATIONS."""
    languages: tuple[str, ...] = ()
    """ISO 639 codes."""
    format: str = "safetensors"
    """How the weights are stored: "bf16", "fp8", "gguf Q4_K_M"."""
    bits: float | None = None
    """Mean per weight."""
    note: str = ""
    config: ModelConfig | None = None
    """None: an adapter."""
    library: str = "transformers"
    """Which opens it, as hubs name libraries."""
    quantisation: str | None = None
    """quant_method; None: full weights."""


def origin_of(contents: Contents) -> Origin:
    """What the files say. What they do not say stays open: nothing is guessed from names."""
    front = front_matter(contents)
    card = Origin(
        licence=_text(licence_in(front)),
        base_model=_model_name(front.get("base_model")),
        relation=_text(front.get("base_model_relation")),
        languages=_languages(front.get("language")),
    )
    stated = _of_receipt(contents)
    for more in (card, _of_adapter(contents), _of_gguf(contents), _of_folder(contents)):
        stated = _filled(stated, more)
    return replace(stated, relation=stated.relation or _relation(stated))


def with_choices(
    origin: Origin, licence: str | None, base_model: str | None, relation: str | None, languages: Sequence[str]
) -> Origin:
    """The facts as somebody corrects them. Raises SansiError for what hubs do not take."""
    if relation and relation not in RELATIONS:
        raise SansiError(f'--relation "{relation}" is unknown; known: {", ".join(RELATIONS)}', param="relation")
    if base_model and not _NAME.fullmatch(base_model):
        raise SansiError(f'--base-model "{base_model}" is no name of a hub; give OWNER/NAME', param="base_model")
    for language in languages:
        if not _LANGUAGE.fullmatch(language):
            raise SansiError(f'--language "{language}" is no ISO 639 code; write en or zh', param="language")
    if licence is not None and not re.fullmatch(r"[\w.+() -]{2,64}", licence):
        raise SansiError(f'--license "{licence}" is no name of a licence; write apache-2.0 or mit', param="license")
    chosen = replace(
        origin,
        licence=licence or origin.licence,
        base_model=base_model or origin.base_model,
        languages=tuple(languages) or origin.languages,
    )
    return replace(chosen, relation=relation or origin.relation or _relation(chosen))


def front_matter(contents: Contents) -> dict[str, Any]:
    """The head of data of the folder's README.md; empty without one."""
    file = contents.file(CARD)
    return front_matter_of(file.path.read_text(encoding="utf-8", errors="replace")) if file else {}


def licence_in(front: Mapping[str, Any]) -> object:
    """What the head of a card gives as the licence: of one that hubs do not know its name."""
    return front.get("license_name") if front.get("license") == "other" else front.get("license")


def front_matter_of(card: str) -> dict[str, Any]:
    """The head of data of a card. Raises SansiError where it is no YAML, as the hubs refuse it too."""
    found = re.match(r"---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", card.lstrip("\ufeff"), re.DOTALL)
    if found is None:
        return {}
    try:
        value = yaml.safe_load(found[1]) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 2})" if mark else ""
        raise SansiError(f"{CARD}: its head is no valid YAML{where}; correct it, or give another card") from error
    if not isinstance(value, dict):
        raise SansiError(f"{CARD}: its head is no list of `key: value`; correct it, or give another card")
    return value


def _of_receipt(contents: Contents) -> Origin:
    receipts = receipts_of(contents)
    names = (name for receipt in receipts if (name := _model_name(receipt.base_model)))
    return Origin(licence=next((r.licence for r in receipts if r.licence), None), base_model=next(names, None))


def _of_adapter(contents: Contents) -> Origin:
    if not is_adapter(contents):
        return Origin()
    base = _model_name(_object(contents, ADAPTER_CONFIG).get("base_model_name_or_path"))
    return Origin(base_model=base, format="adapter (PEFT)", library="peft")


def _of_gguf(contents: Contents) -> Origin:
    wholes = wholes_of(contents)
    if not wholes or contents.file("config.json"):
        return Origin()
    from sansi.model.formats.gguf import folder_of

    try:
        opened, folder = [GgufFile(file.path) for file in wholes], folder_of(wholes[0].path)
        kinds = ", ".join(file.kind for file in opened)
    except SansiError:  # the check has told it
        return Origin(format="gguf", library="gguf", quantisation="gguf")
    said = opened[0].metadata
    organisation, name = said.get("general.base_model.0.organization"), said.get("general.base_model.0.name")
    page = _HUB_PAGE.match(str(said.get("general.base_model.0.repo_url", "")))
    joined = f"{organisation}/{name}".replace(" ", "-") if organisation and name else None
    return Origin(
        licence=_text(said.get("general.license")),
        base_model=page[1] if page else _model_name(joined),
        languages=_languages(said.get("general.languages")),
        format=f"gguf {kinds}",
        bits=opened[0].bits if len(opened) == 1 else None,
        config=_config(folder),
        library="gguf",
        quantisation="gguf",
    )


def _of_folder(contents: Contents) -> Origin:
    if contents.file("config.json") is None:
        return Origin()
    from sansi.model.formats.folders import described_in
    from sansi.model.formats.source import open_source

    values = _object(contents, "config.json")
    try:
        method = described_in(contents.source).get("quant_method")
        stored = open_source(contents.source).format
    except SansiError:  # the check has told it
        return Origin(base_model=_model_name(values.get("_name_or_path")))
    return Origin(
        base_model=_model_name(values.get("_name_or_path")),
        format=stored.name,
        bits=stored.bits,
        note=stored.note,
        config=_config(contents.source),
        library=LIBRARIES.get(str(method), "transformers"),
        quantisation=method,
    )


def _relation(origin: Origin) -> str | None:
    if origin.base_model is None:
        return None
    if origin.library == "peft":
        return "adapter"
    return "quantized" if origin.quantisation else "finetune"


def _filled(stated: Origin, more: Origin) -> Origin:
    """What is stated goes before what comes later."""
    empty = Origin()
    wanting = {key: value for key, value in vars(more).items() if getattr(stated, key) == getattr(empty, key)}
    return replace(stated, **wanting)


def _config(folder: Path) -> ModelConfig | None:
    from sansi.model.formats.folders import read_config

    try:
        return read_config(folder)
    except SansiError:
        return None


def _object(contents: Contents, name: str) -> dict[str, Any]:
    file = contents.file(name)
    try:
        value = json.loads(file.path.read_text(encoding="utf-8")) if file else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value.strip() if isinstance(value, str) and value.strip() else None


def _model_name(value: object) -> str | None:
    """OWNER/NAME where it is one: a path, or a folder's name, says nothing to others."""
    first = value[0] if isinstance(value, list) and value else value
    plain = first.partition("@")[0] if isinstance(first, str) else ""
    found = _HUB_PAGE.match(plain)
    plain = found[1] if found else plain
    return plain if _NAME.fullmatch(plain) and not plain.startswith((".", "/")) else None


def _languages(value: object) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return tuple(one for one in listed if isinstance(one, str) and _LANGUAGE.fullmatch(one))
