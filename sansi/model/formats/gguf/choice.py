"""Which GGUF file is meant where there are several, and what they are called. Needs no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from sansi.base.errors import SansiError, nearest
from sansi.model.formats.gguf.file import SPLIT, split_names

_LABEL = re.compile(
    r"(?:^|[-_.])(?P<label>(?:UD-)?(?:I?Q\d+(?:_\w+)*|T?MXFP4\w*|BF16|F16|F32|FP16|FP32))$", re.IGNORECASE
)
_NO_MODELS = re.compile(r"mmproj|imatrix|ggml-vocab|\blora\b", re.IGNORECASE)


def wholes(names: Iterable[str]) -> list[str]:
    """The GGUF files among `names` that hold language models; of one in several parts the first part."""
    found = [name for name in names if name.lower().endswith(".gguf") and not _NO_MODELS.search(name)]
    return sorted(name for name in found if (m := SPLIT.fullmatch(name)) is None or int(m["number"]) == 1)


def parts_of(name: str) -> list[str]:
    """The names of all parts of a file."""
    match = SPLIT.fullmatch(name)
    return split_names(match["stem"], int(match["count"])) if match else [name]


def label_of(name: str) -> str:
    """ "Q4_K_M" of "Qwen3-8B-Q4_K_M.gguf"; its stem where a name says nothing of the kind."""
    stem = stem_of(name)
    found = _LABEL.search(stem)
    return found["label"].upper() if found else stem


def stem_of(name: str) -> str:
    """The name of a model by its file's: without ending and number of a part."""
    plain = name.rpartition("/")[2]
    match = SPLIT.fullmatch(plain)
    return match["stem"] if match else plain.removesuffix(".gguf").removesuffix(".GGUF")


def choose(names: Sequence[str], label: str | None, where: str) -> str:
    """The file of `names` that a label means, or the only one. Raises SansiError that says which there are."""
    if label is None and len(names) == 1:
        return names[0]
    kinds = [label_of(name) for name in names]
    labels = {kind if kinds.count(kind) == 1 else stem_of(name): name for kind, name in zip(kinds, names, strict=True)}
    for known, name in labels.items():
        if label is not None and label.upper() in (known.upper(), name.upper(), f"{known}.gguf".upper()):
            return name
    listed = ", ".join(sorted(labels))
    if label is None:
        chosen = min(labels, key=lambda known: (known != "Q4_K_M", known))
        raise SansiError(f"{where} holds {len(names)} GGUF files ({listed}); say which, e.g. {where}:{chosen}")
    near = nearest(label, labels)
    hint = f'; did you mean "{near}"?' if near else ""
    raise SansiError(f'{where} has no GGUF file "{label}"{hint}; there are: {listed}')
