"""Whom photos may come from: the operator's lists of hosts, for every hop (pure)."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from shared.domain.host import is_numeric, is_within
from shared.errors import BlockedHost
from shared.settings import PhotoLimits
from worker.fetch.address import check_url

_PORT: Final = re.compile(r":[0-9]+$")


def check_hop(url: str, limits: PhotoLimits) -> str:
    """The URL to dial, as `check_url` returns it: of a first hop or of a redirect's target.

    Raises:
        BadUrl: photos are not fetched from such a URL.
        BlockedHost: the settings keep its host out. A denied host stays out though allowed.
    """
    checked = check_url(url, allowed_ports=limits.allowed_ports)
    host = _PORT.sub("", checked.split("/", 3)[2])
    if is_within(host, limits.denied_hosts):
        raise BlockedHost("it is among TAGGER_DENIED_HOSTS")
    if limits.allowed_hosts and not is_within(host, limits.allowed_hosts):
        raise BlockedHost("it is not among TAGGER_ALLOWED_HOSTS")
    return checked


def denied_addresses(limits: PhotoLimits) -> frozenset[IPv4Address | IPv6Address]:
    """The addresses that are never dialled, whatever name leads there."""
    return frozenset(
        ip_address(host.strip("[]")) for host in limits.denied_hosts if is_numeric(host)
    )
