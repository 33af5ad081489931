"""Whatever a URL says, every program that reads the one we dial reads the same host in it.

Held against libcurl, which dials it; Python's urllib.parse; and a parser by the WHATWG's
standard, which is how browsers read. Nothing is sent: libcurl talks to a socket pair.
"""

import ipaddress
import re
import socket
from collections.abc import Callable
from io import BytesIO
from typing import Final
from urllib.parse import urlsplit

import can_ada
import pycurl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.domain.host import canonical_host, is_numeric
from shared.errors import BadUrl
from tests.worker.fetch.test_address import ODD_URLS
from worker.fetch.address import check_url, hands_out_credentials, is_public

PORTS = frozenset({80, 443, 8080})

_V4 = st.ip_addresses(v=4).map(str)
_V6 = st.ip_addresses(v=6)


def _bases(address: str) -> st.SearchStrategy[str]:
    """An IPv4 address in one to four parts, each in some base, as inet_aton(3) would read them."""
    number = int(ipaddress.IPv4Address(address))

    def spelled(parts: int, bases: list[str], case: bool) -> str:
        heads = [number >> 24 - 8 * place & 255 for place in range(parts - 1)]
        rest = number & (1 << 8 * (5 - parts)) - 1
        texts = [
            {"10": str(n), "8": f"0{n:o}", "16": f"0x{n:x}", "016": f"0x000{n:x}"}[base]
            for n, base in zip([*heads, rest], bases, strict=False)
        ]
        host = ".".join(texts)
        return host.upper() if case else host

    base = st.sampled_from(["10", "8", "16", "016"])
    return st.builds(
        spelled, st.integers(1, 4), st.lists(base, min_size=4, max_size=4), st.booleans()
    )


#: Letters and digits that IDNA reads as ASCII, and a full stop that it reads as a dot.
_FULL_WIDTH = {ord(c): chr(ord(c) + 0xFEE0) for c in "0123456789abcdefx"} | {ord("."): "\u3002"}
_NAMES = st.from_regex(r"[a-zA-Z0-9_-]{1,12}(\.[a-zA-Z0-9_-]{1,12}){0,3}\.?", fullmatch=True)
_IDN = st.lists(
    st.text("abc\u00e4\u00f6\u00fc\u00e9\u4e2d\u6587\u0434\u0430\u03b1", min_size=1, max_size=8),
    min_size=1,
    max_size=3,
).map(".".join)
_HOSTS = st.one_of(
    _NAMES,
    _IDN,
    _V4.flatmap(_bases),
    _V4.flatmap(_bases).map(lambda host: host.translate(_FULL_WIDTH)),
    _V6.map(lambda address: f"[{address}]"),
    _V6.map(lambda address: f"[{address.exploded.upper()}]"),
    _V4.map(lambda address: f"[::ffff:{address}]"),
)
_TAILS = st.one_of(
    st.just(""),
    st.sampled_from(
        ["/", "/p.jpg", "?q", "#f", "/..//b", "/%2e%2e/", "/@b.example/", "//b.example"]
    ),
    st.text("/?#@:%[]b.;=&\u00e9", max_size=12).map("/{}".format),
)
_URLS = st.builds(
    "{}://{}{}{}".format,
    st.sampled_from(["http", "https", "HTTP", "hTTps"]),
    _HOSTS,
    st.sampled_from(["", ":", ":80", ":443", ":8080", ":00080"]),
    _TAILS,
)
_ANY = st.one_of(_URLS, ODD_URLS)


def _dialled(url: str) -> str | None:
    try:
        return check_url(url, allowed_ports=PORTS)
    except BadUrl:
        return None


def _parts(dialled: str) -> tuple[str, str, int]:
    """Scheme, host and port, read off the canonical form by its plain grammar."""
    match = re.match(r"(https?)://(\[[^]]*\]|[^:/]*)(?::([0-9]+))?/", dialled)
    assert match is not None, dialled
    return match[1], match[2], int(match[3] or {"http": 80, "https": 443}[match[1]])


@given(_URLS)
@example("http://0x7f.1/p")
@example("http://b\u00fccher.example:8080/")
def test_ordinary_urls_pass(url: str) -> None:
    dialled = _dialled(url)
    if dialled is None:  # the few that are odd on purpose or by chance
        host = url.split("://", 1)[1]
        assert re.match(r"[^/?#]*([_-]|xn--|[0-9])", host, re.IGNORECASE) or not host.isascii()


