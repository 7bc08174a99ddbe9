"""A worker keeps state, bounds what comes out, and survives whatever the code does to it."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from sansi.base import SansiError
from sansi.base.processes import stat_fields
from sansi.sandbox import Limits, Worker, ladder, run_command
from sansi.sandbox.brake import Brake, may_fork
from sansi.sandbox.limits import MIB
from sansi.sandbox.rungs import NAMES
from sansi.sandbox.usage import children, tree


@pytest.fixture
def worker(kind):
    with Worker(kind=kind) as worker:
        yield worker


def test_names_stay_from_call_to_call_and_the_last_value_is_shown(worker, kind):
    first = worker.run("import math\ndef area(r):\n    return math.pi * r * r")
    assert (first.text, first.error, first.rung) == ("", None, NAMES[kind])
    assert worker.run("round(area(2), 3)").text == "12.566\n"
    assert worker.run("print(_)\nNone").text == "12.566\n"


def test_output_of_both_streams_and_of_programs_comes_in_order(worker):
    code = "import os, sys\nprint('a')\nprint('b', file=sys.stderr)\nos.write(1, b'c\\n')\nos.system('echo d')\n'e'"
    assert worker.run(code).text == "a\nb\nc\nd\n'e'\n"


def test_an_error_shows_the_code_s_own_lines_and_keeps_what_was_there(worker):
    worker.run("x = 5\ndef f(n):\n    return n / 0")
    done = worker.run("print('before')\nf(x)")
    assert done.text == "before\n"
    assert "return n / 0" in done.error and done.error.endswith("ZeroDivisionError: division by zero")
    assert "inside" not in done.error
    assert worker.run("x").text == "5\n"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("1 +", "SyntaxError"),
        ("!pip install numpy", "subprocess runs programs"),
        ("%matplotlib inline", "without IPython"),
        ("input('name? ')", "Nobody can type"),
        ("exit(3)", "called exit(3); variables are kept"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("import json\njson.loads('{')", "JSONDecodeError"),
        ("bytearray(10**12)", "memory limit"),
        ("x = '\\ud800'\nraise ValueError(x)", "ValueError"),
        ("x = '\ud800'", "UnicodeEncodeError"),
    ],
)
def test_what_went_wrong_is_told_and_the_worker_stays(worker, code, told):
    worker.run("kept = 1")
    assert told in worker.run(code).error
    assert worker.run("kept").text == "1\n"


def test_code_may_await(worker):
    assert worker.run("import asyncio\nasync def f():\n    return 7\nawait f()").text == "7\n"


def test_a_call_out_of_time_is_interrupted_and_keeps_its_variables(worker):
    worker.run("x = 1")
    done = worker.run("print('started')\nwhile True: pass", seconds=0.3)
    assert done.timed_out and done.text == "started\n"
    assert done.error == "stopped after 0.3 seconds; variables are kept"
    assert worker.run("x").text == "1\n"


def test_one_that_does_not_listen_is_killed_and_files_stay(worker):
    worker.run("open('kept.txt', 'w').write('here')\nx = 1")
    stubborn = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
    done = worker.run(stubborn, seconds=0.2)
    assert done.timed_out and done.error.endswith("the process was killed: variables are gone, files are kept")
    after = worker.run("print(open('kept.txt').read())\nx")
    assert after.fresh and after.text == "here\n" and "NameError" in after.error
    assert not worker.run("1").fresh


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("import os\nos._exit(3)", "exit status 3"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("import os\nfor fd in range(3, 40):\n    try: os.close(fd)\n    except OSError: pass", "the process"),
    ],
)
def test_a_worker_that_dies_is_told_and_replaced(worker, code, how):
    assert how in worker.run(code).error
    assert worker.run("2").text == "2\n"


def test_a_copy_of_the_worker_does_not_answer_for_it(worker):
    code = "import os\npid = os.fork()\nif pid == 0: print('child')\nelse: os.waitpid(pid, 0)"
    assert worker.run(code).text == "child\n"
    assert worker.run("'still one'").text == "'still one'\n"


def test_cancelling_stops_the_code(worker):
    cancelled = threading.Event()
    threading.Timer(0.2, cancelled.set).start()
    assert worker.run("while True: pass", cancelled=cancelled).error == "stopped: it was cancelled; variables are kept"


def test_a_flood_is_kept_at_both_ends(worker):
    done = worker.run(
        "import sys\nprint('first')\nfor _ in range(100):\n    sys.stdout.write('x' * 2**20)\nprint('last')"
    )
    assert done.error is None
    assert done.text.startswith("first\nx") and done.text.endswith("xlast\n")
    assert len(done.text) < 101_000 and "left out" in done.text


def test_reset_forgets_names_and_keeps_files(worker):
    worker.run("x = 1\nopen('a', 'w').close()")
    worker.reset()
    done = worker.run("import os\nprint(os.listdir())\nx")
    assert done.text == "['a']\n" and "NameError" in done.error and not done.fresh


def test_files_that_a_call_made_or_changed_are_named(worker):
    (worker.folder / "given.txt").write_text("in")
    assert worker.run("open('given.txt').read()").files == ()
    made = worker.run("open('out.csv', 'w').write('1,2')\nopen('given.txt', 'a').write('!')")
    assert sorted(made.files) == ["given.txt", "out.csv"]
    assert (worker.folder / "out.csv").read_text() == "1,2"


def test_figures_come_out_when_shown_and_at_the_end(worker):
    pytest.importorskip("matplotlib")
    code = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nplt.figure()\nplt.plot([3])"
    done = worker.run(code, seconds=200)
    assert done.error is None, done.error
    assert [each.name for each in done.attachments] == ["figure-1.png", "figure-2.png"]
    assert all(each.media_type == "image/png" and each.data.startswith(b"\x89PNG") for each in done.attachments)
    assert worker.run("1").attachments == ()


def test_a_value_that_draws_itself_comes_out_as_a_picture(worker):
    png = "b'\\x89PNG\\r\\n\\x1a\\n' + bytes(9)"
    done = worker.run(f"class Image:\n    def _repr_png_(self): return {png}\nImage()")
    assert done.text == "" and len(done.attachments) == 1


def test_a_command_has_a_status_and_output(worker):
    done = worker.command(["sh", "-c", "echo out; echo err >&2; exit 4"])
    assert (done.text, done.error, done.status) == ("out\nerr\n", None, 4)
    assert "No such file" in worker.command(["no-such-program"]).error
    assert run_command(["echo", "hi"]).text == "hi\n"


@pytest.mark.parametrize("argv", ["ls", [], [1], ["a\0b"]])
def test_what_is_no_command_is_refused(argv):
    with Worker() as worker, pytest.raises(SansiError, match="list of words"):
        worker.command(argv)


@pytest.mark.parametrize(
    ("limit", "value"),
    [("seconds", 0), ("memory", 1), ("processes", 0), ("processes", 1.5), ("seconds", float("nan")), ("output", True)],
)
def test_a_limit_that_makes_no_sense_is_named(limit, value):
    with pytest.raises(SansiError, match=limit):
        Limits(**{limit: value})


def test_a_folder_that_is_none_is_named(tmp_path):
    with pytest.raises(SansiError, match="no folder"):
        Worker(tmp_path / "absent")


def test_closing_leaves_no_process_and_no_folder(kind, gone):
    worker = Worker(kind=kind)
    worker.run("import subprocess\nchild = subprocess.Popen(['sleep', '1000'])")
    pids = list(tree(worker._session.pid))
    assert len(pids) >= 2
    worker.close()
    assert all(gone(pid) for pid in pids)
    assert not worker.folder.exists()


def test_the_process_outlives_the_thread_that_started_it(kind):
    with Worker(kind=kind) as worker:
        thread = threading.Thread(target=worker.run, args=("x = 1",))
        thread.start()
        thread.join()
        time.sleep(0.2)
        assert worker.run("x").text == "1\n"


def test_nothing_is_left_when_the_parent_is_killed(kind, gone):
    code = f"""
        from sansi.sandbox import Worker
        from sansi.sandbox.usage import children, tree
        worker = Worker(kind={kind!r})
        worker.run("import subprocess; child = subprocess.Popen(['sh', '-c', 'sleep 1000 & sleep 1000'])")
        worker.run("import time; time.sleep(0.2)")
        print(*tree(worker._session.pid), flush=True)
        worker.run("while True: pass", seconds=1000)
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) >= 3
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert all(gone(pid) for pid in pids)


