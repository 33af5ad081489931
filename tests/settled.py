"""Publishing photos, and the one check after every run: each is settled once, all agrees."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.listings import PhotoFile, write_events
from dev.origin import Origin
from tests.marketplace import rows
from tests.waiting import wait_until

#: (tag, score) of a photo, the strongest first.
Tags = list[tuple[str, float]]


def publish(
    fleet: Fleet, photos: list[PhotoFile], origin: Origin, folder: Path, *, copies: int
) -> int:
    """Publishes each photo under so many listings; returns how many photos that makes."""
    many = photos * copies
    write_events(many, origin.url, folder / "events.jsonl")
    assert fleet.run("produce", str(folder / "events.jsonl")).returncode == 0
    return len(many)


def wait_until_settled(engine: Engine, photos: int, timeout_s: float = 60) -> None:
    """Waits until so many photos are tagged or failed."""
    done = "SELECT count(*) FROM photo WHERE status IN ('tagged', 'failed')"
    wait_until(
        lambda: rows(engine, done)[0][0] >= photos,
        timeout_s,
        otherwise=lambda: rows(engine, "SELECT status, count(*) FROM photo GROUP BY 1"),
    )


def tags_by_path(engine: Engine) -> dict[str, list[Tags]]:
    """Each set of tags that some tagged copy of a photo got, by the path of its URL."""
    found = rows(
        engine,
        """SELECT DISTINCT substring(url FROM '^https?://[^/]+(/.*)$'), coalesce(
            (SELECT json_agg(json_build_array(tag.name, score) ORDER BY rank) FROM photo_tag
                JOIN tag ON tag.id = tag_id WHERE photo_id = photo.id), '[]')::text
        FROM photo WHERE status = 'tagged'""",
    )
    tags: dict[str, list[Tags]] = {}
    for path, seen in found:
        tags.setdefault(path, []).append([(name, score) for name, score in json.loads(seen)])
    return tags


def assert_settled(
    engine: Engine, photos: int, calm_tags: Mapping[str, Tags] | None = None
) -> None:
    """Every photo has one final row, no lease lives, and tags and feed tell the same story.

    Args:
        engine: the database.
        photos: how many there must be.
        calm_tags: the tags of a run without faults, by the path of a photo's URL: tagged photos
            among them must have these.
    """
    if calm_tags is not None:
        for path, seen in tags_by_path(engine).items():
            assert path not in calm_tags or seen == [calm_tags[path]], path
    assert rows(engine, "SELECT count(*) FROM photo") == [(photos,)]
    assert (
        rows(engine, "SELECT DISTINCT status FROM photo EXCEPT VALUES ('tagged'), ('failed')") == []
    )
    assert rows(engine, "SELECT id FROM photo WHERE (lease_until, token) IS NOT NULL") == []
    assert (
        rows(engine, "SELECT id FROM photo WHERE (status = 'failed') <> (error_code IS NOT NULL)")
        == []
    )
    assert (
        rows(
            engine,
            """SELECT id FROM photo WHERE (status = 'tagged') <> (scores IS NOT NULL)
            OR status = 'tagged' AND (model_id IS NULL OR content_sha256 IS NULL)""",
        )
        == []
    )
    positions = [row[0] for row in rows(engine, "SELECT position FROM search_feed ORDER BY 1")]
    assert positions == list(range(1, len(positions) + 1))
    last: dict[str, dict[str, Any]] = {}
    for listing_id, version, document in rows(
        engine, "SELECT listing_id, doc_version, document FROM search_feed ORDER BY position"
    ):
        assert version == last.get(listing_id, {}).get("version", 0) + 1
        last[listing_id] = {"version": version, "document": document}
    listings = rows(
        engine,
        """SELECT external_id, (SELECT count(*) FROM photo WHERE listing_id = listing.id),
            (SELECT coalesce(array_agg(tag.name ORDER BY rank), '{}') FROM listing_tag
                JOIN tag ON tag.id = tag_id WHERE listing_id = listing.id)
        FROM listing WHERE deleted_at IS NULL""",
    )
    for external_id, count, tags in listings:
        document = last[external_id]["document"]
        assert document["photos"]["pending"] == 0
        assert document["photos"]["tagged"] + document["photos"]["failed"] == count
        assert [tag["tag"] for tag in document["tags"]] == tags
        related = {tag["tag"] for tag in document["related_tags"]}
        assert not related & {*tags, *document["seller_tags"]}


def assert_quiet(fleet: Fleet, *names: str, allowed: tuple[str, ...] = ()) -> None:
    """The processes wrote JSON lines only, no traceback, and nothing above `info` but `allowed`.

    Args:
        fleet: who wrote.
        names: of its processes.
        allowed: how the events begin that a fault may bring.
    """
    for name in names:
        for line in fleet.log(name).splitlines():
            record = json.loads(line)
            assert "exception" not in record, line
            loud = record.get("level") not in ("debug", "info")
            assert not loud or record["event"].startswith(allowed), line
