"""Events over HTTP while intake and relay are killed, and an account that can tell what is lost."""

import json
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from bench.http_intake.ledger import Ledger, audit
from bench.http_intake.report import as_json, sections
from bench.http_intake.run import Plan, Run, Scene, measure, prepared
from bench.http_intake.senders import Senders
from bench.place import Place
from bench.running import rows
from bench.throughput import photos
from bench.throughput.origin import Origin
from bench.throughput.servers import Servers
from bench.webhooks import SOURCE, IntakeProcess, event, one
from dev.fleet import Fleet
from shared.errors import SetupError

_PLAN = Plan(events=3000, batch=20, connections=6, kills=2, seed=7)


@pytest.mark.timeout(600)  # on a machine that may be busy
def test_kills_of_intake_and_relay_lose_none_and_double_none(
    bench_servers: Servers, tmp_path: Path
) -> None:
    drawn = photos.generated("thumbnail", tmp_path / "photos", files=3)
    # What a relay had marked and not sent is to come again soon.
    settings = {"TAGGER_QUEUED_LEASE_S": "5"}
    with Origin(drawn) as origin:
        place = Place(
            *(bench_servers, origin, drawn.paths, tmp_path / "logs", settings),
            limit_s=300,
            processes=1,
        )
        run = measure(Scene.KILLED, _PLAN, place)
    assert run.kills == {"intake": 2, "relay": 2}
    assert run.again["no answer"] > 0, "senders met the kills"
    assert run.ledger == Ledger(3000, 0, 0, 0, 0, 0, ())
    assert run.good
    assert run.tagged_s is not None
    assert run.cpu_us == {}


@pytest.mark.timeout(300)
def test_the_intake_is_measured_alone_in_single_requests_too(
    bench_servers: Servers, tmp_path: Path
) -> None:
    drawn = photos.generated("thumbnail", tmp_path / "photos", files=3)
    with Origin(drawn) as origin:
        place = Place(bench_servers, origin, drawn.paths, tmp_path / "logs", {}, limit_s=120)
        run = measure(Scene.ALONE, Plan(200, 1, 4, 1, seed=1), place)
    assert run.good
    assert (run.tagged_s, run.again, run.kills) == (None, {}, {})
    assert run.ledger.untagged == 200
    assert run.events_per_s == 200 / run.seconds
    assert 0 < run.answer_ms["p50"] <= run.answer_ms["max"]
    assert run.cpu_us["intake"] > 0


def test_what_is_refused_for_good_or_not_answered_at_all_ends_the_run(
    bench_servers: Servers, tmp_path: Path
) -> None:
    bad = one(event("sold", "L1", "bad", datetime.now(UTC), {}))
    with bench_servers.fresh() as urls, Fleet(urls, tmp_path) as fleet:
        intake = IntakeProcess(fleet)
        _, good = prepared(Plan(4, 2, 1, 1, seed=1), [f"http://o.test/{n}" for n in range(4)])
        with pytest.raises(SetupError, match="is not taken: no answer"):
            Senders(intake, good, connections=2, seed=1).run(limit_s=0.2)
        intake.start()
        intake.until_ready()
        with pytest.raises(SetupError, match="msg_bad: HTTP 422"):
            Senders(intake, [*good, bad], connections=1, seed=1).run(limit_s=60)


def test_the_account_tells_lost_from_doubled_from_never_sent(bench_servers: Servers) -> None:
    with bench_servers.fresh() as urls, closing(psycopg2.connect(urls.database_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(
                """INSERT INTO listing (external_id, title, seller_tags, occurred_at, event_id)
                SELECT 'L' || n, '', '{}', now(), %s || ' e-' || n
                FROM generate_series(1, 3) AS n""",
                [SOURCE],
            )
            cursor.execute(
                """INSERT INTO photo (listing_id, position, url, url_sha256, lane)
                SELECT id, 0, 'u', sha256('u'), 'tagging' FROM listing"""
            )
        assert [name for (name,) in rows(connection, "SELECT external_id FROM listing")] == [
            *("L1", "L2", "L3"),
        ]
        sent = {f"L{n}": f"e-{n}" for n in range(1, 4)}
        assert audit(connection, sent) == Ledger(3, 0, 0, 0, 3, 0, ())
        del sent["L1"]
        assert audit(connection, sent | {"L2": "other", "L4": "e-4"}) == Ledger(
            sent=3, lost=2, never_sent=1, doubled=0, untagged=3, rejected=0, examples=("L2", "L4")
        )
        with connection.cursor() as cursor:
            cursor.execute(
                """INSERT INTO search_feed (position, listing_id, doc_version)
                VALUES (1, 'L2', 1), (2, 'L2', 2)"""
            )
            cursor.execute(
                """INSERT INTO photo (listing_id, position, url, url_sha256, lane)
                SELECT listing_id, 1, 'v', sha256('v'), 'tagging' FROM photo LIMIT 1"""
            )
        assert audit(connection, sent).doubled == 2


def _run(scene: Scene, counts: Mapping[str, int], **changes: Any) -> Run:
    account: dict[str, Any] = dict.fromkeys(
        ("lost", "never_sent", "doubled", "untagged", "rejected"), 0
    )
    return Run(
        scene=scene,
        batch=5,
        connections=2,
        seconds=0.5,
        tagged_s=None if scene is Scene.ALONE else 2.0,
        answer_ms={"p50": 5.0, "p95": 9.0, "p99": 12.0, "max": 20.0},
        counts=counts,
        again={"no answer": 3} if scene is Scene.KILLED else {},
        kills={"intake": 1, "relay": 1} if scene is Scene.KILLED else {},
        cpu_us={} if scene is Scene.KILLED else {"intake": 100.0, "postgres": 90.0},
        ledger=Ledger(sent=10, examples=(), **{**account, **changes}),
    )


@pytest.mark.parametrize(
    ("counts", "changes", "good"),
    [
        ({"recorded": 10}, {}, True),
        ({"recorded": 8, "unchanged": 2}, {}, True),
        ({"recorded": 9}, {}, False),
        ({"recorded": 10, "rejected": 1}, {}, False),
        ({"recorded": 10}, {"lost": 1}, False),
        ({"recorded": 10}, {"never_sent": 1}, False),
        ({"recorded": 10}, {"doubled": 1}, False),
        ({"recorded": 10}, {"untagged": 1}, False),
        ({"recorded": 10}, {"rejected": 1}, False),
    ],
)
def test_a_run_is_good_when_every_event_is_there_once(
    counts: dict[str, int], changes: dict[str, int], good: bool
) -> None:
    assert _run(Scene.KILLED, counts, **changes).good is good


def test_json_and_tables_hold_every_run() -> None:
    runs = [
        _run(Scene.ALONE, {"recorded": 10}, untagged=10),
        _run(Scene.KILLED, {"recorded": 8, "unchanged": 2}),
    ]
    told = json.loads(json.dumps(as_json(runs, {"cores": 2})))
    assert told["good"]
    assert told["runs"][1]["ledger"]["lost"] == 0
    rates, accounts = sections(runs)
    assert rates.rows[0] == [
        *("intake alone", 5, 2, 10, "20.0", "5.00", "9.00", "12.0", "20.0", "100", "90.0", None)
    ]
    assert rates.rows[1][-3:] == [None, None, "5.00"]
    assert accounts.rows[1] == [
        *("with kills", "intake: 1; relay: 1", "no answer: 3", 8, 2, 0, 0, 0, 0)
    ]
