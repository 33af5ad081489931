"""What processes learn of one another's hosts, on a real Valkey."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import math
import time

import pytest
from redis import Redis

from dev.services import Services
from shared.settings import Settings
from tests.waiting import wait_until
from worker.fetch.breaker import Opening
from worker.fetch.notices import Known, Notice, NoticeBoard

HOST = "http://photos.test"


def _seen(*, failing_s: float | None = None, answered_s: float | None = None) -> Notice:
    """A host that has failed, or answered, so long ago."""
    now = time.monotonic()
    opening = None
    if failing_s is not None:
        opening = Opening(now - failing_s, now + 60, 3, patience_s=2.0)
    return Notice(HOST, opening, -math.inf if answered_s is None else now - answered_s)


def _known(board: NoticeBoard, notice: Notice) -> Known:
    [known] = board.exchange([notice])
    return known


def test_what_one_process_saw_the_others_know(settings: Settings) -> None:
    one, other = NoticeBoard(settings), NoticeBoard(settings)
    assert _known(one, _seen()) == Known(HOST, None, -math.inf, 1)
    _known(one, _seen(failing_s=1))
    known = _known(other, _seen())
    assert known.opening is not None
    now = time.monotonic()
    assert known.opening.until - now == pytest.approx(60, abs=2)
    assert now - known.opening.at == pytest.approx(1, abs=2)
    assert (known.opening.level, known.opening.patience_s) == (3, 2.0)


def test_who_has_work_for_a_host_is_counted_until_it_is_silent(settings: Settings) -> None:
    boards = [NoticeBoard(settings) for _ in range(4)]
    assert [_known(board, _seen()).processes for board in boards] == [1, 2, 3, 4]
    assert _known(boards[0], _seen()).processes == 4
    wait_until(lambda: _known(boards[0], _seen()).processes == 1)


def test_a_later_answer_to_anybody_ends_a_hosts_rest(settings: Settings) -> None:
    one, other = NoticeBoard(settings), NoticeBoard(settings)
    _known(one, _seen(failing_s=5))
    assert _known(other, _seen(answered_s=4.5)).opening is not None
    assert _known(other, _seen(answered_s=1)).opening is None
    known = _known(one, _seen(failing_s=5))
    assert known.opening is None
    assert time.monotonic() - known.answered_at == pytest.approx(1, abs=2)


def test_everything_goes_away_by_itself(settings: Settings, servers: Services) -> None:
    _known(NoticeBoard(settings), _seen(failing_s=1))
    with Redis.from_url(servers.valkey.url) as valkey:
        keys = list(valkey.scan_iter("*"))
        assert len(keys) == 2
        assert all(0 < valkey.pttl(key) <= 600_000 for key in keys)


@pytest.mark.parametrize("host", ["http://" + "a." * 200 + "test", "http://\n*\0test", ""])
def test_names_of_any_kind_are_only_names(settings: Settings, servers: Services, host: str) -> None:
    board = NoticeBoard(settings)
    for _ in range(2):
        [known] = board.exchange([Notice(host, None, time.monotonic())])
        assert known.host == host
    with Redis.from_url(servers.valkey.url) as valkey:
        assert all(len(key) < 150 for key in valkey.scan_iter("*"))
        assert valkey.dbsize() == 2


def _write(valkey: Redis, fields: dict[str, str]) -> None:
    for field, value in fields.items():
        valkey.hset(f"tagger:host:{HOST}", field, value)


_FORGED = {"until": "9e15", "opened": "junk", "answered": "x", "level": "-3", "patience": "x"}


@pytest.mark.parametrize("number", ["9e15", "inf", "1e308", "0x7fffffffffffffff"])
def test_what_a_stranger_wrote_there_is_cut(
    settings: Settings, servers: Services, number: str
) -> None:
    board = NoticeBoard(settings)
    key = f"tagger:host:{HOST}"
    longest_s = settings.retry_after_max_s
    with Redis.from_url(servers.valkey.url) as valkey:
        _write(valkey, _FORGED | {"until": number, "level": number, "patience": number})
        known = _known(board, _seen())
        assert known.opening is not None
        assert known.opening.until <= time.monotonic() + longest_s
        assert 1 <= known.opening.level <= 32
        assert float(valkey.hget(key, "until") or 0) / 1000 < time.time() + longest_s + 60
        assert valkey.pttl(key) <= longest_s * 1000
        # Nothing has happened yet that is still to come.
        _write(valkey, _FORGED | {"opened": number, "answered": number})
        known = _known(board, _seen())
        assert known.answered_at <= time.monotonic()
        assert known.opening is None or known.opening.at <= time.monotonic()


@pytest.mark.parametrize("number", ["nan", "-nan", "-inf", "-9e15", "", "junk"])
def test_what_is_no_number_counts_as_none(
    settings: Settings, servers: Services, number: str
) -> None:
    with Redis.from_url(servers.valkey.url) as valkey:
        _write(valkey, dict.fromkeys(_FORGED, number))
    assert _known(NoticeBoard(settings), _seen()) == Known(HOST, None, -math.inf, 1)


def test_processes_that_are_none_take_no_share(settings: Settings, servers: Services) -> None:
    board, key = NoticeBoard(settings), f"tagger:host:{HOST}:processes"
    with Redis.from_url(servers.valkey.url) as valkey:
        valkey.zadd(key, {f"forged{n}": math.inf for n in range(2000)})
        assert _known(board, _seen()).processes == 1
        soon = (time.time() + 4) * 1000
        valkey.zadd(key, {f"forged{n}": soon for n in range(2000)})
        assert _known(board, _seen()).processes <= 1000


def test_keys_of_another_kind_go_and_the_other_hosts_are_heard(
    settings: Settings, servers: Services
) -> None:
    board, other = NoticeBoard(settings), "http://other.test"
    with Redis.from_url(servers.valkey.url) as valkey:
        valkey.set(f"tagger:host:{HOST}", "no hash")
        valkey.set(f"tagger:host:{HOST}:processes", "no set")
        known = board.exchange([_seen(failing_s=1), Notice(other, None, -math.inf)])
        assert [one.host for one in known] == [HOST, other]
        assert known[0].opening is not None
        assert [one.processes for one in known] == [1, 1]


def test_posting_and_reading_never_wait_and_go_on_when_valkey_is_back(
    settings: Settings, servers: Services
) -> None:
    board = NoticeBoard(settings)
    servers.valkey.kill()
    try:
        for _ in range(50):
            started = time.monotonic()
            board.post([_seen()])
            assert board.read() == []
            assert time.monotonic() - started < 0.5
            time.sleep(0.01)
    finally:
        servers.valkey.start()
    deadline = time.monotonic() + 30
    while not board.read():
        assert time.monotonic() < deadline
        board.post([_seen()])
        time.sleep(0.05)
    board.close()
    board.post([_seen()])
    assert board.read() == []
