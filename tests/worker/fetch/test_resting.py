"""Hosts in trouble are left alone, and cost neither their photos nor other hosts' anything."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from structlog.testing import capture_logs

from dev.services import Services
from shared.errors import FetchError, HostResting, NotFound, OriginUnavailable, Overdue, TooSlow
from shared.settings import Settings
from tests.origins import Behaviour, Origin, after, answer, hang, raw, redirect, reset
from tests.worker.fetch.fetching import PHOTO, make_settings
from worker.fetch.call import Download
from worker.fetch.download import Downloader
from worker.fetch.notices import NoticeBoard

ILL = answer(503)


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as running:
        yield running


def _resting(*ports: int, **changes: object) -> Downloader:
    return Downloader(make_settings(*ports, **changes), resting=True)


def _kinds(found: list[Download | FetchError]) -> dict[type, int]:
    kinds = [type(one) for one in found]
    return {kind: kinds.count(kind) for kind in kinds}


def _rest_s(found: list[Download | FetchError]) -> list[float]:
    return [one.retry_after_s or 0 for one in found if isinstance(one, HostResting)]


@pytest.mark.parametrize("ill", [ILL, answer(429), reset(), raw(b"")])
def test_a_host_that_only_fails_is_asked_a_few_times_and_then_left_alone(
    origin: Origin, ill: Behaviour
) -> None:
    downloader = _resting(origin.port)
    url = origin.serve("/p", ill)
    started = time.monotonic()
    found = downloader.fetch([url] * 200, deadline_s=5)
    assert time.monotonic() - started < 5
    assert len(origin.requests) <= 4
    assert _kinds(found)[HostResting] >= 196
    assert all(4 <= seconds < 60 for seconds in _rest_s(found))
    again = downloader.fetch([url] * 200, deadline_s=5)
    assert _kinds(again) == {HostResting: 200}
    downloader.close()


def test_an_unreachable_host_is_left_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    downloader = _resting(port)
    found = downloader.fetch([f"http://127.0.0.1:{port}/p"] * 100, deadline_s=5)
    assert _kinds(found)[HostResting] >= 96
    downloader.close()


@pytest.mark.parametrize("said", [answer(404), answer(403), answer(200, b"x" * (2 << 20))])
def test_a_host_that_answers_is_asked_on_whatever_it_says(origin: Origin, said: Behaviour) -> None:
    downloader = _resting(origin.port)
    found = downloader.fetch([origin.serve("/p", said)] * 50, deadline_s=20)
    assert HostResting not in _kinds(found)
    assert len(origin.requests) == 50
    downloader.close()


def test_some_urls_that_fail_close_no_host(origin: Origin) -> None:
    downloader = _resting(origin.port)
    good, bad = origin.serve("/good", answer(200, PHOTO)), origin.serve("/bad", ILL)
    for _ in range(10):
        found = downloader.fetch([good, *[good, bad] * 20], deadline_s=5)
        assert HostResting not in _kinds(found)
    downloader.close()


def test_a_host_that_hangs_holds_up_its_photos_for_one_deadline_only(origin: Origin) -> None:
    downloader = _resting(origin.port)
    url = origin.serve("/p", hang())
    started = time.monotonic()
    found = downloader.fetch([url] * 100, deadline_s=0.5)
    assert time.monotonic() - started < 0.95, "and not for two or three"
    assert _kinds(found) == {TooSlow: 2, HostResting: 98}
    started = time.monotonic()
    assert _kinds(downloader.fetch([url] * 100, deadline_s=0.5)) == {HostResting: 100}
    assert time.monotonic() - started < 0.4
    downloader.close()


def test_a_host_too_slow_for_some_is_still_asked_for_those_with_patience(origin: Origin) -> None:
    downloader = _resting(origin.port)
    url = origin.serve("/p", after(0.8, answer(200, PHOTO)))
    assert TooSlow in _kinds(downloader.fetch([url] * 10, deadline_s=0.3))
    found = downloader.fetch([url], deadline_s=10)
    assert _kinds(found) == {Download: 1}
    downloader.close()


def test_a_host_that_recovers_is_noticed_by_a_try_and_asked_again(origin: Origin) -> None:
    downloader = _resting(origin.port, host_rest_s=0.5)
    url = origin.serve("/p", ILL)
    with capture_logs() as logs:
        downloader.fetch([url] * 20, deadline_s=5)
        origin.serve("/p", answer(200, PHOTO))
        assert _kinds(downloader.fetch([url], deadline_s=5)) == {HostResting: 1}
        time.sleep(0.6)
        assert _kinds(downloader.fetch([url], deadline_s=5)) == {Download: 1}
        assert _kinds(downloader.fetch([url] * 50, deadline_s=5)) == {Download: 50}
    told = [(line["event"], line["log_level"]) for line in logs if "host" in line]
    assert told == [("host.rests", "warning"), ("host.answers", "info")]
    downloader.close()


def test_a_host_that_does_not_recover_is_tried_more_and_more_rarely(origin: Origin) -> None:
    downloader = _resting(origin.port, host_rest_s=0.3)
    url = origin.serve("/p", ILL)
    end = time.monotonic() + 4
    while time.monotonic() < end:
        downloader.fetch([url] * 20, deadline_s=5)
    # 0.3 + 0.6 + 1.2 + 2.4 s: four rests, and at most two tries after each.
    assert 3 <= len(origin.requests) <= 12
    downloader.close()


def test_a_host_that_names_a_time_is_not_asked_before(origin: Origin) -> None:
    downloader = _resting(origin.port)
    good = origin.serve("/good", answer(200, PHOTO))
    assert _kinds(downloader.fetch([good] * 20, deadline_s=5)) == {Download: 20}
    url = origin.serve("/p", answer(429, headers={"Retry-After": "2"}))
    told_at = time.monotonic()
    found = downloader.fetch([url] * 5, deadline_s=5)
    assert _kinds(found) == {HostResting: 5}
    asked = len(origin.requests)
    while time.monotonic() < told_at + 1.8:
        assert _kinds(downloader.fetch([good] * 20, deadline_s=5)) == {HostResting: 20}
    assert len(origin.requests) == asked
    time.sleep(max(0.0, told_at + 2.5 - time.monotonic()))
    assert _kinds(downloader.fetch([good], deadline_s=5)) == {Download: 1}
    downloader.close()


def test_one_photo_that_is_to_come_later_comes_later_alone(origin: Origin) -> None:
    downloader = _resting(origin.port)
    good = origin.serve("/good", answer(200, PHOTO))
    limited = origin.serve("/limited", answer(429, headers={"Retry-After": "3600"}))
    for _ in range(5):
        found = downloader.fetch([good, limited, *[good] * 20], deadline_s=5)
        assert _kinds(found) == {Download: 21, HostResting: 1}
        assert _rest_s(found) == [3600]
    downloader.close()


def test_who_redirects_is_not_blamed_for_where_it_leads(origin: Origin) -> None:
    with Origin(address="127.0.0.2") as other:
        downloader = _resting(origin.port, other.port)
        ill = other.serve("/ill", answer(429, headers={"Retry-After": "600"}))
        good = origin.serve("/good", answer(200, PHOTO))
        away = origin.serve("/away", redirect(ill))
        found = downloader.fetch([away] * 50, deadline_s=5)
        assert HostResting in _kinds(found), "the host it leads to rests"
        assert _kinds(downloader.fetch([good] * 50, deadline_s=5)) == {Download: 50}
        assert len(other.requests) <= 10
        assert _kinds(downloader.fetch([ill], deadline_s=5)) == {HostResting: 1}
        downloader.close()


def test_photos_that_are_redirected_to_a_host_that_failed_try_it_two_at_a_time(
    origin: Origin,
) -> None:
    with Origin(address="127.0.0.2") as other:
        downloader = _resting(origin.port, other.port, host_rest_s=0.3)
        good = other.serve("/good", answer(200, PHOTO))
        away = origin.serve("/away", redirect(good))
        assert _kinds(downloader.fetch([away] * 50, deadline_s=5)) == {Download: 50}
        other.serve("/good", reset())
        assert HostResting in _kinds(downloader.fetch([good] * 5, deadline_s=5))
        time.sleep(0.5)
        other.serve("/good", hang())
        asked = len(other.requests)
        found = downloader.fetch([away] * 50, deadline_s=0.5)
        assert _kinds(found) == {TooSlow: 2, HostResting: 48}
        assert len(other.requests) == asked + 2
        downloader.close()


@pytest.mark.parametrize(
    "limit", [{"host_photos_per_s": 20}, {"fleet_connections_per_host": 2}], ids=str
)
def test_photos_that_are_redirected_count_among_those_of_the_host_they_come_to(
    limit: dict[str, int],
) -> None:
    with ExitStack() as stack:
        doors = [stack.enter_context(Origin(address=f"127.0.2.{n}")) for n in range(1, 7)]
        store = stack.enter_context(Origin(address="127.0.0.2"))
        good = store.serve("/good", after(0.1, answer(200, PHOTO)))
        aways = [door.serve("/away", redirect(good)) for door in doors]
        downloader = _resting(store.port, *(door.port for door in doors), **limit)
        assert _kinds(downloader.fetch([*aways, good], deadline_s=5)) == {Download: 7}
        asked, started = len(store.requests), time.monotonic()
        found = downloader.fetch(aways * 20, deadline_s=1)
        elapsed_s = time.monotonic() - started
        assert {*_kinds(found)} == {Download, Overdue}
        # Two connections hand out as many a second as the pace allows.
        assert len(store.requests) - asked <= 20 * (elapsed_s + 0.5) + 2
        downloader.close()


def test_hosts_that_hang_leave_connections_to_those_that_answer(origin: Origin) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(Origin(address=f"127.0.1.{n}")) for n in range(1, 31)]
        ports = [origin.port, *(one.port for one in silent)]
        downloader = Downloader(make_settings(*ports, connections=20, connections_per_host=8))
        stuck = [one.serve("/p", hang()) for one in silent]
        good = origin.serve("/p", answer(200, PHOTO))
        downloader.fetch([good], deadline_s=2)
        with ThreadPoolExecutor(1) as patient:
            waiting = patient.submit(downloader.fetch, stuck * 8, deadline_s=1.5)
            time.sleep(0.3)
            started = time.monotonic()
            found = downloader.fetch([good] * 200, deadline_s=2)
            assert time.monotonic() - started < 1
            assert _kinds(found) == {Download: 200}
            assert sum(one.accepted for one in silent) <= 15
            waiting.result()
        downloader.close()


def test_a_fleets_pace_to_a_host_is_kept_and_the_rest_comes_later(origin: Origin) -> None:
    downloader = _resting(origin.port, host_photos_per_s=20)
    url = origin.serve("/p", answer(200, PHOTO))
    started = time.monotonic()
    found = downloader.fetch([url] * 200, deadline_s=1)
    elapsed_s = time.monotonic() - started
    assert len(origin.requests) <= 20 * (elapsed_s + 0.5) + 2
    assert {*_kinds(found)} == {Download, Overdue}
    assert max(one.again_s for one in found if isinstance(one, Overdue)) > 5, "each its own time"
    downloader.close()


# Several processes: each downloader has a board of its own


def test_a_time_that_a_host_names_to_one_process_holds_for_all(
    origin: Origin, settings: Settings
) -> None:
    boards = [NoticeBoard(settings) for _ in range(2)]
    one, other = (
        Downloader(make_settings(origin.port), resting=True, board=board) for board in boards
    )
    good = origin.serve("/good", answer(200, PHOTO))
    for downloader in (one, other):
        assert _kinds(downloader.fetch([good] * 5, deadline_s=5)) == {Download: 5}
    origin.serve("/good", answer(429, headers={"Retry-After": "10"}))
    told_at = time.monotonic()
    one.fetch([good] * 5, deadline_s=5)
    for _ in range(4):  # fewer than show it by themselves
        before = len(origin.requests)
        other.fetch([good], deadline_s=5)
        if len(origin.requests) == before:
            break
        time.sleep(1)
    else:
        pytest.fail("it never heard of it")
    while time.monotonic() < told_at + 8:
        for downloader in (one, other):
            assert _kinds(downloader.fetch([good] * 5, deadline_s=5)) == {HostResting: 5}
        time.sleep(0.1)
    assert len(origin.requests) == before
    for downloader, board in zip((one, other), boards, strict=True):
        downloader.close()
        board.close()


def test_a_host_that_fails_for_one_process_rests_for_all_until_it_answers_one(
    origin: Origin, settings: Settings
) -> None:
    boards = [NoticeBoard(settings) for _ in range(2)]
    one, other = (
        Downloader(make_settings(origin.port, host_rest_s=3), resting=True, board=board)
        for board in boards
    )
    url = origin.serve("/p", ILL)
    one.fetch([url] * 20, deadline_s=5)
    deadline = time.monotonic() + 20
    while other_asks := _kinds(other.fetch([url], deadline_s=5)).get(OriginUnavailable):
        assert other_asks
        assert time.monotonic() < deadline
        time.sleep(0.3)
    origin.serve("/p", answer(200, PHOTO))
    for downloader in (one, other):
        while Download not in _kinds(downloader.fetch([url], deadline_s=5)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    for downloader, board in zip((one, other), boards, strict=True):
        downloader.close()
        board.close()


def test_photos_come_as_before_while_valkey_is_away(
    origin: Origin, settings: Settings, servers: Services
) -> None:
    board = NoticeBoard(settings)
    downloader = Downloader(make_settings(origin.port), resting=True, board=board)
    good, missing = origin.serve("/good", answer(200, PHOTO)), origin.serve("/missing", answer(404))
    assert isinstance(downloader.fetch([good], deadline_s=5)[0], Download)
    try:
        with capture_logs() as logs:
            servers.valkey.kill()
            end = time.monotonic() + 3
            while time.monotonic() < end:
                found = downloader.fetch([good, missing], deadline_s=5)
                assert [type(one) for one in found] == [Download, NotFound]
        events = [line["event"] for line in logs]
        assert events == ["hosts.board_away"], "it says so once"
    finally:
        servers.valkey.start()
    downloader.close()
    board.close()
