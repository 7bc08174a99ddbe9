"""An address that a model writes leads to the public web or nowhere: not into this machine, its network or its cloud.

The suite counts connections: for whatever is refused, none is made.
"""

from __future__ import annotations

import asyncio
import ipaddress
import sys
from pathlib import Path

import httpcore
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.agents.tools.web import WebAccess, get_page, read_address
from sansi.agents.tools.web.networks import parsed, why_not_public
from sansi.base.errors import SansiError

sys.path.append(str(Path(__file__).parent))
from web_server import serving


class Recorded(httpcore.AsyncNetworkBackend):
    """Connects nowhere, and remembers where it was to."""

    def __init__(self, answers: dict[str, bytes] | None = None):
        self.connected: list[str] = []
        self._answers = answers or {}

    async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
        self.connected.append(host)
        if host not in self._answers:
            raise httpcore.ConnectError("nobody is there")
        return httpcore.AsyncMockStream([self._answers[host]])

    async def sleep(self, seconds):
        await asyncio.sleep(seconds)


def names(table: dict[str, list[str]]):
    """A resolver that knows these hosts; each entry is used up from the left, the last one stays."""

    async def resolve(host: str, port: int) -> list[str]:
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            pass
        if host not in table:
            raise OSError("Name or service not known")
        return table[host].pop(0).split(",") if len(table[host]) > 1 else table[host][0].split(",")

    return resolve


def attempt(url: str, table: dict[str, list[str]] | None = None, answers=None, **options) -> tuple[str, list[str]]:
    """What is said of an address, and what was connected to. "" where a page came."""
    backend = Recorded(answers)
    access = WebAccess(resolve=names(table or {}), backend=backend, **options)
    try:
        asyncio.run(get_page(url, access))
    except SansiError as error:
        assert "\n" not in str(error) and len(str(error)) < 600
        return str(error), backend.connected
    return "", backend.connected


# fmt: off
LITERALS = [
    "127.0.0.1", "127.1", "127.0.1", "127.255.255.254", "2130706433", "0x7f000001", "0x7f.0x0.0x0.0x1",
    "0x7f.1", "017700000001", "0177.0.0.1", "0177.1", "0x7F.0.0.1", "127.0.0.1.", "0", "0.0.0.0", "0x0", "00",
    "0.1.2.3", "10.0.0.1", "10.255.255.255", "167772161", "0xa000001", "012.1", "100.64.0.1",
    "100.127.255.255", "100.100.100.200", "169.254.169.254", "2852039166", "0xa9fea9fe", "0xA9.0xFE.0xA9.0xFE",
    "0251.0376.0251.0376", "169.254.43518", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192",
    "192.0.2.1", "192.88.99.1", "192.168.0.1", "192.168.1.254", "3232235521", "198.18.0.1", "198.19.255.255",
    "198.51.100.7", "203.0.113.7", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "168.63.129.16", "4294967295", "①②⑦.⓪.⓪.①", "１２７.０.０.１", "127。0。0。1", "127．0．0．1", "127｡0｡0｡1",
    "⑯⑨.254.169.254", "₁₂₇.0.0.1", "𝟏𝟐𝟕.𝟎.𝟎.𝟏", "0ⅹ7f.1", "０ｘ７ｆ.1", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]",
    "[0000::0001]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:10.0.0.1]", "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]", "[::127.0.0.1]", "[::10.0.0.1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]", "[64:ff9b::10.0.0.1]", "[64:ff9b::169.254.169.254]", "[64:ff9b::192.168.0.1]",
    "[64:ff9b:1::1]", "[64:ff9b:1:ffff:ffff:ffff:8.8.8.8]", "[2002:7f00:1::]", "[2002:7f00:0001::1]",
    "[2002:a00:1::1]", "[2002:a9fe:a9fe::]", "[2002:c0a8:101::1]", "[2001:0:7f00:1::]",
    "[2001:0:4136:e378:8000:63bf:80ff:fffe]", "[2001:0:808:808:0:0:f5ff:fffe]", "[fe80::1]",
    "[fe80::5efe:127.0.0.1]", "[2001:4860::5efe:127.0.0.1]", "[2001:4860::200:5efe:10.0.0.1]", "[fec0::1]",
    "[fc00::1]", "[fd00:ec2::254]", "[fd12:3456:789a::1]", "[ff02::1]", "[ff05::2]", "[2001:db8::1]",
    "[2001:2::1]", "[2001:10::1]", "[2001:20::1]", "[3fff::1]", "[100::1]", "[4000::1]", "[5f00::1]",
    "[e000::1]",
]
# fmt: on


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", LITERALS)
def test_addresses_that_are_not_public_are_not_connected_to(host, scheme):
    said, connected = attempt(f"{scheme}://{host}/latest/meta-data/")
    assert connected == [] and ("is not fetched from: it is" in said)


