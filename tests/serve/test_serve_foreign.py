"""Models of other families behind the server: what they can is told, and what they can not is refused or told."""

import httpx
import pytest
from live_server import running
from sansi.chat import ChatModel
from sansi.engine import Engine
from sansi.model import ModelConfig, Transformer
from sansi.text import open_codec
from sansi.text.foreign_codec import NO_THOUGHTS

from foreign_models import ASKED, TOOL, write_family


def chat_of(folder, family):
    codec = open_codec(write_family(folder, family))
    config = ModelConfig.preset("nano", vocab_size=codec.vocab_size, num_hidden_layers=1, hidden_size=32)
    return ChatModel(Engine(Transformer(config)), codec, family)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    chats = [chat_of(tmp_path_factory.mktemp(family), family) for family in ("chatml", "tagged")]
    with running(chats) as found:
        yield found
    for chat in chats:
        chat.close()


def test_a_server_tells_what_its_models_can(url):
    listed = httpx.get(f"{url}/v1/models").json()["data"]
    can = {one["id"]: (one["sansi"]["thinking"], one["sansi"]["tools"]) for one in listed}
    assert can == {"chatml": (False, False), "tagged": (False, True)}
    shown = {name: httpx.post(f"{url}/api/show", json={"model": name}).json()["capabilities"] for name in can}
    assert shown == {"chatml": ["completion"], "tagged": ["completion", "tools"]}


def test_a_thought_that_can_not_be_is_told_and_tools_that_can_not_be_are_refused(url):
    body = {"model": "chatml", "messages": ASKED, "max_tokens": 5, "enable_thinking": True}
    told = httpx.post(f"{url}/v1/chat/completions", json=body).json()
    assert told["sansi"]["mode"] == "non-thinking" and told["sansi"]["warnings"] == [NO_THOUGHTS]
    refused = httpx.post(f"{url}/v1/chat/completions", json={**body, "tools": [TOOL]})
    assert refused.status_code == 400 and refused.json()["error"]["param"] == "tools"
