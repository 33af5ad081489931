"""New listings beside a back catalogue: both are tagged, and told apart."""

import json
from pathlib import Path

import pytest

from bench.backfill.report import Scene, as_json, section
from bench.backfill.run import Run, measure
from bench.latency.schedule import Load
from bench.percentiles import PERCENTILES
from bench.place import Place
from bench.throughput import photos
from bench.throughput.origin import Origin
from bench.throughput.servers import Servers
from shared.errors import SetupError

_LOAD = Load(per_s=20, seconds=1, warm_up_s=0.5, even=True, seed=1)


@pytest.mark.timeout(600)  # three runs, on a machine that may be busy
def test_new_listings_are_measured_without_and_with_a_catalogue_which_goes_on_meanwhile(
    bench_servers: Servers, tmp_path: Path
) -> None:
    drawn = photos.generated("thumbnail", tmp_path / "photos", files=3)
    with Origin(drawn) as origin:
        place = Place(
            bench_servers, origin, drawn.paths, tmp_path / "logs", {}, limit_s=60, processes=1
        )
        alone = measure(_LOAD, place, backlog=0)
        behind = measure(_LOAD, place, backlog=12_000)
        with pytest.raises(SetupError, match="all 3 photos of the catalogue are done"):
            measure(_LOAD, place, backlog=3)
    for run in (alone, behind):
        assert run.photos == 20
        assert run.became == {"tagged": 20}
        assert 0 < run.latency_ms["p50"] <= run.latency_ms["p95"] <= run.latency_ms["max"]
    assert (alone.backlog, alone.backfill_per_s, alone.backfill_left) == (0, None, 0)
    assert behind.backlog == 12_000
    assert 0 < behind.backfill_left <= 12_000
    assert behind.backfill_per_s is not None


def test_json_and_table_hold_every_run_and_how_many_times_as_long_it_took() -> None:
    def run(backlog: int, p50: float) -> Run:
        figures = dict.fromkeys(PERCENTILES, 300.0) | {"p50": p50}
        rate = 1500.0 if backlog else None
        return Run(backlog, 600, {"tagged": 600}, 1, 3.0, figures, rate, backlog // 2)

    pairs = [(run(0, 100), run(5000, factor * 100)) for factor in (1.1, 4, 1.2)]
    scene = Scene("mid", 20, pairs)
    told = json.loads(json.dumps(as_json([scene], {"cores": 2})))
    assert told["scenes"][0]["times_as_long"]["p50"] == pytest.approx(1.2)
    assert told["scenes"][0]["pairs"][1][1]["backfill_per_s"] == 1500
    rows = section([scene]).rows
    assert len(rows) == 7
    assert rows[0][:5] == ["mid", 1, "none", "20.0", "100"]
    assert rows[1][2] == 5000
    assert rows[-1][2:5] == ["with / without", None, "1.20x"]
