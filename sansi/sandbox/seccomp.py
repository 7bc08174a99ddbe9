"""The filter of system calls that every sandbox runs under, as the BPF program that the kernel takes.

What is refused is what reaches past a process and its files: the kernel's configuration, other processes, namespaces,
devices of performance and tracing, and every socket that could lead out. Behind namespaces of its own a program sees
nobody else; where it shares them with the whole machine (`shared`), the calls that name others go too.

Sources: linux/seccomp.h, linux/filter.h; which calls matter: the kernel's and Docker's lists of 2026.
"""

from __future__ import annotations

import errno
import platform
import struct
from dataclasses import dataclass
from functools import cache

from sansi.base.errors import SansiError
from sansi.sandbox.syscalls import LAST, NUMBERS

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column of NUMBERS, the kernel's AUDIT_ARCH

REFUSED = """
    _sysctl acct add_key adjtimex bpf chroot clock_adjtime clock_settime create_module delete_module fanotify_init
    fanotify_mark finit_module fsconfig fsmount fsopen fspick get_mempolicy init_module ioperm iopl ioprio_set kcmp
    kexec_file_load kexec_load keyctl lookup_dcookie mbind migrate_pages modify_ldt mount mount_setattr move_mount
    move_pages mq_open mq_unlink msgget name_to_handle_at nfsservctl open_by_handle_at open_tree perf_event_open
    pidfd_getfd pivot_root process_madvise process_mrelease process_vm_readv process_vm_writev ptrace quotactl
    quotactl_fd reboot request_key semget set_mempolicy set_mempolicy_home_node setdomainname sethostname setns
    settimeofday shmget swapoff swapon sysfs syslog umount2 unshare uselib userfaultfd ustat vhangup vmsplice
"""
# As if the kernel were older: programs have another way, or say that they need it. Memory behind a descriptor counts to
# no limit, and clone3 and openat2 hide their flags from filters.
UNKNOWN = "clone3 io_uring_enter io_uring_register io_uring_setup memfd_create memfd_secret openat2"
# With a shared view of the machine: processes that leave the group could not be ended together, and a watch tells
# names in folders that can not be read.
REFUSED_SHARED = "bind connect inotify_add_watch listen setpgid setsid socket"
# Landlock does not guard modes, owners, times and attributes, so nothing may change them; copying tools set them on
# each new file and would fail, so they are told that it worked.
IGNORED_SHARED = """
    chmod chown fchmod fchmodat fchmodat2 fchown fchownat fremovexattr fsetxattr futimesat lchown lremovexattr lsetxattr
    removexattr setxattr utime utimensat utimes
"""
OF_ITSELF = "prlimit64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler"  # the first argument: of whom

NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
CLONE_THREAD = 0x10000
AF_UNIX, SOCK_STREAM, SOCK_SEQPACKET = 1, 1, 5
TIOCSTI, TIOCLINUX = 0x5412, 0x541C  # typing into somebody's terminal
PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4  # to outlive us, and to hide open files from us
# Of terminals and pipes. Others change flags of files that may only be read (FS_IOC_SETFLAGS, ENABLE_VERITY).
IOCTLS_SHARED = (0x5401, 0x5402, 0x5403, 0x5404, 0x540F, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451, 0x5452)
# A file of the folder is a file of the machine: with these bits, and of our user, anybody there could become us.
SETUID_SETGID, O_CREAT_O_TMPFILE = 0o6000, 0o20000100
MODE_OF = {"chmod": 1, "creat": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2, "mknod": 1, "mknodat": 2}  # arguments
FLAGS_AND_MODE_OF = {"open": (1, 2), "openat": (2, 3)}

LOAD, AND, JUMP_EQUAL, JUMP_OVER, JUMP_ANY, RETURN = 0x20, 0x54, 0x15, 0x25, 0x45, 0x06
ALLOW, KILL = 0x7FFF0000, 0x80000000


@dataclass(frozen=True)
class Step:
    """One instruction: what to compare, and how many instructions to leave out if it holds, or does not."""

    code: int
    value: int
    if_true: int = 0
    if_false: int = 0

    def packed(self) -> bytes:
        return struct.pack("=HBBI", self.code, self.if_true, self.if_false, self.value)


