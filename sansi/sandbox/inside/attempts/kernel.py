"""Attempts at the kernel: its configuration, and the calls whose faults are famous."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import platform
import socket

from .registry import Canaries, attempt, libc, reach

READ_IMPLIES_EXEC = 0x0400000
TIOCSTI = 0x5412


@attempt("root")
def mount_something(outside: Canaries) -> str | None:
    return reach(outside, "mount", 0, 0, 0, 0, 0)


@attempt("root")
def unmount_something(outside: Canaries) -> str | None:
    return reach(outside, "umount2", 0, 0)


@attempt("root")
def mount_by_the_new_calls(outside: Canaries) -> str | None:
    calls = (("fsopen", 0, 0), ("move_mount", -1, 0, -1, 0, 0), ("fspick", -1, 0, 0), ("mount_setattr", -1, 0, 0, 0, 0))
    return next((found for call in calls if (found := reach(outside, *call))), None)


@attempt()
def clone_a_mount(outside: Canaries) -> str | None:
    return reach(outside, "open_tree", -100, b"/", 0)


@attempt("root")
def change_the_root_mount(outside: Canaries) -> str | None:
    return reach(outside, "pivot_root", 0, 0)


@attempt("root")
def load_a_program_into_the_kernel(outside: Canaries) -> str | None:
    return reach(outside, "bpf", 0, 0, 0)


@attempt("root")
def count_events_of_the_kernel(outside: Canaries) -> str | None:
    return reach(outside, "perf_event_open", 0, -1, 0, -1, 0)


@attempt("where io_uring is on")
def queue_calls_by_io_uring(outside: Canaries) -> str | None:
    return reach(outside, "io_uring_setup", 1, 0)


@attempt("where io_uring is on")
def register_with_io_uring(outside: Canaries) -> str | None:
    return reach(outside, "io_uring_register", -1, 0, 0, 0)


@attempt("root")
def handle_page_faults(outside: Canaries) -> str | None:
    return reach(outside, "userfaultfd", 0)


@attempt("root, where the kernel has modules")
def load_a_module(outside: Canaries) -> str | None:
    return reach(outside, "init_module", 0, 0, 0) or reach(outside, "finit_module", -1, 0, 0)


@attempt("root, where the kernel has modules")
def unload_a_module(outside: Canaries) -> str | None:
    return reach(outside, "delete_module", 0, 0)


@attempt("where the kernel can be replaced")
def load_another_kernel(outside: Canaries) -> str | None:
    return reach(outside, "kexec_load", 0, 0, 0, -1)


@attempt("root")
def reboot_with_the_wrong_numbers(outside: Canaries) -> str | None:
    return reach(outside, "reboot", 1, 2, 3, 0)


@attempt("root")
def set_the_clock(outside: Canaries) -> str | None:
    return reach(outside, "clock_settime", 0, 0) or reach(outside, "settimeofday", 1, 0)


@attempt("root")
def adjust_the_clock(outside: Canaries) -> str | None:
    return reach(outside, "clock_adjtime", 0, 0)


@attempt("root")
def name_the_machine(outside: Canaries) -> str | None:
    socket.sethostname(socket.gethostname())
    return "set the host name"


@attempt("root")
def keep_accounts(outside: Canaries) -> str | None:
    return reach(outside, "acct", 1)


@attempt("root")
def swap(outside: Canaries) -> str | None:
    return reach(outside, "swapon", 0, 0)


@attempt("root")
def read_the_log_of_the_kernel(outside: Canaries) -> str | None:
    return reach(outside, "syslog", 10, 0, 0)


@attempt("root, on x86")
def reach_for_ports(outside: Canaries) -> str | None:
    return reach(outside, "ioperm", 0x80, 1, 1)


@attempt("on x86")
def change_segments(outside: Canaries) -> str | None:
    return reach(outside, "modify_ldt", 0, 0, 0)


@attempt()
def change_personality(outside: Canaries) -> str | None:
    return reach(outside, "personality", READ_IMPLIES_EXEC)


@attempt("root")
def watch_the_whole_file_system(outside: Canaries) -> str | None:
    return reach(outside, "fanotify_init", 0, 0)


@attempt("root")
def manage_quotas(outside: Canaries) -> str | None:
    return reach(outside, "quotactl", 0x80000700, 0, 0, 1)


@attempt("root")
def type_into_a_terminal(outside: Canaries) -> str | None:
    for request in (TIOCSTI, TIOCSTI | 1 << 32):  # the kernel reads the lower half, and so must a filter
        _, terminal = os.openpty()
        if libc.syscall(outside["calls"]["ioctl"], terminal, ctypes.c_ulong(request), b"x") == 0:
            return "typed into a terminal"
    return None


@attempt("where there is a terminal")
def type_into_the_callers_terminal(outside: Canaries) -> str | None:
    with open("/dev/tty", "w") as terminal:
        fcntl.ioctl(terminal, TIOCSTI, b"\0")
    return "typed into the terminal of the caller"


@attempt()
def read_the_options_of_the_kernel(outside: Canaries) -> str | None:
    with open("/proc/cmdline") as file:
        return "read the start-up options" if file.read().strip() else None


@attempt()
def see_who_holds_keys(outside: Canaries) -> str | None:
    with open("/proc/key-users") as users, open("/proc/keys") as keys:
        return "read /proc/keys" if users.read() or keys.read() else None


@attempt("root")
def read_the_memory_of_the_kernel(outside: Canaries) -> str | None:
    for name in ("kcore", "kpageflags", "kpagecount", "slabinfo", "vmallocinfo", "timer_list", "pagetypeinfo"):
        try:
            with open(f"/proc/{name}", "rb", buffering=0) as file:
                if file.read(8):
                    return f"read /proc/{name}"
        except OSError:
            continue
    return None


@attempt("root, where the kernel has it")
def press_system_request(outside: Canaries) -> str | None:
    if os.stat("/proc/sysrq-trigger").st_rdev:
        return None  # /dev/null lies over it
    os.close(os.open("/proc/sysrq-trigger", os.O_WRONLY))
    return "may write /proc/sysrq-trigger"


@attempt("on x86 with calls of 32 bits")
def call_by_32_bits(outside: Canaries) -> str | None:
    """Its numbers mean other calls: a filter of 64 bits that did not look would let anything through."""
    if platform.machine() != "x86_64":
        return None
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, 20 (getpid); int 0x80; ret
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    return "getpid by 32 bits worked" if function() > 0 else None


@attempt("on x86 with calls of x32")
def call_by_x32(outside: Canaries) -> str | None:
    return "x32 worked" if libc.syscall(ctypes.c_long(0x40000000 + 39)) > 0 else None


@attempt("where the kernel is new")
def call_what_the_filter_does_not_know(outside: Canaries) -> str | None:
    number = outside["last_call"] + 1  # statmount
    if libc.syscall(number, 0, 0, 0, 0) >= 0 or ctypes.get_errno() not in (1, 38):
        return f"call {number} was looked at"
    return None
