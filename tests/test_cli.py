"""The command line: what each verb prints, and that a mistake is one clear line."""

import importlib
import json
import re
import shutil
import signal
import subprocess
import sys
import time
import types

import httpx
import pytest
from sansi import __version__, cli

from tiny_checkpoint import make_checkpoint


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return str(make_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny"))


@pytest.fixture
def sansi(monkeypatch, capsys):
    """Run the command in this process: the exit code, standard output and standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["sansi", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
            raise SystemExit(0)
        captured = capsys.readouterr()
        return types.SimpleNamespace(code=caught.value.code or 0, out=captured.out, err=captured.err)

    return run


def test_version(sansi):
    assert sansi("--version").out == f"sansi {__version__}\n"


@pytest.mark.parametrize("verb", ["serve", "chat", "run", "info", "eval budget-curve"])
def test_every_help_teaches_with_examples(sansi, verb):
    done = sansi(*verb.split(), "--help")
    assert done.code == 0
    assert "Examples:" in done.out and done.out.count(f"sansi {verb}") >= 2


def test_help_is_fast_and_loads_no_torch():
    code = "import sys, sansi.cli; sys.exit('torch' in sys.modules or 'fastapi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


# --- run -----------------------------------------------------------------------------------------------------------


def test_run_puts_the_answer_alone_on_stdout(sansi, tiny):
    done = sansi("run", "What is 12 + 30?", "--model", tiny, "--max-tokens", 40, "--seed", 1)
    assert done.code == 0
    assert "thinking · thought" in done.err and "thinking · thought" not in done.out


def test_run_json(sansi, tiny):
    done = sansi("run", "Hi", "-m", tiny, "--thinking-budget", 8, "--max-tokens", 300, "--seed", 1, "--json")
    told = json.loads(done.out)
    thought = told["usage"]["completion_tokens_details"]["reasoning_tokens"]
    assert thought - told["sansi"]["closing_phrase_tokens"] <= 8 < thought
    assert told["sansi"]["thinking_end_reason"] == "budget"
    assert told["reasoning_content"] and told["model"] == "tiny"


def test_run_no_thinking(sansi, tiny):
    told = json.loads(sansi("run", "Hi", "-m", tiny, "--no-thinking", "--max-tokens", 5, "--json").out)
    assert told["sansi"]["mode"] == "non-thinking" and told["reasoning_content"] is None


def test_run_reads_a_question_from_stdin(sansi, tiny, monkeypatch):
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(read=lambda: "Hi\n"))
    assert sansi("run", "-", "-m", tiny, "--max-tokens", 5).code == 0


# --- info ----------------------------------------------------------------------------------------------------------


def test_info_of_a_folder_reads_no_weights(sansi, tiny, tmp_path):
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(f"{tiny}/{name}", tmp_path)
    told = json.loads(sansi("info", tmp_path, "--json").out)
    assert (told["layers"], told["hidden_size"], told["context"]) == (2, 32, 1024)
    assert told["kv_cache_bytes_per_token_bf16"] == 2 * 2 * 2 * 32 * 2  # keys and values, layers, heads, width, bytes
    assert told["modes"] == ["thinking", "non-thinking"]


@pytest.mark.parametrize(
    ("preset", "parameters", "active"),
    [("Qwen3-0.6B", "596M", None), ("Qwen3-8B", "8.19B", None), ("Qwen3-30B-A3B", "30.5B", "3.35B")],
)
def test_info_of_a_preset(sansi, preset, parameters, active):
    shown = sansi("info", preset).out
    assert parameters in shown
    assert ("active per token" in shown) == bool(active) and (active or "") in shown


# --- eval ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def curve_calls(monkeypatch):
    """What `sansi eval budget-curve` asks of the evaluation room, which is not run."""
    calls = []
    stand_in = types.ModuleType("sansi.eval.budget_curve")
    stand_in.run = lambda *arguments, **named: calls.append((arguments, named))
    monkeypatch.setitem(sys.modules, "sansi.eval.budget_curve", stand_in)
    monkeypatch.setattr(importlib.import_module("sansi.eval"), "budget_curve", stand_in, raising=False)
    return calls


def test_budget_curve_passes_on_what_was_asked(sansi, tiny, curve_calls):
    arguments = ("--problems", 5, "--budgets", "0, 8", "--out", "x", "--seed", 3, "--batch", 2)
    assert sansi("eval", "budget-curve", tiny, *arguments).code == 0
    assert curve_calls == [((tiny, 5, [0, 8], "x"), {"seed": 3, "batch": 2})]


def test_budget_curve_leaves_the_held_out_seed_to_the_evaluation(sansi, tiny, curve_calls):
    assert sansi("eval", "budget-curve", tiny).code == 0
    assert curve_calls == [((tiny, 1000, [0, 8, 16, 32, 64, 128, 256], None), {"batch": 128})]


def test_a_missing_extra_is_named(sansi, tiny, monkeypatch):
    def missing(*_, **__):
        raise ModuleNotFoundError("No module named 'reasoning_gym'", name="reasoning_gym")

    monkeypatch.setattr(cli, "_budgets", missing)
    done = sansi("eval", "budget-curve", tiny)
    assert done.code == 1 and "reasoning_gym" in done.err and "pip install" in done.err


# --- serve and chat ------------------------------------------------------------------------------------------------


def test_serve_announces_its_address_answers_and_leaves_quietly(tiny, tmp_path):
    shutil.copytree(tiny, tmp_path / "tiny")
    (tmp_path / "tiny" / "examples.json").write_text('["What is 12 + 30?"]')
    command = [sys.executable, "-m", "sansi.cli", "serve", str(tmp_path / "tiny"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            line = ""
            while "API" not in line:
                line = server.stdout.readline()
                assert line, server.stderr.read()
            url = re.search(r"http://127\.0\.0\.1:\d+", line)[0]
            body = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}
            assert httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60).status_code == 200
            (card,) = httpx.get(f"{url}/v1/models", timeout=60).json()["data"]
            assert (card["id"], card["examples"]) == ("tiny", ["What is 12 + 30?"])
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(60) == 0
        assert server.stderr.read() == ""


def test_chat_answers_and_leaves(tiny):
    started = time.monotonic()
    script = "/budget 4\nWhat is 12 + 30?\n/quit\n"
    command = [sys.executable, "-m", "sansi.cli", "chat", tiny]
    done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and not done.stderr
    assert "budget: 4" in done.stdout and "cut at the budget" in done.stdout, time.monotonic() - started


# --- mistakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "Hi", "--model", "no/such/folder"], ["no/such/folder", "no such model folder"]),
        (["serve", "no/such/folder", "--port", "0"], ["no/such/folder"]),
        (["chat", "no/such/folder"], ["no/such/folder"]),
        (["info", "Qwen3-9B"], ["Qwen3-9B", 'did you mean "Qwen3-']),
        (["eval", "budget-curve", "TINY", "--budgets", "0,x"], ["--budgets", "0,x"]),
        (["run", "Hi", "--model", "TINY", "--thinking-budget", "-1"], ["thinking_budget", "-1"]),
        (["run", "Hi", "--model", "TINY", "--no-thinking", "--thinking-budget", "5"], ["contradict"]),
        (["run", "x" * 5000, "--model", "TINY"], ["context"]),
        (["run", "Hi", "--model", "TINY", "--device", "quantum"], ["quantum"]),
        (["serve", "TINY", "--host", "no.such.host.invalid"], ["no.such.host.invalid"]),
    ],
)
def test_a_mistake_is_one_line_on_stderr_and_exit_code_1(sansi, tiny, arguments, words):
    done = sansi(*(tiny if argument == "TINY" else argument for argument in arguments))
    assert done.code == 1 and not done.out
    assert done.err.startswith("error: ") and done.err.count("\n") == 1
    assert all(word in done.err for word in words), done.err


def test_a_taken_port_is_told_before_the_model_is_loaded(sansi, tiny):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = sansi("serve", tiny, "--port", port)
    assert done.code == 1 and f"port {port}" in done.err and "--port" in done.err


@pytest.mark.parametrize("damage", ["{", "[]", '{"hidden_size": 32, "wings": 2}'])
def test_a_damaged_configuration_is_named(sansi, tmp_path, damage):
    (tmp_path / "config.json").write_text(damage)
    done = sansi("info", tmp_path)
    assert done.code == 1 and "config.json" in done.err and "Traceback" not in done.err


@pytest.mark.parametrize("damage", ["{", "[]", '{"added_tokens": [3]}'])
def test_a_damaged_tokenizer_is_named(sansi, tiny, tmp_path, damage):
    shutil.copy(f"{tiny}/config.json", tmp_path)
    (tmp_path / "tokenizer.json").write_text(damage)
    done = sansi("info", tmp_path)
    assert done.code == 1 and "tokenizer.json" in done.err and "Traceback" not in done.err
