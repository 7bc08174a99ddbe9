"""Attempts at other processes, at namespaces and at more privileges."""

from __future__ import annotations

import ctypes
import os
import resource
import signal

from ..proof import same_processes
from .registry import Canaries, attempt, libc, reach

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
PR_GET_NO_NEW_PRIVS, PR_GET_SECCOMP = 39, 21
PTRACE_SEIZE = 0x4206


@attempt()
def see_other_processes(outside: Canaries) -> str | None:
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline") as file:
                if outside["token"] in file.read():
                    return f"read the command line of process {name}"
        except OSError:
            continue
    return None


@attempt()
def signal_a_victim(outside: Canaries) -> str | None:
    if not same_processes(outside):
        return None
    os.kill(outside["victim"], signal.SIGCONT)
    return "signalled a process"


@attempt()
def signal_a_thread(outside: Canaries) -> str | None:
    if not same_processes(outside):
        return None
    return reach(outside, "tgkill", outside["victim"], outside["victim"], int(signal.SIGCONT))


@attempt()
def signal_a_group(outside: Canaries) -> str | None:
    if not same_processes(outside):
        return None
    os.killpg(outside["victim"], signal.SIGCONT)
    return "signalled a process group"


@attempt()
def signal_by_descriptor(outside: Canaries) -> str | None:
    if not same_processes(outside):
        return None
    signal.pidfd_send_signal(os.pidfd_open(outside["victim"]), signal.SIGCONT)
    return "signalled a process by its descriptor"


@attempt()
def trace_a_victim(outside: Canaries) -> str | None:
    return reach(outside, "ptrace", PTRACE_SEIZE, outside["victim"], 0, 0)


@attempt()
def trace_oneself(outside: Canaries) -> str | None:
    return reach(outside, "ptrace", 0, 0, 0, 0)


@attempt()
def read_memory_of_a_victim(outside: Canaries) -> str | None:
    return reach(outside, "process_vm_readv", outside["victim"], 0, 0, 0, 0, 0)


@attempt()
def write_memory_of_a_victim(outside: Canaries) -> str | None:
    return reach(outside, "process_vm_writev", outside["victim"], 0, 0, 0, 0, 0)


@attempt()
def open_memory_of_a_victim(outside: Canaries) -> str | None:
    with open(f"/proc/{outside['victim']}/maps") as file:
        return "read the map of a process" if "sleep" in file.read() else None


@attempt()
def take_a_descriptor_of_a_victim(outside: Canaries) -> str | None:
    return reach(outside, "pidfd_getfd", -1, 0, 0)


@attempt()
def limit_a_victim(outside: Canaries) -> str | None:
    return reach(outside, "prlimit64", outside["victim"], resource.RLIMIT_CORE, 0, 0)


@attempt()
def bind_a_victim_to_a_core(outside: Canaries) -> str | None:
    mask = (ctypes.c_ulong * 16)(*[2**64 - 1] * 16)
    return reach(outside, "sched_setaffinity", outside["victim"], ctypes.sizeof(mask), mask)


@attempt()
def slow_a_victim_down(outside: Canaries) -> str | None:
    if not same_processes(outside):
        return None
    os.setpriority(os.PRIO_PROCESS, outside["victim"], 5)
    return "changed the priority of a process"


@attempt()
def compare_with_a_victim(outside: Canaries) -> str | None:
    return reach(outside, "kcmp", outside["victim"], outside["victim"], 1, 0, 0)


@attempt()
def move_pages_of_a_victim(outside: Canaries) -> str | None:
    return reach(outside, "move_pages", outside["victim"], 0, 0, 0, 0, 2)


@attempt()
def advise_a_victim(outside: Canaries) -> str | None:
    return reach(outside, "process_madvise", -1, 0, 0, 0, 0)


@attempt("where user namespaces are on")
def make_a_user_namespace(outside: Canaries) -> str | None:
    return reach(outside, "unshare", CLONE_NEWUSER)


@attempt("root")
def make_a_mount_namespace(outside: Canaries) -> str | None:
    return reach(outside, "unshare", CLONE_NEWNS)


@attempt("root")
def make_a_network_namespace(outside: Canaries) -> str | None:
    return reach(outside, "unshare", CLONE_NEWNET)


@attempt("where user namespaces are on")
def clone_into_a_user_namespace(outside: Canaries) -> str | None:
    pid = libc.syscall(outside["calls"]["clone"], CLONE_NEWUSER | int(signal.SIGCHLD), 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return "cloned into a user namespace" if pid > 0 else None


@attempt()
def clone_with_hidden_flags(outside: Canaries) -> str | None:
    return reach(outside, "clone3", 0, 0)


@attempt("root")
def join_a_namespace(outside: Canaries) -> str | None:
    return reach(outside, "setns", os.open("/proc/self/ns/uts", os.O_RDONLY), 0)


@attempt("root")
def hold_capabilities(outside: Canaries) -> str | None:
    header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if libc.capget(header, data) != 0:
        return None
    return f"has capabilities {data[0] | data[1] | data[3] | data[4]:#x}" if any(data[:2]) or any(data[3:5]) else None


@attempt()
def gain_privileges_by_exec(outside: Canaries) -> str | None:
    return None if libc.prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 else "setuid programs would give privileges"


@attempt()
def run_without_a_filter(outside: Canaries) -> str | None:
    return None if libc.prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2 else "no filter of system calls"


@attempt()
def raise_a_limit(outside: Canaries) -> str | None:
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        try:
            resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        except (OSError, ValueError):
            continue
        return f"raised limit {kind}"
    return None


@attempt()
def leave_a_core_dump(outside: Canaries) -> str | None:
    return "may dump core" if resource.getrlimit(resource.RLIMIT_CORE)[1] else None


@attempt()
def lock_memory(outside: Canaries) -> str | None:
    hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
    return f"may lock {hard} bytes" if hard else None
