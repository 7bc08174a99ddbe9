"""What /proc tells of processes, and what each process makes for itself."""

import os
import subprocess
import sys

import pytest
from sansi.base.processes import once_per_process, process_ids, stat_fields

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="only Linux has /proc")
NAMED = "open('/proc/self/comm', 'wb').write({!r})\nprint(flush=True)\ninput()"


@pytest.mark.parametrize("name", [b") R 1 1 (", b"\xff\xfe\n x", b"a\nb"])
def test_a_process_may_have_any_name(name):
    code = NAMED.format(name)
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert process.pid in process_ids()
        state, parent = stat_fields(process.pid)[:2]
        process.stdin.close()
    assert state in "RSD" and int(parent) == os.getpid()
    assert stat_fields(process.pid) is None


def test_a_fork_makes_its_own_and_each_process_but_one():
    made = []
    number = once_per_process(lambda: made.append(0) or os.getpid())
    assert number() == number() == os.getpid() and len(made) == 1
    if (child := os.fork()) == 0:
        os._exit(0 if number() == number() == os.getpid() and len(made) == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0
