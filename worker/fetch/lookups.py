"""Which hosts' names are being looked up for the first time, and how many may be at once.

libcurl looks names up in about twenty threads, two for each name, and a name server that is
silent holds them for longer than any transfer lasts. Hosts that have answered before must find
some free.
"""

import time
from typing import Final

import pycurl

MOST: Final = 8
#: resolv.conf(5): five seconds for an answer, and two tries.
_SILENT_S: Final = 10.0


class Lookups:
    """The first transfers to hosts that have never answered, until their address is known."""

    def __init__(self) -> None:
        self._under_way: set[pycurl.Curl] = set()
        self._abandoned: list[float] = []  # when each ends at last (monotonic)

    @property
    def full(self) -> bool:
        """Whether no other may begin."""
        return len(self._under_way) + len(self._abandoned) >= MOST

    def begin(self, curl: pycurl.Curl) -> None:
        """A transfer to such a host was started."""
        self._under_way.add(curl)

    def end(self, curl: pycurl.Curl, *, silent: bool) -> None:
        """A transfer has ended; `silent` where it was given up and its look-up may go on."""
        if curl in self._under_way:
            self._under_way.remove(curl)
            if silent and not is_known(curl):
                self._abandoned.append(time.monotonic() + _SILENT_S)

    def look(self, now: float) -> None:
        """Leaves out those whose address is known by now."""
        self._under_way = {curl for curl in self._under_way if not is_known(curl)}
        self._abandoned = [until for until in self._abandoned if until > now]

    def forget(self) -> None:
        """All transfers have been thrown away."""
        self._under_way.clear()


def is_known(curl: pycurl.Curl) -> bool:
    """Whether the address that a transfer goes to has been found, or is being used."""
    return curl.getinfo(pycurl.NAMELOOKUP_TIME) > 0
