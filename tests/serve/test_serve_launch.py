"""What happens before the server listens: names, memory, examples, and that nothing heavy is loaded."""

import signal
import subprocess
import sys

import pytest
from live_server import http
from sansi.agents.toolset import Toolset
from sansi.base.errors import SansiError
from sansi.base.model_card import ModelCard
from sansi.chat.memory import share_memory
from sansi.serve.agent.server_tools import ServerTools
from sansi.serve.http.launch import announce, bind, is_loopback, model_names
from sansi.serve.http.settings import Keys, ServerSettings

# What training, evaluation and tests need; each takes seconds or many megabytes that a server has no use for.
HEAVY = ("matplotlib", "reasoning_gym", "transformers", "datasketch", "torch._dynamo", "openai")
ROOMS = ("sansi.data", "sansi.eval", "sansi.train", "sansi.post")

ONE_ANSWER = """
import sys, uvicorn, sansi.cli, sansi.serve.http.launch
from sansi.serve.app import create_app
from sansi.chat import ChatModel, ChatOptions
with ChatModel.from_pretrained(sys.argv[1], device="cpu") as chat:
    create_app([chat])
    chat.complete([{"role": "user", "content": "Hi"}], ChatOptions(max_tokens=3))
print(*sorted(sys.modules))
"""


def test_a_server_loads_nothing_of_training_and_evaluation(tiny):
    done = subprocess.run([sys.executable, "-c", ONE_ANSWER, tiny], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "sansi.serve.app" in loaded and not loaded & {*HEAVY, *ROOMS}


# --- many models -----------------------------------------------------------------------------------------------------


def test_models_are_named_after_their_folders_or_as_told():
    assert model_names(["a/one", "b/two/"], []) == ["one", "two"]
    assert model_names(["a/one", "b/one"], ["x", "org/y"]) == ["x", "org/y"]


@pytest.mark.parametrize(
    ("names", "told"),
    [([], "--name"), (["a"], "1 names for 2"), (["a", "a"], '"a"'), (["a", ""], "no name"), (["a", "b\n"], "no name")],
)
def test_names_that_do_not_tell_models_apart_are_refused(names, told):
    with pytest.raises(SansiError, match=told):
        model_names(["a/one", "b/one"], names)


def folder_of(path, size):
    path.mkdir()
    (path / "model.safetensors").write_bytes(bytes(size))
    return path


def test_memory_is_shared(tmp_path):
    small, large = folder_of(tmp_path / "small", 100), folder_of(tmp_path / "large", 700)
    assert share_memory([small, large], "cpu", [1000]) == [200, 800]
    assert share_memory([small, large], "cpu", [300, 900]) == [300, 900]
    assert share_memory([small], "cpu", [500]) == [500] and share_memory([small], "cpu") == [None]
    shares = share_memory([small, large], "cpu")
    assert shares[1] - shares[0] == 600 and shares[0] > 2**20, "of what is free"


@pytest.mark.parametrize(("memory", "told"), [([800], "800 B"), ([1, 2, 3], "3 sizes of memory for 2 models")])
def test_memory_that_can_not_be_shared_is_told(tmp_path, memory, told):
    folders = [folder_of(tmp_path / "small", 100), folder_of(tmp_path / "large", 700)]
    with pytest.raises(SansiError, match=told):
        share_memory(folders, "cpu", memory)


def test_several_models_are_served(tiny):
    from test_serve_faults import Process

    server = Process(str(tiny), "--name", "nano", "--name", "org/tiny", "--memory", "1", "--context-length", "512")
    try:
        listed = http.get(f"{server.url}/v1/models").json()["data"]
        assert [card["id"] for card in listed] == ["nano", "org/tiny"]
        for name in ("nano", "org/tiny"):
            asked = {"model": name, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
            answer = http.post(f"{server.url}/v1/chat/completions", json=asked)
            assert answer.json()["model"] == name
            assert http.get(f"{server.url}/v1/models/{name}").json()["id"] == name
        server.signal(signal.SIGINT)  # nothing runs, so it ends at once
        assert "Traceback" not in server.ended()
    finally:
        server.process.kill()
        server.process.communicate()


# --- addresses -------------------------------------------------------------------------------------------------------


def test_a_taken_port_is_told():
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(SansiError, match="taken by another program"):
            bind("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("127.8.8.8", True), ("0.0.0.0", False), ("a.b", False)],
)
def test_the_loopback_is_known(host, expected):
    assert is_loopback(host) is expected


CONTEXTS = {"nano": 1024, "tiny": 9000}
CARDS = {"nano": ModelCard({"en": "A demonstration."}, calls_tools=False), "tiny": ModelCard()}


def test_a_server_says_which_models_its_tools_do_not_suit(capsys, tmp_path):
    pytest.importorskip("mcp", reason="the extra `agents` is not installed")
    with Toolset(["files", "calculator", "clock", "memory", "code_interpreter"], folder=tmp_path) as toolset:
        tools = ServerTools(toolset, tmp_path)
        announce(CARDS, "127.0.0.1", 8000, ServerSettings(), open_page=False, tools=tools, contexts=CONTEXTS)
    nano, crowded = capsys.readouterr().err.splitlines()
    assert nano == "warning: nano was not trained to call tools, and will hardly use them"
    assert crowded.startswith("warning: nano: the descriptions of 11 tools take about ") and "--tools" in crowded


@pytest.mark.parametrize(("host", "keys", "warned"), [("0.0.0.0", 0, 1), ("0.0.0.0", 1, 0), ("127.0.0.1", 0, 0)])
def test_a_server_that_the_network_reaches_without_a_key_warns(capsys, host, keys, warned):
    settings = ServerSettings(keys=Keys(["0123456789abcdef"]) if keys else None)
    announce(CARDS, host, 8000, settings, open_page=False)
    said = capsys.readouterr()
    reached = host.replace("0.0.0.0", "127.0.0.1")  # all addresses are no address to go to
    assert f"http://{reached}:8000/v1" in said.out and "nano: A demonstration." in said.out
    assert ("warning" in said.err) == warned
