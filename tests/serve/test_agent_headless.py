"""`sansi agent -p`: what scripts read of it, and the exit codes; the whole command against a running server."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from agent_setup import put, setup_of
from asking_tool import book
from sansi import cli
from sansi.agents import Limits
from sansi.agents.approvals import Approvals
from sansi.agents.toolset import BUILT_IN, Toolset, names_in
from sansi.base import SansiError
from sansi.serve.terminal.agent import from_servers, headless, turns
from sansi.serve.terminal.agent.from_servers import with_resources
from sansi.text import Message
from scripted_client import says, several

sys.path.append(str(Path(__file__).resolve().parents[1] / "clients"))
WRITE = several(("put", {"path": "a.txt", "text": "hello"}))


def run(setup, session=None, question="Go", as_json=False):
    """Exit code, standard output, standard error."""
    session = session or setup.begin()
    if question:
        session.ask(Message("user", question))
    out, err = io.StringIO(), io.StringIO()
    return headless.run(setup, session, as_json, out, err).exit_code, out.getvalue(), err.getvalue()


def test_the_answer_goes_to_standard_output_and_what_tools_do_to_the_other(tmp_path):
    code, out, err = run(setup_of(tmp_path, several(("lines", {"count": 2})), says("Two lines.")))
    assert (code, out) == (0, "Two lines.\n")
    assert '⚙ lines {"count": 2}' in err and "lines: ok, 13 characters" in err


def test_files_that_a_tool_made_are_kept_and_named(tmp_path):
    _, _, err = run(setup_of(tmp_path, several(("plot", {})), says("See.")))
    [line] = [line for line in err.splitlines() if "▤" in line]
    assert "image/png, 8 bytes: " in line and Path(line.rpartition(": ")[2]).read_bytes().startswith(b"\x89PNG")


def test_every_event_is_a_line_of_json(tmp_path):
    code, out, err = run(setup_of(tmp_path, several(("plot", {})), says("See.")), as_json=True)
    lines = [json.loads(line) for line in out.splitlines()]
    kinds = [line["kind"] for line in lines]
    assert code == 0 and not err and kinds[0] == "session" and kinds[-1] == "finished"
    assert {"step", "reasoning", "call_started", "call_ready", "call_running", "observation", "content"} <= set(kinds)
    [seen] = [line for line in lines if line["kind"] == "observation"]
    assert seen["attachments"][0]["media_type"] == "image/png" and lines[-1]["answer"] == "See."


def test_a_call_that_would_ask_pauses_and_is_gone_on_with_in_another_process(tmp_path):
    setup = setup_of(tmp_path, WRITE)
    code, out, err = run(setup)
    assert (code, out) == (3, "")
    assert "--- a.txt\n+hello" in err and "sansi agent --resume " in err and "--answer once" in err
    setup = setup_of(tmp_path, says("Written."))  # nothing is left of the first process but its files
    session = setup.sessions.open("last")
    assert list(session.pending) == ["call_0"]
    headless.answer_pending(setup, session, ["once"])
    assert run(setup, session, question=None)[:2] == (0, "Written.\n")


def test_a_session_says_why_it_waits(tmp_path):
    setup = setup_of(tmp_path, WRITE)
    run(setup)
    assert setup.sessions.open("last").state == "waits for approval of 1 call"
    assert not setup.begin().state


def test_a_no_with_a_reason_is_told_to_the_model_and_exits_with_5(tmp_path):
    run(setup_of(tmp_path, WRITE))
    setup = setup_of(tmp_path, says("I did not."))
    session = setup.sessions.open("last")
    headless.answer_pending(setup, session, ["call_0=no: not there"])
    code, out, err = run(setup, session, question=None)
    assert (code, out) == (5, "I did not.\n") and "denied" in err
    assert "not there" in session.messages[2].content


def test_what_is_no_answer_is_told(tmp_path):
    run(setup_of(tmp_path, WRITE))
    setup = setup_of(tmp_path)
    session = setup.sessions.open("last")
    with pytest.raises(SansiError, match="maybe"):
        headless.answer_pending(setup, session, ["maybe"])
    with pytest.raises(SansiError, match='no call "call_9" waits; waiting: call_0'):
        headless.answer_pending(setup, session, ["call_9=once"])
    with pytest.raises(SansiError, match="waits for no approval"):
        headless.answer_pending(setup, setup.begin(), ["once"])


def test_a_mode_that_refuses_exits_with_5_a_limit_with_4_and_a_failure_with_1(tmp_path):
    assert run(setup_of(tmp_path, WRITE, says("No."), mode="plan"))[0] == 5
    capped = setup_of(tmp_path, several(("lines", {"count": 1})), says("One."), limits=Limits(max_calls=0))
    assert run(capped)[:2] == (4, "One.\n")
    code, _, err = run(setup_of(tmp_path, SansiError("the server is gone")))
    assert code == 1 and "error: the server is gone" in err


def test_tools_are_chosen_by_name():
    assert names_in(["calculator,calculator", " calculator "]) == ["calculator"]
    with pytest.raises(SansiError, match='no built-in tool "calculater"; did you mean "calculator"'):
        names_in(["calculater"])
    with Toolset(["calculator"]) as tools:
        assert [(tool.name, tool.origin) for tool in tools.all()] == [("calculator", "built-in")]
        assert tools.status() is None


@pytest.fixture
def sansi(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["sansi", "agent", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        return caught.value.code or 0, captured.out, captured.err

    return run


@pytest.fixture
def url():
    from live_server import running
    from scripted import Planned

    def multiply(told):
        return f"It is {told[-1]}." if told else ("calculator", {"expression": "17 * 23"})

    with running([Planned("planned", multiply)]) as address:
        yield address


def test_the_command_asks_a_server_keeps_the_session_and_exports_it(sansi, url, tmp_path):
    code, out, err = sansi("--url", url, "-p", "What is 17 * 23?")
    assert (code, out) == (0, "It is 391.\n") and "calculator" in err
    code, out, _ = sansi("list")
    assert code == 0 and "planned  What is 17 * 23?" in out
    assert "It is 391." in sansi("export", "last")[1]
    assert sansi("export", "last", str(tmp_path / "a.jsonl"))[0] == 0
    assert '"kind": "observation"' in (tmp_path / "a.jsonl").read_text()
    code, out, _ = sansi("--url", url, "--resume", "last", "-p", "Again", "--json")
    assert code == 0 and json.loads(out.splitlines()[-1])["answer"] == "It is 391."


def test_a_model_that_is_not_listed_or_was_not_trained_for_it_is_told(sansi, url, monkeypatch):
    code, _, err = sansi("--url", url, "-m", "plannd", "-p", "What is 17 * 23?")
    assert f'{url}/v1 lists no model "plannd"; did you mean "planned"?' in err and code == 1
    assert "trained" not in sansi("--url", url, "-p", "What is 17 * 23?")[2]
    listed = [{"id": "planned", "calls_tools": False}]
    monkeypatch.setattr("sansi.client.streaming.list_models", lambda *_, **__: listed)
    assert "warning: this model was not trained to call tools" in sansi("--url", url, "-p", "What is 17 * 23?")[2]
    assert "trained" not in sansi("--url", url, "--tools", "none", "-p", "What is 17 * 23?")[2]


def test_a_file_is_attached_before_the_question(sansi, url, tmp_path):
    (tmp_path / "data.csv").write_text("a,b")
    command = ["--url", url, "--attach", str(tmp_path / "data.csv"), "-p", "What is 17 * 23?"]
    assert sansi("--tools", "calculator,code_interpreter", *command)[:2] == (0, "It is 391.\n")
    assert [file.read_text() for file in tmp_path.rglob("code_interpreter/data.csv")] == ["a,b"]
    code, _, err = sansi(*command)
    assert code == 2 and "--tools code_interpreter" in err


def test_a_server_of_a_file_is_asked_about_and_goes_on_in_another_process(sansi, tmp_path):
    from live_server import running
    from scripted import Planned

    sound = Path(__file__).resolve().parents[1] / "agents" / "mcp" / "mcp_sound.py"
    server = {"command": sys.executable, "args": ["-I", "-S", str(sound), "modern"]}
    file = tmp_path / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {"sound": server, "gone": {"command": "no-such-program"}}}))

    def echo(told):
        return f"It said {told[-1]}." if told else ("sound__echo", {"text": "hello"})

    with running([Planned("planned", echo)]) as address:
        code, _, err = sansi("--url", address, "--mcp", str(file), "-p", "Echo")
        assert code == 3 and "sound__echo (mcp:sound)" in err and '"text": "hello"' in err
        assert err.count("no-such-program") == 1  # nobody looks at /servers here
        code, out, _ = sansi("--url", address, "--mcp", str(file), "--resume", "last", "--answer", "once")
    assert (code, out) == (0, "It said hello.\n")


def test_every_built_in_tool_can_be_had_by_its_name(tmp_path):
    with Toolset(BUILT_IN, folder=tmp_path) as tools:
        names = {tool.name for tool in tools.all()}
    assert {"calculator", "code_interpreter", "fetch", "read_file", "write_file", "shell"} <= names
    with pytest.raises(SansiError, match="no such folder to share"):
        Toolset([], folder=tmp_path / "gone")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--json"], "--json is for -p"),
        (["--answer", "once"], "give --resume SESSION"),
        (["--resume", "a", "--fork", "b"], "exclude each other"),
        (["--resume", "last", "--answer", "once", "-p", "More"], "one after the other"),
        (["--api-key-env", "X"], "give --url with it"),
        (["--mode", "ynlo"], 'did you mean "yolo"'),
        (["--tools", "shel"], 'there is no built-in tool "shel"; did you mean "shell"?\n'),
        (
            ["--tools", "nosuch"],
            "; known: calculator, clock, code_interpreter, fetch, files, memory, retrieval, shell\n",
        ),
        (["--always", "shell(command"], "write TOOL or TOOL(ARGUMENT=PATTERN"),
        (["--url", "nowhere", "-p", "x"], '"nowhere" is no address of a server'),
        (["--no-such-option"], "no such option"),
        (["--url", "http://127.0.0.1:1", "-b", "-1", "-p", "x"], "thinking_budget must be a number of 0 or more"),
        (["--url", "http://127.0.0.1:1", "-p", ""], "nothing to ask"),
        (["--url", "http://127.0.0.1:1", "--quantize", "int8", "--device", "cpu"], "--device, --quantize: for a model"),
        (
            ["--url", "http://127.0.0.1:1", "--tools", "files", "--folder", "/", "-p", "x"],
            "a folder in it (with --folder)",
        ),
        (["--url", "http://127.0.0.1:1", "--folder", "/", "-p", "x"], "--folder: none of the tools uses it"),
        (["--resume", "a"], "there are no sessions yet"),
        (["export", "last"], "there are no sessions yet"),
    ],
)
def test_a_wrong_command_line_is_one_sentence_and_exits_with_2(sansi, arguments, words):
    code, _, err = sansi(*arguments)
    assert code == 2 and words in err and err.count("\n") == 1, err


def test_what_can_not_be_done_is_one_sentence_and_exits_with_1(sansi):
    code, _, err = sansi("--url", "http://127.0.0.1:1", "-p", "x")
    assert code == 1 and "can not be reached" in err and err.count("\n") == 1, err


def test_names_of_sessions_and_documents_that_are_wrong_are_mistakes_of_the_command_line(sansi, url, tmp_path):
    assert "there are no sessions yet" in sansi("list")[2]
    assert sansi("--url", url, "-p", "What is 17 * 23?")[0] == 0
    for arguments in (["--resume", "nosuch", "-p", "x"], ["--fork", "nosuch"], ["export", "nosuch"]):
        code, _, err = sansi(*arguments)
        assert code == 2 and 'there is no session "nosuch"' in err, err
    code, _, err = sansi("export", "last", str(tmp_path / "x.pdf"))
    assert code == 2 and '".pdf" is no form of a session' in err


def test_a_session_of_somebody_else_does_not_go_on_with_another_model_in_silence(sansi, url, tmp_path):
    assert sansi("--url", url, "-p", "What is 17 * 23?")[0] == 0
    file = next(tmp_path.rglob("session.jsonl"))
    first, *rest = file.read_text().splitlines(keepends=True)
    file.write_text(first.replace('"planned"', '"another"', 1) + "".join(rest))
    for option in ("--resume", "--fork"):
        code, _, err = sansi(option, "last", "-p", "Again")
        assert code == 2 and "its settings do not count: give --url or -m" in err, err
    code, _, err = sansi("--resume", "last", "--url", url, "-p", "Again")
    assert code == 0 and "its settings are not used" in err


def test_a_session_goes_on_with_what_it_began_with(sansi, tmp_path, monkeypatch):
    """Server, tools, folder and limits are the session's, from whatever folder it is gone on with."""
    from live_server import running
    from scripted import Planned

    def write(told):
        return f"It said {told[-1]}." if told else ("write_file", {"path": "a.txt", "content": "hello"})

    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path)
    models = [Planned("first", write), Planned("planned", write)]
    for model in models:
        model.context_length = 8192  # the definitions of five tools
    with running(models) as address:
        begun = sansi(
            "--url", address, "-m", "planned", "--tools", "files", "--folder", "project", "--max-calls", "1", "-p", "Go"
        )
        assert begun[0] == 3
        monkeypatch.chdir("/")
        code, out, _ = sansi("--resume", "last", "--answer", "once")
        assert code == 0 and "wrote a.txt" in out
        assert (tmp_path / "project" / "a.txt").read_text() == "hello"
        assert sansi("--resume", "last", "--tools", "calculator", "-p", "Go")[0] == 0  # what is given again differs
    lines = [json.loads(line) for line in next(tmp_path.rglob("session.jsonl")).read_text().splitlines()]
    assert [line["tools"] for line in lines if line["kind"] == "step"][-1] == ["calculator"]
    assert lines[0]["settings"]["model"] == "planned" and lines[0]["settings"]["max_calls"] == 1


