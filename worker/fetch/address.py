"""Which URLs and which network addresses photos may come from (pure).

A URL is taken apart by the grammar of RFC 3986, appendix B, and put together again from
its checked parts. The client dials what is returned here and nothing else, so it cannot
read another host out of the text than the one that was checked.
"""

import re
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from typing import Final
from urllib.parse import quote, urljoin

from shared.domain.host import canonical_host
from shared.errors import BadUrl

MAX_URL_CHARACTERS: Final = 2048

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_URL: Final = re.compile(r"(https?)://([^/?#]+)([^?#]*)(\?[^#]*)?(?:#.*)?", re.IGNORECASE)
_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:@%]+)(?::([0-9]{0,5}))?")
#: Whitespace and controls of ASCII and Latin-1, and the backslash that browsers read as a slash.
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f-\xa0\\]|[^\S ]")

#: RFC 6890 and the IANA registry of special-purpose addresses, plus one cloud's own.
_SPECIAL_V4: Final = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host agent hands out secrets here
        "169.254.0.0/16",  # link-local, the metadata services of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # automatic multicast tunnels
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
#: All else in IPv6 is refused unread: loopback, IPv4-mapped and -compatible, both NAT64
#: prefixes, unique-local, link-local, site-local, multicast, and what is not assigned.
_GLOBAL_V6: Final = IPv6Network("2000::/3")
_SPECIAL_V6: Final = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "2620:4f:8000::/48",  # AS112
        "3ffe::/16",  # the returned 6bone
        "3fff::/20",  # documentation
    )
)
#: Services that hand out credentials and are not at link-local addresses.
_METADATA: Final = frozenset(
    ip_address(address)
    for address in (
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure
        "192.0.0.192",  # Oracle
        "fd00:42::42",  # Scaleway
        "fd00:ec2::254",  # Amazon
        "fd20:ce::254",  # Google
    )
)
#: Where IPv6 carries an IPv4 address that a gateway may dial, and how many bits come after it.
_CARRIERS: Final = tuple(
    (IPv6Network(block), low_bits)
    for block, low_bits in (
        ("::/96", 0),  # compatible
        ("::ffff:0:0/96", 0),  # mapped
        ("::ffff:0:0:0/96", 0),  # translated
        ("64:ff9b::/96", 0),  # NAT64
        ("64:ff9b:1::/48", 0),  # NAT64 of one's own, with the usual length
        ("2002::/16", 80),  # 6to4
    )
)


def hands_out_credentials(address: str) -> bool:
    """Whether clouds may keep their metadata services at a numeric address.

    That is every link-local address, and those that some clouds chose elsewhere; also where
    IPv6 carries them as IPv4.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    inner = _carried_v4(parsed) if isinstance(parsed, IPv6Address) else None
    return any(one.is_link_local or one in _METADATA for one in (parsed, inner) if one is not None)


def is_public(address: str) -> bool:
    """Whether a numeric address is one of the open internet.

    Forms of IPv6 that carry an IPv4 address are never public, whatever they carry, and
    neither is an address with a scope, or text that is not an address.
    """
    try:
        v4 = IPv4Address(address)
    except AddressValueError:
        return _is_public_v6(address)
    return not any(v4 in block for block in _SPECIAL_V4)


def _is_public_v6(address: str) -> bool:
    try:
        v6 = IPv6Address(address)
    except AddressValueError:
        return False
    isatap = (int(v6) >> 32) & 0xFDFF_FFFF == 0x5EFE  # RFC 5214: IPv4 in the interface's part
    return (
        v6.scope_id is None
        and not isatap
        and v6 in _GLOBAL_V6
        and not any(v6 in block for block in _SPECIAL_V6)
    )


def _carried_v4(v6: IPv6Address) -> IPv4Address | None:
    for block, low_bits in _CARRIERS:
        if v6 in block:
            return IPv4Address(int(v6) >> low_bits & 0xFFFF_FFFF)
    return None


def check_url(url: str, *, allowed_ports: frozenset[int]) -> str:
    """The URL to dial: ASCII, its host in one canonical spelling, without a fragment.

    Numeric hosts come out in their plain form (`0x7f.1` as `127.0.0.1`), for
    `is_public` to judge where the connection is made.

    Raises:
        BadUrl: photos are not fetched from such a URL. The detail never quotes it.
    """
    if len(url) > MAX_URL_CHARACTERS:
        raise BadUrl(f"more than {MAX_URL_CHARACTERS} characters")
    if _FORBIDDEN.search(url):
        raise BadUrl("control character, space or backslash")
    match = _URL.fullmatch(url)
    if match is None:
        raise BadUrl("not an absolute http or https URL with a host")
    scheme, authority, path, query = match.groups()
    scheme = scheme.lower()
    if "@" in authority:
        raise BadUrl("user name or password")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise BadUrl("malformed host or port")
    port = int(parts[2]) if parts[2] else _DEFAULT_PORTS[scheme]
    if port not in allowed_ports:
        raise BadUrl(f"port {port} is not among TAGGER_ALLOWED_PORTS")
    try:
        host = canonical_host(parts[1])
    except ValueError as error:
        raise BadUrl(str(error)) from None
    suffix = "" if port == _DEFAULT_PORTS[scheme] else f":{port}"
    return f"{scheme}://{host}{suffix}{_ascii(path) or '/'}{_ascii(query or '')}"


def join_redirect(base: str, location: str) -> str:
    """Where a `Location` header leads from `base` (RFC 9110, section 10.2.2); not yet checked.

    Raises:
        BadUrl: the header is not a reference to a URL.
    """
    # urljoin would drop some of these silently and so hide them from check_url.
    if _FORBIDDEN.search(location):
        raise BadUrl("control character, space or backslash in a redirect")
    try:
        return urljoin(base, location)
    except ValueError:
        raise BadUrl("malformed redirect") from None


def _ascii(text: str) -> str:
    """Everything outside ASCII percent-encoded as UTF-8; what is ASCII stays as it was sent."""
    if text.isascii():
        return text
    try:
        return "".join(c if c.isascii() else quote(c) for c in text)
    except UnicodeEncodeError:
        raise BadUrl("characters that have no UTF-8 form") from None
