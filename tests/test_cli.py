"""The command line: what each verb prints, and that a mistake is one clear line."""

import importlib
import json
import re
import shutil
import signal
import subprocess
import sys
import types

import httpx
import pytest
from sansi import __version__

from tiny_checkpoint import make_checkpoint


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return str(make_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny"))


def test_version(sansi):
    assert sansi("--version").out == f"sansi {__version__}\n"


@pytest.mark.parametrize("verb", ["serve", "chat", "run", "info", "quantize", "eval budget-curve"])
def test_every_help_teaches_with_examples(sansi, verb):
    done = sansi(*verb.split(), "--help")
    assert done.code == 0
    assert "Examples:" in done.out and done.out.count(f"sansi {verb}") >= 2


def test_help_is_fast_and_loads_no_torch():
    code = "import sys, sansi.cli; sys.exit('torch' in sys.modules or 'fastapi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


# --- run -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def piped(monkeypatch, tmp_path):
    """Standard input becomes a file with this content."""

    def piped(content):
        (tmp_path / "stdin").write_bytes(content if isinstance(content, bytes) else content.encode())
        monkeypatch.setattr(sys, "stdin", (tmp_path / "stdin").open())

    return piped


def test_run_puts_the_answer_alone_on_stdout(sansi, tiny):
    shown = sansi("run", "-m", tiny, "What is 12 + 30?", "--max-tokens", 40, "--seed", 1, "--show-thinking")
    assert shown.code == 0 and "thought" in shown.err and "thought" not in shown.out
    quiet = sansi("run", "-m", tiny, "What is 12 + 30?", "--max-tokens", 40, "--seed", 1)
    assert (quiet.code, quiet.out, quiet.err) == (0, shown.out, "")


def test_run_json(sansi, tiny):
    done = sansi("run", "-m", tiny, "Hi", "--thinking-budget", 8, "--max-tokens", 300, "--seed", 1, "--json")
    told = json.loads(done.out)
    thought = told["usage"]["completion_tokens_details"]
    assert thought["reasoning_tokens"] == 8 and thought["closing_phrase_tokens"] > 8
    assert told["sansi"]["thinking_end_reason"] == "budget"
    assert told["reasoning_content"] and told["model"] == "tiny"
    assert done.out.count("\n") == 1


def test_run_no_thinking(sansi, tiny):
    told = json.loads(sansi("run", "-m", tiny, "Hi", "--no-think", "--max-tokens", 5, "--json").out)
    assert told["sansi"]["mode"] == "non-thinking" and told["reasoning_content"] is None


def test_run_takes_sampling_values_and_a_system_message(sansi, tiny):
    flags = ("--temperature", 0.5, "--top-p", 0.7, "--top-k", 3, "--min-p", 0.1, "--presence-penalty", 0.2)
    flags += ("--frequency-penalty", 0.3, "--repetition-penalty", 1.1, "--seed", 5)
    told = json.loads(sansi("run", "-m", tiny, "Hi", *flags, "--max-tokens", 5, "--json").out)
    assert told["sansi"]["sampling"] == {
        "temperature": 0.5,
        "top_p": 0.7,
        "top_k": 3,
        "min_p": 0.1,
        "presence_penalty": 0.2,
        "frequency_penalty": 0.3,
        "repetition_penalty": 1.1,
        "seed": 5,
    }
    longer = json.loads(sansi("run", "-m", tiny, "Hi", *flags, "--max-tokens", 5, "--json", "-s", "Be brief.").out)
    assert longer["usage"]["prompt_tokens"] > told["usage"]["prompt_tokens"]


@pytest.mark.parametrize(("arguments", "asked"), [((), "Hi"), (("-",), "Hi"), (("Sum up:",), "Sum up:\n\nHi")])
def test_run_reads_what_is_piped_in(sansi, tiny, piped, monkeypatch, arguments, asked):
    from sansi.serve.terminal import run as answers

    seen = []
    monkeypatch.setattr(answers, "run_one", lambda chat, request, *_: seen.append(request.messages))
    piped("Hi\n")
    assert sansi("run", "-m", tiny, *arguments).code == 0
    assert seen == [[{"role": "user", "content": asked}]]


def test_run_binds_the_answer_to_a_schema(sansi, tiny, tmp_path):
    schema = {"type": "object", "properties": {"n": {"type": "boolean"}}, "required": ["n"]}
    (tmp_path / "schema.json").write_text(json.dumps({**schema, "additionalProperties": False}))
    done = sansi("run", "-m", tiny, "Hi", "--no-think", "--schema", tmp_path / "schema.json", "--seed", 1)
    assert type(json.loads(done.out)["n"]) is bool
    (tmp_path / "schema.json").write_text('{"type": "objec"}')
    done = sansi("run", "-m", tiny, "Hi", "--schema", tmp_path / "schema.json")
    assert done.code == 1 and "schema" in done.err and not done.out


def test_run_a_batch(sansi, tiny, piped):
    lines = ['"What is 12 + 30?"', "", '{"prompt": "Hi", "thinking_budget": 0, "custom_id": "b"}']
    lines.append('{"messages": [{"role": "user", "content": "' + "x" * 5000 + '"}]}')
    lines.append('{"custom_id": "d", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": ')
    lines[-1] += '[{"role": "user", "content": "Hi"}], "max_tokens": 7}}'
    piped("\n".join(lines))
    done = sansi("run", "-m", tiny, "--jsonl", "-", "--max-tokens", 20, "--seed", 1)
    told = [json.loads(line) for line in done.out.splitlines()]
    assert [(t["line"], t.get("custom_id")) for t in told] == [(1, None), (3, "b"), (4, None), (5, "d")]
    assert done.code == 1 and "1 of 4 lines" in done.err and "context" in told[2]["error"]["message"]
    assert told[1]["sansi"]["mode"] == "non-thinking" and told[0]["sansi"]["mode"] == "thinking"
    assert [t["usage"]["completion_tokens"] <= most for t, most in zip(told[::3], (20, 7), strict=True)] == [True, True]


def test_a_batch_answers_as_single_questions_do(sansi, tiny, piped):
    flags = ("--max-tokens", 30, "--seed", 3, "--temperature", 0)
    one = json.loads(sansi("run", "-m", tiny, "What is 12 + 30?", *flags, "--json").out)
    piped('"Hi"\n"What is 12 + 30?"\n"Why?"\n')
    (_, same, _) = map(json.loads, sansi("run", "-m", tiny, "--jsonl", "-", *flags).out.splitlines())
    assert (same["content"], same["reasoning_content"]) == (one["content"], one["reasoning_content"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('"a"\n{', ["line 2", "not valid JSON"]),
        ("3", ["line 1", '"prompt"']),
        ('{"prompt": "a", "wings": 2}', ["line 1", '"wings"']),
        ('{"prompt": "a", "stream": true}', ["line 1", '"stream"']),
        ('{"prompt": "a", "temperature": "hot"}', ["line 1", '"temperature"']),
        ('{"messages": [{"role": "king", "content": "a"}]}', ["line 1", "messages[0].role"]),
        ('{"prompt": "a", "model": "gpt"}', ["line 1", '"gpt"', '"tiny"']),
        ('{"body": {"prompt": "a"}, "wings": 1}', ["line 1", '"wings"']),
        ('{"prompt": "a", "custom_id": 3}', ["line 1", "custom_id"]),
        ("\n", ["no lines"]),
        (b"\xff", ["UTF-8"]),
    ],
)
def test_a_wrong_line_is_named_before_the_model_is_loaded(sansi, tiny, piped, monkeypatch, content, words):
    monkeypatch.setattr("sansi.cli.run.loaded", None)
    piped(content)
    done = sansi("run", "-m", tiny, "--jsonl", "-")
    assert done.code == 1 and not done.out and done.err.count("\n") == 1
    assert all(word in done.err for word in words), done.err


def test_a_reader_that_had_enough_is_no_error(tiny):
    command = f"{sys.executable} -m sansi.cli run -m {tiny} Hi --max-tokens 50 < /dev/null | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    assert done.stderr == ""


def test_an_interrupt_ends_a_batch_with_130(tiny, tmp_path):
    short, long = '{"prompt": "Hi", "max_tokens": 1}\n', '{"prompt": "Hi", "max_tokens": 900}\n'
    (tmp_path / "lines").write_text(short + long * 300)
    command = [sys.executable, "-m", "sansi.cli", "run", "-m", tiny, "--jsonl", str(tmp_path / "lines")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "errors": "replace"}
    with subprocess.Popen(command, **pipes) as batch:
        assert json.loads(batch.stdout.readline())["line"] == 1
        batch.send_signal(signal.SIGINT)
        _, errors = batch.communicate(timeout=60)
    assert batch.returncode == 130 and "Traceback" not in errors


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


# --- quantize ------------------------------------------------------------------------------------------------------


def test_quantize_writes_a_folder_that_answers_and_says_what_it_costs(sansi, tiny, tmp_path):
    done = sansi("quantize", tiny, tmp_path / "small", "--kind", "int8", "--tokens", 100)
    assert done.code == 0, done.err
    assert re.search(r"small: int8, [\d.]+ KiB in the place of [\d.]+ KiB, 8\.\d+ bits a weight", done.out)
    assert re.search(r"hardly to be told .*KL 0\.0\d+ nats .* of [\d]+ tokens of its own answers", done.out)
    told = json.loads(sansi("run", "-m", tmp_path / "small", "Hi", "--max-tokens", 5, "--seed", 1, "--json").out)
    assert told["usage"]["completion_tokens"] == 5
    assert json.loads(sansi("info", tmp_path / "small", "--json").out)["modes"] == ["thinking", "non-thinking"]


def test_quantize_compares_on_a_text_or_not_at_all(sansi, tiny, tmp_path):
    (tmp_path / "text.txt").write_text("What is 12 + 30? The answer is 42.")
    told = sansi("quantize", tiny, tmp_path / "small", "--text", tmp_path / "text.txt", "--outer", "int4")
    assert "text.txt" in told.out and "KL 0." in told.out
    told = sansi("quantize", tiny, tmp_path / "small", "--no-report")
    assert told.code == 1 and "--force" in told.err
    told = sansi("quantize", tiny, tmp_path / "small", "--no-report", "--force")
    assert told.code == 0 and "KL" not in told.out


def test_quantize_keeps_what_somebody_put_into_the_folder(sansi, tiny, tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "notes.txt").write_text("dear")
    assert sansi("quantize", tiny, folder, "--no-report").code == 0
    (folder / "README.md").write_text("my words")
    told = sansi("quantize", tiny, folder, "--no-report", "--kind", "int8", "--force")
    assert told.code == 0 and "README.md was written by somebody else and is kept" in told.err
    assert (folder / "README.md").read_text() == "my words" and (folder / "notes.txt").read_text() == "dear"


def test_quantize_refuses_what_it_can_not_do(sansi, tiny, tmp_path):
    told = sansi("quantize", tiny, tiny)
    assert told.code == 1 and "holds full weights" in told.err
    told = sansi("quantize", tiny, tmp_path / "small", "--kind", "int3")
    assert told.code == 1 and 'unknown quantisation "int3"' in told.err and not (tmp_path / "small").exists()
    told = sansi("quantize", tiny, tmp_path / "small", "--text", tmp_path / "nothing.txt")
    assert told.code == 1 and "nothing.txt" in told.err
    assert sansi("quantize", tiny, tmp_path / "small", "--no-report").code == 0
    told = sansi("quantize", tmp_path / "small", tmp_path / "smaller")
    assert told.code == 1 and "need the full model" in told.err


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
    assert sansi("eval", "budget-curve", "-m", tiny, *arguments).code == 0
    assert curve_calls == [((tiny, 5, [0, 8], "x"), {"seed": 3, "batch": 2, "name": "tiny", "adapter": None})]


def test_budget_curve_leaves_the_held_out_seed_to_the_evaluation(sansi, tiny, curve_calls):
    assert sansi("eval", "budget-curve", "-m", tiny).code == 0
    assert curve_calls == [
        ((tiny, 1000, [0, 8, 16, 32, 64, 128, 256], None), {"batch": 128, "name": "tiny", "adapter": None})
    ]


@pytest.mark.parametrize(
    ("checkout", "command"), [(True, "pip install -e '{}[train]'"), (False, "pip install 'sansi[train]'")]
)
def test_a_missing_extra_is_named_before_any_wait(sansi, tiny, monkeypatch, tmp_path, curve_calls, checkout, command):
    monkeypatch.setattr("sansi.base.installing.ROOT", tmp_path)
    if checkout:
        (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr("sansi.cli.extras.find_spec", lambda name: None)
    done = sansi("eval", "budget-curve", "-m", tiny)
    assert done.code == 1 and "reasoning_gym" in done.err and not curve_calls
    # For this Python, wherever the user stands and whichever environment is active.
    assert f"{sys.executable} -m {command.format(tmp_path)}" in done.err


def test_eval_run_passes_on_what_was_asked(sansi, tiny, monkeypatch):
    calls = []
    monkeypatch.setattr("sansi.eval.task_run.run", lambda *arguments, **named: calls.append((arguments, named)))
    arguments = ("--count", 5, "--difficulty", 2, "--thinking-budget", 0, "--no-instruction", "--seed", 3)
    assert sansi("eval", "run", "gcd, lcm", "-m", tiny, *arguments).code == 0
    named = {"batch": 128, "max_tokens": None, "name": "tiny", "instruction": False, "adapter": None, "seed": 3}
    assert calls == [((tiny, ["gcd", "lcm"], 5, 2, 0, None), named)]
    told = sansi("eval", "run", "gdc", "-m", tiny)
    assert told.code == 0 and len(calls) == 2  # who runs it says what is wrong with a name


def test_eval_tasks_lists_what_there_is(sansi):
    told = sansi("eval", "tasks", "sudoku")
    assert told.code == 0 and told.out.split() == [
        *("mini_sudoku", "5", "levels", "reasoning-gym"),
        *("sudoku", "5", "levels", "reasoning-gym"),
    ]
    assert len(sansi("eval", "tasks").out.splitlines()) > 100
    told = sansi("eval", "tasks", "nothing-like-it")
    assert told.code == 1 and 'no task has "nothing-like-it"' in told.err


# --- serve and chat ------------------------------------------------------------------------------------------------


CARD = {"description": {"en": "A test."}, "examples": {"en": [{"title": "", "text": "What is 12 + 30?"}]}}


def test_serve_announces_its_address_answers_and_leaves_quietly(tiny, tmp_path):
    shutil.copytree(tiny, tmp_path / "tiny")
    (tmp_path / "tiny" / "model_card.json").write_text(json.dumps(CARD))
    command = [sys.executable, "-m", "sansi.cli", "serve", str(tmp_path / "tiny"), "--port", "0"]
    command += ["--log-format", "off"]
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
            assert card["id"] == "tiny" and CARD.items() <= card.items()
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(60) == 0
        assert server.stderr.read() == ""


def test_chat_answers_and_leaves(tiny):
    script = "/budget 4\nWhat is 12 + 30?\n/quit\n"
    command = [sys.executable, "-m", "sansi.cli", "chat", tiny]
    done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and not done.stderr
    # Nothing is seeded here: a model of random weights may end its thought before the budget does.
    assert "budget: 4" in done.stdout and re.search("cut at the budget|end of thought", done.stdout), done.stdout


def test_chat_begins_with_what_its_options_say(tiny):
    command = [sys.executable, "-m", "sansi.cli", "chat", tiny, "--no-think", "--temperature", "0.5", "--seed", "7"]
    done = subprocess.run(command, input="/sampling\n/budget\nHi\n/stats\n/quit\n", capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert "temperature 0.5" in done.stdout and "seed 7" in done.stdout, done.stdout
    assert "non-thinking (decided by: request)" in done.stdout


# --- mistakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["chat", "no/such/folder", "--temperature", "9"], ["temperature", "from 0 to 2"]),
        (["chat", "no/such/folder", "--think", "-b", "0"], ["--think", "contradict"]),
        (["run", "-m", "no/such/folder", "Hi"], ["no/such/folder", "no such model folder"]),
        (["run", "-m", "TINY"], ["nothing to ask"]),
        (["run", "-m", "TINY", "Hi", "--jsonl", "x"], ["--jsonl"]),
        (["run", "-m", "TINY", "--jsonl", "no/such/file"], ["no/such/file"]),
        (["run", "-m", "TINY", "Hi", "--schema", "no/such/file"], ["no/such/file"]),
        (["run", "-m", "TINY", "Hi", "--temperature", "-3"], ["temperature"]),
        (["chat", "TINY", "--load", "no/such/file.json"], ["no/such/file.json"]),
        (["serve", "no/such/folder", "--port", "0"], ["no/such/folder"]),
        (["chat", "no/such/folder"], ["no/such/folder"]),
        (["info", "Qwen3-9B"], ["Qwen3-9B", 'did you mean "Qwen3-']),
        (["eval", "budget-curve", "-m", "TINY", "--budgets", "0,x"], ["--budgets", "0,x"]),
        (["run", "-m", "TINY", "Hi", "--thinking-budget", "-2"], ["thinking_budget", "-2"]),
        (["run", "-m", "TINY", "Hi", "--no-think", "--thinking-budget", "5"], ["contradict"]),
        (["run", "-m", "TINY", "x" * 5000], ["context"]),
        (["run", "-m", "TINY", "Hi", "--device", "quantum"], ["quantum"]),
        (["serve", "TINY", "--host", "no.such.host.invalid"], ["no.such.host.invalid"]),
        (["serve", "TINY", "--log-format", "xml"], ["xml", "text, json, off"]),
        (["serve", "TINY", "--api-key-file", "no/keys"], ["no/keys"]),
        (["serve", "TINY", "--api-key-env", "NO_SUCH_VARIABLE"], ["NO_SUCH_VARIABLE"]),
        (["serve", "TINY", "TINY"], ["--name"]),
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
