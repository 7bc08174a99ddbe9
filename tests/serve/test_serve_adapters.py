"""A server with one base and two adapters: chosen by `model` in every dialect, listed, counted once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from live_server import LONG, running
from sansi.base.errors import SansiError
from sansi.chat import ChatModel
from sansi.chat.adapters import tell_other_bases
from sansi.cli.models import adapters_in
from sansi.model.formats.folders import read_config

from adapter_folders import random_adapter

ASKED = "What is 12 + 30?"


@pytest.fixture(scope="module")
def folders(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("adapters")
    return {n: random_adapter(place / n, read_config(tiny), i, size=0.3) for i, n in enumerate(("poet", "judge"))}


@pytest.fixture(scope="module")
def chats(tiny: Path, folders: dict[str, Path]) -> Iterator[list[ChatModel]]:
    with ChatModel.from_pretrained(tiny, device="cpu", adapters=folders) as base:
        yield [base, *map(base.with_adapter, folders)]


@pytest.fixture(scope="module")
def url(chats: list[ChatModel]) -> Iterator[str]:
    with running(chats) as url:
        yield url


def openai_chat(model: str) -> tuple[str, dict]:
    return "/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": ASKED}], "max_tokens": 12}


def completions(model: str) -> tuple[str, dict]:
    return "/v1/completions", {"model": model, "prompt": ASKED, "max_tokens": 12}


def responses(model: str) -> tuple[str, dict]:
    return "/v1/responses", {"model": model, "input": ASKED, "max_output_tokens": 16}


def anthropic(model: str) -> tuple[str, dict]:
    body = {"model": model, "messages": [{"role": "user", "content": ASKED}], "max_tokens": 12}
    return "/v1/messages", body


def ollama(model: str) -> tuple[str, dict]:
    body = {"model": model, "messages": [{"role": "user", "content": ASKED}], "stream": False}
    return "/api/chat", {**body, "options": {"num_predict": 12, "temperature": 0, "seed": 1}}


def said(url: str, path: str, body: dict) -> list:
    """What the answer says, whatever the dialect calls it."""
    response = httpx.post(url + path, json=body if "options" in body else {**body, "temperature": 0}, timeout=LONG)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["model"] == body["model"]
    for item in answer.get("output", ()):
        item.pop("id", None)
    return [answer[name] for name in ("choices", "output", "content", "message") if name in answer]


@pytest.mark.parametrize("dialect", [openai_chat, completions, responses, anthropic, ollama])
def test_model_chooses_the_adapter_in_every_dialect(url: str, chats: list[ChatModel], dialect) -> None:
    answers = [said(url, *dialect(chat.name)) for chat in chats]
    assert len({str(answer) for answer in answers}) == 3
    assert answers == [said(url, *dialect(chat.name)) for chat in chats]


def test_adapters_are_listed_with_their_base(url: str) -> None:
    listed = {one["id"]: one.get("parent") for one in httpx.get(f"{url}/v1/models").json()["data"]}
    assert listed == {"tiny": None, "poet": "tiny", "judge": "tiny"}
    assert httpx.get(f"{url}/v1/models/poet").json()["parent"] == "tiny"
    assert [one["name"] for one in httpx.get(f"{url}/api/tags").json()["models"]] == ["tiny", "poet", "judge"]
    wrong = httpx.post(
        f"{url}/v1/chat/completions", json={"model": "poem", "messages": [{"role": "user", "content": "x"}]}
    )
    assert wrong.status_code == 404 and "served: tiny, poet, judge" in wrong.text


def test_an_engine_is_counted_once(url: str, chats: list[ChatModel]) -> None:
    said(url, *openai_chat("poet"))
    text = httpx.get(f"{url}/metrics").text
    counted = [line for line in text.splitlines() if line.startswith("sansi_generated_tokens_total{")]
    assert len(counted) == 1 and 'model="tiny"' in counted[0]
    assert 'sansi_generation_duration_seconds_count{model="poet"}' in text


def test_adapters_share_the_places_of_their_base(chats: list[ChatModel]) -> None:
    from sansi.serve.http.admission import Admission
    from sansi.serve.http.settings import ServerSettings

    admission = Admission(chats, ServerSettings())
    ticket = admission.enter("poet", 3, 0.0)
    assert admission.held("tiny") == admission.held("judge") == admission.held() == 3
    ticket.release()
    assert admission.held() == 0


def test_an_unknown_adapter_names_the_known(chats: list[ChatModel]) -> None:
    with pytest.raises(SansiError, match='no adapter "poem"; did you mean "poet"'):
        chats[0].with_adapter("poem")


def test_the_command_line_reads_names_and_folders(folders: dict[str, Path], tiny: Path, sansi, monkeypatch) -> None:
    poet, judge = map(str, folders.values())
    assert adapters_in([poet, f"j={judge}"]) == {"poet": poet, "j": judge}
    for given, told in (
        ([poet, f"poet={judge}"], "two adapters"),
        (["x="], "NAME=FOLDER"),
        (["a=/no"], "no such folder"),
    ):
        with pytest.raises(SansiError, match=told):
            adapters_in(given)
    taken = sansi("serve", tiny, "--name", "poet", "--adapter", poet)
    assert taken.code == 1 and 'the model is called "poet" already' in taken.err
    several = sansi("serve", tiny, tiny, "--name", "a", "--name", "b", "--adapter", poet)
    assert several.code == 1 and "--adapter is for one model" in several.err


def test_run_answers_by_the_adapter(folders: dict[str, Path], tiny: Path, sansi) -> None:
    options = ("--no-think", "--temperature", "0", "--max-tokens", "12", "--device", "cpu")
    base = sansi("run", ASKED, "-m", tiny, *options)
    poet = sansi("run", ASKED, "-m", tiny, *options, "--adapter", folders["poet"])
    assert base.code == poet.code == 0 and base.out != poet.out
    refused = sansi("chat", "--url", "http://127.0.0.1:1", "--adapter", folders["poet"])
    assert refused.code == 1 and "--adapter" in refused.err


def test_another_base_of_the_same_shape_is_told(chats: list[ChatModel], caplog: pytest.LogCaptureFixture) -> None:
    tell_other_bases(chats[0], chats[0].name)
    assert 'adapter poet was trained on "Qwen3-0.6B", and is put beside tiny' in caplog.text
