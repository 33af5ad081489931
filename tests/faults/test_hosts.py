"""Hosts that fail or hang are left alone, others keep their pace, and all drains in the end."""

# pyright: reportUnknownMemberType=false

import itertools
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import pytest
from redis import Redis
from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.listings import PhotoFile
from dev.origin import Origin
from dev.services import Services
from tests import origins
from tests.faults.aftermath import Aftermath
from tests.marketplace import rows
from tests.settled import wait_until_settled
from tests.waiting import wait_until

_HEALTHY = 6000
_FAILING, _HANGING = 150, 75
_SHORT = {
    "TAGGER_HOST_REST_S": "1",
    "TAGGER_HOST_REST_MAX_S": "8",
    "TAGGER_BACKOFF_BASE_S": "1",
    "TAGGER_SLOW_FETCH_DEADLINE_S": "4",
}


class _Marketplace:
    """Publishes photos, one a listing, in a run of its own each time."""

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        self._fleet = fleet
        self._file = folder / "events.jsonl"
        self._runs = itertools.count(1)
        self.published = 0

    def publish(self, urls: Sequence[str]) -> str:
        """Returns what the names of this run's listings start with."""
        run = f"run{next(self._runs)}-"
        now = datetime.now(UTC).isoformat()
        with self._file.open("w") as file:
            for number, url in enumerate(urls):
                listing = {
                    "event_id": f"{run}{number}",
                    "type": "listing.created",
                    "occurred_at": now,
                    "listing_id": f"{run}{number}",
                    "title": "",
                    "seller_tags": [],
                    "photos": [url],
                }
                file.write(json.dumps(listing) + "\n")
        assert self._fleet.run("produce", str(self._file)).returncode == 0
        self.published += len(urls)
        return run


def _spread(most: Sequence[str], *others: Sequence[str]) -> list[str]:
    """All URLs, the others evenly among the most."""
    places = [
        (place / len(urls), url) for urls in (most, *others) for place, url in enumerate(urls)
    ]
    return [url for _, url in sorted(places, key=lambda place: place[0])]


@pytest.fixture
def market(fleet: Fleet, tmp_path: Path) -> _Marketplace:
    return _Marketplace(fleet, tmp_path)


@pytest.fixture
def ill(fleet: Fleet) -> Iterator[tuple[origins.Origin, origins.Origin]]:
    """Two more hosts that the fleet may fetch from."""
    with ExitStack() as stack:
        pair = (
            stack.enter_context(origins.Origin(address="127.0.0.2")),
            stack.enter_context(origins.Origin(address="127.0.0.3")),
        )
        ports = [fleet.environment["TAGGER_ALLOWED_PORTS"], *(str(one.port) for one in pair)]
        fleet.environment["TAGGER_ALLOWED_PORTS"] = ",".join(ports)
        yield pair


def _pace(engine: Engine, run: str, origin: Origin) -> float:
    """Healthy photos a second of a run, its first and last tenth left out."""
    [(count, seconds)] = rows(
        engine,
        """SELECT count(*), extract(epoch FROM
            percentile_disc(0.9) WITHIN GROUP (ORDER BY finished_at)
            - percentile_disc(0.1) WITHIN GROUP (ORDER BY finished_at))
        FROM photo JOIN listing ON listing.id = listing_id
        WHERE external_id LIKE :run || '%' AND url LIKE :origin || '%' AND status = 'tagged'""",
        run=run,
        origin=origin.url,
    )
    assert count == _HEALTHY
    return 0.8 * count / float(seconds)


def _wait_until_tagged(engine: Engine, run: str, origin: Origin, count: int) -> None:
    query = """SELECT count(*) FROM photo JOIN listing ON listing.id = listing_id
        WHERE external_id LIKE :run || '%' AND url LIKE :origin || '%' AND status = 'tagged'"""
    wait_until(lambda: rows(engine, query, run=run, origin=origin.url)[0][0] >= count)