@given(_ANY)
def test_what_is_dialled_is_its_own_canonical_form(url: str) -> None:
    dialled = _dialled(url)
    assert dialled is None or _dialled(dialled) == dialled


@given(_ANY)
@example("http://a.example:80/http://b.example@c/")
def test_urllib_reads_the_host_and_port_that_were_checked(url: str) -> None:
    dialled = _dialled(url)
    if dialled is None:
        return
    scheme, host, port = _parts(dialled)
    read = urlsplit(dialled)
    assert (read.scheme, read.hostname) == (scheme, host.strip("[]"))
    assert (read.port or {"http": 80, "https": 443}[scheme]) == port
    assert read.username is read.password is None


@given(_ANY)
@example("http://[::ffff:127.0.0.1]/")
@example("http://1.2.3/")
def test_a_browser_reads_the_host_and_port_that_were_checked(url: str) -> None:
    dialled = _dialled(url)
    if dialled is None:
        return
    scheme, host, port = _parts(dialled)
    try:
        read = can_ada.parse(dialled)
    except ValueError:
        # It looks inside punycode and refuses some of it: then it dials nobody else.
        assert "xn--" in host
        return
    assert read.protocol == f"{scheme}:"
    # Python 3.13 spells IPv4 inside IPv6 its own way.
    assert canonical_host(read.hostname) == host
    assert int(read.port or {"http": 80, "https": 443}[scheme]) == port
    assert not read.has_credentials()


@given(_ANY)
def test_a_browser_finds_no_other_host_in_the_url_as_it_was_given(url: str) -> None:
    dialled = _dialled(url)
    if dialled is None:
        return
    try:
        given_ = can_ada.parse(url)
    except ValueError:
        return  # stricter than we are
    if not given_.hostname.isascii() or "xn--" in given_.hostname:
        return  # IDNA 2008 there, 2003 here; what is dialled is ASCII and was compared above
    assert canonical_host(given_.hostname) == _parts(dialled)[1]


class _Curl:
    """A libcurl that takes every name for one address and talks to a socket pair."""

    def __init__(self) -> None:
        self.dialled: list[tuple[str, int]] = []
        self._peer: socket.socket | None = None

    def ask(self, url: str, *, named: bool) -> tuple[list[tuple[str, int]], str]:
        """Whom it dials for a URL, and the `Host` that it sends."""
        curl = pycurl.Curl()
        if named:  # what it would look up is this address, for every name there is
            curl.setopt(pycurl.RESOLVE, [f"*:{port}:192.0.2.80" for port in PORTS])
        curl.setopt(pycurl.PROXY, "")
        curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open)
        curl.setopt(pycurl.SOCKOPTFUNCTION, self._is_connected)
        curl.setopt(pycurl.WRITEFUNCTION, BytesIO().write)
        curl.setopt(pycurl.TIMEOUT, 30)
        curl.setopt(pycurl.URL, url)
        try:
            curl.perform()
        finally:
            curl.close()
        assert self._peer is not None
        request = self._peer.recv(65536).decode("ascii")
        self._peer.close()
        [host] = re.findall(r"^Host: (.*)\r$", request, re.MULTILINE)
        return self.dialled, host

    def _is_connected(self, _fd: int, _purpose: int) -> int:
        return pycurl.SOCKOPT_ALREADY_CONNECTED

    def _open(self, _purpose: int, address: pycurl.CurlSockAddr) -> socket.socket:
        self.dialled.append((str(address.addr[0]), int(address.addr[1])))
        ours, self._peer = socket.socketpair()
        self._peer.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        return ours


@given(_ANY)
@example("http://localhost/")
@example("http://127.1:8080/a/../b?c")
@example("http://[::ffff:127.0.0.1]:8080/")
def test_libcurl_dials_the_host_and_port_that_were_checked(url: str) -> None:
    dialled = _dialled(url)
    if dialled is None:
        return
    _, host, port = _parts(dialled)
    # Without TLS, whose handshake would want a real peer; the host is read the same way.
    plain = f"http://{host}:{port}/" + dialled.split("/", 3)[3]
    [(address, its_port)], sent_host = _Curl().ask(plain, named=not is_numeric(host))
    assert its_port == port
    assert sent_host == (host if port == 80 else f"{host}:{port}")
    if is_numeric(host):
        assert ipaddress.ip_address(address) == ipaddress.ip_address(host.strip("[]"))
    else:
        assert address in {"192.0.2.80", "127.0.0.1", "::1"}  # it knows `localhost` by itself


