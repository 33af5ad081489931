"""Events at a steady pace, and how long each took, told apart from those that do not count."""

import io
import itertools
import json
import time
from pathlib import Path

from bench.latency.arrivals import arrivals, offer
from bench.latency.report import Scene, as_json, sections
from bench.latency.run import SPANS, Run, full_pace, measure
from bench.latency.schedule import Load
from bench.place import Place
from bench.throughput import photos
from bench.throughput.origin import Origin
from bench.throughput.servers import Servers


def test_every_event_that_counts_is_followed_from_its_moment_to_the_feed(
    bench_servers: Servers, tmp_path: Path
) -> None:
    drawn = photos.generated("thumbnail", tmp_path / "photos", files=3)
    load = Load(per_s=50, seconds=1, warm_up_s=0.5, even=True, seed=1)
    with Origin(drawn) as origin:
        place = Place(
            bench_servers, origin, drawn.paths, tmp_path / "logs", {}, limit_s=60, processes=1
        )
        run = measure(load, place)
    assert run.photos == 50  # of 75, and one that woke everything up
    assert run.became == {"tagged": 50}
    assert run.offered_per_s == 50
    assert run.late_ms >= 0
    for figures in run.latency_ms.values():
        assert 0 < figures["p50"] <= figures["p95"] <= figures["p99"] <= figures["max"]
    recorded, offered, seen = (run.latency_ms[span]["p50"] for span in SPANS)
    assert recorded < offered < seen
    assert set(run.cpu_ms) == {"worker", "relay", "postgres", "valkey", "producer", "origin"}
    assert run.cpu_ms["worker"] > 0


def test_the_full_pace_is_that_of_all_photos_at_once(
    bench_servers: Servers, tmp_path: Path
) -> None:
    drawn = photos.generated("thumbnail", tmp_path / "photos", files=3)
    with Origin(drawn) as origin:
        place = Place(
            bench_servers, origin, drawn.paths, tmp_path / "logs", {}, limit_s=60, processes=1
        )
        assert full_pace(place, 100) > 1


def test_arrivals_are_as_many_as_asked_for_and_the_same_for_a_seed() -> None:
    assert arrivals(4, 1, even=True, seed=1) == [0, 0.25, 0.5, 0.75]
    found = arrivals(1000, 30, even=False, seed=1)
    assert found == sorted(found) == arrivals(1000, 30, even=False, seed=1)
    assert found != arrivals(1000, 30, even=False, seed=2)
    assert 0 < found[0] < found[-1] < 30
    assert 29_000 < len(found) < 31_000
    gaps = [later - earlier for earlier, later in itertools.pairwise(found)]
    # As many short gaps as chance makes, where even ones would have none.
    assert sum(gap < 0.0005 for gap in gaps) > len(gaps) / 3


def test_lines_go_out_when_they_are_due_and_how_late_they_were_is_told() -> None:
    class Pipe(io.BytesIO):
        """Notes when it was written to."""

        def __init__(self) -> None:
            super().__init__()
            self.written: list[tuple[float, bytes]] = []

        def write(self, data: object, /) -> int:
            assert isinstance(data, bytes)
            self.written.append((time.time(), data))
            return len(data)

    pipe = Pipe()
    now = time.time()
    late_s = offer([b"1", b"2", b"3"], [now - 1, now - 0.5, now + 0.1], pipe)
    assert [data for _, data in pipe.written] == [b"12", b"3"]
    assert pipe.written[1][0] >= now + 0.1
    assert 1 <= late_s < 5


def test_json_and_tables_hold_every_run() -> None:
    figures = {"p50": 90.0, "p95": 200.0, "p99": 500.0, "max": 900.0}
    run = Run(800, 24_000, {"tagged": 24_000}, 3.0, dict.fromkeys(SPANS, figures), {"worker": 0.4})
    scenes = [Scene("thumbnail", 1600, [run, run]), Scene("mid", None, [run])]
    told = json.loads(json.dumps(as_json(scenes, {"cores": 2})))
    assert told["scenes"][0]["runs"][1]["latency_ms"]["offered to tagged"]["p99"] == 500
    latencies, runs = sections(scenes, "evenly spaced")
    assert len(latencies.rows) == 3 * len(SPANS)
    assert latencies.rows[0] == [
        *("thumbnail", 1, "800", "recorded to tagged", "90.0", "200", "500", "900"),
    ]
    assert [row[2] for row in runs.rows] == ["1,600", "1,600", None]
