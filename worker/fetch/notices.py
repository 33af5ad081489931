"""What the processes of a fleet tell one another about hosts: a notice board in Valkey.

A process posts what it saw of its hosts and reads what the fleet knows of them, all hosts in one
round trip, from a thread of its own. What stands there goes away by itself. While Valkey is away,
each process goes by what it sees itself.
"""

# pyright: reportUnknownMemberType=false
# redis-py leaves the answers of scripts untyped.

import hashlib
import math
import threading
import time
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import structlog
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared.settings import Settings
from worker.fetch.breaker import MOST_LEVELS, SAME_S, Opening

log = structlog.get_logger()

#: Hosts' names are others' words; longer ones stand there as their hash.
_MAX_NAME: Final = 100
#: A process that has not been heard of for so long has no work for the host.
_WORKING_S: Final = 5.0
#: What nobody has asked for in so long is forgotten.
_KEEP_S: Final = 600.0
_TIMEOUT_S: Final = 1.0
_FOREVER_S: Final = 1e6
#: More would be a forgery, and a share of next to nothing.
_MOST_PROCESSES: Final = 1000

#: Times on the board are Valkey's own, in milliseconds, and those that travel are ages: no two
#: machines need agree on the time. KEYS: a hash and a sorted set for each host. ARGV: this
#: process, how long its word counts, how long the board is kept, the longest rest, and what makes
#: no difference; then for each host how long ago it answered and how long ago it opened (-1 for
#: never), for how long it stays open, level, and patience. Answers with the same of the fleet, and
#: with the number of processes that have work for the host. Others may have written there too:
#: what is no number counts as 0, what is too large is cut, and a key of another kind goes.
_SCRIPT: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local process, working = ARGV[1], tonumber(ARGV[2])
local keep, longest, same = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local function number(text, most)
    local read = tonumber(text or '')
    return read and math.max(0, math.min(read, most)) or 0
end
local function clear(key, kind)
    local found = redis.call('TYPE', key).ok
    if found ~= kind and found ~= 'none' then redis.call('DEL', key) end
end
local function whole(number) return string.format('%.0f', number) end
local known = {}
for i = 1, #KEYS, 2 do
    local at = 6 + (i - 1) / 2 * 5
    clear(KEYS[i], 'hash')
    clear(KEYS[i + 1], 'zset')
    local old = redis.call('HMGET', KEYS[i], 'answered', 'opened', 'until', 'level', 'patience')
    local answered, opened = number(old[1], now), number(old[2], now)
    local ends = number(old[3], now + longest)
    local level, patience = number(old[4], 1e3), number(old[5], 1e9)
    local answered_ago, opened_ago = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
    if answered_ago >= 0 then answered = math.max(answered, now - answered_ago) end
    local mine = now + tonumber(ARGV[at + 2])
    if ends <= now then ends = 0 end
    -- What was posted is late by its way here: so much later is no later.
    if opened_ago >= 0 and mine > now and mine > ends + same then
        opened, ends = now - opened_ago, mine
        level, patience = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
    end
    if answered > opened + same then ends = 0 end
    redis.call('HSET', KEYS[i], 'answered', whole(answered), 'opened', whole(opened),
        'until', whole(ends), 'level', whole(level), 'patience', whole(patience))
    redis.call('PEXPIRE', KEYS[i], math.max(keep, ends - now))
    redis.call('ZREMRANGEBYSCORE', KEYS[i + 1], '-inf', now)
    redis.call('ZREMRANGEBYSCORE', KEYS[i + 1], '(' .. whole(now + working), '+inf')
    redis.call('ZADD', KEYS[i + 1], now + working, process)
    redis.call('PEXPIRE', KEYS[i + 1], working)
    known[#known + 1] = {
        answered > 0 and now - answered or -1, ends > 0 and now - opened or -1,
        math.max(ends - now, 0), level, patience, redis.call('ZCARD', KEYS[i + 1]),
    }
