"""OpenAI's client for JavaScript, in Node. One process asks everything; each test looks at one answer."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from live_server import LONG
from scripted import PLACES

FOLDER = Path(__file__).parent / "node"
MESSAGE = "Node and tests/clients/node/node_modules are needed; `make test` installs the latter where there is npm"


@pytest.fixture(scope="module")
def found(base_url: str) -> dict:
    node = shutil.which("node")
    if node is None or not (FOLDER / "node_modules" / "openai").is_dir():
        pytest.skip(MESSAGE)
    command = [node, "client.mjs", base_url]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=LONG)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_models(found):
    assert found["models"] == ["nano", "fake", "caller"]


def test_a_whole_answer(found):
    whole = found["whole"]
    assert (whole["content"], whole["reasoning_content"]) == ("It is 42", "12 + 30 is 42.")
    assert whole["mode"] == "thinking" and whole["usage"]["completion_tokens_details"]["reasoning_tokens"] == 5


def test_a_streamed_answer_is_the_whole_one(found):
    sum_ = found["streamed"]
    assert (sum_["content"], sum_["reasoning"], sum_["finish"]) == ("It is 42", "12 + 30 is 42.", "stop")
    assert sum_["usage"] == found["whole"]["usage"] and sum_["sansi"]["mode"] == "thinking"


def test_the_bundled_model_streams_what_it_says_whole(found):
    content, thought, streamed_content, streamed_thought = found["nano"]
    assert (content, thought) == (streamed_content, streamed_thought) and thought


def test_the_clients_own_tool_loop(found):
    assert found["tools"] == {"answer": '上海: rain and Fort "Wayne": rain', "seen": list(PLACES)}


def test_the_bundled_model_can_be_made_to_call_a_tool(found):
    call = found["required"]
    assert call["name"] == "get_weather" and set(call["arguments"]) == {"digit", "sure"}


def test_structured_output_is_parsed(found):
    parsed = found["structured"]
    assert parsed["digit"] in range(10) and isinstance(parsed["sure"], bool)


def test_a_stream_can_be_left(found):
    assert found["stopped"] is True


def test_errors_are_the_clients_own_classes(found):
    bad, unknown = found["bad"], found["unknown"]
    assert (bad["class"], bad["status"], bad["param"]) == ("BadRequestError", 400, "temperature")
    assert (unknown["class"], unknown["status"], unknown["code"]) == ("NotFoundError", 404, "model_not_found")
