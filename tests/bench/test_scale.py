"""A backlog's cost: every photo goes through every step, and ratios are of the right figures."""

import json
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from bench.running import rows
from bench.scale.backlog import due, fill, table_facts, vacuum
from bench.scale.blocks import Measured, measure_blocks
from bench.scale.end_to_end import Pace, measure_pace
from bench.scale.explained import Plan, relay_plan
from bench.scale.report import (
    blocks_json,
    blocks_sections,
    pace_ratio,
    paces_json,
    paces_section,
    ratios,
)
from bench.scale.steps import STEPS, Cost, steps
from bench.throughput import photos
from bench.throughput.origin import Origin
from bench.throughput.servers import Servers
from shared.errors import SetupError


def test_photos_are_taken_in_turns_before_both_backlogs_which_stay_as_long_as_they_were(
    bench_servers: Servers,
) -> None:
    said: list[str] = []
    short, long = measure_blocks(
        (10, 600),
        servers=bench_servers,
        photos=250,
        block=100,
        at_once=64,
        batch=40,
        vacuumed=True,
        say=said.append,
    )
    assert said == ["making 260 due photos", "making 850 due photos"]
    for measured, backlog in ((short, 10), (long, 600)):
        assert measured.backlog == backlog
        assert [[block[step].photos for step in STEPS] for block in measured.blocks] == [
            [100] * 3,
            [100] * 3,
            [50] * 3,
        ]
        assert all(cost.wall_s > 0 for block in measured.blocks for cost in block.values())
        assert sum(cost.server_s for block in measured.blocks for cost in block.values()) > 0
        before, after = measured.plans
        assert before.photos == 64
        assert after.photos == min(backlog, 64)  # what is due when all is measured
        assert 0 < before.select_blocks <= before.blocks
        [[photo_before], [photo_after]] = (
            [facts for facts in table if facts["name"] == "photo"] for table in measured.tables
        )
        assert photo_before["live"] >= backlog + 250
        assert 0 < photo_before["bytes"] <= photo_after["bytes"]


def test_photos_are_due_in_the_order_of_their_ids_and_no_url_is_twice(
    bench_servers: Servers,
) -> None:
    with bench_servers.fresh() as urls, closing(psycopg2.connect(urls.database_url)) as connection:
        connection.autocommit = True
        fill(connection, 1200, "http://127.0.0.1:9", 7)
        vacuum(connection)
        assert due(connection) == 1200
        [(distinct, first, moments, all_due)] = rows(
            connection,
            """
            SELECT count(DISTINCT url), min(url), count(DISTINCT due_at), bool_and(due_at < now())
            FROM photo
            """,
        )
        assert (distinct, moments, all_due) == (1200, 3, True)
        assert first.startswith("http://127.0.0.1:9/0?copy=")
        ordered = rows(connection, "SELECT id FROM photo ORDER BY due_at, id")
        assert ordered == [(number,) for number in range(1, 1201)]
        assert {"photo", "listing", "ix_photo_due"} <= {
            facts["name"] for facts in table_facts(connection)
        }
        with steps(urls) as its_steps:
            plan = relay_plan(its_steps, 128)
            assert plan.photos == 128
            assert any("photo" in node for node in plan.nodes)
            assert due(connection) == 1200
            with pytest.raises(SetupError, match="of 1300 photos"):
                its_steps.go(1300, at_once=500, batch=64)


def test_end_to_end_the_first_photos_are_tagged_and_those_behind_are_no_part_of_it(
    bench_servers: Servers, tmp_path: Path
) -> None:
    drawn = photos.generated("thumbnail", tmp_path / "photos", files=3)
    with Origin(drawn) as origin:
        pace = measure_pace(
            300,
            100,
            servers=bench_servers,
            origin=origin,
            files=3,
            folder=tmp_path / "logs",
            settings={},
            vacuumed=False,
            limit_s=60,
            processes=1,
        )
    assert pace.became == {"tagged": 300}
    assert 0 < pace.photos < 300
    assert pace.seconds > 0
    assert set(pace.cpu_ms) == {"worker", "postgres", "valkey", "origin"}


def measured(backlog: int, *us: float) -> Measured:
    """Blocks of a thousand photos of which each step takes so many microseconds, and half CPU."""
    blocks = [{step: Cost(1000, one / 1000, one / 2000) for step in STEPS} for one in us]
    plan = Plan(128, 135, 2000, 1.0, ("LockRows", "Index Scan (ix_photo_due)"))
    facts = {"name": "photo", "bytes": 8192}
    facts |= dict.fromkeys(("live", "dead", "autovacuums", "autoanalyzes"), 0)
    return Measured(backlog, blocks, [plan, plan], [[facts], [facts]])


def test_the_ratio_is_the_short_backlogs_cost_over_the_long_ones() -> None:
    short, long = measured(10, 9.0, 10.0, 99.0), measured(1000, 20.0, 1.0, 21.0)
    found = ratios(short, long)
    assert found == {
        kind: {step: pytest.approx(0.5) for step in (*STEPS, "all")}
        for kind in ("us", "Postgres CPU us")
    }
    told = json.loads(json.dumps(blocks_json(short, long)))
    assert told["backlogs"][0]["medians"]["us"] == {
        **dict.fromkeys(STEPS, pytest.approx(10)),
        "all": pytest.approx(30),
    }
    table = blocks_sections(short, long)[0]
    assert table.rows[-1] == ["all", "30.0", "60.0", "0.50", "15.0", "30.0", "0.50"]


def test_the_pace_before_the_long_backlog_is_held_against_the_short_ones() -> None:
    def pace(backlog: int, photos_per_s: float) -> Pace:
        cpu: dict[str, float] = {"worker": 0.4, "postgres": 0.1}
        return Pace(backlog, 1000, 1000 / photos_per_s, {"tagged": 1064}, cpu)

    paces = [pace(10, 100), pace(1000, 90), pace(1000, 1), pace(10, 1), pace(10, 900)]
    paces.append(pace(1000, 95))
    assert pace_ratio(paces) == pytest.approx(0.9)
    assert json.loads(json.dumps(paces_json(paces)))["runs"][0]["photos_per_s"] == 100
    assert "0.90" in paces_section(paces).note
