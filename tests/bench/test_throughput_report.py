"""The report out of given numbers."""

import json

import pytest

from bench.throughput import plot
from bench.throughput.contest import Measured
from bench.throughput.limit import Limit
from bench.throughput.report import as_json, sections
from bench.throughput.scene import Scene


def run(photos: int, seconds: float, failed: int = 0, mb: float = 100, **cpu_s: float) -> Measured:
    return Measured(photos, failed, seconds, cpu_s, mb, 2 * mb, grew_mb=mb / 10)


@pytest.fixture
def scene() -> Scene:
    return Scene(
        "mid",
        {
            "ours": [
                run(1000, 1.0, worker=1.0, origin=0.2),
                run(1000, 0.5, worker=0.9, origin=0.1, mb=130),
                run(1000, 0.4, worker=0.8, origin=0.1),
            ],
            "the paper's way": [
                run(500, 1.0, worker=2.0, failed=1),
                run(500, 2.0, worker=2.5),
                run(500, 1.0, worker=2.2),
            ],
        },
        [Limit({"fetch": 300.0, "decode": 500.0}, 2), Limit({"fetch": 100.0, "decode": 700.0}, 2)],
    )


def test_medians_ratios_and_the_share_of_the_limit(scene: Scene) -> None:
    rows = {(row[0], row[1]): row[2:] for row in sections([scene])[0].rows}
    assert rows["mid", "ours"] == ["2,000", "1,000 to 2,500", None, None, "80%"]
    assert rows["mid", "the paper's way"] == ["500", "250 to 500", "4.00x", "4.40x", None]


def test_cpu_stands_by_process_and_what_is_not_there_is_left_open(scene: Scene) -> None:
    section = sections([scene])[1]
    rows = {row[1]: dict(zip(section.head, row, strict=True)) for row in section.rows}
    assert rows["ours"]["worker"] == "0.900"
    assert rows["ours"]["origin"] == "0.100"
    assert rows["ours"]["all"] == "1.00"
    assert rows["ours"]["postgres"] is None
    assert rows["the paper's way"]["worker"] == "4.40"


def test_memory_and_failures_are_the_worst_of_any_round(scene: Scene) -> None:
    rows = {row[1]: row[2:] for row in sections([scene])[2].rows}
    assert rows["ours"] == ["130", "260", "+10", 1000, 0]
    assert rows["the paper's way"] == ["100", "200", "+10", 500, 1]


def test_the_limit_is_the_cores_over_the_medians_of_its_stages(scene: Scene) -> None:
    section = sections([scene])[3]
    assert section.head == ["photos", "fetch", "decode", "all", "photos/s"]
    assert section.rows == [["mid", "200", "600", "800", "2,500"]]


def test_json_holds_every_round(scene: Scene) -> None:
    told = json.loads(json.dumps(as_json([scene], {"cores": 2})))
    mid = told["scenes"]["mid"]
    paper = mid["contestants"]["the paper's way"]
    assert told["cores"] == 2
    assert paper["times_slower_than_ours"] == 4
    assert paper["times_the_cpu_of_ours"] == pytest.approx(4.4)
    assert [one["seconds"] for one in paper["rounds"]] == [1, 2, 1]
    assert mid["contestants"]["ours"]["times_slower_than_ours"] is None
    assert mid["limit"]["our_share"] == pytest.approx(0.8)


def test_without_us_and_without_a_limit_there_is_still_a_report(scene: Scene) -> None:
    alone = Scene("large", {"the paper's way": scene.runs["the paper's way"]})
    tables = sections([scene, alone])
    assert [row for row in tables[0].rows if row[0] == "large"] == [
        ["large", "the paper's way", "500", "250 to 500", None, None, None]
    ]
    assert all(table.markdown().startswith("## ") for table in tables)
    assert as_json([alone], {})["scenes"]["large"]["limit"]["photos_per_s"] is None


def test_the_plot_is_a_picture(scene: Scene) -> None:
    alone = Scene("large", {"the paper's way": scene.runs["the paper's way"]})
    assert plot.bars([scene, alone]).startswith(b"\x89PNG")
