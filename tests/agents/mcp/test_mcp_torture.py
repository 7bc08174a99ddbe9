"""Each faulty server beside a sound one: the cause is named, the sound one goes on, no process is left."""

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("mcp", reason="the extra `agents` is not installed")

from mcp_faults import FAULTS, PATIENT, Fault
from mcp_faulty_http import Serving, serving
from mcp_programs import FAULTY, echo, program, wait_for
from sansi.agents.mcp import MCPFailure, MCPServers, Reply, ServerConfig, agreement, connection, stdio
from sansi.base.processes import process_ids, stat_fields


def config_of(fault: Fault, stack: ExitStack):
    if not fault.http:
        return program(fault.word, **fault.times)
    return ServerConfig(fault.word, url=stack.enter_context(serving(fault.word)).url, **PATIENT | fault.times)


@pytest.fixture
def limits(monkeypatch):
    """Limits of the calls that are made while they stand in it; a server's own are of no matter."""
    standing = {}
    kind = connection.Deadline
    monkeypatch.setattr(
        connection, "Deadline", lambda silence, limit: kind(**{"silence": 600, "limit": 600, **standing})
    )
    monkeypatch.setattr(agreement, "PROBE_PATIENCE", 0.3)
    monkeypatch.setattr(stdio, "STOP_GRACE", 0.2)
    return standing


