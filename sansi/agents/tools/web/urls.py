"""Reading the address of a web page, once and strictly: what is checked is what is asked for."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import quote, urljoin, urlsplit

from sansi.base.errors import SansiError

MAX_LENGTH = 4096
PORTS = {"http": 80, "https": 443}
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:@%]+)(?::(?P<port>\d{0,5}))?")
# A last label of digits, or of hexadecimal digits after 0x, makes the whole a number to every resolver.
_NUMERIC = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)", re.IGNORECASE)
_SAFE = "/%:@!$&'()*+,;=~-._"


@dataclass(frozen=True)
class WebAddress:
    """Where a page is: a scheme, a host in ASCII or an IP address, a port, and what is asked of it."""

    scheme: str
    host: str
    port: int
    target: str
    """Path and query, percent-encoded."""

    @property
    def authority(self) -> str:
        """The host as a Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def read_address(text: str, base: WebAddress | None = None) -> WebAddress:
    """The address that a text spells; of a redirect, relative to `base`. Raises SansiError for what is none.

    Names in any script become ASCII, and numbers that stand for an IP address become that address (0x7f.1 is
    127.0.0.1), as a browser would read them.
    """
    text = text.strip()
    if len(text) > MAX_LENGTH:
        raise _wrong(text, f"is longer than {MAX_LENGTH} characters")
    if re.search(r"[\x00-\x20\x7f-\xa0\u2028\u2029\\]", text):
        raise _wrong(text, "has blanks, control characters or backslashes in it; percent-encode them")
    whole = urljoin(str(base), text) if base else text
    try:
        parts = urlsplit(whole)
    except ValueError as error:
        raise _wrong(text, f"is no address: {error}") from error
    scheme = parts.scheme.lower()
    if scheme not in PORTS:
        told = f'begins with "{scheme[:20]}:"' if scheme else "has no scheme"
        raise _wrong(text, f"{told}; only http:// and https:// are fetched")
    if "@" in parts.netloc:
        raise _wrong(text, "holds a name or password before an @, which is never sent")
    found = _AUTHORITY.fullmatch(parts.netloc)
    if found is None:
        raise _wrong(text, "names no host that can be read")
    port = int(found["port"] or PORTS[scheme])
    if not 0 < port < 2**16:
        raise _wrong(text, f"has the port {port}, and there are 65,535")
    target = quote(parts.path or "/", safe=_SAFE) + (f"?{quote(parts.query, safe=_SAFE + '?')}" if parts.query else "")
    return WebAddress(scheme, _host(found["host"], text), port, target)


def _host(given: str, text: str) -> str:
    if given.startswith("["):
        try:
            return IPv6Address(given[1:-1]).compressed
        except AddressValueError as error:
            raise _wrong(text, f"has no IPv6 address in its brackets: {error}") from error
    name = _ascii(given, text)
    return _number(name, text) if _NUMERIC.fullmatch(name) else name


def _ascii(name: str, text: str) -> str:
    """The name as resolvers know it: full-width digits and dots, circled digits and the like are plain ones."""
    import idna

    try:
        folded = idna.uts46_remap(name, std3_rules=False).rstrip(".").lower()
        if not folded:
            raise _wrong(text, "names no host")
        plain = folded if folded.isascii() else idna.encode(folded).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise _wrong(text, f'names the host "{name[:100]}", which is no name: {error}') from error
    if not re.fullmatch(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*", plain) or len(plain) > 253:
        raise _wrong(text, f'names the host "{name[:100]}", which is no name')
    return plain


def _number(name: str, text: str) -> str:
    """The IPv4 address that decimal, octal and hexadecimal numbers spell, as the system's resolver reads them."""
    try:
        return str(IPv4Address(socket.inet_aton(name)))
    except OSError as error:
        raise _wrong(text, f'names the host "{name[:100]}", a number that is no IP address') from error


def _wrong(text: str, why: str) -> SansiError:
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text[:200]) + "…" * (len(text) > 200)
    return SansiError(f'the address "{shown}" {why}', param="url")
