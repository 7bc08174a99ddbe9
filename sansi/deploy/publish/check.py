"""The check before publishing: everything that a hub, or whoever fetches the model, would find out too late."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sansi.base.digests import file_sha256
from sansi.base.errors import SansiError
from sansi.base.files import read_json
from sansi.deploy.publish.contents import Contents, PublishedFile
from sansi.deploy.publish.finding import Finding
from sansi.deploy.publish.safetensors import check_safetensors
from sansi.deploy.publish.secrets import check_pickles, check_secrets
from sansi.deploy.receipt import RECEIPT_FILE, Receipt
from sansi.model.formats.gguf.choice import parts_of
from sansi.model.formats.gguf.file import SPLIT, GgufFile
from sansi.text import Tokenizer, open_codec

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_QUESTION = [{"role": "user", "content": "Hello"}]


def check_contents(contents: Contents) -> list[Finding]:
    """All that is wrong with what is to go up, the worst first. Reads heads, small files, and what a receipt names."""
    files = [*check_safetensors(contents), *_check_ggufs(contents)]
    found = [*files, *_check_presence(contents)]
    if not any(finding.blocks for finding in found):
        found += _check_model(contents)
    found += [*_check_receipts(contents), *check_pickles(contents), *check_secrets(contents)]
    return sorted(found, key=lambda finding: not finding.blocks)


def is_adapter(contents: Contents) -> bool:
    """Whether it is a PEFT folder: the change to a model, not a model."""
    return contents.file(ADAPTER_CONFIG) is not None and contents.file("config.json") is None


def wholes_of(contents: Contents) -> list[PublishedFile]:
    """The GGUF files; of one in several parts the first."""
    files = contents.named(".gguf")
    return [file for file in files if (m := SPLIT.fullmatch(file.path.name)) is None or int(m["number"]) == 1]


def _check_presence(contents: Contents) -> Iterator[Finding]:
    if is_adapter(contents):
        if contents.file(ADAPTER_WEIGHTS) is None:
            yield Finding("", f"{ADAPTER_CONFIG} is there, but no {ADAPTER_WEIGHTS}; copy or download that too")
        return
    weights = [file for file in contents.named(".safetensors") if "/" not in file.name]
    if not weights and not contents.named(".gguf"):
        other = next(iter(contents.named(".bin", ".pt", ".pth")), None)
        hint = f"{other.name} is a pickle, which Sansi neither opens nor publishes" if other else "give a model folder"
        yield Finding("", f"there are no weights (*.safetensors, *.gguf); {hint}")
    if weights and contents.file("config.json") is None:
        yield Finding("config.json", "it is not there, and no program opens the weights without it")
    for file in contents.files:
        if file.size == 0 and file.name != "__init__.py":
            yield Finding(file.name, "it is empty; write it anew, or --exclude it")


def _check_ggufs(contents: Contents) -> Iterator[Finding]:
    """Heads and sizes of every GGUF file, and what those who open one miss in it."""
    here = {file.name for file in contents.files}
    for file in contents.named(".gguf"):
        folder = file.name.rpartition("/")[0]
        missing = [part for part in parts_of(file.path.name) if f"{folder}/{part}".lstrip("/") not in here]
        if missing:
            yield Finding(file.name, f"its part {missing[0]} is not there; copy or download it too")
    for file in wholes_of(contents):
        try:
            opened = GgufFile(file.path)
        except SansiError as error:
            yield Finding(file.name, _without(str(error), file.path))
            continue
        if opened.metadata.get("general.type", "model") != "model":
            continue
        if "tokenizer.ggml.tokens" not in opened.metadata:
            yield Finding(file.name, "it has no tokenizer, and programs open none beside it; write it anew")
        elif "tokenizer.chat_template" not in opened.metadata:
            yield Finding(file.name, "it has no chat template: programs will guess one", blocks=False)


def _check_model(contents: Contents) -> Iterator[Finding]:
    """What opens it: configuration, shapes of all weights, tokenizer, template."""
    if is_adapter(contents):
        return
    folder = contents.source
    if contents.file("config.json"):
        yield from _check_opens(folder)
        yield from _check_text(contents, folder)
    for file in wholes_of(contents):
        if contents.file("config.json") is None or "/" in file.name:
            yield from _check_opens(file.path, file.name)


def _check_opens(path: Path, name: str = "") -> Iterator[Finding]:
    from sansi.model.formats.source import open_source  # with torch: after what is found without

    try:
        open_source(path)
    except SansiError as error:
        yield Finding(name, f"Sansi cannot open it ({_without(str(error), path)})")


def _check_text(contents: Contents, folder: Path) -> Iterator[Finding]:
    from sansi.model.formats.folders import read_config

    try:
        tokenizer = Tokenizer.from_pretrained(folder)
        if tokenizer.vocab_size > (most := read_config(folder).vocab_size):
            yield Finding("tokenizer.json", f"it has {tokenizer.vocab_size:,} ids, and the model has {most:,} rows for "
                                            "them; they do not belong together")  # fmt: skip
    except SansiError as error:
        yield Finding("tokenizer.json", _without(str(error), folder))
        return
    if not (contents.file("chat_template.jinja") or contents.file("chat_template.json") or _template_in(folder)):
        yield Finding("", "there is no chat template: nobody can chat with it as it was trained to", blocks=False)
        return
    try:
        open_codec(folder).render(_QUESTION)
    except SansiError as error:
        yield Finding("", f"its chat template does not write a plain question ({_without(str(error), folder)})")


def _template_in(folder: Path) -> bool:
    try:
        return bool(read_json(folder / "tokenizer_config.json").get("chat_template"))
    except (SansiError, AttributeError):
        return False


def _check_receipts(contents: Contents) -> Iterator[Finding]:
    """The files against the digests that their export noted."""
    for file in receipt_files(contents):
        try:
            receipt = Receipt.from_dict(read_json(file.path))
        except SansiError as error:
            yield Finding(file.name, _without(str(error), file.path))
            continue
        for name, entry in receipt.files.items():
            listed = contents.file(name)
            if listed is None:
                yield Finding(file.name, f"it names {name}, which is not there; export the model anew")
            elif listed.size != entry.get("bytes") or file_sha256(listed.path) != entry.get("sha256"):
                yield Finding(name, f"it changed since {file.name} was written; export the model anew")


def receipt_files(contents: Contents) -> list[PublishedFile]:
    """The receipts of exports: of the folder, and of GGUF files."""
    names = [file for file in contents.files if "/" not in file.name]
    return [file for file in names if file.name == RECEIPT_FILE or file.name.endswith(".receipt.json")]


def receipts_of(contents: Contents) -> list[Receipt]:
    """Those that can be read; what is wrong with the others, the check tells."""
    found = []
    for file in receipt_files(contents):
        with contextlib.suppress(SansiError):
            found.append(Receipt.from_dict(read_json(file.path)))
    return found


def _without(message: str, path: Path) -> str:
    """A message without the path that it begins with: the finding names the file."""
    return message.removeprefix(f"{path}: ").removeprefix(f"{path} ")
