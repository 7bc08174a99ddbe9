"""The heads of *.safetensors files against their sizes, and the index against the shards; no weights are read.

Layout: eight bytes with the head's length, the head (JSON: dtype, shape and place of each tensor), the data.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sansi.base.strict_json import json_fault
from sansi.deploy.publish.contents import Contents, PublishedFile
from sansi.deploy.publish.finding import Finding
from sansi.model.formats.files import INDEX_FILE, QUANTIZED_FILE, SINGLE_FILE

AGAIN = "copy or download it again"
MOST_HEAD = 100_000_000  # bytes; the library that reads such files takes no longer head
BITS: Mapping[str, float] = {
    **{"BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8},
    **{"U16": 16, "I16": 16, "F16": 16, "BF16": 16, "U32": 32, "I32": 32, "F32": 32},
    **{"U64": 64, "I64": 64, "F64": 64, "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6},
}
"""Bits of a value by the name of its dtype."""


@dataclass(frozen=True)
class Head:
    """What a file says of itself."""

    tensors: Mapping[str, int]
    """Name -> bytes."""
    metadata: Mapping[str, str]


class DamagedFile(ValueError):
    """A file is not what it says; the message says why and what to do."""


def read_head(path: Path) -> Head:
    """The head of a file, once it fits the file's size. Raises DamagedFile."""
    size = path.stat().st_size
    values, start = _parsed(path, size)
    metadata = values.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise DamagedFile(f"its head has metadata that is no text; {AGAIN}")
    ends = sorted(_spans(values))
    reached = 0
    for first, last, name in ends:
        if first != reached:
            raise DamagedFile(f"its head places {name} at byte {first:,}, where {reached:,} is expected; {AGAIN}")
        reached = last
    if start + reached != size:
        cut = "is cut off" if start + reached > size else "has something after its last tensor"
        raise DamagedFile(f"{cut}: {size:,} bytes, and its head describes {start + reached:,}; {AGAIN}")
    return Head({name: last - first for first, last, name in ends}, metadata)


def _parsed(path: Path, size: int) -> tuple[dict[str, Any], int]:
    with path.open("rb") as file:
        beginning = file.read(8)
        if beginning.startswith(b"version "):
            raise DamagedFile("not the weights but git's note of where they are; run `git lfs pull` in the folder")
        length = int.from_bytes(beginning, "little")
        if len(beginning) < 8 or not 2 <= length <= min(size - 8, MOST_HEAD):
            raise DamagedFile(f"no whole safetensors file; {AGAIN}")
        try:
            values = json.loads(file.read(length))
        except (ValueError, RecursionError) as error:
            raise DamagedFile(f"its head is not valid JSON ({json_fault(error)}); {AGAIN}") from error
    if not isinstance(values, dict):
        raise DamagedFile(f"its head is no JSON object; {AGAIN}")
    return values, 8 + length


def _spans(values: Mapping[str, Any]) -> Iterator[tuple[int, int, str]]:
    for name, entry in values.items():
        try:
            dtype, shape, (first, last) = entry["dtype"], entry["shape"], entry["data_offsets"]
            bits = BITS[dtype] * math.prod(shape)
            if not all(type(number) is int and number >= 0 for number in (first, last, *shape)):
                raise TypeError("sizes that are no counts")
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedFile(f"its head describes {name} in a way that cannot be read; {AGAIN}") from error
        if first > last or 8 * (last - first) != bits:
            raise DamagedFile(f"its head gives {name} {last - first:,} bytes, which {dtype} {shape} is not; {AGAIN}")
        yield first, last, name


def check_safetensors(contents: Contents) -> Iterator[Finding]:
    """Every file by itself; of the model, the index against its shards."""
    heads: dict[str, Head] = {}
    for file in contents.named(".safetensors"):
        try:
            heads[file.name] = read_head(file.path)
        except DamagedFile as error:
            yield Finding(file.name, str(error))
    yield from _check_sets(contents, heads)


def _check_sets(contents: Contents, heads: Mapping[str, Head]) -> Iterator[Finding]:
    """One model in the folder: in one file, or in the shards of the index, and no others."""
    index = contents.file(INDEX_FILE)
    single = next((name for name in (SINGLE_FILE, QUANTIZED_FILE) if contents.file(name)), None)
    shards = [file.name for file in contents.named(".safetensors") if file.name.startswith("model-")]
    if single and (index or shards):
        other = INDEX_FILE if index else shards[0]
        yield Finding(single, f"{other} is there too: these are two saves, of which programs read different ones; "
                              "move one away")  # fmt: skip
    elif index:
        yield from _check_index(index, contents, heads)
    elif shards:
        yield Finding(shards[0], f"no {INDEX_FILE} names it, so no program reads it; copy or download that file too")


def _check_index(index: PublishedFile, contents: Contents, heads: Mapping[str, Head]) -> Iterator[Finding]:
    places, stated, fault = _read_index(index.path)
    if fault:
        yield Finding(index.name, fault)
        return
    files = set(places.values())
    for name in sorted(files):
        if contents.file(name) is None:
            yield Finding(index.name, f"it names {name}, which is not there; {AGAIN}, or write the index anew")
    for file in contents.named(".safetensors"):
        if file.name not in files and "/" not in file.name and not file.name.startswith("adapter"):
            yield Finding(file.name, f"{index.name} does not name it, and some programs load it all the same; "
                                     "move it away (or --exclude it)")  # fmt: skip
    if files <= heads.keys():
        yield from _check_places(index.name, places, stated, {name: heads[name] for name in files})


def _check_places(
    index: str, places: Mapping[str, str], stated: object, heads: Mapping[str, Head]
) -> Iterator[Finding]:
    found = {tensor: name for name, head in heads.items() for tensor in head.tensors}
    wrong = [tensor for tensor, name in places.items() if tensor not in heads[name].tensors]
    unnamed = sorted(found.keys() - places.keys())
    doubles = sum(len(head.tensors) for head in heads.values()) - len(found)
    if wrong:
        where = f"; it is in {found[wrong[0]]}" if wrong[0] in found else ""
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        told = f"it places {wrong[0]}{more} in {places[wrong[0]]}, where it is not{where}; write the index anew"
        yield Finding(index, told)
    if unnamed:
        yield Finding(index, f"it does not name {unnamed[0]} of {found[unnamed[0]]}; write the index anew")
    if doubles:
        yield Finding(index, f"{doubles} of its tensors stand in two shards; write the shards anew")
    total = sum(sum(head.tensors.values()) for head in heads.values())
    if isinstance(stated, int) and stated != total and not (wrong or unnamed or doubles):
        yield Finding(index, f"total_size says {stated:,} bytes, and the tensors have {total:,}", blocks=False)


def _read_index(path: Path) -> tuple[dict[str, str], object, str | None]:
    """Tensor -> file, the size that is stated, and what is wrong with the index."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        places, metadata = value["weight_map"], value.get("metadata") or {}
        if not places or not all(isinstance(name, str) and Path(name).name == name for name in places.values()):
            return {}, None, f"its weight_map names no files of this folder; {AGAIN}"
        return dict(places), metadata.get("total_size"), None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}, None, f'it has no "weight_map" that can be read; {AGAIN}'
