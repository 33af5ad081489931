"""The main job, with real processes: from a line of JSON to tags and a feed entry."""

# pyright: reportUnknownMemberType=false

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil
from redis import Redis
from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.listings import PhotoFile, events, write_events
from dev.origin import Origin
from shared.queue import make_app
from shared.settings import Settings
from tests.marketplace import event, rows
from tests.settled import assert_quiet, assert_settled, wait_until_settled

_BODY = '"properties": {"delivery_tag": "t%d", "delivery_info": {}, "body_encoding": "base64"}'
#: What somebody might push into the queue's list.
_NO_MESSAGES = [
    b"garbage",
    b'"x"',
    b"\xff\xfe",
    b'{"body": "gASVCwAAAAAAAACMB3Bvc2l4lC4=", "headers": {}}',
    f'{{"body": "!", "headers": {{}}, {_BODY % 1}}}'.encode(),
    *(
        f'{{"body": "e30=", "headers": {headers}, {_BODY % tag}}}'.encode()
        for tag, headers in enumerate(['{"task": "tag_photos"}', '{"task": []}'] * 3, start=3)
    ),
    f'{{"body": "gASVCwAAAAAAAACMB3Bvc2l4lC4=", "headers": {{"task": "tag_photos", "id": "1"}},'
    f' "content-type": "application/x-python-serialize", {_BODY % 2}}}'.encode(),
]


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _start(fleet: Fleet) -> None:
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", "--processes", "1")


def test_every_photo_of_every_event_ends_tagged_or_failed_with_its_reason(
    engine: Engine, fleet: Fleet, photos: list[PhotoFile], origin: Origin, tmp_path: Path
) -> None:
    write_events(photos, origin.url, tmp_path / "events.jsonl")
    with (tmp_path / "events.jsonl").open("a") as file:
        bad = [
            f"{origin.url}/missing.jpg",
            f"{origin.url}/photos.json",
            "file:///etc/passwd",
            "http://user:secret@127.0.0.1/x.jpg",
            f"{origin.url}/{photos[0].path}",
        ]
        file.write(json.dumps(event("mixed", photos=bad)) + "\n")
        file.write("this is no event\n")
    _start(fleet)
    done = fleet.run("produce", str(tmp_path / "events.jsonl"))
    assert done.returncode == 3, done.stderr
    assert b"not_json" in done.stdout
    total = len(photos) + 5
    wait_until_settled(engine, total)
    assert fleet.stop() == {"relay": 0, "worker": 0}
    assert_settled(engine, total)
    assert_quiet(fleet, "relay", "worker")
    failed = rows(
        engine,
        "SELECT error_code, count(*) FROM photo WHERE status = 'failed' GROUP BY 1 ORDER BY 1",
    )
    assert failed == [("bad_url", 2), ("not_an_image", 1), ("not_found", 1)]
    assert rows(engine, "SELECT count(*) > 10 FROM listing_tag") == [(True,)]
    assert rows(engine, "SELECT count(*) > 10 FROM related_tag") == [(True,)]
    assert "secret" not in fleet.log("worker")

    again = fleet.run("produce", str(tmp_path / "events.jsonl"))
    assert again.returncode == 3
    assert_settled(engine, total)


def test_the_feed_is_read_by_cursor_up_to_the_tombstone(
    engine: Engine, fleet: Fleet, photos: list[PhotoFile], origin: Origin, tmp_path: Path
) -> None:
    _start(fleet)
    published = [json.dumps(line).encode() for line in events(photos[:4], origin.url)]
    assert fleet.run("produce", "-", stdin=b"\n".join(published)).returncode == 0
    wait_until_settled(engine, 4)
    gone = event("listing-000001", type="listing.deleted", occurred_at=_now())
    assert fleet.run("produce", "-", stdin=json.dumps(gone).encode()).returncode == 0
    whole = [json.loads(line) for line in fleet.run("feed").stdout.splitlines()]
    assert [line["cursor"] for line in whole] == list(range(1, len(whole) + 1))
    assert whole[-1]["deleted"]
    assert whole[-1]["listing_id"] == "listing-000001"
    page = fleet.run("feed", "--after", "2", "--limit", "2").stdout.splitlines()
    assert [json.loads(line) for line in page] == whole[2:4]
    reader = subprocess.run(
        [
            "/bin/bash",
            "-c",
            f"{sys.executable} -m tagger feed | head -n 1; exit ${{PIPESTATUS[0]}}",
        ],
        env=fleet.environment,
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert (reader.returncode, reader.stderr) == (0, b"")


def test_a_serving_worker_has_no_tensorflow_and_stays_small(
    engine: Engine, fleet: Fleet, photos: list[PhotoFile], origin: Origin, tmp_path: Path
) -> None:
    write_events(photos, origin.url, tmp_path / "events.jsonl")
    _start(fleet)
    fleet.run("produce", str(tmp_path / "events.jsonl"))
    wait_until_settled(engine, len(photos))
    children = psutil.Process(fleet.pid("worker")).children()
    assert len(children) == 3
    for child in children:
        libraries = {Path(mapped.path).name for mapped in child.memory_maps()}
        assert not any("tensorflow" in name for name in libraries)
        assert any("litert" in name.lower() for name in libraries), sorted(libraries)
        assert child.memory_info().rss < 250 << 20


def test_a_private_address_is_never_fetched_from_unless_allowed(
    engine: Engine, fleet: Fleet, photos: list[PhotoFile], origin: Origin, tmp_path: Path
) -> None:
    fleet.environment["TAGGER_ALLOW_PRIVATE_HOSTS"] = "false"
    write_events(photos[:3], origin.url, tmp_path / "events.jsonl")
    _start(fleet)
    fleet.run("produce", str(tmp_path / "events.jsonl"))
    wait_until_settled(engine, 3)
    assert rows(engine, "SELECT DISTINCT status, error_code FROM photo") == [
        ("failed", "blocked_address")
    ]


def test_messages_that_are_not_ours_are_logged_and_leave_the_worker_working(
    engine: Engine,
    settings: Settings,
    fleet: Fleet,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
) -> None:
    app = make_app(settings)
    for named in ({"v": 2, "ids": [1]}, {"v": 1, "ids": "1"}, {"v": 1, "ids": [10**9]}, {}):
        app.send_task("tag_photos", kwargs=named, queue="tagging")  # pyright: ignore[reportUnknownMemberType]
    app.send_task("no.such.task", queue="tagging")  # pyright: ignore[reportUnknownMemberType]
    with Redis.from_url(settings.redis_url.get_secret_value()) as valkey:
        for entry in _NO_MESSAGES:
            valkey.lpush("tagging", entry)
    write_events(photos[:2], origin.url, tmp_path / "events.jsonl")
    _start(fleet)
    fleet.run("produce", str(tmp_path / "events.jsonl"))
    wait_until_settled(engine, 2)
    assert fleet.stop()["worker"] == 0
    assert fleet.log("worker").count("message.rejected") == 3 + 1 + len(_NO_MESSAGES)
    assert "worker.died" not in fleet.log("worker")
    with Redis.from_url(settings.redis_url.get_secret_value()) as valkey:
        assert valkey.llen("tagging") == 0, "none comes back"


def test_commands_without_servers_or_schema_say_what_to_do(
    fleet: Fleet,
) -> None:
    for name in ("DATABASE_URL", "REDIS_URL"):
        fleet.environment.pop(name)
    done = fleet.run("feed")
    assert done.returncode == 1
    assert b"tagger dev up" in done.stderr
    assert b"Traceback" not in done.stderr
