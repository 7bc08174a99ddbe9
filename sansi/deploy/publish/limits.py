"""What the hubs take: sizes and numbers of files, as their documentation and their clients state them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sansi.base.sizes import size_text
from sansi.base.words import count
from sansi.deploy.publish.contents import PublishedFile
from sansi.deploy.publish.finding import Finding

GB, GIB = 10**9, 2**30


@dataclass(frozen=True)
class Limits:
    """Of one hub."""

    title: str
    file_bytes: int | None
    """Of one file; None: the hub states none."""
    files: int
    """Of a repository."""
    files_in_folder: int
    advised_bytes: int | None = None
    """Of one file, beyond which the hub advises against it."""
    few: str = ""
    """What becomes of more files than `files`."""


LIMITS: Mapping[str, Limits] = {
    "huggingface": Limits("Hugging Face", 200 * GB, 100_000, 10_000, advised_bytes=50 * GB),
    "modelscope": Limits("ModelScope", 100 * GIB, 100_000, 50_000),
    "kaggle": Limits("Kaggle", None, 50, 50, few="its client would pack them all into one archive.zip"),
}


def check_limits(files: tuple[PublishedFile, ...], hub: str) -> Iterator[Finding]:
    """What is too large or too many for a hub."""
    limits = LIMITS[hub]
    for file in files:
        if limits.file_bytes and file.size > limits.file_bytes:
            told = f"{size_text(file.size)}, and {limits.title} takes files up to {size_text(limits.file_bytes)}"
            yield Finding(file.name, f"{told}; write the model in shards (sansi.model.save(…, shard_bytes=…))")
        elif limits.advised_bytes and file.size > limits.advised_bytes:
            told = f"{size_text(file.size)}: {limits.title} advises files below {size_text(limits.advised_bytes)}"
            yield Finding(file.name, told, blocks=False)
    if len(files) > limits.files:
        told = f"{count(len(files), 'file')}, and {limits.title} takes {limits.files:,}"
        yield Finding("", f"{told}{f' ({limits.few})' if limits.few else ''}; --exclude some")
    for folder, number in Counter(file.name.rpartition("/")[0] for file in files).items():
        if number > limits.files_in_folder and len(files) <= limits.files:
            told = f"{count(number, 'file')} in one folder, and {limits.title} takes {limits.files_in_folder:,}"
            yield Finding(folder, f"{told}; --exclude some")