def test_the_page_s_script_runs_word_for_word(sansi, tmp_path, monkeypatch):
    """docs/agents.md, "Sessions, and scripts": answered, paused, gone on with."""
    from live_server import running
    from scripted import Planned

    page = (Path(__file__).resolve().parents[2] / "docs" / "agents.md").read_text(encoding="utf-8")
    [block] = [block for block in re.findall(r"```sh\n(.*?)```", page, re.S) if "--answer once" in block]
    calls = {"calculator": {"expression": "17 * 23"}, "write_file": {"path": "product.txt", "content": "391\n"}}
    wanted = iter(calls.items())
    model = Planned("planned", lambda told: f"It is {told[-1]}." if told else next(wanted))
    model.context_length = 8192
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with running([model]) as address:
        lines = [shlex.split(line.replace("http://127.0.0.1:8000", address)) for line in block.splitlines()]
        assert all(line[:2] == ["sansi", "agent"] for line in lines)
        assert [sansi(*line[2:])[0] for line in lines] == [0, 3, 0]
    assert (folder / "product.txt").read_text() == "391\n"


@pytest.mark.parametrize(("given", "calls"), [((), 5), (("--loop-breaker", "3"), 3), (("--loop-breaker", "0"), 7)])
def test_when_the_same_call_ends_the_calls_is_an_option_that_a_session_keeps(sansi, tmp_path, given, calls):
    from live_server import running
    from scripted import Planned

    def plan(told):
        return ("calculator", {"expression": "1+1"}) if len(told) < 7 else "It is 2."

    with running([Planned("planned", plan)]) as address:
        code, _, err = sansi("--url", address, "-m", "planned", "-p", "Go", *given)
        assert (code, err.count("calculator: ok")) == (0 if calls == 7 else 4, calls)
    lines = [json.loads(line) for line in next(tmp_path.rglob("session.jsonl")).read_text().splitlines()]
    assert lines[0]["settings"]["loop_breaker"] == int(given[1] if given else 5)


