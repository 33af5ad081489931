"""Listings followed from a signed event to what a search finds."""

import json
from pathlib import Path

import pytest

from bench.events_to_search.follower import KINDS, STEPS
from bench.events_to_search.report import as_json, section
from bench.events_to_search.run import Run, measure
from bench.place import Place
from bench.throughput import photos
from bench.throughput.origin import Origin
from bench.throughput.servers import Servers
from shared.errors import SetupError


@pytest.mark.timeout(300)
def test_each_event_of_each_listing_is_followed_to_the_search_and_each_step_takes_its_time(
    bench_servers: Servers, tmp_path: Path
) -> None:
    drawn = photos.generated("thumbnail", tmp_path / "photos", files=3)
    with Origin(drawn) as origin:
        place = Place(
            bench_servers, origin, drawn.paths, tmp_path / "logs", {}, limit_s=60, processes=1
        )
        run = measure(place, 2, seed=1)
    for kind in KINDS:
        for seconds in zip(*(run.seconds[kind][step] for step in STEPS), strict=True):
            assert 0 < seconds[0] <= seconds[1] <= seconds[2] <= seconds[3]
        assert len(run.seconds[kind]["found"]) == 2, "the first listing does not count"


@pytest.mark.timeout(300)
def test_what_does_not_follow_in_time_is_an_error_that_says_what(
    bench_servers: Servers, tmp_path: Path
) -> None:
    drawn = photos.generated("thumbnail", tmp_path / "photos", files=1)
    with Origin(drawn) as origin:
        place = Place(
            bench_servers, origin, lambda count: ["/none"] * count, tmp_path / "logs", {}, limit_s=2
        )
        with pytest.raises(SetupError, match="listing-00000 created: no tags after 2 s"):
            measure(place, 1, seed=1)


def test_json_and_table_hold_every_kind_and_step() -> None:
    run = Run()
    for seconds in (0.1, 0.2, 0.9):
        for kind in KINDS:
            run.note(kind, {step: seconds * place for place, step in enumerate(STEPS, start=1)})
    told = json.loads(json.dumps(as_json({"mid": run}, {"cores": 2})))
    assert told["sizes"]["mid"]["deleted"]["answered"]["p50"] == pytest.approx(200)
    rows = section({"mid": run}).rows
    assert len(rows) == len(KINDS) * len(STEPS)
    assert rows[3] == ["mid", "created", "found", 3, "800", "3,320", "3,544", "3,600"]
