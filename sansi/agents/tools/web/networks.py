"""Which network addresses are public.

What is not assigned for the public is refused, by IANA's registries of special-purpose addresses (RFC 6890, with its
updates to 2025). An IPv6 address that carries an IPv4 address (mapped, NAT64, 6to4, Teredo, ISATAP) leads there, so
both have to be public.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_SPECIAL_4 = [
    (ip_network(network), why)
    for network, why in (
        ("0.0.0.0/8", "this machine"),
        ("10.0.0.0/8", "a private network"),
        ("100.64.0.0/10", "the network of a provider"),
        ("127.0.0.0/8", "this machine"),
        ("168.63.129.16/32", "a cloud's own service"),  # Azure's, at a public address
        ("169.254.0.0/16", "the local link, where clouds keep their metadata"),
        ("172.16.0.0/12", "a private network"),
        ("192.0.0.0/24", "reserved for protocols"),
        ("192.0.2.0/24", "for documentation only"),
        ("192.88.99.0/24", "a relay that is out of use"),
        ("192.168.0.0/16", "a private network"),
        ("198.18.0.0/15", "for benchmarks only"),
        ("198.51.100.0/24", "for documentation only"),
        ("203.0.113.0/24", "for documentation only"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
]
_PUBLIC_6 = ip_network("2000::/3")
_SPECIAL_6 = [
    (ip_network(network), why)
    for network, why in (
        ("::1/128", "this machine"),
        ("::/128", "this machine"),
        ("fe80::/10", "the local link"),
        ("fec0::/10", "a private network"),
        ("fc00::/7", "a private network"),
        ("ff00::/8", "multicast"),
        ("2001:db8::/32", "for documentation only"),
        ("3fff::/20", "for documentation only"),
        ("2001::/23", "reserved for protocols"),
    )
]
# Where an IPv6 address carries an IPv4 address: the network, and the bits to its right.
_CARRYING = [
    (ip_network("::ffff:0:0/96"), 0),  # mapped
    (ip_network("::ffff:0:0:0/96"), 0),  # translated (SIIT)
    (ip_network("64:ff9b::/96"), 0),  # NAT64
    (ip_network("::/96"), 0),  # compatible
    (ip_network("2002::/16"), 80),  # 6to4
]
_LOCAL_NAT64 = ip_network("64:ff9b:1::/48")
_TEREDO = ip_network("2001::/32")
_ISATAP = (0x00005EFE, 0x02005EFE)  # the third quarter of an address
_LOW = 0xFFFFFFFF


def why_not_public(address: Address, allowed: Sequence[Network] = ()) -> str | None:
    """What an address is that is not to be connected to; None for a public one, or one in a network of `allowed`."""
    if any(address in network for network in allowed):
        return None
    if isinstance(address, IPv4Address):
        return next((why for network, why in _SPECIAL_4 if address in network), None)
    if (special := _special_6(address)) is not None:
        return special
    carried = carried_by(address)
    for inner in carried:
        if (why := why_not_public(inner, allowed)) is not None:
            return f"{why} ({inner}, which it carries)"
    public = address in _PUBLIC_6 or any(address in network for network, _ in _CARRYING)
    return None if public else "no address of the public Internet"


def _special_6(address: IPv6Address) -> str | None:
    if address in _LOCAL_NAT64:
        return "a translation into a private network"
    if address in _TEREDO:  # within a range that is reserved, but what it leads to is told better
        return None
    return next((why for network, why in _SPECIAL_6 if address in network), None)


def carried_by(address: IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that an IPv6 address leads to, if it is of a kind that leads to any."""
    value = int(address)
    found = [IPv4Address(value >> shift & _LOW) for network, shift in _CARRYING if address in network]
    if address in _TEREDO:
        found += [IPv4Address(value >> 64 & _LOW), IPv4Address(~value & _LOW)]  # its server; the client, inverted
    if value >> 32 & _LOW in _ISATAP:
        found.append(IPv4Address(value & _LOW))
    return found


def parsed(text: str) -> Address:
    """An address as the system's resolver gives it, which may name an interface: "fe80::1%eth0"."""
    return ip_address(text.partition("%")[0])
