"""`codec.json`: which codec (vocabulary and template) the tokenizer files of a folder are, as a hash of its content."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from sansi.base.files import write_json

CODEC_FILE = "codec.json"
GENERATION_CONFIG = "generation_config.json"
"""How a model is sampled from and which ids end a turn; of a model folder, like the files of its tokenizer."""
TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json"),
    *("merges.txt", "*.tiktoken", "tokenizer.model", "chat_template.jinja", "chat_template.json"),
    "additional_chat_templates/*.jinja",
)


def write_codec_file(folder: Path, codec_hash: str) -> None:
    """Note the hash beside the files that are there now."""
    write_json(folder / CODEC_FILE, {"hash": codec_hash, "files": _digests(folder)})


def recorded_codec_hash(folder: Path) -> str | None:
    """The hash that was noted; None if none was, or if a file that it speaks of was changed, added or removed since."""
    try:
        record = json.loads((folder / CODEC_FILE).read_text(encoding="utf-8"))
        return str(record["hash"]) if record["files"] == _digests(folder) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _digests(folder: Path) -> dict[str, str]:
    found = {path for pattern in TOKENIZER_FILES for path in folder.glob(pattern) if path.is_file()}
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(found)}
