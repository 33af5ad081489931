"""The main job from a marketplace's CloudEvents on: over HTTP to tags and a feed entry."""

import json
from datetime import UTC, datetime

from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.listings import PhotoFile
from dev.origin import Origin
from tests.sender import envelope, start_intake
from tests.settled import assert_quiet, assert_settled, wait_until_settled


def test_events_sent_over_http_end_as_tags_and_deletions_as_tombstones(
    engine: Engine, fleet: Fleet, photos: list[PhotoFile], origin: Origin
) -> None:
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", "--processes", "1")
    sender = start_intake(fleet)
    urls = [f"{origin.url}/{photo.path}" for photo in photos[:6]]
    batch = [envelope(f"L{n}", photos=[url]) for n, url in enumerate(urls[1:], start=1)]
    assert sender.post(envelope("L0", photos=urls[:1])).json["recorded"] == 1
    assert sender.post(batch).json["recorded"] == 5
    wait_until_settled(engine, 6)
    assert_settled(engine, 6)
    now = datetime.now(UTC).isoformat()
    gone = envelope("L0", type="listing.deleted", time=now, id="gone", data=None)
    assert sender.post(gone).json["recorded"] == 1
    feed = [json.loads(line) for line in fleet.run("feed").stdout.splitlines()]
    assert {line["listing_id"] for line in feed if line["document"]} == {f"L{n}" for n in range(6)}
    assert all(line["document"]["tags"] for line in feed if line["document"])
    assert (feed[-1]["listing_id"], feed[-1]["deleted"]) == ("L0", True)
    assert fleet.stop() == {"relay": 0, "worker": 0, "intake": 0}
    assert_quiet(fleet, "relay", "worker", "intake")
