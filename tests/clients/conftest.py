"""One live server for clients that others wrote: the bundled model, and scripted ones where words must be certain."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "serve"))
from fake_chat import FakeChat
from live_server import LONG, running
from sansi.chat import ChatModel
from scripted import Caller

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def fake() -> FakeChat:
    return FakeChat()


@pytest.fixture(scope="session")
def nano() -> Iterator[ChatModel]:
    with ChatModel.from_pretrained(ROOT / "checkpoints" / "nano", device="cpu") as chat:
        yield chat


@pytest.fixture(scope="session")
def base_url(fake: FakeChat, nano: ChatModel) -> Iterator[str]:
    """Where clients point to; the models are "nano", "fake" and "caller"."""
    with running([nano, fake, Caller("caller")]) as url:
        yield f"{url}/v1"


@pytest.fixture(scope="session")
def client(base_url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=base_url, api_key="none", max_retries=0, timeout=LONG)
