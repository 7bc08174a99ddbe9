"""The filter's program, run by a small interpreter: for machines that are not here, too."""

import errno
import struct

import pytest
from sansi.base import SansiError
from sansi.sandbox.seccomp import ALLOW, KILL, MACHINES, REFUSED, REFUSED_SHARED, UNKNOWN, filter_program
from sansi.sandbox.syscalls import LAST, NUMBERS

OTHERS = {"read": (0, 63), "execve": (59, 221), "futex": (202, 98), "exit_group": (231, 94), "mmap": (9, 222)}


def judge(
    machine: str, shared: bool, name: str, *arguments: int, architecture: int | None = None, forks: bool = True
) -> int:
    """What the kernel is told: ALLOW, KILL, or an error's number (0: as if it had worked)."""
    column, own = MACHINES[machine]
    number = {**NUMBERS, **OTHERS}.get(name, (None, None))[column] if not name.isdigit() else int(name)
    padded = [*arguments, *[0] * 6][:6]
    data = struct.pack("=IIQ6Q", number, own if architecture is None else architecture, 0, *padded)
    program = list(struct.iter_unpack("=HBBI", filter_program(shared, machine, forks)))
    at = loaded = 0
    while True:
        code, if_true, if_false, value = program[at]
        at += 1
        if code == 0x20:
            loaded = struct.unpack_from("=I", data, value)[0]
        elif code == 0x54:
            loaded &= value
        elif code == 0x06:
            return value & 0xFFFF if value & 0xFFFF0000 == 0x00050000 else value
        else:
            holds = {0x15: loaded == value, 0x25: loaded > value, 0x45: loaded & value != 0}[code]
            at += if_true if holds else if_false


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("shared", [False, True])
def test_every_call_of_the_lists_is_refused_and_ordinary_ones_are_not(machine, shared):
    column = MACHINES[machine][0]
    for names, error in (
        (REFUSED, errno.EPERM),
        (UNKNOWN, errno.ENOSYS),
        (REFUSED_SHARED if shared else "", errno.EACCES),
    ):
        for name in names.split():
            if NUMBERS[name][column] is not None and name != "socket":
                assert judge(machine, shared, name) == error, name
    assert all(judge(machine, shared, name) == ALLOW for name in OTHERS)


@pytest.mark.parametrize("machine", MACHINES)
def test_arguments_decide(machine):
    def own(*call: object) -> int:
        return judge(machine, False, *call)

    def shared(*call: object) -> int:
        return judge(machine, True, *call)

    assert own("clone", 0x11) == ALLOW and own("clone", 0x10000011) == errno.EPERM
    assert (
        own("ioctl", 0, 0x5412) == own("ioctl", 0, 0x5412 | 1 << 32) == errno.EPERM and own("ioctl", 0, 0x5401) == ALLOW
    )
    assert own("socket", 1) == ALLOW and own("socket", 2) == errno.EACCES and shared("socket", 1) == errno.EACCES
    assert shared("socketpair", 1, 1 | 0o2000000) == ALLOW and shared("socketpair", 1, 2) == errno.EACCES
    assert shared("socketpair", 30, 1) == errno.EACCES and own("socketpair", 1, 2) == ALLOW
    assert own("prlimit64", 0) == ALLOW and own("prlimit64", 7) == errno.EPERM
    assert own("personality", 0xFFFFFFFF) == ALLOW and own("personality", 0x0400000) == errno.EPERM
    assert own("openat", 0, 0, 0o101, 0o4755) == errno.EPERM and own("openat", 0, 0, 0, 0o4755) == ALLOW
    assert own("fchmodat", 0, 0, 0o2755) == errno.EPERM and own("fchmodat", 0, 0, 0o755) == ALLOW
    assert shared("fchmodat", 0, 0, 0o755) == 0  # told that it worked
    assert own("setsid") == ALLOW and shared("setsid") == errno.EACCES
    assert shared("ioctl", 0, 0x5401) == ALLOW and shared("ioctl", 0, 0x40086602) == errno.ENOTTY
    assert shared("prctl", 4, 0) == shared("prctl", 1, 0) == errno.EPERM and shared("prctl", 15, 0) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_what_the_filter_does_not_know_is_refused(machine):
    assert judge(machine, False, str(LAST + 1)) == judge(machine, False, str(0x40000000 + 39)) == errno.ENOSYS
    assert judge(machine, False, "read", architecture=0x40000003) == KILL


def test_another_machine_is_named():
    with pytest.raises(SansiError, match="not of riscv64"):
        filter_program(False, "riscv64")


@pytest.mark.parametrize("machine", MACHINES)
def test_where_nothing_brakes_a_bomb_only_threads_are_started(machine):
    flags = {"thread": 0x10000 | 0x100, "fork": 0x11, "namespace": 0x10010000}
    told = {what: judge(machine, False, "clone", flag, forks=False) for what, flag in flags.items()}
    assert told == {"thread": ALLOW, "fork": errno.EPERM, "namespace": errno.EPERM}
