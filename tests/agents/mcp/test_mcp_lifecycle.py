"""Servers that come and go: started again, lost while nobody calls, closed; and what they tell again and again."""

import asyncio
import os
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.importorskip("mcp", reason="the extra `agents` is not installed")

import itertools

from mcp.shared.exceptions import MCPError
from mcp_faults import PATIENT
from mcp_faulty_http import serving
from mcp_programs import echo, program, wait_for
from sansi.agents.mcp import (
    Caller,
    Definition,
    MCPFailure,
    MCPServers,
    Reply,
    ServerConfig,
    lifecycle,
    load_servers,
    process,
    stdio,
    traffic,
)
from sansi.agents.mcp import servers as servers_module
from sansi.agents.mcp.http import HTTP_FAILED
from sansi.base import SansiError

NEVER = Definition("never", "echo", None, "", {"type": "object"})


@pytest.mark.parametrize("wrong", [{"problem": "it has no command"}, {"command": "x", "disabled": True}])
def test_a_server_that_cannot_be_started_is_not_started_again(wrong):
    with MCPServers([ServerConfig("never", **wrong)]) as servers:
        before = servers.wait()
        with pytest.raises(MCPFailure, match='MCP server "never" cannot be started: it '):
            servers.restart("never")
        with pytest.raises(MCPFailure, match='MCP server "never" cannot be started: it '):
            servers.submit(NEVER, {}).result(20)
        assert servers.wait(20) == before


def test_a_server_that_was_lost_while_nobody_called_is_there_for_the_next_call():
    """Also while its program is still being ended, which takes a second where it lives on."""
    with MCPServers([program("goodbye")]) as servers:
        assert echo(servers, "goodbye", "goodbye").text == "goodbye"
        wait_for(servers, lambda status: status["goodbye"].state == "lost")
        assert echo(servers, "goodbye", "again").text == "again"
        assert servers.status()["goodbye"].restarts == 1


def test_a_list_that_is_said_to_be_another_again_and_again_is_not_asked_for_again_and_again(monkeypatch):
    monkeypatch.setattr(lifecycle, "RELIST_PAUSE", 600)
    told = []
    with MCPServers([program("restless")], on_change=told.append) as servers:
        servers.wait()
        lists = [int(echo(servers, "restless", "x").text) for _ in range(20)]
    assert lists[-1] == 2
    assert all(before != after for before, after in itertools.pairwise(told)), "nothing was another"


def test_a_list_that_is_read_anew_is_no_restart(monkeypatch):
    monkeypatch.setattr(lifecycle, "RELIST_PAUSE", 0)
    with MCPServers([program("restless")]) as servers:
        while int(echo(servers, "restless", "x").text) < 4:
            pass
        assert servers.status()["restless"].restarts == 0


def test_a_listener_that_fails_harms_no_server():
    def fails(status):
        raise KeyError("mine")

    with MCPServers([program("sound")], on_change=fails) as servers:
        assert servers.wait(60).ready == 1


def test_oddities_can_be_read_while_one_is_noted(monkeypatch):
    """The status is asked for by other threads."""
    noted = traffic.Traffic()
    monkeypatch.setattr(traffic, "one_line", lambda text: str(noted.oddities))
    noted.odd("sent nonsense", "x")
    assert noted.oddities == ["it sent nonsense: []"]


def test_two_transports_share_one_deadline(monkeypatch):
    """A server that takes its time to refuse the one has no more of it for the other."""
    ends = []

    async def refused(self, config, traffic, end):
        ends.append((config.transport, end))
        raise MCPError(HTTP_FAILED, "no", {"status": 404})

    monkeypatch.setattr(lifecycle.Lifecycle, "_one_connection", refused)
    with MCPServers([ServerConfig("remote", url="http://127.0.0.1:9/", **PATIENT)]) as servers:
        assert "neither streamable HTTP" in servers.wait(60)["remote"].cause
    assert [kind for kind, _ in ends] == ["auto", "sse"] and len({end for _, end in ends}) == 1


def test_what_was_started_ends_where_its_start_is_cancelled(monkeypatch):
    """Its lifeline is closed, by which the supervisor learns that nobody wants it."""
    held = []

    async def cancelled(*command, pass_fds, **options):
        held.extend(pass_fds)
        raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "create_subprocess_exec", cancelled)
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(process.ServerProcess.start(program("sound")))
    assert held and set(os.listdir("/proc/self/fd")) == before


def test_a_list_that_cannot_be_read_anew_is_told_once(monkeypatch):
    monkeypatch.setattr(lifecycle, "RELIST_PAUSE", 0)
    with MCPServers([program("loses_its_list")]) as servers:
        while int(echo(servers, "loses_its_list", "x").text) < 5:
            pass
        notes = servers.status()["loses_its_list"].notes
    assert [note for note in notes if "no list today" in note] == [notes[-1]]


def test_a_question_outlives_another_call_that_ends_before_it_is_answered():
    """Before 2026-07-28 a question does not say which of the calls of a conversation asks it."""
    ended = threading.Event()
    asked = []

    async def ask(question):
        asked.append(question.message)
        await asyncio.to_thread(ended.wait, 60)
        return Reply("accept")

    caller = Caller(ask=ask, conversation="a")
    with MCPServers([program("asks_beside")]) as servers:
        (definition,) = servers.definitions()
        first = servers.submit(definition, {"text": "1"}, caller)
        second = servers.submit(definition, {"text": "2"}, caller)
        assert second.result(20).text == "second"
        ended.set()
        assert first.result(20).text == "accept"
    assert asked == ["Sure?", "Sure?"]  # under the call that ended, then under the one that goes on


