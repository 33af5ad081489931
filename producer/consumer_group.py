"""One member of a Redis Stream's consumer group: what it has in hand, and what killed readers.

While an entry is in hand, its delivery count is the number of readers that died with it, plus
one: whoever ends in good order sets it back, and a reader that dies cannot.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# redis-py's answers to stream commands carry no types; `Entry` and `Left` are where they meet ours.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis import AuthenticationError, Redis, RedisError, ResponseError
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationWrongNumberOfArgsError, NoPermissionError
from redis.retry import Retry

from shared.queue import check_url
from shared.settings import Settings

#: How long one read waits for something new.
BLOCK_S: Final = 1.0
_REFUSALS = (AuthenticationError, AuthenticationWrongNumberOfArgsError, NoPermissionError)
_REFUSED = ("WRONGTYPE", "unknown command", "syntax error")


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry in hand."""

    id: str
    fields: Mapping[bytes, bytes] | None  #: None: not loaded
    deaths: int = 0  #: readers that died with it in hand

    @property
    def size(self) -> int:
        """Bytes of names and values."""
        return sum(len(name) + len(value) for name, value in (self.fields or {}).items())


@dataclass(frozen=True, slots=True)
class Left:
    """An entry that was in somebody's hand, and is there no more."""

    id: str
    idle_ms: int
    deaths: int


class Member:
    """Reads, acknowledges and gives back under one name. All methods raise RedisError, OSError."""

    def __init__(self, client: Redis, stream: str, group: str, name: str) -> None:
        self._client = client
        self._stream, self._group, self._name = stream, group, name

    def join(self) -> None:
        """Makes the stream and the group where they are not there, to read from the beginning."""
        refusal: ResponseError | None = None
        for counting in ({"entries_read": 0}, {}):  # servers before 7.0 do not count
            try:
                self._client.xgroup_create(
                    self._stream, self._group, id="0", mkstream=True, **counting
                )
            except ResponseError as error:
                if str(error).startswith("BUSYGROUP"):
                    return
                refusal = error
            else:
                return
        if refusal:
            raise refusal

    def read(self, most: int) -> tuple[list[Entry], int]:
        """New entries, up to `BLOCK_S` late; and how many were trimmed that nobody had read.

        The server tells the latter by `entries-read`, the place of the last entry read among all
        that were ever added.
        """
        new: dict[Any, Any] = {self._stream: ">"}
        with self._client.pipeline() as together:
            together.xinfo_groups(self._stream)
            together.xreadgroup(self._group, self._name, new, count=most)
            together.xinfo_groups(self._stream)
            before, answer, since = together.execute()
        entries = _read(answer)
        if not entries:
            waited: Any = self._client.xreadgroup(
                self._group, self._name, new, count=most, block=round(BLOCK_S * 1000)
            )
            return _read(waited), 0
        place, reached = self._place(before), self._place(since)
        if place is None or reached is None:
            return entries, 0
        return entries, max(0, reached - place - len(entries))

    def _place(self, groups: Sequence[Mapping[str, Any]]) -> int | None:
        # Servers before 7.0 do not say, nor do others where entries were deleted in between.
        of_ours = (one for one in groups if one["name"] == self._group.encode())
        return next(of_ours, {}).get("entries-read")

    def left_by_others(self, idle_s: float, most: int) -> list[Left]:
        """What its holder has not looked after for so long."""
        answer: Any = self._client.xpending_range(
            self._stream, self._group, "-", "+", most, idle=round(idle_s * 1000)
        )
        # Under one's own name it is what an answer was lost of: nobody has died since.
        return [_left(item, alive=item["consumer"] == self._name.encode()) for item in answer]

    def left_by_namesake(self, most: int) -> list[Left]:
        """What the process before had in hand that had this name."""
        answer: Any = self._client.xpending_range(
            self._stream, self._group, "-", "+", most, consumername=self._name
        )
        return [_left(item, alive=False) for item in answer]

    def take(self, left: Left) -> bool:
        """Takes an entry in hand, unless another member did since; it is not loaded by that."""
        answer: Any = self._client.xclaim(
            self._stream,
            self._group,
            self._name,
            min_idle_time=left.idle_ms,
            message_ids=[left.id],
            retrycount=left.deaths + 1,
            justid=True,
        )
        return bool(answer)

    def is_in_hand(self, id_: str) -> bool:
        """Whether anybody has the entry in hand."""
        return bool(self._client.xpending_range(self._stream, self._group, id_, id_, 1))

    def load(self, id_: str) -> Mapping[bytes, bytes] | None:
        """What an entry holds; None where it is not in the stream any more."""
        answer: Any = self._client.xrange(self._stream, id_, id_)
        return answer[0][1] if answer else None

    def keep(self, entries: Sequence[Entry]) -> None:
        """Tells the others that these are still in hand."""
        if entries:
            self._claim(entries)

    def give_back(self, entries: Sequence[Entry], idle_s: float) -> None:
        """Leaves entries to whoever comes next, as if they had lain for so long.

        None of them killed anybody this time.
        """
        for deaths in {entry.deaths for entry in entries}:
            those = [entry for entry in entries if entry.deaths == deaths]
            self._claim(those, retrycount=deaths, idle=round(idle_s * 1000))

    def _claim(
        self, entries: Sequence[Entry], retrycount: int | None = None, idle: int | None = None
    ) -> None:
        self._client.xclaim(
            self._stream,
            self._group,
            self._name,
            min_idle_time=0,
            message_ids=[entry.id for entry in entries],
            justid=True,
            retrycount=retrycount,
            idle=idle,
        )

    def let_go(self, *ids: str) -> None:
        """Acknowledges entries."""
        self._client.xack(self._stream, self._group, *ids)

    def leave(self) -> None:
        """Takes the name out of the group, unless something is in hand under it."""
        if not self.left_by_namesake(1):
            self._client.xgroup_delconsumer(self._stream, self._group, self._name)


def connect(settings: Settings) -> Redis:
    """A client of the server that has the stream; makes no connection.

    Raises:
        SetupError: TAGGER_STREAM_URL is not a URL of such a server.
    """
    url = (settings.stream_url or settings.redis_url).get_secret_value()
    check_url("TAGGER_STREAM_URL" if settings.stream_url else "REDIS_URL", url)
    return Redis.from_url(
        url,
        # Reads wait for entries, and must not be taken for silence.
        socket_timeout=settings.redis_socket_timeout_s + BLOCK_S,
        socket_connect_timeout=settings.connect_timeout_s,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),  # its callers repeat, and say so
        legacy_responses=False,  # a read is a mapping, whatever the protocol
    )


def refuses(error: RedisError | OSError) -> bool:
    """Whether the server answers, and time does not change what: it is a matter of set-up."""
    return isinstance(error, _REFUSALS) or (
        isinstance(error, ResponseError) and any(word in str(error) for word in _REFUSED)
    )


def _read(answer: Mapping[Any, Any]) -> list[Entry]:
    return [Entry(id_.decode(), fields) for entries in answer.values() for id_, fields in entries]


def _left(item: Mapping[str, Any], *, alive: bool) -> Left:
    deaths = item["times_delivered"] - (1 if alive else 0)
    return Left(item["message_id"].decode(), item["time_since_delivered"], max(0, deaths))
