"""Byte-level BPE: train it, load it, save it, and encode text so that no text ever becomes a control token."""

from __future__ import annotations

import base64
import binascii
import codecs
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import cycle, groupby, pairwise
from pathlib import Path
from typing import Any, Literal

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from sansi.base.errors import SansiError
from sansi.base.files import as_path, json_text, mark, read_json, write_bytes
from sansi.base.splits import PATTERN, SPLITS
from sansi.text.template import CHAT_TEMPLATE

# The tokens that follow the 151,643 ranks of the published vocabulary, in the order of their ids.
QWEN3_ADDED_TOKENS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|vision_pad|>", "<|image_pad|>", "<|video_pad|>", "<tool_call>", "</tool_call>", "<|fim_prefix|>"),
    *("<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<tool_response>"),
    *("</tool_response>", "<think>", "</think>"),
)


@dataclass(frozen=True)
class ControlTokens:
    """Ids of the tokens that only a renderer or a model may write. Field order is id order in a trained tokenizer."""

    endoftext: int
    im_start: int
    im_end: int
    tool_call: int
    tool_call_end: int
    tool_response: int
    tool_response_end: int
    think: int
    think_end: int


CONTROL_TEXT = {
    "endoftext": "<|endoftext|>",
    "im_start": "<|im_start|>",
    "im_end": "<|im_end|>",
    "tool_call": "<tool_call>",
    "tool_call_end": "</tool_call>",
    "tool_response": "<tool_response>",
    "tool_response_end": "</tool_response>",
    "think": "<think>",
    "think_end": "</think>",
}
assert tuple(CONTROL_TEXT) == tuple(f.name for f in fields(ControlTokens))

REPLACEMENT = "\ufffd".encode()
MOST_COMPOSED = 3  # times fewer bytes that a text may have once it is normalised
SLICE = 2**14  # characters of a text that is counted piece by piece


