"""From photos and sellers' words to flags, with real processes and the shipped model."""

import json
from pathlib import Path

import cv2
from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.listings import PhotoFile
from dev.origin import Origin
from tests.marketplace import event, rows
from tests.settled import assert_quiet, wait_until_settled
from tests.waiting import wait_until

_FLAGS = """
    SELECT external_id, kind, subject FROM listing_flag
    JOIN listing ON listing.id = listing_id WHERE kind <> 'nothing_known'
    ORDER BY external_id, kind, subject
"""


def _halved(photo: Path, copy: Path) -> None:
    picture = cv2.imread(str(photo))
    assert picture is not None
    smaller = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    assert cv2.imwrite(str(copy), smaller, [cv2.IMWRITE_JPEG_QUALITY, 80])


def test_spam_copies_and_policy_are_flagged_and_honest_listings_are_not(
    engine: Engine, fleet: Fleet, photos: list[PhotoFile], origin: Origin, photo_folder: Path
) -> None:
    fleet.environment["TAGGER_RESTRICTED_TAGS"] = "ivory"
    for command in ("relay", "flag"):
        fleet.start(command, command)
    fleet.start("worker", "worker", "--processes", "1")
    board = next(photo for photo in photos if "motherboard" in photo.path.name)
    _halved(photo_folder / board.path, photo_folder / "halved.jpg")
    url = f"{origin.url}/{board.path.as_posix()}"
    honest = event("a-honest", seller_tags=["motherboards", "bargain"], photos=[url])
    later = [
        event("b-copy", seller_tags=[], photos=[f"{origin.url}/halved.jpg"]),
        event("c-spam", seller_tags=["wrist watches", "motherboards"], photos=[f"{url}?again"]),
        event("d-policy", seller_tags=["Ivory"], photos=[]),
    ]
    for published, total in (([honest], 1), (later, 3)):
        lines = "".join(f"{json.dumps(one)}\n" for one in published).encode()
        assert fleet.run("produce", "-", stdin=lines).returncode == 0
        wait_until_settled(engine, total)
    assert rows(engine, "SELECT count(*) FROM photo WHERE phash IS NULL") == [(0,)]
    expected = [
        ("b-copy", "reused_photo", "a-honest"),
        ("c-spam", "reused_photo", "a-honest"),
        ("c-spam", "spam", "wrist watches"),
        ("d-policy", "restricted", "ivory"),
    ]
    wait_until(lambda: rows(engine, _FLAGS) == expected)
    assert rows(engine, "SELECT count(*) FROM search_feed WHERE document ? 'flags'") == [(0,)]
    assert fleet.stop() == {"relay": 0, "worker": 0, "flag": 0}
    assert_quiet(fleet, "relay", "worker", "flag")
