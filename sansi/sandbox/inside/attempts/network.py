"""Attempts at sockets and at memory shared with others."""

from __future__ import annotations

import socket

from .registry import Canaries, attempt, reach


@attempt()
def connect_to_a_unix_socket(outside: Canaries) -> str | None:
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(outside["unix"])
    return "connected to a socket of the machine"


@attempt()
def connect_to_an_abstract_socket(outside: Canaries) -> str | None:
    with socket.socket(socket.AF_UNIX) as one:
        one.connect("\0" + outside["abstract"])
    return "connected to an abstract socket of the machine"


@attempt()
def send_from_a_pair_to_an_address(outside: Canaries) -> str | None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for address in (outside["datagrams"], "\0" + outside["abstract_datagrams"]):
        try:
            one.sendto(b"x", address)
        except OSError:
            continue
        return f"sent to {address!r}"
    other.close()
    return None


@attempt()
def reconnect_a_pair(outside: Canaries) -> str | None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.connect(outside["datagrams"])
    one.send(b"x")
    other.close()
    return "turned a pair towards the machine"


@attempt()
def send_a_datagram_by_ip(outside: Canaries) -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(b"x", ("127.0.0.1", outside["port"]))
    return "sent by UDP"


@attempt()
def listen_for_the_machine(outside: Canaries) -> str | None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        return f"listens on port {one.getsockname()[1]}"


@attempt()
def make_a_socket_of_any_family(outside: Canaries) -> str | None:
    made = set()
    for family in range(2, 48):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
            try:
                socket.socket(family, kind).close()
            except OSError:
                continue
            made.add(family)
    return f"made sockets of the families {sorted(made)}" if made else None


@attempt()
def make_a_pair_of_another_family(outside: Canaries) -> str | None:
    for family in (30, 1 << 32 | 30):  # TIPC, and a number whose upper half a filter may not see
        if not reach(outside, "socketpair", family, socket.SOCK_STREAM, 0, 0):
            continue
        return f"socketpair of family {family} was looked at"
    return None


@attempt()
def share_memory_by_system_v(outside: Canaries) -> str | None:
    return reach(outside, "shmget", 0x5A5A1234, 4096, 0)


@attempt()
def queue_messages_by_system_v(outside: Canaries) -> str | None:
    return reach(outside, "msgget", 0x5A5A1234, 0)


@attempt()
def share_semaphores_by_system_v(outside: Canaries) -> str | None:
    return reach(outside, "semget", 0x5A5A1234, 1, 0)


@attempt()
def open_a_message_queue(outside: Canaries) -> str | None:
    return reach(outside, "mq_open", b"sansi-no-such-queue", 0, 0, 0)


@attempt()
def take_memory_that_no_limit_counts(outside: Canaries) -> str | None:
    return reach(outside, "memfd_create", b"x", 0)


@attempt()
def read_the_session_keyring(outside: Canaries) -> str | None:
    return reach(outside, "keyctl", 0, -3, 1)


@attempt()
def add_a_key(outside: Canaries) -> str | None:
    return reach(outside, "add_key", b"user", b"sansi", b"x", 1, -2)


@attempt()
def request_a_key(outside: Canaries) -> str | None:
    return reach(outside, "request_key", 0, 0, 0, 0)
