"""Healthy photos beside hanging ones: real hosts, real processes, told apart to the last photo."""

import json
import time
import urllib.request
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bench.hanging.report import as_json, ratio, sections
from bench.hanging.run import Kind, Run, measure
from bench.hanging.urls import hanging_places, photo_urls
from bench.throughput import photos
from bench.throughput.origin import Origin
from bench.throughput.servers import Servers

HANG_S = 1.2
SETTINGS = {"TAGGER_FETCH_DEADLINE_S": "0.4", "TAGGER_SLOW_FETCH_DEADLINE_S": "6"}


def run(kind: Kind, healthy: int, healthy_s: float, hanging: int = 0) -> Run:
    return Run(
        kind=kind,
        healthy=healthy,
        healthy_half_s=healthy_s / 2,
        healthy_most_s=healthy_s,
        healthy_s=healthy_s,
        healthy_became={"tagged, tagging lane": healthy},
        hanging=hanging,
        hanging_s=99 if hanging else None,
        hanging_became={"failed, too_slow, slow lane": hanging} if hanging else {},
    )


def test_every_photo_is_settled_and_counted_on_its_side(
    bench_servers: Servers, tmp_path: Path
) -> None:
    drawn = photos.generated("thumbnail", tmp_path / "photos", files=3)
    chosen = hanging_places(40, 4, 0.1, seed=1)
    with Origin(drawn, hang_ms=round(HANG_S * 1000), hosts=4) as origin:
        found = measure(
            "hanging",
            photo_urls(origin.urls, drawn.paths(40), chosen),
            servers=bench_servers,
            origin=origin,
            folder=tmp_path / "logs",
            settings=SETTINGS,
            limit_s=60,
            processes=1,
        )
    assert (found.healthy, found.hanging) == (36, 4)
    assert found.hanging_became == {"tagged, slow lane": 4}
    assert sum(found.healthy_became.values()) == 36
    assert all(what.startswith("tagged") for what in found.healthy_became)
    assert 0 < found.healthy_half_s <= found.healthy_most_s <= found.healthy_s
    assert found.hanging_s is not None
    assert found.hanging_s > HANG_S
    assert found.healthy_photos_per_s == 36 / found.healthy_s


def test_the_same_share_of_every_host_hangs_elsewhere_in_every_round() -> None:
    chosen = hanging_places(20_000, 20, 0.05, seed=1)
    assert Counter(place % 20 for place in chosen) == dict.fromkeys(range(20), 50)
    assert hanging_places(20_000, 20, 0.05, seed=1) == chosen
    assert hanging_places(20_000, 20, 0.05, seed=2) != chosen
    assert hanging_places(20_000, 20, 0, seed=1) == frozenset()


def test_urls_differ_go_to_all_hosts_and_tell_which_hang() -> None:
    paths = [f"/{n % 2}?copy={n // 2}" for n in range(6)]
    urls = photo_urls(["http://127.0.0.1:1", "http://127.0.0.2:1"], paths, frozenset({3}))
    assert len(set(urls)) == 6
    assert [urlsplit(url).hostname for url in urls] == ["127.0.0.1", "127.0.0.2"] * 3
    assert [url.endswith("hang") for url in urls] == [False, False, False, True, False, False]


def test_the_ratio_is_that_of_the_medians_of_healthy_photos() -> None:
    runs = [
        run("clean", 1000, 1.0),
        run("hanging", 950, 1.9, hanging=50),
        run("hanging", 950, 1.0, hanging=50),
        run("clean", 1000, 0.5),
        run("clean", 1000, 2.0),
        run("hanging", 950, 9.0, hanging=50),
    ]
    assert ratio(runs) == pytest.approx(0.5)
    told = json.loads(json.dumps(as_json(runs, {"photos": 1000})))
    assert told["ratio"] == pytest.approx(0.5)
    assert [one["healthy_photos_per_s"] for one in told["runs"]][:2] == [1000, 500]
    pace, fate = sections(runs, {"TAGGER_MAX_ATTEMPTS": "3"})
    assert len(pace.rows) == 6
    assert "0.50" in pace.note
    assert "TAGGER_MAX_ATTEMPTS: 3" in pace.note
    assert [row[2] for row in fate.rows] == ["failed, too_slow, slow lane: 50"] * 3


def test_an_origin_hangs_where_it_is_asked_to_at_each_of_its_addresses(tmp_path: Path) -> None:
    drawn = photos.generated("thumbnail", tmp_path, files=1)
    with Origin(drawn, hang_ms=400, hosts=3) as origin:
        assert [urlsplit(url).hostname for url in origin.urls] == [
            f"127.0.0.{host}" for host in (1, 2, 3)
        ]
        assert len({urlsplit(url).port for url in origin.urls}) == 1
        for url, hangs in zip(
            photo_urls(origin.urls, drawn.paths(4), frozenset({1, 3})),
            (False, True, False, True),
            strict=True,
        ):
            started = time.monotonic()
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
                assert answer.read() == (tmp_path / drawn.files[0]).read_bytes()
            if hangs:
                assert time.monotonic() - started >= 0.4
