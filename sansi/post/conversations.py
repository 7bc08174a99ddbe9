"""A user's own conversations, from a JSONL file, as samples to fine-tune on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sansi.base.errors import SansiError, did_you_mean
from sansi.data.decontaminate import Decontaminator
from sansi.data.jsonl import read_jsonl
from sansi.text import Codec, TrainingSample, read_messages

FIELDS = ("messages", "tools", "enable_thinking", "metadata")


@dataclass(frozen=True)
class OwnConversation:
    """A line of the file, read with the codec of the model that is to learn it."""

    samples: tuple[TrainingSample, ...]
    """From which each answer is learned once, after the prompt that it is served with."""
    text: str
    """All that is said in it."""


def read_conversations(path: str | Path, codec: Codec) -> list[OwnConversation]:
    """The conversations of a JSONL file, each line `{"messages": [...]}`.

    `tools`, `enable_thinking` (left out, a switch in the text decides, else it is on) and `metadata`, an object that
    nobody reads, are optional. An answer without `reasoning_content` is learned after an empty think block. Raises
    SansiError that names every bad line; none is skipped.
    """
    return read_jsonl(path, lambda record: _conversation(record, codec), "conversations", "conversations")


def apart_from(conversations: Iterable[OwnConversation], texts: Iterable[str]) -> Iterator[OwnConversation]:
    """The conversations that share no passage with one of the texts, which an evaluation asks."""
    decontaminator = Decontaminator(texts)
    return (one for one in conversations if not decontaminator.is_contaminated(one.text))


def _conversation(record: Mapping[str, Any], codec: Codec) -> OwnConversation:
    if unknown := [key for key in record if key not in FIELDS]:
        raise SansiError(f'unknown field "{unknown[0]}"{did_you_mean(unknown[0], FIELDS)}')
    if "messages" not in record:
        raise SansiError('"messages" is missing')
    if not isinstance(record.get("metadata", {}), dict):
        raise SansiError(f'"metadata" must be an object, not {record["metadata"]!r:.60}')
    asked = record.get("enable_thinking")
    if asked is not None and not isinstance(asked, bool):
        raise SansiError(f'"enable_thinking" must be true or false, not {asked!r:.60}')
    messages = read_messages(record["messages"])
    if messages[-1].role != "assistant":
        raise SansiError(f"the last of the messages is the {messages[-1].role}'s; it must be the assistant's answer")
    samples = tuple(codec.training_samples(messages, record.get("tools"), asked))
    if not any(any(sample.loss_mask) for sample in samples):
        raise SansiError("no token of it is the assistant's to learn")
    return OwnConversation(samples, "\n".join(message.content for message in messages))
