"""Attempts at files of the machine."""

from __future__ import annotations

import glob
import os
import stat
import sys

from ..proof import first_opened
from .registry import Canaries, attempt, libc, reach


@attempt()
def read_through_a_symbolic_link(outside: Canaries) -> str | None:
    os.symlink(outside["secret"], "link")
    try:
        return _holds_token("link", outside)
    finally:
        os.unlink("link")


@attempt()
def read_through_a_hard_link(outside: Canaries) -> str | None:
    os.link(outside["secret"], "hard")
    try:
        return _holds_token("hard", outside)
    finally:
        os.unlink("hard")


@attempt()
def read_through_a_link_to_a_folder(outside: Canaries) -> str | None:
    os.symlink(outside["outside"], "linked")
    try:
        return _holds_token("linked/secret", outside)
    finally:
        os.unlink("linked")


@attempt()
def read_by_going_up(outside: Canaries) -> str | None:
    return _holds_token("../" * 20 + outside["secret"].lstrip("/"), outside)


@attempt()
def read_through_proc(outside: Canaries) -> str | None:
    for process in ("self", "1", "self/task/1", outside["pid"], outside["victim"]):
        try:
            if found := _holds_token(f"/proc/{process}/root{outside['secret']}", outside):
                return found
        except OSError:
            continue
    return None


@attempt("only where the test lets files be inherited")
def read_what_was_left_open(outside: Canaries) -> str | None:
    for number in range(3, 256):
        try:
            is_folder = stat.S_ISDIR(os.fstat(number).st_mode)
            if is_folder and "secret" in os.listdir(number):
                return f"a folder outside is open as {number}"
            if not is_folder and outside["token"].encode() in os.pread(number, 1000, 0):
                return f"a file outside is open as {number}"
        except OSError:
            continue
    return None


@attempt()
def move_a_file_in(outside: Canaries) -> str | None:
    os.rename(outside["movable"], "moved")
    os.rename("moved", outside["movable"])
    return "moved a file in and out"


@attempt()
def delete_a_file(outside: Canaries) -> str | None:
    os.unlink(outside["expendable"])
    with open(outside["expendable"], "w") as file:
        file.write("there again")
    return "deleted and wrote a file outside"


@attempt()
def make_a_folder(outside: Canaries) -> str | None:
    os.mkdir(f"{outside['outside']}/made")
    os.rmdir(f"{outside['outside']}/made")
    return "made a folder outside"


@attempt()
def cut_a_file(outside: Canaries) -> str | None:
    os.truncate(outside["movable"], 3)
    return "cut a file outside" if os.stat(outside["movable"]).st_size == 3 else None


@attempt()
def change_a_mode(outside: Canaries) -> str | None:
    wanted = os.stat(outside["movable"]).st_mode ^ 0o011
    os.chmod(outside["movable"], stat.S_IMODE(wanted))
    return "changed a mode outside" if os.stat(outside["movable"]).st_mode == wanted else None


@attempt()
def change_a_time(outside: Canaries) -> str | None:
    os.utime(outside["movable"], (77, 77))
    return "changed a time outside" if os.stat(outside["movable"]).st_mtime == 77 else None


@attempt("root")
def change_an_owner(outside: Canaries) -> str | None:
    os.chown(outside["movable"], 12345, 12345)
    return "changed an owner outside" if os.stat(outside["movable"]).st_uid == 12345 else None


@attempt("where the file system has attributes")
def change_an_attribute(outside: Canaries) -> str | None:
    os.setxattr(outside["movable"], "user.sansi", b"1")
    return "set an attribute outside" if os.getxattr(outside["movable"], "user.sansi") == b"1" else None


@attempt()
def read_accounts(outside: Canaries) -> str | None:
    for path in ("/etc/shadow", "/etc/passwd", "/etc/ssh", "/etc/machine-id"):
        try:
            os.listdir(path) if os.path.isdir(path) else open(path).close()
        except OSError:
            continue
        return f"opened {path}"
    return None


@attempt()
def read_homes(outside: Canaries) -> str | None:
    for name in outside["home_entries"]:
        if name in os.listdir(outside["home"]):
            return f"saw {name} in {outside['home']}"
    return None