end
return known
"""


@dataclass(frozen=True, slots=True)
class Notice:
    """What this process saw of a host; monotonic times."""

    host: str
    opening: Opening | None
    answered_at: float  #: this process; -inf for never


@dataclass(frozen=True, slots=True)
class Known:
    """What the fleet knows of a host, in the same terms."""

    host: str
    opening: Opening | None
    answered_at: float  #: any process
    processes: int  #: that have work for it, this one included


class NoticeBoard:
    """Posts and reads in a thread of its own; `post` and `read` never wait."""

    def __init__(self, settings: Settings) -> None:
        """Makes no connection yet; the thread comes with the first notice."""
        self._max_rest_s = max(settings.host_rest_max_s, settings.retry_after_max_s)
        self._process = uuid.uuid4().hex
        self._client = Redis.from_url(
            settings.redis_url.get_secret_value(),
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            # A second later there is something newer to say.
            retry=Retry(NoBackoff(), 0),
        )
        self._script = self._client.register_script(_SCRIPT)
        self._posted: deque[Sequence[Notice]] = deque(maxlen=1)
        self._read: deque[Known] = deque()
        self._something = threading.Event()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._away = False

    def post(self, notices: Sequence[Notice]) -> None:
        """Puts these in place of those that are not yet on the board."""
        if not notices or self._closing:
            return
        self._posted.append(notices)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True, name="notices")
            self._thread.start()
        self._something.set()

    def read(self) -> list[Known]:
        """What came in since the last time."""
        return [self._read.popleft() for _ in range(len(self._read))]

    def close(self) -> None:
        """Ends the thread; may wait for Valkey for a second or two."""
        self._closing = True
        self._something.set()
        if self._thread is not None:
            self._thread.join()
        self._client.close()

    def _run(self) -> None:
        while not self._closing:
            self._something.wait()
            self._something.clear()
            if not self._posted:
                continue
            try:
                self._read.extend(self.exchange(self._posted.popleft()))
            except (RedisError, OSError) as error:
                if not self._away:
                    # By its kind only: what it says may name the server's URL.
                    log.warning("hosts.board_away", reason=type(error).__name__)
                self._away = True
            except Exception:  # the photos go on without the others' word
                log.exception("hosts.unexpected")
            else:
                if self._away:
                    log.info("hosts.board_back")
                self._away = False

    def exchange(self, notices: Sequence[Notice]) -> list[Known]:
        """Posts and reads at once, in the caller's thread.

        Raises:
            RedisError, OSError: Valkey is away, slow or refuses.
        """
        now = time.monotonic()
        keys = [key for notice in notices for key in _keys(notice.host)]
        times_s = (_WORKING_S, _KEEP_S, self._max_rest_s, SAME_S)
        words: list[str | int] = [self._process, *map(_ms, times_s)]
        for notice in notices:
            words += _words(notice, now)
        answer = cast("list[list[Any]]", self._script(keys=keys, args=words))
        now = time.monotonic()
        return [
            self._known(notice.host, [int(number) for number in numbers], now)
            for notice, numbers in zip(notices, answer, strict=True)
        ]

    def _known(self, host: str, numbers: Sequence[int], now: float) -> Known:
        answered_ms, opened_ms, rest_ms, level, patience_ms, processes = numbers
        opening = None
        if rest_ms > 0:
            opening = Opening(
                now - opened_ms / 1000,
                now + rest_ms / 1000,
                min(max(level, 1), MOST_LEVELS),
                patience_ms / 1000,
            )
        answered_at = now - answered_ms / 1000 if answered_ms >= 0 else -math.inf
        return Known(host, opening, answered_at, min(max(processes, 1), _MOST_PROCESSES))


def _keys(host: str) -> tuple[str, str]:
    name = host if len(host) <= _MAX_NAME else hashlib.sha256(host.encode()).hexdigest()
    return f"tagger:host:{name}", f"tagger:host:{name}:processes"


def _words(notice: Notice, now: float) -> list[str | int]:
    answered = -1 if notice.answered_at == -math.inf else _ms(now - notice.answered_at)
    opening = notice.opening
    if opening is None or opening.until <= now:
        return [answered, -1, 0, 0, 0]
    return [
        answered,
        _ms(now - opening.at),
        _ms(opening.until - now),
        opening.level,
        _ms(min(opening.patience_s, _FOREVER_S)),
    ]


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))