def test_an_sdk_that_cannot_be_loaded_is_named_and_leaves_no_process(monkeypatch):
    monkeypatch.setitem(sys.modules, "sansi.agents.mcp.server", None)
    with MCPServers([program("sound")]) as servers:
        status = servers.wait(20)["sound"]
        assert (status.state, status.phase) == ("failed", "start") and "package mcp" in status.cause
        assert servers.tools() == []
        with pytest.raises(SansiError, match="package mcp"):
            servers.restart("sound")


def test_a_program_that_cannot_even_be_looked_for_leaves_the_others_alone(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with MCPServers([ServerConfig("lost", command="./x"), program("sound", cwd="/")]) as servers:
        status = servers.wait(60)
        assert status["lost"].state == "failed" and "No such file" in status["lost"].cause
        assert status["sound"].state == "ready"


LEAKS = """
import os, sys
print(*sys.argv[1:], os.environ["DB_PASSWORD"], os.environ["MY_API_KEY"], file=sys.stderr, flush=True)
sys.exit(3)
"""


def test_no_secret_of_a_configuration_is_told(monkeypatch):
    """Clients of a server read what became of its MCP servers, and models the errors of calls."""
    monkeypatch.setenv("SOME_TOKEN", "secret-of-the-environment")
    monkeypatch.setenv("MY_API_KEY", "secret-that-is-inherited")
    monkeypatch.setenv("PLACE", "a-harmless-place")
    args = ["-I", "-S", "-c", LEAKS, "--at", "${PLACE}", "--api-key", "secret-1", "--password=secret-2"]
    own = {"env": {"DB_PASSWORD": "secret-3"}, "inheritEnv": ["MY_*"]}
    program = {"command": sys.executable, "args": [*args, "${SOME_TOKEN}"], **own}
    with serving("tells_what_it_was_sent") as remote:
        address = {"url": f"{remote.url}?api_key=secret-4", "headers": {"Authorization": "Bearer secret-5"}}
        both = {"command": f"{sys.executable} -m x --token ${{SOME_TOKEN}}", "args": ["--key", "secret-6"]}
        unfit = {"url": "${SOME_TOKEN}"}
        files = {"program": program, "remote": address, "both": both, "unfit": unfit}
        with MCPServers(load_servers({"mcpServers": files})) as servers:
            status = servers.wait(60)
    told = str(status)
    assert "secret" not in told.replace("***", ""), told
    assert all(each.state == "failed" for each in status.servers)
    assert "a-harmless-place" in status["program"].cause and "who is ***" in status["remote"].cause


def test_a_program_that_has_ended_before_it_is_spoken_to_is_told_with_its_exit_code(monkeypatch):
    begin = servers_module.begin

    async def waits(config):
        begun = await begin(config)
        await begun._process.wait()
        return begun

    monkeypatch.setattr(servers_module, "begin", waits)
    with MCPServers([program("dies_at_start")]) as servers:
        cause = servers.wait(60)["dies_at_start"].cause
    assert "it exited with code 3" in cause and "API_TOKEN is missing" in cause


@pytest.mark.parametrize(("size", "fits"), [(2 * 2**20, True), (5 * 2**20, False)])
def test_over_sse_a_message_is_as_large_as_it_may_be(size, fits):
    """And one that is larger is named as what ended the connection, which is then made anew."""
    with serving("sized_sse") as remote:
        config = ServerConfig("remote", url=remote.url, transport="sse", max_message_mib=4, **PATIENT)
        with MCPServers([config]) as servers:
            if fits:
                assert len(echo(servers, "remote", str(size)).text) == size
            else:
                with pytest.raises(MCPFailure, match=r"it sent a message of over 4 MiB \(max_message_mib\)"):
                    echo(servers, "remote", str(size))
            assert echo(servers, "remote", "3").text == "xxx"
            assert any("events that are no JSON-RPC" in note for note in servers.status()["remote"].notes)


def test_an_sse_server_that_wants_requests_elsewhere_gets_none():
    with ExitStack() as stack:
        url = stack.enter_context(serving("elsewhere_sse")).url
        config = ServerConfig("remote", url=url, transport="sse", **PATIENT)
        cause = stack.enter_context(MCPServers([config])).wait(60)["remote"].cause
    assert "it wants requests at another server, http://elsewhere.invalid/messages" in cause


def test_over_sse_a_refused_request_says_why():
    with serving("refuses_sse") as remote:
        config = ServerConfig("remote", url=remote.url, transport="sse", **PATIENT)
        with MCPServers([config]) as servers, pytest.raises(MCPFailure, match="too busy for that"):
            echo(servers, "remote", "x")


def test_a_server_that_does_not_list_its_prompts_does_not_cost_those_of_others():
    sound = Path(__file__).with_name("mcp_sound.py")
    other = ServerConfig("other", command=sys.executable, args=("-I", "-S", str(sound), "legacy"), **PATIENT)
    with MCPServers([program("hides_its_prompts"), other]) as servers:
        assert [prompt.name for prompt in servers.prompts()] == ["greet"]
        assert any("prompts/list" in note for note in servers.status()["hides_its_prompts"].notes)
        with pytest.raises(MCPFailure, match="did not list what it offers"):
            servers.prompts("hides_its_prompts")


def test_what_a_program_does_not_read_is_not_kept_without_end(monkeypatch):
    monkeypatch.setattr(stdio, "MOST_UNREAD", 2**16)
    with (
        MCPServers([program("nags", call_timeout=300.0)]) as servers,
        pytest.raises(MCPFailure, match=r"it has not read .* MiB of what it was sent"),
    ):
        echo(servers, "nags", "x")
