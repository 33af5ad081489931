"""One fetching thread for all callers of a process: what they share, and what they do not."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.errors import FetchError, TooSlow
from tests.origins import Behaviour, Origin, after, answer, hang
from tests.worker.fetch.fetching import PHOTO, make_settings
from worker.fetch.call import Download
from worker.fetch.download import Downloader


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as running:
        yield running


class _Gauge:
    """How many requests an origin has in work at once, at most."""

    def __init__(self) -> None:
        self.most = self._now = 0
        self._lock = threading.Lock()

    def watch(self, behaviour: Behaviour) -> Behaviour:
        def watched(origin: Origin, connection: object) -> bool:
            with self._lock:
                self._now += 1
                self.most = max(self.most, self._now)
            try:
                return behaviour(origin, connection)  # pyright: ignore[reportArgumentType]
            finally:
                with self._lock:
                    self._now -= 1

        return watched


def test_callers_share_a_hosts_connections(origin: Origin) -> None:
    downloader = Downloader(make_settings(origin.port, connections_per_host=3))
    gauge = _Gauge()
    url = origin.serve("/p", gauge.watch(after(0.01, answer(200, PHOTO))))
    with ThreadPoolExecutor(6) as callers:
        calls = [callers.submit(downloader.fetch, [url] * 20, deadline_s=5) for _ in range(6)]
        for call in calls:
            assert all(isinstance(found, Download) for found in call.result())
    downloader.close()
    assert gauge.most == 3
    assert origin.accepted == 3


def test_a_process_has_no_more_connections_than_it_may(origin: Origin) -> None:
    settings = make_settings(origin.port, connections=5, connections_per_host=64)
    downloader = Downloader(settings)
    gauge = _Gauge()
    url = origin.serve("/p", gauge.watch(after(0.01, answer(200, PHOTO))))
    assert len(downloader.fetch([url] * 60, deadline_s=5)) == 60
    downloader.close()
    assert gauge.most == 5


def test_a_caller_whose_photos_hang_holds_up_no_other(origin: Origin) -> None:
    with Origin(address="127.0.0.2") as other:
        downloader = Downloader(make_settings(origin.port, other.port))
        stuck, good = other.serve("/stuck", hang()), origin.serve("/good", answer(200, PHOTO))
        with ThreadPoolExecutor(1) as patient:
            waiting = patient.submit(downloader.fetch, [stuck] * 200, deadline_s=0.8)
            started = time.monotonic()
            for _ in range(5):
                found = downloader.fetch([good] * 20, deadline_s=2)
                assert all(isinstance(one, Download) for one in found)
            assert time.monotonic() - started < 2
            assert {type(one) for one in waiting.result()} == {TooSlow}
        downloader.close()


def test_stragglers_end_soon_after_the_others(origin: Origin) -> None:
    downloader = Downloader(make_settings(origin.port))
    good, stuck = origin.serve("/good", answer(200, PHOTO)), origin.serve("/stuck", hang())
    started = time.monotonic()
    found = downloader.fetch([*[good] * 38, stuck, stuck], deadline_s=9, stragglers_s=0.4)
    assert 0.4 <= time.monotonic() - started < 3
    assert [type(one) for one in found] == [Download] * 38 + [TooSlow] * 2
    assert "slower than the others" in str(found[-1])
    again = downloader.fetch([good] * 40, deadline_s=9, stragglers_s=0.4)
    assert [type(one) for one in again] == [Download] * 40
    downloader.close()


def test_stragglers_that_wait_for_a_connection_end_too(origin: Origin) -> None:
    with Origin(address="127.0.0.2") as other:
        settings = make_settings(origin.port, other.port, connections_per_host=1)
        downloader = Downloader(settings)
        good, stuck = origin.serve("/good", answer(200, PHOTO)), other.serve("/stuck", hang())
        found = downloader.fetch([*[good] * 60, *[stuck] * 3], deadline_s=9, stragglers_s=0.4)
        assert [type(one) for one in found] == [Download] * 60 + [TooSlow] * 3
        assert other.accepted == 1
        downloader.close()


def test_where_all_are_slow_nobody_is_a_straggler(origin: Origin) -> None:
    downloader = Downloader(make_settings(origin.port))
    slow = origin.serve("/slow", after(0.6, answer(200, PHOTO)))
    slower = origin.serve("/slower", after(0.8, answer(200, PHOTO)))
    found = downloader.fetch([*[slow] * 19, slower], deadline_s=9, stragglers_s=0.1)
    assert [type(one) for one in found] == [Download] * 20
    many = downloader.fetch([*[slow] * 4, slower], deadline_s=9, stragglers_s=0.1)
    assert [type(one) for one in many] == [Download] * 5, "one of five is no last tenth"
    downloader.close()


def test_photos_that_wait_for_our_own_limits_do_not_become_too_slow(origin: Origin) -> None:
    # Their host has connections to spare: it is not to blame, however long they wait.
    settings = make_settings(origin.port, connections=1, connections_per_host=64)
    downloader = Downloader(settings)
    url = origin.serve("/p", after(0.1, answer(200, PHOTO)))
    found = downloader.fetch([url] * 12, deadline_s=0.4)
    downloader.close()
    assert [type(one) for one in found] == [Download] * 12


def test_bodies_that_nobody_has_taken_hold_back_the_next(origin: Origin) -> None:
    settings = make_settings(
        origin.port, connections_per_host=64, max_bytes_in_flight=4 * (256 << 10)
    )
    downloader = Downloader(settings)
    url = origin.serve("/p", answer(200, bytes(256 << 10)))
    begun = threading.Event()
    asked: list[int] = []

    def take(download: Download) -> int:
        if not begun.is_set():
            begun.set()
            time.sleep(0.5)  # all that may arrive has arrived
            asked.append(len(origin.requests))
        return len(download.body)

    sizes = downloader.fetch([url] * 40, deadline_s=5, take=take)
    downloader.close()
    assert sizes == [256 << 10] * 40
    assert asked[0] <= 8


def test_small_photos_are_taken_on_the_fetching_thread_and_the_others_by_the_caller(
    origin: Origin,
) -> None:
    downloader = Downloader(make_settings(origin.port))
    small, large = origin.serve("/s", answer(200, b"s")), origin.serve("/l", answer(200, b"large"))
    found = downloader.fetch(
        [small, large, small],
        deadline_s=2,
        take=lambda download: (download.body, threading.current_thread().name),
        quick=lambda download: (
            (download.body, threading.current_thread().name) if len(download.body) < 3 else None
        ),
    )
    downloader.close()
    mine = threading.current_thread().name
    assert found == [(b"s", "fetch"), (b"large", mine), (b"s", "fetch")]


@pytest.mark.parametrize("place", ["take", "quick"])
def test_what_a_caller_raises_ends_its_call_and_no_other(origin: Origin, place: str) -> None:
    downloader = Downloader(make_settings(origin.port))
    url = origin.serve("/p", answer(200, PHOTO))
    slow = origin.serve("/slow", after(0.3, answer(200, PHOTO)))

    def burst(_: Download) -> bytes:
        raise ZeroDivisionError

    with ThreadPoolExecutor(1) as other:
        others = other.submit(downloader.fetch, [slow] * 4, deadline_s=2)
        for _ in range(20):  # more often than photos may be held
            take, quick = (burst, None) if place == "take" else (_body, burst)
            with pytest.raises(ZeroDivisionError):
                downloader.fetch([url] * 40, deadline_s=2, take=take, quick=quick)
        assert all(isinstance(found, Download) for found in others.result())
    assert downloader.fetch([url] * 40, deadline_s=2, take=_body) == [PHOTO] * 40
    downloader.close()


def _body(download: Download) -> bytes:
    return download.body


def test_an_error_of_the_fetching_thread_reaches_those_who_wait(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloader = Downloader(make_settings(origin.port))
    url = origin.serve("/p", after(0.1, answer(200, PHOTO)))
    assert isinstance(downloader.fetch([url], deadline_s=2)[0], Download)
    with monkeypatch.context() as patched:

        def broken(_exchange: object) -> None:
            raise MemoryError

        patched.setattr("worker.fetch.exchange.Exchange.release", broken)
        with pytest.raises(MemoryError):
            downloader.fetch([url] * 3, deadline_s=2)
    found = downloader.fetch([url] * 3, deadline_s=2)
    assert all(isinstance(one, Download) for one in found), "it goes on after it"
    downloader.close()


def test_a_downloader_that_is_closed_lets_nobody_wait(origin: Origin) -> None:
    downloader = Downloader(make_settings(origin.port))
    stuck = origin.serve("/stuck", hang())
    with ThreadPoolExecutor(1) as caller:
        waiting = caller.submit(downloader.fetch, [stuck], deadline_s=20)
        time.sleep(0.2)
        downloader.close()
        with pytest.raises(RuntimeError, match="closed"):
            waiting.result(timeout=5)


def test_there_is_room_until_more_waits_than_comes_in(origin: Origin) -> None:
    downloader = Downloader(make_settings(origin.port, connections=1, fetch_deadline_s=1))
    url = origin.serve("/p", after(0.02, answer(200, PHOTO)))
    started = time.monotonic()
    with downloader.room(256, timeout_s=5) as there_is:
        assert there_is
        assert time.monotonic() - started < 0.1
    found: list[list[Download | FetchError]] = []
    caller = threading.Thread(
        target=lambda: found.append(downloader.fetch([url] * 250, deadline_s=1))
    )
    caller.start()
    time.sleep(0.7)  # some 35 a second come in, and 200 wait
    started = time.monotonic()
    with downloader.room(256, timeout_s=10) as there_is:
        assert there_is
        waited_s = time.monotonic() - started
        left = 250 - len(origin.requests)
        started = time.monotonic()
        with downloader.room(1, timeout_s=0.3) as there_is_more:
            assert time.monotonic() - started >= 0.3
            assert not there_is_more, "the first has taken all of it"
    caller.join()
    downloader.close()
    assert waited_s > 0.5
    assert 0 < left < 150, "it did not wait for the last one"
    assert all(isinstance(one, Download) for one in found[0])