@attempt()
def read_shared_memory_files(outside: Canaries) -> str | None:
    return _holds_token(f"/dev/shm/{outside['shared']}", outside)


@attempt()
def read_the_callers_code(outside: Canaries) -> str | None:
    paths = (f"{outside['package']}/../__init__.py", f"{outside['package']}/worker.py")
    found = first_opened(paths, os.O_RDONLY)
    return f"read {found}" if found else None


@attempt("where it may write there")
def write_to_our_own_code(outside: Canaries) -> str | None:
    path = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "probe.py")
    with open(path, "w"):
        pass
    os.unlink(path)
    return f"wrote {path}"


@attempt("where it may write there")
def write_to_packages(outside: Canaries) -> str | None:
    for folder in [entry for entry in sys.path if os.path.isdir(entry) and entry != os.getcwd()]:
        path = os.path.join(folder, "sansi-probe.pth")
        try:
            open(path, "w").close()
        except OSError:
            continue
        os.unlink(path)
        return f"wrote {path}"
    return None


@attempt("root")
def make_a_device(outside: Canaries) -> str | None:
    os.mknod("disk", stat.S_IFBLK | 0o600, os.makedev(7, 0))
    os.unlink("disk")
    return "made a block device"


@attempt("root")
def open_devices(outside: Canaries) -> str | None:
    names = ("mem", "kmem", "port", "kmsg", "kvm", "fuse", "net/tun", "vda", "sda", "nvme0n1", "loop0", "loop-control")
    found = first_opened([f"/dev/{name}" for name in names], os.O_RDONLY | os.O_NONBLOCK)
    return f"opened {found}" if found else None


@attempt()
def make_a_setuid_file(outside: Canaries) -> str | None:
    made = os.open("suid", os.O_CREAT | os.O_WRONLY, 0o4755)
    os.close(made)
    try:
        if not os.stat("suid").st_mode & stat.S_ISUID:
            os.chmod("suid", 0o4755)
        return "made a setuid file" if os.stat("suid").st_mode & stat.S_ISUID else None
    finally:
        os.unlink("suid")


@attempt()
def set_the_setuid_bit(outside: Canaries) -> str | None:
    open("suid2", "w").close()
    try:
        os.chmod("suid2", 0o4755)
        return "set the setuid bit" if os.stat("suid2").st_mode & stat.S_ISUID else None
    finally:
        os.unlink("suid2")


@attempt("root")
def give_a_file_capabilities(outside: Canaries) -> str | None:
    open("capable", "w").close()
    value = (0x02000001).to_bytes(4, "little") + (1 << 21).to_bytes(4, "little") + bytes(12)
    try:
        os.setxattr("capable", "security.capability", value)
        return "gave a file CAP_SYS_ADMIN" if os.getxattr("capable", "security.capability") else None
    finally:
        os.unlink("capable")


@attempt("root")
def open_by_handle(outside: Canaries) -> str | None:
    return reach(outside, "open_by_handle_at", -100, 0, 0)


@attempt()
def watch_a_folder(outside: Canaries) -> str | None:
    watcher = libc.inotify_init()
    if libc.inotify_add_watch(watcher, outside["outside"].encode(), 0x100) < 0:
        return None
    return "may watch a folder outside"


@attempt("root")
def write_to_sys(outside: Canaries) -> str | None:
    wanted = ("/sys/kernel/mm/transparent_hugepage/enabled", "/sys/kernel/uevent_helper", "/sys/power/state")
    found = first_opened((*wanted, *glob.glob("/sys/class/net/*/mtu")), os.O_WRONLY)
    return f"may write {found}" if found else None


@attempt("root, where control groups are")
def write_to_control_groups(outside: Canaries) -> str | None:
    patterns = ("/sys/fs/cgroup/*/release_agent", "/sys/fs/cgroup/*/cgroup.procs", "/sys/fs/cgroup/cgroup.procs")
    found = first_opened((path for pattern in patterns for path in glob.glob(pattern)), os.O_WRONLY)
    return f"may write {found}" if found else None


def _holds_token(path: str, outside: Canaries) -> str | None:
    with open(path) as file:
        return f"read the secret as {path}" if outside["token"] in file.read() else None