NAMED = {
    "localhost": ["127.0.0.1,::1"],
    "six.example": ["::1"],
    "metadata.google.internal": ["169.254.169.254"],
    "instance-data.ec2.internal": ["169.254.169.254"],
    "printer.local": ["192.168.1.20"],
    "intranet": ["10.1.2.3"],
    "127.0.0.1.nip.io": ["127.0.0.1"],
    "customer1.app.localhost.my.company.127.0.0.1.nip.io": ["127.0.0.1"],
    "mixed.example": ["93.184.216.34,127.0.0.1"],
    "mixed6.example": ["2606:2800:220:1::1,fe80::1%eth0"],
    "scoped.example": ["fe80::1%2"],
    "mapped.example": ["::ffff:10.0.0.1"],
    "nat64.example": ["64:ff9b::a00:1"],
    "xn--r8jz45g.xn--zckzah": ["192.168.0.1"],
}


@pytest.mark.parametrize(
    "host", [*NAMED, "LOCALHOST", "localhost.", "LocalHost", "例え.テスト", "ⓛocalhost", "ｌｏｃａｌｈｏｓｔ"]
)
def test_names_that_resolve_to_such_addresses(host):
    said, connected = attempt(f"http://{host}/", {name: [*found] for name, found in NAMED.items()})
    assert connected == [] and "is not fetched from: it is" in said


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://user@example.com/", "before an @"),
        ("http://user:password@example.com/", "before an @"),
        ("http://example.com@127.0.0.1/", "before an @"),
        ("http://127.0.0.1:80@example.com/", "before an @"),
        ("http://example.com%40127.0.0.1/", "no host that can be read"),
        ("http://127.0.0.1%2f@example.com/", "before an @"),
        ("http://example.com\\@127.0.0.1/", "backslashes"),
        ("http:\\\\127.0.0.1\\", "backslashes"),
        ("http://127.0.0.1\t/", "blanks"),
        ("http://exa mple.com/", "blanks"),
        ("http://example.com/\r\nHost: evil", "blanks"),
        ("http://example.com/\x00", "control"),
        ("http://example.com#@127.0.0.1/", None),
        ("http://[::1%25eth0]/", "no host"),
        ("http://[fe80::1%eth0]/", "no host"),
        ("http://[127.0.0.1]/", "is no address"),
        ("http://[::1/", "is no address"),
        ("http://::1/", "no host"),
        ("http://%31%32%37.0.0.1/", "no host"),
        ("http://256.256.256.256/", "a number that is no IP address"),
        ("http://1.2.3.4.5/", "a number that is no IP address"),
        ("http://0xffffffffff/", "a number that is no IP address"),
        ("http://example.com:0/", "port"),
        ("http://example.com:99999/", "port"),
        ("http://example.com:22/", "port 22"),
        ("http://example.com:25/", "port 25"),
        ("http://example.com:6379/", "port 6379"),
        ("http://example.com:11211/", "port 11211"),
        ("http:///etc/passwd", "no host"),
        ("http:127.0.0.1", "no host"),
        ("//127.0.0.1/", "no scheme"),
        ("example.com", "no scheme"),
        ("", "no scheme"),
        ("file:///etc/passwd", "only http:// and https://"),
        ("FILE:///etc/passwd", "only http:// and https://"),
        ("ftp://example.com/", "only http"),
        ("gopher://127.0.0.1:6379/_INFO", "only http"),
        ("dict://127.0.0.1:11211/stat", "only http"),
        ("ldap://127.0.0.1/", "only http"),
        ("data:text/html,hello", "only http"),
        ("javascript:alert(1)", "only http"),
        ("jar:http://127.0.0.1!/", "only http"),
        ("unix:///var/run/docker.sock", "only http"),
        ("http+unix://%2Fvar%2Frun%2Fdocker.sock/info", "only http"),
        ("ws://127.0.0.1/", "only http"),
        ("view-source:http://127.0.0.1/", "only http"),
        ("url:http://127.0.0.1/", "only http"),
        ("http://" + "a" * 64 + ".example/", "is no name"),
        ("http://exa<mple.com/", "is no name"),
        ("http://.../", "no host"),
        ("http://a..b/", "is no name"),
        ("http://example.com/" + "a" * 5000, "longer than 4096"),
    ],
)
def test_addresses_that_are_none(url, said):
    table = {"example.com": ["93.184.216.34"]}
    told, connected = attempt(url, table)
    if said is None:  # a fragment, which is never sent: the host is what stands before it
        assert connected == ["93.184.216.34"]
        return
    assert connected == [] and said in told


def test_the_address_that_was_checked_is_the_one_that_is_connected_to():
    """A name server that says one thing to the check and another to the connection is asked once."""
    table = {"rebind.example": ["93.184.216.34", "127.0.0.1"]}
    _, connected = attempt("http://rebind.example/", table, {"93.184.216.34": b"HTTP/1.1 200 OK\r\n\r\n"})
    assert connected == ["93.184.216.34"] and table["rebind.example"] == ["127.0.0.1"]