@pytest.mark.row("F18")
@pytest.mark.long
@pytest.mark.timeout(300)
def test_hosts_that_fail_or_hang_cost_others_no_pace_and_their_photos_no_attempts(
    engine: Engine,
    servers: Services,
    fleet: Fleet,
    photos: list[PhotoFile],
    origin: Origin,
    ill: tuple[origins.Origin, origins.Origin],
    market: _Marketplace,
    photo_folder: Path,
    aftermath: Aftermath,
    record_property: Callable[[str, object], None],
) -> None:
    failing, hanging = ill
    fleet.environment |= _SHORT
    paths = [f"/{photo.path}" for photo in photos]
    for path in paths:
        failing.serve(path, origins.answer(503))
        hanging.serve(path, origins.hang())
    several = itertools.cycle(paths)
    healthy = [origin.url + next(several) for _ in range(_HEALTHY)]
    failed = [failing.url(next(several)) for _ in range(_FAILING)]
    hung = [hanging.url(next(several)) for _ in range(_HANGING)]
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", "--processes", "2")

    paces: dict[str, list[float]] = {"alone": [], "beside": []}
    ill_since = time.monotonic()
    for _ in range(3):  # in turn, for the machine may be busy with something else at times
        for name, urls in (("alone", healthy), ("beside", _spread(healthy, failed, hung))):
            run = market.publish(urls)
            _wait_until_tagged(engine, run, origin, _HEALTHY)
            paces[name].append(_pace(engine, run, origin))
    kept = median(paces["beside"]) / median(paces["alone"])
    assert kept >= 0.9, paces

    for one in ill:
        host = one.url("")
        assert f'"host": "{host}"' in fleet.log("worker")
        with Redis.from_url(servers.valkey.url) as valkey:
            assert valkey.exists(f"tagger:host:{host}")
    time.sleep(6)
    asked = [len(one.requests) for one in ill]
    # A few before the first rest; then two at most for each rest, of each of three processes.
    rests = 4 + (time.monotonic() - ill_since) / 6
    assert all(2 <= one <= 3 * (5 + 2 * rests) for one in asked), (asked, rests)
    assert rows(engine, "SELECT count(*) FROM photo WHERE status = 'failed'") == [(0,)]

    for path in paths:
        good = origins.answer(200, (photo_folder / path[1:]).read_bytes())
        failing.serve(path, good)
        hanging.serve(path, good)
    aftermath.fault_is_over()
    wait_until_settled(engine, market.published, 120)
    assert rows(engine, "SELECT count(*) FROM photo WHERE status = 'failed'") == [(0,)]
    # Each process needs five failures at most to see what is the matter, and leaves its host then.
    [(attempts, most)] = rows(engine, "SELECT sum(attempt - 1), max(attempt) FROM photo")
    assert attempts <= sum(asked)
    assert most <= 3
    record_property("pace_kept", round(kept, 2))
    record_property("asked_while_ill", asked)
    aftermath.check(market.published)


@pytest.mark.row("I11")
def test_a_time_that_a_host_names_holds_for_every_process(
    engine: Engine,
    fleet: Fleet,
    photos: list[PhotoFile],
    ill: tuple[origins.Origin, origins.Origin],
    market: _Marketplace,
    photo_folder: Path,
) -> None:
    limited, _ = ill
    good = origins.answer(200, (photo_folder / photos[0].path).read_bytes())
    refused_at: list[float] = []
    arrived: list[float] = []
    seconds = 8

    def behave(running: origins.Origin, connection: object) -> bool:
        now = time.monotonic()
        arrived.append(now)
        if len(arrived) < 100 or (refused_at and now > refused_at[0] + seconds):
            return good(running, connection)  # pyright: ignore[reportArgumentType]
        refused_at.append(now)
        headers = {"Retry-After": str(math.ceil(refused_at[0] + seconds - now))}
        return origins.answer(429, headers=headers)(running, connection)  # pyright: ignore[reportArgumentType]

    limited.serve("/p", behave)
    fleet.environment |= {"TAGGER_CONNECTIONS_PER_HOST": "2", "TAGGER_BATCH_PHOTOS": "16"}
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", "--processes", "2")
    market.publish([limited.url(f"/p?{n}") for n in range(3000)])
    wait_until_settled(engine, market.published, 110)
    assert rows(engine, "SELECT DISTINCT status FROM photo") == [("tagged",)]
    told_at = refused_at[0]
    # All have seen or heard of it two seconds later, however busy this machine is.
    assert not [at for at in arrived if told_at + 2 < at < told_at + seconds]
    assert len([at for at in arrived if at > told_at + seconds]) > 100, "it came too late to show"


def test_a_host_that_stays_away_for_longer_than_we_wait_fails_its_photos(
    engine: Engine,
    fleet: Fleet,
    ill: tuple[origins.Origin, origins.Origin],
    market: _Marketplace,
    aftermath: Aftermath,
) -> None:
    failing, _ = ill
    failing.serve("/p", origins.answer(503))
    fleet.environment |= {
        **_SHORT,
        "TAGGER_HOST_REST_MAX_S": "1",
        "TAGGER_STRANGER_PATIENCE_S": "5",
        "TAGGER_MAX_ATTEMPTS": "3",
    }
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", "--processes", "1")
    market.publish([failing.url(f"/p?{n}") for n in range(200)])
    aftermath.check(200, timeout_s=90)
    # What the host did, and not that it was left to rest for that.
    assert rows(engine, "SELECT DISTINCT error_code FROM photo") == [("origin_unavailable",)]
    assert len(failing.requests) < 200, "all were asked for: none was left to rest"
    assert rows(engine, "SELECT max(attempt) FROM photo") == [(3,)]
    [(first_s,)] = rows(
        engine, "SELECT extract(epoch FROM min(finished_at - created_at)) FROM photo"
    )
    assert first_s > 1
