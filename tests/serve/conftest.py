"""Live servers on free loopback ports: one that speaks from a script, one that runs a real (random) checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import openai
import pytest
from fake_chat import FakeChat
from live_server import Held, client_of, http, running
from sansi.base.model_card import Example, ModelCard
from sansi.chat import ChatModel
from sansi.engine import Engine
from sansi.serve.api.requests import Policy

from tiny_checkpoint import make_checkpoint


@pytest.fixture(scope="session")
def fake() -> FakeChat:
    return FakeChat()


@pytest.fixture(scope="session")
def fake_url(fake: FakeChat) -> Iterator[str]:
    with running([fake], {"fake": ModelCard(examples={"en": [Example("Add", "What is 12 + 30?")]})}) as url:
        yield url


@pytest.fixture(scope="session")
def strict_url(fake: FakeChat) -> Iterator[str]:
    with running([fake], policy=Policy(strict=True)) as url:
        yield url


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny")


@pytest.fixture(scope="session")
def tiny_chat(tiny: Path) -> Iterator[ChatModel]:
    with ChatModel.from_pretrained(tiny, device="cpu") as chat:
        yield chat


@pytest.fixture(scope="session")
def tiny_url(tiny_chat: ChatModel) -> Iterator[str]:
    with running([tiny_chat]) as url:
        yield url


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Held]]:
    """hold(engine, steps=0) -> Held. At the end it goes on, so that nothing waits for ever."""
    held: list[Held] = []

    def hold(engine: Engine, steps: int = 0) -> Held:
        held.append(Held(engine, monkeypatch, steps))
        return held[-1]

    yield hold
    for each in held:
        each.go()


@pytest.fixture
def post(fake_url: str):
    """POST a chat-completions body to the scripted server; the answer comes unparsed."""

    def post(body: object = None, raw: bytes | None = None) -> httpx.Response:
        content = {"json": body} if raw is None else {"content": raw}
        return http.post(f"{fake_url}/v1/chat/completions", **content)

    return post


@pytest.fixture
def client(fake_url: str) -> openai.OpenAI:
    return client_of(fake_url)


@pytest.fixture
def tiny_client(tiny_url: str) -> openai.OpenAI:
    return client_of(tiny_url)
