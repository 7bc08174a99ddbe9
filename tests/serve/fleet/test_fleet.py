"""Real replicas: processes that load a model, are killed, come back, and end with the front."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

import pytest
from live_server import LONG, http, wait_for
from sansi.base.errors import SansiError
from sansi.serve.fleet.launch import serve
from sansi.serve.fleet.places import _parts, memory_for

CHAT = "/v1/chat/completions"


class Fleet:
    """`sansi serve --replicas 2` as a user starts it."""

    def __init__(self, model, *options):
        command = [sys.executable, "-m", "sansi.cli", "serve", str(model), "--port", "0", "--replicas", "2"]
        command += ["--device", "cpu", "--memory", "1", "--name", "tiny", *options]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(command, text=True, **pipes)
        lines = iter(self.process.stdout.readline, "")
        self.url = next(found[1] for line in lines if (found := re.search(r"chat +(http\S+)", line)))

    def children(self):
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in task.read_text().split()]

    def ask(self, number=0, **more):
        messages = [{"role": "user", "content": f"{number} Think, then act. " * 12}]
        return http.post(self.url + CHAT, json={"model": "tiny", "messages": messages, "max_tokens": 8, **more})

    def metric(self, name):
        found = re.search(rf"^{re.escape(name)} ([\d.]+)$", http.get(self.url + "/metrics").text, re.MULTILINE)
        return float(found[1]) if found else None


@pytest.fixture
def started(tiny):
    fleets = []

    def start(*options):
        fleets.append(Fleet(tiny, *options))
        return fleets[-1]

    yield start
    for fleet in fleets:
        if fleet.process.poll() is None:
            fleet.process.kill()
        fleet.process.communicate(timeout=LONG)


@pytest.mark.slow
def test_replicas_answer_come_back_and_end(started):
    fleet = started()
    first, second = fleet.children()
    assert http.get(fleet.url + "/health").json()["replicas"] == {"up": 2, "of": 2}
    # The same question, the same replica: its cache is used. Others go to the other one, too.
    assert [fleet.ask().status_code for _ in range(4)] == [200] * 4
    assert fleet.ask().json()["usage"]["prompt_tokens_details"]["cached_tokens"] > 0
    assert fleet.metric('sansi_routed_requests_total{by="prefix"}') == 4
    assert len({fleet.ask(temperature=0).json()["choices"][0]["message"]["content"] for _ in range(3)}) == 1

    # One is killed under load: no request that had not begun is lost.
    statuses = Counter()
    threads = [
        threading.Thread(target=lambda n=n: statuses.update([fleet.ask(n, max_tokens=200).status_code]))
        for n in range(24)
    ]
    for thread in threads[:12]:
        thread.start()
    os.kill(first, signal.SIGKILL)
    for thread in threads[12:]:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert statuses == {200: 24}
    assert wait_for(lambda: http.get(fleet.url + "/health").json()["replicas"]["up"] == 2)
    assert second in fleet.children() and first not in fleet.children() and len(fleet.children()) == 2
    assert fleet.metric('sansi_replica_restarts_total{replica="0"}') == 1

    children = fleet.children()
    fleet.process.send_signal(signal.SIGTERM)
    _, log = fleet.process.communicate(timeout=LONG)
    assert fleet.process.returncode == 0, log
    assert wait_for(lambda: not any(_alive(pid) for pid in children))


@pytest.mark.slow
def test_replicas_end_with_a_front_that_is_killed(started, monkeypatch):
    home = Path(tempfile.mkdtemp())  # short: a socket's path is
    monkeypatch.setenv("TMPDIR", str(home))
    fleet = started()
    children = fleet.children()
    fleet.process.kill()
    assert wait_for(lambda: not any(_alive(pid) for pid in children))
    assert list(home.iterdir()) == []


@pytest.mark.slow
def test_what_keeps_a_replica_from_starting_is_told_once(tiny):
    command = [sys.executable, "-m", "sansi.cli", "serve", str(tiny), "--port", "0", "--replicas", "3"]
    command += ["--device", "cpu", "--memory", "0.002", "--name", "tiny"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("error: ") == 2 and "does not fit" in done.stderr and "code 1" in done.stderr


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_cores_are_parted_among_replicas():
    cores = [(number, number + 8) for number in range(8)]
    assert _parts(cores, 2) == [(0, 8, 1, 9, 2, 10, 3, 11), (4, 12, 5, 13, 6, 14, 7, 15)]
    assert _parts(cores, 4) == [(0, 8, 1, 9), (2, 10, 3, 11), (4, 12, 5, 13), (6, 14, 7, 15)]
    assert _parts(cores, 3)[0] == (0, 8, 1, 9) and sum(map(len, _parts(cores, 3))) == 16
    assert _parts(cores, 5) == [()] * 5  # two for each there are not


def test_memory_is_parted_among_replicas():
    assert memory_for(4, "cpu", [800.0]) == [200.0] and memory_for(2, "cpu", [400.0, 600.0]) == [200.0, 300.0]
    (one,), (half,) = memory_for(1, "cpu", None), memory_for(2, "cpu", None)
    assert 0.3 * one < half < 0.7 * one


@pytest.mark.parametrize("replicas", [0, -1, 65])
def test_numbers_of_replicas_that_are_none(tiny, replicas):
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(SansiError, match="--replicas"):
        serve([str(tiny)], "127.0.0.1", listener, replicas=replicas)


def test_runs_with_tools_are_one_process_s(tiny):
    command = [sys.executable, "-m", "sansi.cli", "serve", str(tiny), "--replicas", "2", "--tools", "calculator"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG)
    assert done.returncode == 2 and done.stderr.startswith("error: --replicas: ") and done.stderr.count("\n") == 1