def processes_of(text):
    """Process ids whose command line holds `text`."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if text.encode() in line and int(pid) != os.getpid():
            found.append(int(pid))
    return found


def descendants():
    """Processes below this one that still run."""
    parents = {}
    for pid in process_ids():
        if (fields := stat_fields(pid)) and fields[0] != "Z":
            parents[pid] = int(fields[1])
    return {pid for pid in parents if _is_below(pid, parents)}


def _is_below(pid, parents):
    while pid in parents:
        pid = parents[pid]
        if pid == os.getpid():
            return True
    return False


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.word)
def test_fault(fault, limits):
    before = descendants()
    with ExitStack() as stack:
        servers = stack.enter_context(MCPServers([config_of(fault, stack), program("sound", "neighbour")]))
        status = servers.wait()
        assert status["neighbour"].state == "ready"
        if fault.phase in ("start", "list"):
            assert_failed(status[fault.word], fault)
        else:
            assert status[fault.word].state == "ready", status
            exercise(servers, fault, limits)
        assert echo(servers, "neighbour", "still here").text == "still here"
    assert descendants() <= before, "a process is left"


def assert_failed(status, fault):
    assert (status.state, status.phase) == ("failed", fault.phase)
    assert f'MCP server "{fault.word}"' in status.cause and fault.cause in status.cause
    assert "\n" not in status.cause and "Traceback" not in status.cause and "TaskGroup" not in status.cause


def exercise(servers, fault, limits):
    if fault.good:
        echo(servers, fault.word, fault.good)
    if fault.phase == "call":
        limits |= fault.limits
        assert_call_fails(servers, fault)
        limits.clear()
        if fault.good and fault.survives:
            echo(servers, fault.word, fault.good)
        return
    result = echo(servers, fault.word, fault.text)
    assert not result.is_error
    status = servers.status()[fault.word]
    if fault.cause:
        told = [*status.notes, *(f"{name}: {why}" for name, why in status.rejected)]
        assert any(fault.cause in each for each in told), told


def assert_call_fails(servers, fault):
    definition = next(d for d in servers.definitions() if d.server == fault.word)
    if fault.word == "rug_pull":
        wait_for(servers, lambda status: status["rug_pull"].changes)
    text = "y" * 2**21 if fault.word == "deaf" else fault.text
    old = RUG_PULLED.get(fault.word, lambda d: d)(definition)
    try:
        result = servers.call(old, {"text": text})
        assert result.is_error and fault.cause in result.text
    except MCPFailure as failure:
        assert failure.phase == "call" and fault.cause in str(failure), str(failure)
        assert f'MCP server "{fault.word}" failed in the call of "echo"' in str(failure)


def _as_it_was(definition):
    return replace(definition, description="Say it again.")


RUG_PULLED = {"rug_pull": _as_it_was}


def test_the_matrix_has_more_than_twenty_faults():
    assert len({fault.word for fault in FAULTS}) >= 20


def test_strange_content_is_named_and_the_rest_kept():
    with MCPServers([program("strange_content")]) as servers:
        text = echo(servers, "strange_content", "x").text
    assert text.startswith("before\n[part 2 of the result cannot be read") and text.endswith("after")


def test_a_call_that_passed_its_deadline_is_cancelled_at_the_server(limits):
    with MCPServers([program("hangs_in_call")]) as servers:
        limits["silence"] = 0.3
        with pytest.raises(MCPFailure, match=r"no answer within 0.3 s"):
            echo(servers, "hangs_in_call", "x")
        limits.clear()
        assert echo(servers, "hangs_in_call", "cancelled?").text != "None"


def test_a_call_that_its_caller_cancels_is_cancelled_at_the_server():
    with MCPServers([program("hangs_in_call")]) as servers:
        definition = servers.definitions()[0]
        calling = servers.submit(definition, {"text": "x"})
        echo(servers, "hangs_in_call", "cancelled?")  # the server has read the first call when it answers this
        calling.cancel()
        assert echo(servers, "hangs_in_call", "cancelled?").text != "None"


def test_a_lost_server_is_started_anew_and_a_call_that_may_have_been_done_is_not_repeated():
    with MCPServers([program("dies_in_call")]) as servers:
        with pytest.raises(MCPFailure, match=r"whether it was done is not known, and it was not repeated") as failed:
            echo(servers, "dies_in_call", "x")
        assert 'its stderr ends with "segmentation fault"' in str(failed.value)
        assert echo(servers, "dies_in_call", "alive").text == "alive"
        assert servers.status()["dies_in_call"].restarts == 1


def test_a_server_cannot_ask_for_ever_nor_outside_of_a_call():
    asked = []

    def ask(question):
        asked.append(question.message)
        return Reply("accept")

    with MCPServers([program("asks_for_ever")], ask=ask) as servers:
        assert echo(servers, "asks_for_ever", "x").text == "decline 21"
        notes = servers.status()["asks_for_ever"].notes
    assert asked == ["Your password?"] * 20
    assert any("outside of any call" in note for note in notes) and any("asked 20 already" in note for note in notes)


def test_a_remote_server_that_went_away_is_named_and_found_again():
    first = Serving("sound")
    with MCPServers([ServerConfig("remote", url=first.url, **PATIENT)]) as servers:
        assert echo(servers, "remote", "before").text == "before"
        first.stop()
        with pytest.raises(
            MCPFailure, match=r'^MCP server "remote" failed in the call of "echo": .*its address cannot be reached'
        ):
            echo(servers, "remote", "meanwhile")
        second = Serving("sound", first.port)
        try:
            assert echo(servers, "remote", "after").text == "after"
        finally:
            second.stop()


def test_a_server_that_answers_an_error_says_so_in_its_result():
    with MCPServers([program("says_error")]) as servers:
        result = echo(servers, "says_error", "x")
    assert result.is_error and result.text == "no such file: a.txt"


KILLED = """
import os, signal, sys
from sansi.agents.mcp import MCPServers, ServerConfig
program, *args = sys.argv[1:]
servers = MCPServers([ServerConfig("x", command=program, args=tuple(args), transport="stdio")])
assert servers.wait().ready == 1
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_processes_end_with_the_program_that_is_killed():
    """kill -9 of the program that started a server leaves neither the server nor what it started."""
    mark = f"killed-{os.getpid()}"
    command = [sys.executable, "-I", "-S", str(FAULTY), "orphan", mark]
    subprocess.run([sys.executable, "-c", KILLED, *command], timeout=120)
    for _ in range(400):
        if not processes_of(mark):
            return
        time.sleep(0.05)
    raise AssertionError(f"left: {processes_of(mark)}")
