"""The tokenizer over HTTP, in vLLM's shapes; `content` is llama-server's name for a text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sansi.base.errors import SansiError
from sansi.chat import ChatModel
from sansi.serve.api.computation import Computation
from sansi.serve.api.fields import Field, Reading, array, integer, only, read_fields
from sansi.serve.api.openai_chat import FIELDS as CHAT_FIELDS
from sansi.serve.api.openai_chat import parse_chat_request
from sansi.serve.api.openai_fields import BOOLEAN, STRING, hint
from sansi.serve.api.requests import LAX, ChatRequest, Policy
from sansi.serve.api.schemas import COUNT, IDS, TEXT, list_of, object_of, or_null
from sansi.text import ChatCodec

MAX_IDS = 2**21

# --- a text, or a conversation, as ids -------------------------------------------------------------------------------

_OF_CHAT = ("messages", "tools", "chat_template_kwargs", "enable_thinking", "continue_final_message", "continue_final")
_TOKENIZE: dict[str, Field] = {
    "model": Field(STRING, "The name of a served model; the first by default."),
    "prompt": Field(STRING, "A text; control tokens that it spells are read as such unless parse_special is false."),
    "content": Field(STRING, "As prompt."),
    "parse_special": Field(BOOLEAN, "false: control tokens that the text spells are characters."),
    "add_special_tokens": Field(BOOLEAN, "Changes nothing: there are none that begin or end a text.", "silent"),
    "add_special": Field(BOOLEAN, "Changes nothing: there are none that begin or end a text.", "silent"),
    "return_token_strs": Field(BOOLEAN, "Tell the text of each token too."),
    "with_pieces": Field(BOOLEAN, "As return_token_strs."),
    **{name: CHAT_FIELDS[name] for name in (*_OF_CHAT, "history", "soft_switch")},
    "add_generation_prompt": Field(BOOLEAN, "false: the conversation alone, without what opens the answer."),
    "mm_processor_kwargs": hint("only text can be read"),
    "chat_template": Field(only(instead="a request's template is never executed"), "Not supported.", "refused"),
}


@dataclass(frozen=True)
class _Tokenize:
    model: str | None
    text: str | None
    """None: `chat` is asked for."""
    parse_special: bool
    with_texts: bool
    chat: ChatRequest | None = None
    opens_answer: bool = True


def parse_tokenize(body: Mapping[str, Any], policy: Policy = LAX) -> _Tokenize:
    values = read_fields(body, _TOKENIZE, (), Reading(policy.strict))
    texts = [values[name] for name in ("prompt", "content") if name in values]
    if len(texts) + ("messages" in values) != 1:
        reason = 'give a "prompt", or "messages"; one of them'
        raise SansiError(reason, param="prompt")
    chat = None
    opens = values.get("add_generation_prompt", True)
    if not texts:
        fields = {name: body[name] for name in (*_OF_CHAT, "history", "soft_switch") if name in body}
        chat = parse_chat_request({"model": values.get("model", ""), **fields}, policy)
    return _Tokenize(
        model=values.get("model"),
        text=texts[0] if texts else None,
        parse_special=values.get("parse_special", True),
        with_texts=values.get("return_token_strs") or values.get("with_pieces") or False,
        chat=chat,
        opens_answer=opens and chat is not None and chat.options.continue_final is None,
    )


def codec_of(chat: ChatModel) -> ChatCodec:
    """Raises SansiError where the model is elsewhere, and its tokenizer with it."""
    codec = getattr(chat, "codec", None)
    if codec is None:
        raise SansiError(f'the tokenizer of the model "{chat.name}" is not known here', param="model")
    return codec


def tokenize(chat: ChatModel, asked: _Tokenize) -> dict[str, Any]:
    codec_of(chat)
    if asked.chat is None:
        ids = chat.ids_of(asked.text or "", asked.parse_special)
    else:
        ids = ids_of(chat, asked.chat, asked.opens_answer)
    texts = [chat.token_bytes(id_).decode("utf-8", "replace") for id_ in ids] if asked.with_texts else None
    return {"count": len(ids), "max_model_len": chat.context_length, "tokens": ids, "token_strs": texts}


def ids_of(chat: ChatModel, asked: ChatRequest, opens_answer: bool = True) -> list[int]:
    """The ids of a request's prompt; errors are by the names of the request."""
    codec_of(chat)
    try:
        return chat.prompt_ids(asked.messages, asked.options, opens_answer)
    except SansiError as error:
        raise asked.named(error) from error


TOKENIZE = Computation(
    "tokenize",
    "/tokenize",
    _TOKENIZE,
    (),
    parse_tokenize,
    tokenize,
    object_of({"count": COUNT, "max_model_len": COUNT, "tokens": IDS, "token_strs": or_null(list_of(TEXT))}),
)

# --- and back --------------------------------------------------------------------------------------------------------

_DETOKENIZE: dict[str, Field] = {
    "model": _TOKENIZE["model"],
    "tokens": Field(array(integer(0), 0, MAX_IDS), "Ids."),
}


@dataclass(frozen=True)
class _Detokenize:
    model: str | None
    ids: list[int]


def parse_detokenize(body: Mapping[str, Any], policy: Policy = LAX) -> _Detokenize:
    values = read_fields(body, _DETOKENIZE, ("tokens",), Reading(policy.strict))
    return _Detokenize(values.get("model"), values["tokens"])


def detokenize(chat: ChatModel, asked: _Detokenize) -> dict[str, Any]:
    size = codec_of(chat).vocab_size
    if wrong := [(i, id_) for i, id_ in enumerate(asked.ids) if id_ >= size]:
        (place, id_) = wrong[0]
        reason = f"tokens[{place}] is {id_}, but the vocabulary has {size} ids, from 0 on"
        raise SansiError(reason, param=f"tokens[{place}]")
    text = chat.text_of(asked.ids)
    return {"prompt": text, "content": text}


DETOKENIZE = Computation(
    "detokenize",
    "/detokenize",
    _DETOKENIZE,
    ("tokens",),
    parse_detokenize,
    detokenize,
    object_of({"prompt": TEXT, "content": TEXT}),
)

# --- what it is ------------------------------------------------------------------------------------------------------

TOKENIZER_INFO = object_of(
    {
        "model": TEXT,
        "tokenizer_class": TEXT,
        "vocab_size": COUNT,
        "model_max_length": COUNT,
        "bos_token": or_null(TEXT),
        "eos_token": TEXT,
        "pad_token": TEXT,
        "unk_token": or_null(TEXT),
        "eos_token_ids": IDS,
        "additional_special_tokens": list_of(TEXT),
        "chat_template": TEXT,
    }
)


def tokenizer_info(chat: ChatModel) -> dict[str, Any]:
    """What tokenizer_config.json would say; `model_max_length` is the context that the server has room for."""
    codec = codec_of(chat)
    stops = codec.stop_ids
    return {
        "model": chat.name,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "vocab_size": codec.vocab_size,
        "model_max_length": chat.context_length,
        "bos_token": None,
        "eos_token": chat.text_of(stops[:1]),
        "pad_token": chat.text_of(stops[1:]),
        "unk_token": None,
        "eos_token_ids": list(stops),
        "additional_special_tokens": codec.special_tokens,
        "chat_template": codec.chat_template,
    }