@pytest.mark.parametrize("verb", ["agent", "serve"])
def test_the_built_in_tools_are_listed(verb, capsys):
    cli.app([verb, "--tools", "list"], standalone_mode=False)
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == sorted(BUILT_IN)


@pytest.mark.parametrize("wrong", ["1", "-1", "x"])
def test_a_wrong_number_of_times_is_the_command_lines_mistake(wrong):
    with pytest.raises(SystemExit) as caught:
        cli.app(["agent", "--loop-breaker", wrong, "-p", "Go"])
    assert caught.value.code == 2


def test_a_session_whose_process_was_killed_in_a_call_can_be_asked_more(sansi, url, tmp_path):
    assert sansi("--url", url, "-p", "What is 17 * 23?")[0] == 0
    file = next(tmp_path.rglob("session.jsonl"))
    lines = file.read_text().splitlines(keepends=True)
    running = next(at for at, line in enumerate(lines) if json.loads(line)["kind"] == "call_running")
    file.write_text("".join(lines[: running + 1]))  # as kill -9 leaves it
    assert "(was cut off in the middle of its calls)" in sansi("list")[1]
    code, out, err = sansi("--resume", "last", "-p", "Go on")
    assert code == 0 and "It is" in out, err


def test_approvals_are_listed_and_taken_back_by_the_command(sansi, tmp_path):
    file = tmp_path / "sansi" / "approvals.json"
    Approvals("ask", remembered=file).remembered.approve(put)
    code, out, _ = sansi("approvals")
    assert code == 0 and out.splitlines() == [
        "1  python/put: every call of put",
        f"1 approval for always in {file}",
    ]
    assert sansi("approvals", "--forget", "7")[0] == 2
    assert "it asks again" in sansi("approvals", "--forget", "1")[1]
    assert sansi("approvals")[1].startswith("0 approvals")