class Tokenizer:
    """Text to ids and back. Make one with `train`, `from_pretrained` or `from_tiktoken`."""

    def __init__(self, plain: tokenizers.Tokenizer, added: Sequence[dict[str, Any]]):
        # `plain` holds no added token, so the library itself cannot turn a user's "<|im_end|>" into a control id.
        self._plain = plain
        self._added = list(added)

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, *, split: Literal["qwen", "marks"] = "qwen") -> Tokenizer:
        """Train on `texts`; at most `vocab_size` ids, the 256 bytes and the control tokens (last ids) included.

        `split`: where words end. "qwen" as the published tokenizers have it, for tokenizers that are to work like them;
        "marks" keeps combining marks in words: 10 to 30% fewer tokens in Indic scripts and Burmese, the same elsewhere.
        Raises SansiError that names a text which is none, or holds half of a surrogate pair.
        """
        smallest = 256 + len(CONTROL_TEXT)
        if vocab_size < smallest:
            raise SansiError(
                f"vocab_size is {vocab_size}; bytes and control tokens take {smallest}", param="vocab_size"
            )
        if split not in SPLITS:
            raise SansiError(f'"split" is {split!r}; it must be one of {", ".join(SPLITS)}', param="split")
        plain = _assemble(models.BPE(), SPLITS[split])
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size - len(CONTROL_TEXT),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        plain.train_from_iterator(_whole_texts(texts), trainer)
        return cls(plain, _added_tokens(CONTROL_TEXT.values(), first_id=plain.get_vocab_size()))

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Tokenizer:
        """Load `folder`/tokenizer.json (or the file itself). Raises SansiError if it is missing or damaged."""
        path = as_path(folder, "a tokenizer")
        file = path if path.suffix == ".json" else path / "tokenizer.json"
        data = read_json(file)
        try:
            added = [{**token, "id": int(token["id"])} for token in data.get("added_tokens") or []]
            plain = tokenizers.Tokenizer.from_str(json.dumps(_without_added(data, {t["content"] for t in added})))
            plain.no_truncation()
            plain.no_padding()
            _check_added(plain, added)
            return cls(plain, added)
        except Exception as error:  # the library raises bare Exception for a wrong file
            raise SansiError(f"{file}: not a tokenizer ({error}); copy or download it again") from error

    @classmethod
    def from_tiktoken(cls, path: str | Path, added: Sequence[str] = QWEN3_ADDED_TOKENS) -> Tokenizer:
        """Load a rank file (one base64 token and its rank a line); `added` tokens get the ids after the ranks.

        Gives the same ids as the tokenizer.json of the same vocabulary, and `save` writes that file.
        Raises SansiError if the file is missing, or damaged: with the number of the line where that shows.
        """
        ranks = _read_ranks(Path(path))
        letter = {byte: char for char, byte in _BYTE_OF.items()}
        spell = {token: "".join(letter[b] for b in token) for token in ranks}
        merges = []
        for token in sorted(ranks, key=ranks.__getitem__):
            if len(token) > 1:
                pair = _last_merge(token, ranks)
                if pair is None:
                    raise SansiError(f"{path}: rank {ranks[token]} ({token!r}) is not a merge of two lower ranks")
                merges.append((spell[pair[0]], spell[pair[1]]))
        plain = _assemble(models.BPE(vocab={spell[token]: rank for token, rank in ranks.items()}, merges=merges))
        return cls(plain, _added_tokens(added, first_id=len(ranks)))

    def save(self, folder: str | Path) -> None:
        """Write tokenizer.json and tokenizer_config.json (with the chat template) into `folder`."""
        folder, files = as_path(folder), self.files()
        for name, content in files.items():
            write_bytes(folder / name, content)
        mark(folder, files)

    def files(self) -> dict[str, bytes]:
        """What `save` writes, by name."""
        data = json.loads(self._plain.to_str())
        data["added_tokens"] = self._added
        if "merges" in data["model"]:  # the library gives an added token the id that it has among the pieces, if any
            last = max(data["model"]["vocab"].values())
            data["model"]["vocab"] |= {token["content"]: token["id"] for token in self._added if token["id"] <= last}
        return {
            "tokenizer.json": (json.dumps(data, ensure_ascii=False, indent=1) + "\n").encode(),
            "tokenizer_config.json": json_text(self._config()).encode(),
        }

    @cached_property
    def hash(self) -> str:
        """sha256 of what decides which ids a text becomes, whatever file it was loaded from."""
        data = json.loads(self._plain.to_str())
        parts = {key: data.get(key) for key in ("model", "normalizer", "pre_tokenizer")}
        added = sorted((token["id"], token["content"]) for token in self._added)
        return hashlib.sha256(json.dumps([parts, added], sort_keys=True).encode()).hexdigest()

    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": False,
            "model_max_length": 131072,
            "added_tokens_decoder": {str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in self._added},
        }
        if self.has_control:
            ends = {"eos_token": CONTROL_TEXT["im_end"], "pad_token": CONTROL_TEXT["endoftext"]}
            config |= {**ends, "chat_template": CHAT_TEMPLATE}
        return config

    def encode(self, text: str) -> list[int]:
        """Ids of plain text. "<|im_end|>" and its like in `text` are ordinary characters here."""
        try:
            if len(text) > SLICE:  # a batch is encoded without the interpreter's lock
                return self._plain.encode_batch_fast([text], add_special_tokens=False)[0].ids
            return self._plain.encode(text, add_special_tokens=False).ids
        except (UnicodeEncodeError, TypeError) as error:
            raise _bad_text(text) from error

    def split_added(self, text: str) -> list[str | int]:
        """The text between the added tokens that it spells, and their ids in its place, as the published tokenizers do.

        Where two begin at one place, the longer is read.
        """
        parts = self._added_split.split(text) if self._added else [text]
        return [self.added[part] if odd else part for part, odd in zip(parts, cycle((False, True))) if part]

    def encode_parts(self, parts: Sequence[str | int]) -> list[int]:
        """Ids of texts, each on its own, and of tokens between them."""
        texts = [part for part in parts if isinstance(part, str)]
        small = sum(map(len, texts)) <= SLICE
        encoded = iter(list(map(self.encode, texts)) if small else self.encode_batch(texts))
        return [id_ for part in parts for id_ in ((part,) if isinstance(part, int) else next(encoded))]

    @cached_property
    def _added_split(self) -> re.Pattern[str]:
        return re.compile("(" + "|".join(map(re.escape, sorted(self.added, key=len, reverse=True))) + ")")

    def fewest_ids(self, text: str, enough: int) -> int:
        """A lower bound on the length of `encode(text)`, which is not read much further than to `enough` ids.

        A text that is not much longer than `enough` ids can be is not read at all. Needs no lock of the interpreter.
        """
        most = self._longest
        if len(text) <= max(SLICE, 8 * enough):
            return 0
        count = len(text.encode("utf-8", "surrogatepass")) // (MOST_COMPOSED * most)
        if count >= enough:
            return count
        count = 0
        for at in range(0, len(text), SLICE):
            part = self._plain.encode_batch_fast([text[at : at + SLICE]], add_special_tokens=False)[0]
            count += max(0, len(part) - most)  # the cut may have split a token, at the worst into its bytes
            if count >= enough:
                break
        return count

    @cached_property
    def _longest(self) -> int:
        """Bytes of the longest piece that one id of a text stands for."""
        return max(len(_piece_bytes(piece)) for piece in self._plain.get_vocab(with_added_tokens=False))

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` for many texts, on all cores."""
        try:
            return [one.ids for one in self._plain.encode_batch_fast(list(texts), add_special_tokens=False)]
        except (UnicodeEncodeError, TypeError):
            return [self.encode(text) for text in texts]  # finds the text at fault, and says what is wrong with it

    def decode(self, ids: Iterable[int]) -> str:
        """Text of `ids`, control tokens spelled out; bytes that are not UTF-8 and unknown ids become U+FFFD."""
        if not self.byte_level:
            return self._decode_pieces(list(ids))
        return self.decode_bytes(ids).decode("utf-8", "replace")

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes that `ids` spell, which may begin or end inside a character (byte-level vocabularies only)."""
        table = self._bytes
        ids = list(ids)
        if ids and min(ids) >= 0 and max(ids) < len(table):
            return b"".join([table[token] for token in ids])
        return b"".join(map(self.token_bytes, ids))

    def stream_decoder(self) -> StreamDecoder:
        """A decoder for ids that come a few at a time."""
        return StreamDecoder(self)

    def token_bytes(self, token: int) -> bytes:
        """The bytes that one id stands for (byte-level vocabularies only)."""
        return self._bytes[token] if 0 <= token < len(self._bytes) else REPLACEMENT

    def _decode_pieces(self, ids: list[int]) -> str:
        """The library's own decoder for the runs between added tokens, which `plain` does not know."""
        names = {token["id"]: token["content"] for token in self._added}
        parts = []
        for is_added, group in groupby(ids, key=names.__contains__):
            run = list(group)
            parts.append("".join(names[token] for token in run) if is_added else self._plain.decode(run))
        return "".join(parts)

    @cached_property
    def byte_level(self) -> bool:
        """Whether every id stands for a fixed sequence of bytes; a codec needs that."""
        return "ByteLevel" in json.dumps(json.loads(self._plain.to_str()).get("decoder"))

    @cached_property
    def _bytes(self) -> list[bytes]:
        table = [REPLACEMENT] * self.vocab_size
        for piece, token in self._plain.get_vocab(with_added_tokens=False).items():
            table[token] = _piece_bytes(piece)
        for text, token in self.added.items():
            table[token] = text.encode()
        return table

    @cached_property
    def line_breaks(self) -> frozenset[int]:
        """Ids of one and of two line breaks, as far as each is a single id: what may frame the start of a thought."""
        return frozenset(ids[0] for count in (1, 2) if len(ids := self.encode("\n" * count)) == 1)

    @cached_property
    def vocab_size(self) -> int:
        """Number of ids, control tokens included (the largest id plus one)."""
        own = max(self._plain.get_vocab(with_added_tokens=False).values(), default=-1)
        return 1 + max([own, *(token["id"] for token in self._added)])

    @cached_property
    def added(self) -> dict[str, int]:
        """Text and id of every token that `encode` never returns."""
        return {token["content"]: token["id"] for token in self._added}

    @property
    def added_tokens(self) -> tuple[dict[str, Any], ...]:
        """The entries of tokenizer.json for the tokens that `encode` never returns."""
        return tuple(self._added)

    def library_copy(self) -> tokenizers.Tokenizer:
        """A tokenizer of the library that knows the ordinary pieces alone."""
        return tokenizers.Tokenizer.from_str(self._plain.to_str())

    @property
    def has_control(self) -> bool:
        return all(text in self.added for text in CONTROL_TEXT.values())

    @cached_property
    def control(self) -> ControlTokens:
        """Ids of the control tokens. Raises SansiError if this vocabulary lacks any."""
        missing = [text for text in CONTROL_TEXT.values() if text not in self.added]
        if missing:
            raise SansiError(
                f"this tokenizer has no {', '.join(missing)}, so it is not of Qwen3's design, which this needs"
            )
        return ControlTokens(**{name: self.added[text] for name, text in CONTROL_TEXT.items()})

    @property
    def end_of_text_id(self) -> int:
        """The separator of documents in pre-training."""
        return self.control.endoftext


class StreamDecoder:
    """Ids to text, a few at a time: the pieces join to `Tokenizer.decode` of all ids, however the ids are split.

    No piece ends inside a code point, so bytes of an emoji or of a Chinese character that are spread over several ids
    come out together. A mark or a joiner that belongs to the letter before it is a code point of its own and may come
    with the next piece. Raises SansiError for a vocabulary that is not byte-level.
    """

    def __init__(self, tokenizer: Tokenizer):
        if not tokenizer.byte_level:
            raise SansiError("only a byte-level tokenizer can decode a stream; this one decodes in another way")
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, ids: Iterable[int]) -> str:
        """The text that `ids` complete."""
        return self._utf8.decode(self._tokenizer.decode_bytes(ids))

    def finish(self) -> str:
        """U+FFFD if the stream ended inside a character, else ""."""
        return self._utf8.decode(b"", final=True)


def _without_added(data: dict[str, Any], added: set[str]) -> dict[str, Any]:
    """tokenizer.json as the library is to see it: no added tokens, and no merges that would spell one from plain text.

    Some files list added tokens among the ordinary pieces too, where text could reach them.
    """
    model = data["model"]
    hidden = (added & set(model["vocab"])) - {model.get("unk_token")} if "merges" in model else set()
    if hidden:
        vocab = {piece: token for piece, token in model["vocab"].items() if piece not in hidden}
        pairs = [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]]
        merges = [[left, right] for left, right in pairs if not {left, right, left + right} & hidden]
        model = {**model, "vocab": vocab, "merges": merges}
    return {**data, "model": model, "added_tokens": []}


def _check_added(plain: tokenizers.Tokenizer, added: Sequence[dict[str, Any]]) -> None:
    """Raises ValueError if one id stands for two things, which happens in files that were edited by hand."""
    pieces = {token: piece for piece, token in plain.get_vocab(with_added_tokens=False).items()}
    names: dict[int, str] = {}
    for token in added:
        text, number = token["content"], token["id"]
        other = names.setdefault(number, text)
        if number < 0 or other != text or pieces.get(number, text) != text:
            raise ValueError(f"id {number} of {text!r} is already that of {pieces.get(number, other)!r}")
    if len(set(names.values())) != len(added):
        raise ValueError("an added token stands twice")


def _assemble(model: models.BPE, pattern: str = PATTERN) -> tokenizers.Tokenizer:
    plain = tokenizers.Tokenizer(model)
    plain.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(tokenizers.Regex(pattern), behavior="isolated")
    plain.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    plain.decoder = decoders.ByteLevel()
    plain.post_processor = processors.ByteLevel(trim_offsets=False)
    return plain


def _added_tokens(texts: Iterable[str], first_id: int) -> list[dict[str, Any]]:
    """Entries of tokenizer.json. Those that transformers should hide when it skips special tokens are "special"."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return [
        {"id": first_id + i, "content": text, **flags, "special": text.startswith("<|")} for i, text in enumerate(texts)
    ]


def _byte_alphabet() -> dict[str, int]:
    """The printable letter that byte-level BPE writes for each byte: itself if visible, else the next from U+0100."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {chr(b): b for b in visible} | {chr(0x100 + i): b for i, b in enumerate(hidden)}


_BYTE_OF = _byte_alphabet()


def _piece_bytes(piece: str) -> bytes:
    if all(char in _BYTE_OF for char in piece):
        return bytes(_BYTE_OF[char] for char in piece)
    return piece.encode()  # a token that somebody put into the vocabulary as plain text


def _read_ranks(path: Path) -> dict[bytes, int]:
    if not path.is_file():
        raise SansiError(f"{path}: no such file")
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error) as error:
            raise SansiError(f"{path}, line {number}: expected a base64 token and its rank, found {line!r}") from error
    if sorted(ranks.values()) != list(range(len(ranks))):
        raise SansiError(f"{path}: the ranks are not 0 to {len(ranks) - 1}; the file is damaged, copy it again")
    if missing := [byte for byte in range(256) if bytes([byte]) not in ranks]:
        raise SansiError(f"{path}: no token for byte 0x{missing[0]:02x}; the file is damaged, copy it again")
    return ranks


def _last_merge(token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes] | None:
    """The pair whose merge makes `token`: merge its bytes in rank order until two parts are left."""
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        pairs = [ranks.get(a + b, len(ranks)) for a, b in pairwise(parts)]
        best = min(pairs)
        if best >= ranks[token]:
            return None
        at = pairs.index(best)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return (parts[0], parts[1]) if all(part in ranks for part in parts) else None


def _whole_texts(texts: Iterable[str]) -> Iterator[str]:
    """The texts, each looked at: the library would end with an error of its own."""
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        raise SansiError('"texts" is no list of texts; give one, such as [text]', param="texts")
    for number, text in enumerate(texts):
        try:
            text.encode()
        except (UnicodeEncodeError, AttributeError) as error:
            raise SansiError(f"text {number} to train on: {_bad_text(text)}", param="texts") from error
        yield text


def _bad_text(value: object) -> SansiError:
    if not isinstance(value, str):
        return SansiError(f"only text can be encoded, not {type(value).__name__}")
    at = next(i for i, char in enumerate(value) if 0xD800 <= ord(char) < 0xE000)
    return SansiError(f"character {at} of the text is half of a surrogate pair, which is not Unicode text; remove it")
