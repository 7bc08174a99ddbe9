"""The tokenizer in the metadata of a GGUF file, as tokenizer.json and tokenizer_config.json, and back. Needs no torch.

Byte-level BPE alone: `tokenizer.ggml.model` gpt2. How a text is cut before pairs are merged stands there as a name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sansi.base.errors import SansiError, did_you_mean
from sansi.base.shown import show
from sansi.base.splits import SPLITS
from sansi.model.bundle import json_object

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED = 1, 2, 3, 4, 5
LLAMA3 = SPLITS["qwen"].replace(r"|\p{N}|", r"|\p{N}{1,3}|")
_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}


def _split(pattern: str) -> dict[str, Any]:
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [split, {**_LEVEL, "use_regex": False}]}


_GPT2 = {**_LEVEL, "use_regex": True}
_DIGITS = {"type": "Digits", "individual_digits": True}
CUTS: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "qwen2": _split(SPLITS["qwen"]),
        "qwen35": _split(SPLITS["marks"]),
        "llama-bpe": _split(LLAMA3),
        "smollm": {"type": "Sequence", "pretokenizers": [_DIGITS, _GPT2]},
        "gpt-2": _GPT2,
    }
)
"""tokenizer.ggml.pre -> the pre_tokenizer of a tokenizer.json."""
SYNONYMS = MappingProxyType(
    {
        **dict.fromkeys(("deepseek-r1-qwen", "stablelm2", "hunyuan", "megrez"), "qwen2"),
        **dict.fromkeys(("llama3", "llama-v3", "falcon3", "dbrx", "smaug-bpe"), "llama-bpe"),
        **dict.fromkeys(("starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"), "smollm"),
        **dict.fromkeys(("phi-2", "mpt", "olmo", "jina-en", "roberta-bpe"), "gpt-2"),
    }
)
_NAMED = {"bos_token": "bos", "eos_token": "eos", "pad_token": "padding", "unk_token": "unknown"}
"""Entries of a tokenizer_config.json, and tokenizer.ggml.*_token_id."""
_NORMALISED = ("qwen2", "qwen35")
"""Whose texts are composed (NFC) first."""
_WHOLE_WORDS = ("llama-bpe",)
"""Whose words that are tokens are taken whole, whatever the merges would make of them."""
ENDS = (*(f"<|{name}|>" for name in ("im_end", "endoftext", "eot_id", "end_of_text", "eom_id", "end")), "</s>")
"""Control tokens that end a turn in whatever model has them."""


def tokenizer_files(metadata: Mapping[str, Any], where: str) -> dict[str, Any]:
    """tokenizer.json and tokenizer_config.json, as values by name; none of a file without a tokenizer.

    Raises SansiError for a tokenizer that is not byte-level BPE, and for a cut that is not known.
    """
    tokens = metadata.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, list) or metadata.get("tokenizer.ggml.model") in ("none", "no_vocab", None):
        return {}
    cut = _cut_of(metadata, where)
    types = metadata.get("tokenizer.ggml.token_type", [NORMAL] * len(tokens))
    merges = metadata.get("tokenizer.ggml.merges")
    if not isinstance(merges, list) or not isinstance(types, list) or len(types) != len(tokens):
        raise SansiError(
            f"{where}: its tokenizer has no merges, or not a type for every token; convert the model again"
        )
    added = [_added(i, text, kind) for i, (text, kind) in enumerate(zip(tokens, types, strict=True)) if _is_added(kind)]
    ordinary = {text: i for i, (text, kind) in enumerate(zip(tokens, types, strict=True)) if kind in (NORMAL, 6)}
    last = max(ordinary.values(), default=-1)
    vocab = ordinary | {token["content"]: token["id"] for token in added if token["id"] < last}
    model = {
        "type": "BPE",
        **dict.fromkeys(("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix")),
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": cut in _WHOLE_WORDS,
        "vocab": vocab,
        "merges": [_pair(merge, where) for merge in merges],
    }
    whole = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "NFC"} if cut in _NORMALISED else None,
        "pre_tokenizer": CUTS[cut],
        "post_processor": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": model,
    }
    return {"tokenizer.json": whole, "tokenizer_config.json": _config(metadata, tokens, added)}


def stop_ids(metadata: Mapping[str, Any]) -> list[int]:
    """The ids that end a turn, the file's own first."""
    tokens = metadata.get("tokenizer.ggml.tokens") or []
    types = metadata.get("tokenizer.ggml.token_type") or []
    own = [metadata.get(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot", "eom")]
    known = [i for i, text in enumerate(tokens) if text in ENDS and types[i : i + 1] != [NORMAL]]
    return list(dict.fromkeys(i for i in (*own, *known) if type(i) is int and 0 <= i < len(tokens)))


def _cut_of(metadata: Mapping[str, Any], where: str) -> str:
    model, name = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre")
    if model != "gpt2":
        known = "byte-level BPE (gpt2) is what is read here"
        raise SansiError(f'{where}: "tokenizer.ggml.model" is {show(model)}; {known}: take the model as a folder')
    cut = SYNONYMS.get(name, name) if isinstance(name, str) else None
    if cut is None or cut not in CUTS:
        told = show(name) if name is not None else "missing, so its texts would be cut in another way than it learned"
        hint = did_you_mean(name, [*CUTS, *SYNONYMS]) if isinstance(name, str) else ""
        raise SansiError(f'{where}: "tokenizer.ggml.pre" is {told}{hint}; take a newer file, or the model as a folder')
    return cut


def _pair(merge: str, where: str) -> list[str]:
    left, space, right = merge.partition(" ")
    if not (left and space and right):
        raise SansiError(f"{where}: {show(merge)} is no merge of two pieces; convert the model again")
    return [left, right]


def _is_added(kind: int) -> bool:
    return kind in (UNKNOWN, CONTROL, USER_DEFINED)


def _added(number: int, text: str, kind: int) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": number, "content": text, **flags, "special": kind != USER_DEFINED}


def _config(metadata: Mapping[str, Any], tokens: Sequence[str], added: Sequence[dict[str, Any]]) -> dict[str, Any]:
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "added_tokens_decoder": {str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in added},
    }
    for ours, name in _NAMED.items():
        number = metadata.get(f"tokenizer.ggml.{name}_token_id")
        if type(number) is int and 0 <= number < len(tokens):
            config[ours] = tokens[number]
    named = {n: metadata.get(f"tokenizer.chat_template.{n}") for n in metadata.get("tokenizer.chat_templates", [])}
    named = {"default": metadata.get("tokenizer.chat_template"), **named}
    templates = {name: text for name, text in named.items() if isinstance(text, str)}
    if list(templates) == ["default"]:
        config["chat_template"] = templates["default"]
    elif templates:
        config["chat_template"] = [{"name": name, "template": text} for name, text in templates.items()]
    return config


# ---- and back --------------------------------------------------------------------------------------------------------


def tokenizer_metadata(files: Mapping[str, bytes], vocab_size: int) -> dict[str, Any]:
    """The metadata for a tokenizer.json and a tokenizer_config.json; {} where there is no tokenizer.json.

    vocab_size: rows of the embedding; ids that no token has are filled. Raises SansiError for a tokenizer that other
    programs could not be told of.
    """
    if "tokenizer.json" not in files:
        return {}
    data, config = json_object(files, "tokenizer.json"), json_object(files, "tokenizer_config.json")
    cut = _name_of_cut(data)
    vocab = dict(data["model"]["vocab"])
    added = {token["content"]: token for token in data.get("added_tokens") or []}
    size = max(vocab_size, 1 + max([*vocab.values(), *(t["id"] for t in added.values())]))
    tokens, types = [f"[PAD{i}]" for i in range(size)], [UNUSED] * size
    for text, number in vocab.items():
        tokens[number], types[number] = text, NORMAL
    for text, token in added.items():
        tokens[token["id"]], types[token["id"]] = text, _type_of(token)
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in data["model"]["merges"]]
    values: dict[str, Any] = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": cut,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.add_bos_token": config.get("add_bos_token") is True,
    }
    for ours, name in _NAMED.items():
        text = config.get(ours)
        text = text.get("content") if isinstance(text, dict) else text
        number = added[text]["id"] if text in added else vocab.get(text)
        if number is not None:
            values[f"tokenizer.ggml.{name}_token_id"] = number
    return values | _templates(files, config)