def moved(to: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Moved\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


TARGETS = [
    "http://127.0.0.1/",
    "//127.0.0.1/",
    "http://[::1]:80/",
    "http://2130706433/",
    "https://metadata.example/",
    "file:///etc/passwd",
    "gopher://127.0.0.1/",
    "http://user:pass@public.example/",
    "http://public.example:22/",
    "http://[64:ff9b::7f00:1]/",
    "http:\\\\127.0.0.1/",
    "http://①②⑦.0.0.1/",
    "https://[::ffff:169.254.169.254]/latest",
]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", TARGETS)
def test_a_redirect_is_a_new_address_and_is_checked_anew(to, status):
    table = {"public.example": ["93.184.216.34"], "metadata.example": ["169.254.169.254"]}
    told, connected = attempt("http://public.example/", table, {"93.184.216.34": moved(to, status)})
    assert connected == ["93.184.216.34"] and told


def test_a_redirect_to_the_same_name_resolves_it_anew():
    table = {"rebind.example": ["93.184.216.34", "127.0.0.1"]}
    told, connected = attempt("http://rebind.example/", table, {"93.184.216.34": moved("/next")})
    assert connected == ["93.184.216.34"] and "rebind.example (127.0.0.1) is not fetched from" in told


def test_redirects_end():
    table = {"loop.example": ["93.184.216.34"]}
    told, connected = attempt("http://loop.example/", table, {"93.184.216.34": moved("/again")})
    assert "more than 5 redirects" in told and len(connected) == 6


@pytest.mark.parametrize(
    "address",
    [
        *("93.184.216.34", "8.8.8.8", "1.1.1.1", "2606:2800:220:1::1", "2a00:1450:4001::1"),
        *("64:ff9b::808:808", "2002:808:808::1", "::ffff:8.8.8.8"),
    ],
)
def test_public_addresses_are_connected_to(address):
    _, connected = attempt("https://site.example/", {"site.example": [address]})
    assert connected == [str(ipaddress.ip_address(address))]


def test_the_next_address_of_a_host_is_tried_when_nobody_answers_at_the_first():
    table = {"two.example": ["2606:2800:220:1::1,93.184.216.34"]}
    told, connected = attempt("http://two.example/", table, {"93.184.216.34": b"HTTP/1.1 204 No\r\n\r\n"})
    assert told == "" and connected == ["2606:2800:220:1::1", "93.184.216.34"]


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_what_python_knows_to_be_private_is_never_public(address):
    if not address.is_global or address.is_multicast or address.is_link_local or address.is_loopback:
        carried = [inner for inner in [getattr(address, "ipv4_mapped", None)] if inner is not None and inner.is_global]
        nat64 = address.version == 6 and address in ipaddress.ip_network("64:ff9b::/96")
        assert carried or nat64 or why_not_public(address) is not None


@settings(max_examples=300, deadline=None)
@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:{}", "64:ff9b::{}", "::{}", "::ffff:0:{}"]))
def test_an_address_within_an_address_is_no_way_around(inner, form):
    outer = ipaddress.ip_address(form.format(inner))
    if why_not_public(inner) is not None:
        assert why_not_public(outer) is not None


@settings(max_examples=300, deadline=None)
@given(st.ip_addresses(v=4), st.sampled_from(["{0}", "0x{0:x}", "0{0:o}"]), st.booleans())
def test_every_spelling_of_a_number_is_that_address(address, form, parted):
    value = int(address)
    parts = [value >> 24, value & 0xFFFFFF] if parted else [value]
    host = ".".join(form.format(part) for part in parts)
    assert read_address(f"http://{host}/").host == str(address)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40), st.sampled_from(["", "http://", "https://", "http://127.0.0.1", "http://a@", "//"]))
def test_any_text_is_an_address_or_a_sentence(text, before):
    try:
        address = read_address(before + text)
    except SansiError as error:
        assert "\n" not in str(error)
        return
    assert str(address).isascii() and read_address(str(address)) == address


def test_a_network_of_ones_own_is_reached_when_the_program_allows_it():
    with serving({"/": (200, {"Content-Type": "text/plain"}, b"home")}) as site:
        for refused in (WebAccess(ports=None), WebAccess(allowed_networks=("10.0.0.0/8",), ports=None)):
            with pytest.raises(SansiError, match="it is this machine"):
                asyncio.run(get_page(site.url(), refused))
        assert site.asked == []
        with pytest.raises(SansiError, match="only these are asked"):
            asyncio.run(get_page(site.url(), WebAccess(allowed_networks=("127.0.0.1",))))
        page = asyncio.run(get_page(site.url(), WebAccess(allowed_networks=("127.0.0.0/8",), ports=None)))
        assert page.data == b"home"
    with pytest.raises(SansiError, match="allowed_networks"):
        asyncio.run(get_page("http://127.0.0.1/", WebAccess(allowed_networks=("localhost",))))


def test_no_proxy_of_the_environment_resolves_in_our_place(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:3128")
    _, connected = attempt("http://site.example/", {"site.example": ["93.184.216.34"]})
    assert connected == ["93.184.216.34"]


def test_an_address_that_carries_a_public_one_is_public_only_where_such_addresses_are():
    assert why_not_public(parsed("5f00::5efe:8.8.8.8")) == "no address of the public Internet"
    assert why_not_public(parsed("64:ff9b::8.8.8.8")) is None and why_not_public(parsed("2600::5efe:8.8.8.8")) is None