@pytest.mark.parametrize(
    ("code", "limits", "told"),
    [
        ("import os\nwhile True: os.fork()", {"processes": 8}, "more than 8 processes"),
        ("while True: pass", {"cpu_seconds": 0.2}, "CPU time"),
        (
            "import os, time\nfor _ in range(6):\n    if os.fork() == 0:\n        x = b'1' * (60 * 2**20)\n"
            "        time.sleep(100)\ntime.sleep(100)",
            {"memory": 200 * MIB},
            "MiB of memory in all",
        ),
        (
            "for i in range(100):\n    open(f'f{i}', 'wb').write(b'1' * 2**20)\nimport time\ntime.sleep(100)",
            {"folder_size": 20 * MIB},
            "MiB in its folder",
        ),
        (
            "import tempfile, time\nfor i in range(100):\n"
            "    open(f'{tempfile.gettempdir()}/{i}', 'wb').write(b'1' * 2**20)\ntime.sleep(100)",
            {"tmp_size": 20 * MIB},
            "",
        ),
        (
            "import os, time\nheld = []\nfor i in range(100):\n    held.append(open(f'f{i}', 'wb', buffering=0))\n"
            "    os.unlink(f'f{i}')\n    held[-1].write(b'1' * 2**20)\ntime.sleep(100)",
            {"folder_size": 20 * MIB},
            "MiB in its folder",
        ),
        (
            "import mmap, os, time\nheld = []\nfor i in range(100):\n    file = open(f'f{i}', 'w+b', buffering=0)\n"
            "    file.write(b'1' * 2**20)\n    held.append(mmap.mmap(file.fileno(), 4096))\n    os.unlink(f'f{i}')\n"
            "    file.close()\ntime.sleep(100)",
            {"folder_size": 20 * MIB},
            "MiB in its folder",
        ),
        (
            "import os, time\nfor i in range(100):\n    os.mkdir('x' * 200)\n    os.chdir('x' * 200)\n"
            "open('deep', 'wb').write(b'1' * 2**20)\ntime.sleep(100)",
            {},
            "files in its folder",
        ),
        (
            "for i in range(3000): open(f'f{i}', 'w').close()\nimport time\ntime.sleep(100)",
            {"folder_files": 500},
            "500 files",
        ),
        (
            "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(99,)).start()",
            {"processes": 4},
            "",
        ),
    ],
    ids=["forks", "cpu", "memory", "disk", "tmp", "nameless", "mapped", "deep", "files", "threads"],
)
def test_a_bomb_ends_at_its_limit(kind, code, limits, told):
    with Worker(kind=kind, limits=Limits(seconds=60, **limits)) as worker:
        done = worker.run(code)
        assert done.error and told in done.error, done
        assert not done.timed_out
        worker.reset()  # where the kernel's brake held, threads still fill it
        empty = "import shutil, subprocess\nsubprocess.run('rm -rf *', shell=True)\n1"
        after = worker.run(empty)
        assert after.text == "1\n" and not os.listdir(worker.folder), after