@given(st.ip_addresses(v=4).flatmap(lambda a: st.tuples(st.just(a), _bases(str(a)))))
def test_no_spelling_hides_whether_an_ipv4_address_is_public(
    case: tuple[ipaddress.IPv4Address, str],
) -> None:
    address, spelling = case
    for host in (spelling, spelling.translate(_FULL_WIDTH), spelling + "."):
        dialled = _dialled(f"http://{host}/")
        assert dialled is not None
        assert is_public(_parts(dialled)[1]) == is_public(str(address))


def _blocks() -> list[ipaddress.IPv4Network]:
    special = ["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
               "172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15",
               "224.0.0.0/4", "240.0.0.0/4"]  # fmt: skip
    return [ipaddress.IPv4Network(block) for block in special]


@pytest.mark.parametrize("block", _blocks(), ids=str)
def test_the_edges_of_private_blocks_are_where_the_registry_has_them(
    block: ipaddress.IPv4Network,
) -> None:
    for inside in (block[0], block[-1]):
        assert not is_public(str(inside))
    for outside in (int(block[0]) - 1, int(block[-1]) + 1):
        if 0 < outside < 1 << 32:
            neighbour = ipaddress.IPv4Address(outside)
            assert is_public(str(neighbour)) == (neighbour.is_global and not neighbour.is_multicast)


#: How IPv6 carries an IPv4 address, by the name of the mechanism.
FORMS: Final[dict[str, Callable[[int], int]]] = {
    "mapped": lambda v4: (0xFFFF << 32) + v4,
    "compatible": lambda v4: v4,
    "translated": lambda v4: (0xFFFF << 48) + v4,
    "6to4": lambda v4: (0x2002 << 112) + (v4 << 80) + 1,
    "NAT64": lambda v4: (0x64FF9B << 96) + v4,
    "NAT64, local /96": lambda v4: (0x64FF9B0001 << 80) + v4,
    "NAT64, local /48": lambda v4: (0x64FF9B0001 << 80) + (v4 >> 16 << 64) + ((v4 & 0xFFFF) << 40),
    "Teredo server": lambda v4: (0x20010000 << 96) + (v4 << 64) + 1,
    "Teredo client": lambda v4: (0x20010000 << 96) + (v4 ^ 0xFFFF_FFFF),
    "ISATAP": lambda v4: (0x2A001450 << 96) + (0x5EFE << 32) + v4,
    "ISATAP, global": lambda v4: (0x2A001450 << 96) + (0x02005EFE << 32) + v4,
    "ISATAP, link-local": lambda v4: (0xFE80 << 112) + (0x5EFE << 32) + v4,
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@given(address=st.ip_addresses(v=4))
@example(address=ipaddress.IPv4Address("127.0.0.1"))
@example(address=ipaddress.IPv4Address("169.254.169.254"))
@example(address=ipaddress.IPv4Address("8.8.8.8"))
def test_ipv4_inside_ipv6_is_never_public(form: str, address: ipaddress.IPv4Address) -> None:
    carried = str(ipaddress.IPv6Address(FORMS[form](int(address))))
    assert not is_public(carried)
    dialled = _dialled(f"http://[{carried}]/")
    assert dialled is not None
    assert not is_public(_parts(dialled)[1].strip("[]"))


@given(st.ip_addresses())
@example(ipaddress.ip_address("192.88.99.1"))
@example(ipaddress.ip_address("2001:20::1"))
def test_the_standard_library_never_calls_private_what_is_public_here(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if is_public(str(address)):
        assert address.is_global
        assert not any(
            (address.is_private, address.is_loopback, address.is_link_local, address.is_multicast,
             address.is_reserved, address.is_unspecified)
        )  # fmt: skip


@given(st.ip_addresses())
def test_no_address_that_hands_out_credentials_is_public(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    assert not (hands_out_credentials(str(address)) and is_public(str(address)))
