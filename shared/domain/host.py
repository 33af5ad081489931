"""How a host is spelled: one plain form for every name and numeric address (pure)."""

import re
from collections.abc import Set as AbstractSet
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

MAX_HOST_CHARACTERS: Final = 253  # RFC 1035, section 2.3.4

_HOST: Final = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_BARE_IPV6: Final = re.compile(r"[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
#: IDNA 2003 and 2008 make different hosts of these (UTS 46, section 4.1.1); guess neither.
_AMBIGUOUS: Final = re.compile("[\u00df\u1e9e\u03c2\u200c\u200d]")


def canonical_host(text: str) -> str:
    """A host as it stands in a URL, in its one canonical spelling.

    Names come out in ASCII and lower case without a dot at the end, IPv4 addresses in four
    decimal parts however they were written (`0x7f.1` as `127.0.0.1`), IPv6 addresses
    compressed and in brackets.

    Raises:
        ValueError: it is neither a name nor an address. The message never quotes it.
    """
    if text.startswith("["):
        return f"[{_ipv6(text).compressed}]"
    host = _idna(text).lower().removesuffix(".")
    if len(host) > MAX_HOST_CHARACTERS or not _HOST.fullmatch(host):
        raise ValueError("malformed host")
    labels = host.split(".")
    return str(_ipv4(labels)) if _NUMBER.fullmatch(labels[-1]) else host


def hosts_from_commas(text: str) -> frozenset[str]:
    """The hosts of a comma-separated list; IPv6 addresses may go without their brackets.

    Raises:
        ValueError: an entry is no host. The message names its place, and never quotes it.
    """
    hosts: set[str] = set()
    for place, entry in enumerate(text.split(","), start=1):
        host = entry.strip()
        try:
            hosts.add(canonical_host(f"[{host}]" if _BARE_IPV6.fullmatch(host) else host))
        except ValueError:
            raise ValueError(
                f"entry {place} is neither the name nor the address of a host "
                "(without scheme, port, path or asterisk)"
            ) from None
    return frozenset(hosts)


def is_within(host: str, hosts: AbstractSet[str]) -> bool:
    """Whether a host is one of these, or a name below one of them; all in canonical spelling."""
    if host in hosts:
        return True
    if is_numeric(host):
        return False
    labels = host.split(".")
    return any(".".join(labels[start:]) in hosts for start in range(1, len(labels)))


def is_numeric(host: str) -> bool:
    """Whether a host in its canonical spelling is an address and not a name."""
    return host.startswith("[") or _NUMBER.fullmatch(host.rpartition(".")[2]) is not None


def _idna(host: str) -> str:
    if host.isascii():
        return host
    if len(host) > MAX_HOST_CHARACTERS or _AMBIGUOUS.search(host):
        raise ValueError("host name has no single ASCII form")
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError("host name has no ASCII form") from None


def _ipv6(text: str) -> IPv6Address:
    """In brackets, and without a scope, which means nothing on another machine."""
    if not text.endswith("]") or "%" in text:
        raise ValueError("malformed IPv6 address")
    try:
        return IPv6Address(text[1:-1])
    except AddressValueError:
        raise ValueError("malformed IPv6 address") from None


def _ipv4(labels: list[str]) -> IPv4Address:
    """One to four numbers, decimal, octal or hexadecimal, as inet_aton(3) reads them."""
    try:
        *bytes_, rest = [_number(label) for label in labels]
    except ValueError:
        raise ValueError("malformed IPv4 address") from None
    if len(bytes_) > 3 or max(bytes_, default=0) > 255 or rest >= 256 ** (4 - len(bytes_)):
        raise ValueError("malformed IPv4 address")
    head = sum(byte << (24 - 8 * place) for place, byte in enumerate(bytes_))
    return IPv4Address(head + rest)


def _number(label: str) -> int:
    if not _NUMBER.fullmatch(label):
        raise ValueError(label)
    octal = len(label) > 1 and label.isdecimal() and label.startswith("0")
    return int(label, 8) if octal else int(label, 0)