def test_a_file_ends_at_its_limit(kind):
    with Worker(kind=kind, limits=Limits(file_size=MIB)) as worker:
        done = worker.run("file = open('big', 'wb')\nfor _ in range(3): file.write(b'1' * 2**20)\nfile.flush()")
        assert "File too large" in done.error
        assert (worker.folder / "big").stat().st_size == MIB


def test_a_folder_to_look_at_is_read_and_not_written(kind, tmp_path):
    (tmp_path / "data.txt").write_text("42")
    with Worker(kind=kind, readable=[tmp_path]) as worker:
        assert worker.run(f"open({str(tmp_path)!r} + '/data.txt').read()").text == "'42'\n"
        assert "Error" in worker.run(f"open({str(tmp_path)!r} + '/new.txt', 'w')").error
    assert os.listdir(tmp_path) == ["data.txt"]


def test_modules_that_the_code_wrote_can_be_imported(worker):
    worker.run("open('helper_of_mine.py', 'w').write('n = 3')")
    assert worker.run("import helper_of_mine\nhelper_of_mine.n").text == "3\n"
    program = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import numpy; print(7)']).returncode"
    assert worker.run(program, seconds=100).text == "7\n0\n"


FORGED = ['{"error": null, "figures": [], "blobs": [], "id": 0}', "[1]", "no JSON", "x" * 100]


