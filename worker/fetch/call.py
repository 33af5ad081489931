"""One caller's photos on their way: what is asked for, and what has come of it so far."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Final, Generic, TypeVar

from shared.errors import FetchError
from worker.fetch.gate import Gate

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Download:
    """A photo as its origin sent it; `elapsed_s` counts from the start of its first hop."""

    body: bytes
    final_url: str
    elapsed_s: float
    place: int  #: of its URL among those of the call


#: The last one of so many photos of a call is a straggler.
_ONE_OF: Final = 10
#: A straggler may take so much longer than most photos did.
_LONGER: Final = 0.5


class Call(Generic[T]):
    """The photos of one call, between the thread that waits for them and the one that fetches.

    Attributes:
        deadline_s: of each photo, from its own start.
        results: by place; an entry is written once, by one of the two threads.
        until: when photos that have not been started no longer are (monotonic), if ever.
        stragglers_s: how long the last photos may take once most are there; None for no limit.
        cancelled: nobody waits any more.
        failure: what ended the call for all its photos.
    """

    def __init__(
        self,
        photos: int,
        *,
        deadline_s: float,
        stragglers_s: float | None,
        until: float | None = None,
        quick: Callable[[Download], T | None] | None,
        now: float,
    ) -> None:
        self.deadline_s = deadline_s
        self.until = until
        self.stragglers_s = stragglers_s
        self._asked_at = now
        self._most_at: float | None = None
        self._expected = 0
        self.results: list[T | FetchError | None] = [None] * photos
        self.cancelled = False
        self.failure: Exception | None = None
        self._quick = quick
        self._missing = 0
        self._arrived: SimpleQueue[Download | None] = SimpleQueue()

    # On the fetching thread

    def expect(self) -> None:
        """One more photo will come to its end."""
        self._expected += 1
        self._missing += 1

    def end(self, place: int, error: FetchError) -> None:
        """There is no photo for this place."""
        # A traceback would keep every frame below us alive, bodies and all.
        self.results[place] = error.with_traceback(None)
        self._count_down()

    def arrive(self, download: Download, *, quickly: bool) -> bool:
        """A photo is there; False if it was dealt with at once, True if the caller now has it."""
        try:
            result = self._quick(download) if self._quick and quickly else None
        except Exception as error:  # noqa: BLE001  # the caller's own, and for the caller
            self.fail(error)
            return False
        if result is not None:
            self.results[download.place] = result
        else:
            self._arrived.put(download)
        self._count_down()
        return result is None

    def fail(self, error: Exception) -> None:
        """Nothing more will come."""
        self.failure = error
        self._missing = 0
        self._arrived.put(None)

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return not self._missing

    def waits_for_stragglers(self, now: float) -> bool:
        """Whether the last photos have had their time, given how long most took."""
        too_many = self._missing * _ONE_OF > self._expected
        if self.stragglers_s is None or self.ended or too_many:
            return False
        if self._most_at is None:
            self._most_at = now
        most_s = self._most_at - self._asked_at
        return now - self._most_at > max(self.stragglers_s, _LONGER * most_s)

    def drain(self) -> Iterator[Download]:
        """What its caller, who has gone, did not take."""
        # Without waiting: the caller may still be there and take the last one.
        with suppress(Empty):
            while True:
                download = self._arrived.get_nowait()
                if download is not None:
                    yield download

    def _count_down(self) -> None:
        if self.ended:  # by a failure
            return
        self._missing -= 1
        if not self._missing:
            self._arrived.put(None)

    # On the caller's thread

    def next(self) -> Download | None:
        """Waits for the next photo that is the caller's to take; None after the last one.

        Raises:
            Exception: what ended the call.
        """
        download = self._arrived.get()
        if self.failure is not None:
            if download is not None:
                self._arrived.put(download)  # for `drain`
            raise self.failure
        return download


def host_of(url: str) -> str:
    """Scheme, name and port of a URL as `check_url` returns it."""
    return url[: url.index("/", len("https://"))]


@dataclass(slots=True)
class Errand:
    """One photo on its way: its place in a call and the hop it has come to."""

    call: Call[object]
    place: int
    host: str  #: of this hop, whose connections it counts among: scheme, name and port
    url: str
    asked_at: float
    started_at: float = 0.0  #: its waits for the hosts it was redirected to left out
    spent_s: float = 0.0  #: on the hops before
    dialled_at: float = 0.0  #: of this hop
    redirects: int = 0
    probe: bool = False  #: it tries a host that has not answered since it rested
    unsure: bool = False  #: its host had not answered lately when it was started
    gate: Gate = field(init=False)  #: of its host

    def end(self, error: FetchError) -> None:
        """There is no photo, unless nobody waits for it any more."""
        if not self.call.cancelled:
            self.call.end(self.place, error)