def _type_of(token: Mapping[str, Any]) -> int:
    """As other programs sort them: what looks like markup is control, whether it is called special or not."""
    text = token["content"]
    return CONTROL if token.get("special") or (text.startswith("<|") and text.endswith("|>")) else USER_DEFINED


def _name_of_cut(data: Mapping[str, Any]) -> str:
    if data.get("model", {}).get("type") != "BPE" or "merges" not in data["model"]:
        kind = show(data.get("model", {}).get("type"))
        raise SansiError(f"tokenizer.json holds a model of the type {kind}; a GGUF file takes byte-level BPE from here")
    given = _plain_cut(data.get("pre_tokenizer"))
    for name, cut in CUTS.items():
        if _plain_cut(cut) == given:
            return name
    raise SansiError(
        "tokenizer.json cuts texts in a way that no GGUF program has a name for, so they would be read wrongly there: "
        f"{json.dumps(data.get('pre_tokenizer'))[:200]}; keep the model as a folder"
    )


def _plain_cut(cut: Any) -> Any:
    """A pre_tokenizer less what changes no id."""
    if isinstance(cut, dict):
        kept = {key: _plain_cut(value) for key, value in cut.items() if key not in ("trim_offsets", "invert")}
        return kept["pretokenizers"][0] if len(kept.get("pretokenizers", ())) == 1 else kept
    if isinstance(cut, list):
        return [_plain_cut(value) for value in cut]
    return cut


def _templates(files: Mapping[str, bytes], config: Mapping[str, Any]) -> dict[str, Any]:
    template: Any = config.get("chat_template")
    if "chat_template.json" in files:
        template = json_object(files, "chat_template.json").get("chat_template", template)
    if "chat_template.jinja" in files:
        template = files["chat_template.jinja"].decode("utf-8")
    if isinstance(template, str):
        return {"tokenizer.chat_template": template}
    named = {t["name"]: t["template"] for t in template} if isinstance(template, list) else {}
    values = {"tokenizer.chat_template": named["default"]} if "default" in named else {}
    others = {name: text for name, text in named.items() if name != "default"}
    values |= {f"tokenizer.chat_template.{name}": text for name, text in others.items()}
    return values | ({"tokenizer.chat_templates": list(others)} if others else {})
