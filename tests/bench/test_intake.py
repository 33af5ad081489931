"""Events recorded by the real command, and counted."""

import json
from pathlib import Path

import pytest

from bench.intake import KNOWN, NEW, Run, measure, section, written
from bench.throughput.servers import Servers
from shared.errors import SetupError


def test_every_listing_is_recorded_once_and_known_the_second_time(
    bench_servers: Servers, tmp_path: Path
) -> None:
    file = written(tmp_path, 700, 2)
    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert len({one["listing_id"] for one in events}) == 700
    assert len({url for one in events for url in one["photos"]}) == 1400
    runs = measure(file, 700, 2, servers=bench_servers, folder=tmp_path / "logs")
    assert [(run.what, run.listings, run.photos_each) for run in runs] == [
        (NEW, 700, 2),
        (KNOWN, 700, 2),
    ]
    for run in runs:
        assert run.listings_per_s == 700 / run.seconds
        assert run.cpu_s["producer"] > 0
    assert runs[0].until_first_s is not None
    assert 0 < runs[0].until_first_s < runs[0].seconds
    assert runs[1].until_first_s is None


def test_rows_that_should_be_there_and_are_not_are_an_error(
    bench_servers: Servers, tmp_path: Path
) -> None:
    with pytest.raises(SetupError, match="3 listings with 0 photos"):
        measure(written(tmp_path, 3, 0), 3, 1, servers=bench_servers, folder=tmp_path / "logs")


def test_the_table_has_medians_by_kind() -> None:
    def run(photos_each: int, what: str, seconds: float) -> Run:
        cpu_s = {"producer": seconds / 2, "postgres": seconds / 4}
        return Run(photos_each, what, 1000, seconds, 0.5 if what == NEW else None, cpu_s, 0)

    runs = [run(1, NEW, 0.1), run(1, KNOWN, 0.05), run(5, NEW, 0.4), run(5, KNOWN, 0.05)]
    runs += [run(1, NEW, 0.5), run(1, NEW, 0.2)]
    rows = section(runs).rows
    assert [row[:2] for row in rows] == [[1, NEW], [1, KNOWN], [5, NEW], [5, KNOWN]]
    assert rows[0] == [1, NEW, "5,000", "2,000 to 10,000", "0.50", "100", "50.0", None]
    assert rows[1][4] is None
