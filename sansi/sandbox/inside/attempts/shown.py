"""Attempts to change what may only be read."""

from __future__ import annotations

import fcntl
import os
import stat

from .registry import Canaries, attempt

FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, NODUMP = 0x80086601, 0x40086602, 0x40


@attempt()
def write_to_what_is_shown(outside: Canaries) -> str | None:
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND, os.O_RDONLY | os.O_TRUNC):
        try:
            os.close(os.open(outside["shown"], flags))
        except OSError:
            continue
        return f"opened it with flags {flags:#o}"
    return None


@attempt()
def cut_what_is_shown(outside: Canaries) -> str | None:
    before = os.stat(outside["shown"]).st_size
    os.truncate(outside["shown"], before + 1)
    return "changed its length" if os.stat(outside["shown"]).st_size != before else None


@attempt()
def delete_what_is_shown(outside: Canaries) -> str | None:
    aside = f"{outside['shown']}-aside"
    os.rename(outside["shown"], aside)
    os.rename(aside, outside["shown"])
    return "moved it"


@attempt()
def change_the_mode_of_what_is_shown(outside: Canaries) -> str | None:
    wanted = os.stat(outside["shown"]).st_mode ^ 0o022
    os.chmod(outside["shown"], stat.S_IMODE(wanted))
    return "changed its mode" if os.stat(outside["shown"]).st_mode == wanted else None


@attempt()
def change_the_mode_by_its_open_file(outside: Canaries) -> str | None:
    with open(outside["shown"]) as file:
        wanted = os.fstat(file.fileno()).st_mode ^ 0o001
        os.fchmod(file.fileno(), stat.S_IMODE(wanted))
        return "changed its mode" if os.fstat(file.fileno()).st_mode == wanted else None


@attempt("where the file system has flags")
def change_the_flags_of_what_is_shown(outside: Canaries) -> str | None:
    with open(outside["shown"]) as file:
        flags = int.from_bytes(fcntl.ioctl(file, FS_IOC_GETFLAGS, bytes(8))[:4], "little")
        fcntl.ioctl(file, FS_IOC_SETFLAGS, (flags ^ NODUMP).to_bytes(8, "little"))
    return "changed its flags"


@attempt()
def write_through_a_link_to_what_is_shown(outside: Canaries) -> str | None:
    os.link(outside["shown"], "shown-link")
    try:
        with open("shown-link", "a"):
            return "opened it for writing by another name"
    finally:
        os.unlink("shown-link")


@attempt()
def write_beside_what_is_shown(outside: Canaries) -> str | None:
    path = os.path.join(os.path.dirname(outside["shown"]), "beside")
    with open(path, "w"):
        pass
    os.unlink(path)
    return "made a file beside it"