def test_each_name_of_a_tool_says_what_it_turns_on(sansi):
    told = sansi("--tools", "list")[1].splitlines()
    assert [line.split()[0] for line in told] == sorted(BUILT_IN) and all(len(line.split()) > 2 for line in told)


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [("--mode ", "yolo"), ("--tools ca", "calculator"), ("--resume ", "last"), ("export ", "last"), ("e", "export")],
)
def test_a_shell_completes_modes_tools_and_sessions(typed, wanted, tmp_path):
    command = [str(Path(sys.executable).parent / "sansi")]
    words = f"sansi agent {typed}"
    environment = {
        **os.environ,
        "_SANSI_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
        "XDG_STATE_HOME": str(tmp_path),
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert wanted in done.stdout.split(), done


def test_what_a_server_asks_in_the_middle_of_a_call_is_declined_and_that_is_said(tmp_path):
    setup = setup_of(tmp_path, several(("book", {})), says("Not booked."), tools=(book,))
    code, out, err = run(setup)
    assert (code, out) == (0, "Not booked.\n") and "travel asked the user “Whom is it for?”, which was declined" in err
    setup = setup_of(tmp_path, several(("book", {})), says("Not booked."), tools=(book,))
    _, out, _ = run(setup, as_json=True)
    assert json.loads(out.splitlines()[-1])["report"]["inputs_declined"] == 1


def test_tools_and_files_that_are_not_there_are_mistakes_of_the_command_line(sansi, tmp_path):
    code, _, err = sansi("--url", "http://127.0.0.1:1", "--mcp", str(tmp_path / "no.json"), "-p", "x")
    assert code == 2 and "no.json" in err


SLOW = """
import sys, time
time.sleep(1.5)
exec(open(sys.argv[1]).read().replace("sys.argv[1]", "'legacy'"))
"""


def test_without_a_user_servers_that_start_slowly_are_waited_for_and_resources_are_read(tmp_path, monkeypatch):
    pytest.importorskip("mcp", reason="the extra `agents` is not installed")
    sound = Path(__file__).resolve().parents[1] / "agents" / "mcp" / "mcp_sound.py"
    entry = {"command": sys.executable, "args": ["-I", "-S", "-c", SLOW, str(sound)]}
    monkeypatch.setattr(turns, "STARTING", 0.0)
    setup = setup_of(tmp_path, says("Hello."))
    setup.tools = Toolset([], [{"mcpServers": {"slow": entry}}])
    with setup.tools:
        session = setup.begin()
        for message in with_resources(setup.tools.servers, "See @slow:memo://a"):
            session.ask(message)
        code, out, err = run(setup, session, question=None)
    names = [spec["function"]["name"] for spec in setup.client.seen[0][1]]
    assert (code, out, err) == (0, "Hello.\n", "") and "slow__echo" in names
    assert "hello" in session.messages[1].content


def test_servers_that_are_still_starting_are_told(tmp_path):
    class Status:
        servers = (SimpleNamespace(state="starting"),)
        starting = 1

        def __str__(self):
            return "0 of 1 MCP server ready; starting: slow"

    setup = setup_of(tmp_path, says("Hello."))
    setup.tools.status = Status
    assert "starting: slow" in run(setup)[2]


def test_resources_in_a_question_of_the_command_are_read(sansi, url, tmp_path, monkeypatch):
    read = []

    def with_resources(servers, text):
        read.append(text)
        return [Message("user", text)]

    monkeypatch.setattr(from_servers, "with_resources", with_resources)
    assert sansi("--url", url, "-p", "@r:note://one 17 * 23")[0] == 0 and read == ["@r:note://one 17 * 23"]


def test_a_key_goes_with_the_server_of_the_session_that_is_resumed(sansi, url, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "k" * 20)
    code, _, err = sansi("--api-key-env", "SOME_KEY", "-p", "x")
    assert code == 2 and "give --url with it" in err
    assert sansi("--url", url, "-p", "What is 17 * 23?")[0] == 0
    assert sansi("--resume", "last", "--api-key-env", "SOME_KEY", "-p", "Again")[0] == 0


def test_cut_and_unreadable_sessions_are_told(sansi, url, tmp_path):
    assert sansi("--url", url, "-p", "What is 17 * 23?")[0] == 0
    file = next(tmp_path.rglob("session.jsonl"))
    with file.open("a") as end:
        end.write('{"kind": "ste')
    assert "is cut or damaged" in sansi("export", "last")[2]
    assert "is cut or damaged" in sansi("--resume", "last", "-p", "Go on")[2]
    broken = file.parents[1] / "20260101-000000-0000"
    broken.mkdir()
    (broken / "session.jsonl").write_text("no session\n")
    told = sansi("list")[1].splitlines()
    assert told[0].startswith("20260101-000000-0000  (cannot be read: ") and len(told) == 2


def test_rules_about_arguments_that_a_tool_does_not_have_are_refused(sansi, url):
    code, _, err = sansi("--url", url, "--always", "calculator(expresion=*)", "-p", "x")
    assert code == 2 and 'speaks of "expresion", which calculator does not take; did you mean "expression"?' in err


def test_the_calculator_is_there_beside_mcp_files_and_none_is_none(sansi, url, tmp_path):
    pytest.importorskip("mcp", reason="the extra `agents` is not installed")
    (tmp_path / "mcp.json").write_text('{"mcpServers": {}}')
    assert "391" in sansi("--url", url, "--mcp", str(tmp_path / "mcp.json"), "-p", "What is 17 * 23?")[1]
    steps = [json.loads(line) for line in sansi("--url", url, "--tools", "none", "-p", "x", "--json")[1].splitlines()]
    assert next(step for step in steps if step["kind"] == "step")["tools"] == []