@cache
def filter_program(shared: bool, machine: str | None = None, forks: bool = True) -> bytes:
    """The BPF program (struct sock_filter[]) for this machine, or the named one.

    shared: the program shares processes, mounts and network with the whole machine. forks: it may start others.
    Raises SansiError for a machine whose numbers we do not have.
    """
    machine = machine or platform.machine()
    if machine not in MACHINES:
        raise SansiError(f"the sandbox knows the system calls of {' and '.join(MACHINES)}, not of {machine}")
    column, architecture = MACHINES[machine]
    steps = [Step(LOAD, 4), Step(JUMP_EQUAL, architecture, 1), Step(RETURN, KILL)]
    steps += [Step(LOAD, 0), Step(JUMP_OVER, LAST, 0, 1), Step(RETURN, _error(errno.ENOSYS))]
    for name, checks in _rules(shared, forks).items():
        number = NUMBERS[name][column]
        if number is not None:
            steps += [Step(JUMP_EQUAL, number, 0, len(checks)), *checks]
    steps.append(Step(RETURN, ALLOW))
    return b"".join(step.packed() for step in steps)


def _rules(shared: bool, forks: bool) -> dict[str, list[Step]]:
    """By call: the instructions that judge it, the last of which returns."""
    rules = {name: [Step(RETURN, _error(errno.EPERM))] for name in REFUSED.split()}
    rules |= {name: [Step(RETURN, _error(errno.ENOSYS))] for name in UNKNOWN.split()}
    rules["clone"] = [_argument(0), *_refused_if(JUMP_ANY, NEW_NAMESPACES)]
    if not forks:
        thread = [Step(JUMP_ANY, NEW_NAMESPACES, 1, 0), Step(JUMP_ANY, CLONE_THREAD, 1, 0)]
        rules["clone"] = [_argument(0), *thread, Step(RETURN, _error(errno.EPERM)), Step(RETURN, ALLOW)]
        rules["fork"] = rules["vfork"] = [Step(RETURN, _error(errno.EPERM))]
    rules["ioctl"] = [_argument(1), *_refused_if(JUMP_EQUAL, TIOCSTI, TIOCLINUX)]
    rules["personality"] = [_argument(0), *_allowed_if(0, 0xFFFFFFFF)]
    rules["socket"] = [_argument(0), *_allowed_if(AF_UNIX, error=errno.EACCES)]
    rules["socketpair"] = rules["socket"]
    rules |= {name: [_argument(0), *_allowed_if(0)] for name in OF_ITSELF.split()}
    rules |= {name: [_argument(mode), *_refused_if(JUMP_ANY, SETUID_SETGID)] for name, mode in MODE_OF.items()}
    for name, (flags, mode) in FLAGS_AND_MODE_OF.items():
        makes = [_argument(flags), Step(JUMP_ANY, O_CREAT_O_TMPFILE, 1, 0), Step(RETURN, ALLOW)]
        rules[name] = [*makes, _argument(mode), *_refused_if(JUMP_ANY, SETUID_SETGID)]
    if shared:
        rules |= {name: [Step(RETURN, _error(errno.EACCES))] for name in REFUSED_SHARED.split()}
        rules |= {name: [Step(RETURN, _error(0))] for name in IGNORED_SHARED.split()}
        rules["setpriority"] = [_argument(1), *_allowed_if(0)]
        rules["prctl"] = [_argument(0), *_refused_if(JUMP_EQUAL, PR_SET_PDEATHSIG, PR_SET_DUMPABLE)]
        rules["ioctl"] = [_argument(1), *_allowed_if(*IOCTLS_SHARED, error=errno.ENOTTY)]
        # A pair of datagram sockets can send to any address of the machine; streams stay between the two.
        rules["socketpair"] = [
            _argument(0),
            Step(JUMP_EQUAL, AF_UNIX, 1, 0),
            Step(RETURN, _error(errno.EACCES)),
            _argument(1),
            Step(AND, 0xF),
            *_allowed_if(SOCK_STREAM, SOCK_SEQPACKET, error=errno.EACCES),
        ]
    return rules


def _argument(index: int) -> Step:
    """Load the lower half of an argument; the upper is not read by these calls, and both machines are little-endian."""
    return Step(LOAD, 16 + 8 * index)


def _refused_if(test: int, *values: int) -> list[Step]:
    checks = [Step(test, value, len(values) - index, 0) for index, value in enumerate(values)]
    return [*checks, Step(RETURN, ALLOW), Step(RETURN, _error(errno.EPERM))]


def _allowed_if(*values: int, error: int = errno.EPERM) -> list[Step]:
    checks = [Step(JUMP_EQUAL, value, len(values) - index, 0) for index, value in enumerate(values)]
    return [*checks, Step(RETURN, _error(error)), Step(RETURN, ALLOW)]


def _error(number: int) -> int:
    return 0x00050000 | number
