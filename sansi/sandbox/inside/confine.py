"""Landlock and seccomp, taken on by the process itself: for where no namespaces can be had.

Afterwards it can read and write only the given folders, connect to nothing, signal nobody outside, and gain nothing
back, nor can what it starts. Sources: linux/landlock.h, linux/seccomp.h, prctl(2).
"""

from __future__ import annotations

import ctypes
import os

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on every machine
OLDEST_VERSION = 6  # of Landlock: the first that keeps signals and abstract sockets apart (Linux 6.12)
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE, IOCTL_DEV = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14, 1 << 15
ALL_FILES = (1 << 16) - 1
OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
ALL_TCP, ALL_SCOPES = 0b11, 0b11
READ = EXECUTE | READ_FILE | READ_DIR
WRITE = ALL_FILES & ~(1 << 6 | 1 << 11 | IOCTL_DEV)  # no device nodes
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_SECUREBITS, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 1, 24, 28, 38, 22
SIGKILL = 9
LAST_CAPABILITY = 63
NO_ROOT_LOCKED = 0b101111  # uid 0 gains no capabilities by exec, and can not take that back

_libc = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def confine(
    readable: list[str], writable: list[str], devices: list[str], program: bytes, parent: int, group: str | None
) -> None:
    """readable, writable: folders. devices: files to read and write. program: the filter of calls. group: the file
    through which a control group is entered."""
    _die_with(parent)
    if group:
        with open(group, "w") as file:
            file.write("0")
    _drop_capabilities()
    _check(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _landlock({READ: readable, WRITE: writable, READ_FILE | WRITE_FILE: devices})
    _seccomp(program)


def landlock_version() -> int:
    """0 where the kernel has none, or does not have it on."""
    return max(0, _libc.syscall(CREATE_RULESET, None, 0, 1))


def _die_with(parent: int) -> None:
    _check(_libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "pdeathsig")
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


def _drop_capabilities() -> None:
    if os.geteuid() == 0:
        _libc.prctl(PR_SET_SECUREBITS, NO_ROOT_LOCKED, 0, 0, 0)
    for capability in range(LAST_CAPABILITY + 1):
        if _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break  # not ours to drop, or past the last
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    _check(_libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")


def _landlock(rules: dict[int, list[str]]) -> None:
    if landlock_version() < OLDEST_VERSION:
        raise OSError(f"Landlock version {landlock_version()}, {OLDEST_VERSION} is needed")
    ruleset = _Ruleset(ALL_FILES, ALL_TCP, ALL_SCOPES)
    descriptor = _libc.syscall(CREATE_RULESET, ctypes.byref(ruleset), ctypes.sizeof(ruleset), 0)
    _check(descriptor, "landlock_create_ruleset")
    for allowed, paths in rules.items():
        for path in paths:
            _allow(descriptor, allowed, path)
    _check(_libc.syscall(RESTRICT_SELF, descriptor, 0), "landlock_restrict_self")
    os.close(descriptor)


def _allow(ruleset: int, allowed: int, path: str) -> None:
    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    if not os.path.isdir(path):
        allowed &= OF_A_FILE
    rule = _PathRule(allowed, parent)
    _check(_libc.syscall(ADD_RULE, ruleset, 1, ctypes.byref(rule), 0), f"landlock_add_rule {path}")
    os.close(parent)


def _seccomp(program: bytes) -> None:
    buffer = ctypes.create_string_buffer(program, len(program))
    filled = _Program(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    _check(_libc.prctl(PR_SET_SECCOMP, 2, ctypes.byref(filled), 0, 0), "seccomp")


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