@pytest.mark.parametrize("answer", FORGED)
def test_an_answer_that_the_code_forges_ends_the_worker(worker, answer):
    """It is never taken for the answer to a later question."""
    code = f"""
        import gc, os, time
        replies = [each for each in gc.get_objects() if type(each).__name__ == "BufferedWriter"]
        ends = [each.fileno() for each in replies if not each.closed and each.fileno() > 2]
        for end in ends:
            os.write(end, {answer!r}.encode() + b"\\n")
        time.sleep(60)
    """
    done = worker.run(textwrap.dedent(code), seconds=100)
    assert "its answer could not be read" in done.error and not done.timed_out
    assert worker.run("5").text == "5\n"


def test_closing_does_not_wait_for_a_call(kind):
    worker, seen = Worker(kind=kind), []
    worker.start()
    thread = threading.Thread(target=lambda: seen.append(worker.run("import time\ntime.sleep(1000)", seconds=900)))
    thread.start()
    time.sleep(0.1)
    worker.close()
    thread.join(60)
    assert seen and "worker was closed" in seen[0].error


def test_a_worker_that_nobody_closed_ends_with_its_last_reference(kind, gone):
    worker = Worker(kind=kind)
    worker.run("1")
    pid, folder = worker._session.pid, worker.folder
    del worker
    gc.collect()
    assert gone(pid) and not folder.exists()


def test_workers_leave_no_open_files_and_no_dead_children(kind):
    def use() -> None:
        with Worker(kind=kind) as worker:
            worker.run("1")
            worker.run("import os\nos._exit(0)")
            worker.run("1")

    use()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        use()
    assert len(os.listdir("/proc/self/fd")) <= before
    assert not [pid for pid in children(os.getpid()) if (fields := stat_fields(pid)) and fields[0] == "Z"]


@pytest.mark.parametrize("folder", ["/", "/usr", "/proc/self", "/etc"])
def test_folders_of_the_system_are_not_given(folder):
    with pytest.raises(SansiError, match="belongs to the system"):
        Worker(folder)
    with pytest.raises(SansiError, match="belongs to the system"):
        Worker(readable=[folder])


def test_what_a_call_left_behind_stays_under_its_limits(kind):
    """A bomb that goes off between two calls, when nobody waits for an answer."""
    with Worker(kind=kind, limits=Limits(processes=8, seconds=60)) as worker:
        code = "import os, threading\ndef bomb():\n    while True: os.fork()\nthreading.Timer(0.3, bomb).start()"
        assert worker.run(code).error is None
        session, until = worker._session, time.monotonic() + 60
        while not session.ended_between and time.monotonic() < until:
            time.sleep(0.05)
        done = worker.run("1")
        assert "more than 8" in done.error and "between two calls" in done.error and "variables are gone" in done.error
        assert worker.run("1").text == "1\n"


def test_a_process_that_gives_itself_a_strange_name_is_watched_on(kind):
    rename = "import ctypes, time\nctypes.CDLL(None).prctl(15, b'\\xff) R\\xfe', 0, 0, 0)\ntime.sleep(0.3)\n1"
    with Worker(kind=kind, limits=Limits(cpu_seconds=1, seconds=60)) as worker:
        assert worker.run(rename).text == "1\n"
        assert "CPU time" in worker.run("while True: pass").error


def test_a_folder_that_is_hard_to_delete_is_deleted():
    with Worker() as worker:
        code = "import os\nfor _ in range(1500):\n    os.mkdir('d')\n    os.chdir('d')\nos.mkdir('e', 0)"
        worker.run(code)
    assert not worker.folder.exists()


def _of_root():
    if os.geteuid() != 0 or not may_fork():
        pytest.skip("control groups bound root's processes alone, and only where they can be made")


def test_what_root_starts_is_in_a_control_group_from_its_first_moment(kind):
    _of_root()
    with Worker(kind=kind) as worker:
        worker.start()
        groups = {Path(f"/proc/{pid}/cgroup").read_text() for pid in tree(worker._session.pid)}
    assert len(groups) == 1 and f"/sansi-{os.getpid()}-" in groups.pop()


def test_where_root_s_control_group_can_not_be_entered_nothing_runs(kind, monkeypatch):
    _of_root()
    monkeypatch.setattr(Brake, "file", "/proc/sansi/tasks")
    monkeypatch.setattr(ladder, "_failed", {})
    with Worker(kind=kind) as worker, pytest.raises(SansiError, match="/proc/sansi/tasks"):
        worker.run("1")
