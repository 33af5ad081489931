"""A marketplace's client, of the official SDKs: tags, feed and search follow what it says."""

import json
import threading
from collections.abc import Callable, Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from bench.webhooks import event, one
from dev.fleet import Fleet
from dev.listings import PhotoFile
from dev.origin import Origin
from tests import origins
from tests.marketplace import NOON, rows
from tests.sender import Sender, start_intake
from tests.settled import assert_quiet, assert_settled
from tests.waiting import wait_until

#: What the model that ships sees on the rendered photos of a camera, of a motherboard, of a
#: keyboard, and of both of these.
_CAMERA, _BOARD = "camera & photo", "computer components"
_KEYBOARD, _BOTH = "computer accessories & peripherals", "computers & accessories"
_PATIENCE_S = 60.0

pytestmark = pytest.mark.timeout(300)  # many processes, on a machine that may be busy


class Shop:
    """Says what happens to its listings, by `cloudevents` and `standardwebhooks`."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def says(self, kind: str, listing: str, *, minute: int, **data: Any) -> dict[str, Any]:
        """Sends an event; returns what became of it. `minute` is when it happened."""
        at = NOON + timedelta(minutes=minute)
        message = one(event(kind, listing, f"{listing}-{minute}", at, data or None))
        # It signs by `standardwebhooks`.
        answer = self._sender.post(message.body, message.media_type)
        assert answer.status == 202, answer.body
        return answer.json


@pytest.fixture
def slow() -> Generator[origins.Origin]:
    """An origin whose photos come when a test lets them."""
    with origins.Origin() as origin:
        yield origin


@pytest.fixture
def shop(fleet: Fleet, slow: origins.Origin) -> Shop:
    """Everything runs, and a client sends to it."""
    ports = fleet.environment["TAGGER_ALLOWED_PORTS"]
    fleet.environment |= {
        "TAGGER_ALLOWED_PORTS": f"{ports},{slow.port}",
        "TAGGER_FETCH_DEADLINE_S": str(_PATIENCE_S),
    }
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", "--processes", "1")
    fleet.start("index", "index")
    return Shop(start_intake(fleet))


@pytest.fixture
def camera(photos: list[PhotoFile], origin: Origin) -> str:
    """The URL of a photo of a camera."""
    return _url(photos, origin, "camera")


@pytest.fixture
def keyboard(photos: list[PhotoFile], origin: Origin) -> str:
    """The URL of a photo of a keyboard."""
    return _url(photos, origin, "keyboard")


@pytest.fixture
def board(photos: list[PhotoFile], origin: Origin) -> str:
    """The URL of a photo of a motherboard."""
    return _url(photos, origin, "motherboard")


def test_tags_feed_and_search_follow_a_listing_from_its_creation_to_its_end(
    shop: Shop, engine: Engine, fleet: Fleet, keyboard: str, board: str
) -> None:
    photos = [keyboard, board]
    shop.says("created", "L1", minute=0, title="Wunderding", seller_tags=["old"], photos=photos)
    document = _until(engine, "L1", lambda document: document["photos"]["tagged"] == 2)
    assert _tags(engine, "photo_tag") == {_KEYBOARD, _BOARD, _BOTH}
    fused = {tag["tag"] for tag in document["tags"]}
    assert _BOTH in fused == _tags(engine, "listing_tag")
    assert _found(fleet, "wunderding") == _found(fleet, "--tag", _BOTH) == ["L1"]
    assert _found(fleet, "old", "--in", "seller_tags") == ["L1"]

    shop.says("updated", "L1", minute=1, title="Apparat", seller_tags=["new"], photos=[keyboard])
    document = _until(engine, "L1", lambda document: document["title"] == "Apparat")
    assert document["seller_tags"] == ["new"]
    assert document["photos"] == {"tagged": 1, "failed": 0, "pending": 0}
    fused_anew = {tag["tag"] for tag in document["tags"]}
    assert fused_anew == _tags(engine, "listing_tag") == _tags(engine, "photo_tag")
    assert fused_anew == {_KEYBOARD, _BOTH} != fused, "the other photo has no say any more"
    assert rows(engine, "SELECT url FROM photo") == [(keyboard,)]
    assert _found(fleet, "apparat") == _found(fleet, "--tag", _KEYBOARD) == ["L1"]
    assert _found(fleet, "new", "--in", "seller_tags") == ["L1"]
    assert _found(fleet, "wunderding") == _found(fleet, "--tag", _BOARD) == []
    assert _found(fleet, "old", "--in", "seller_tags") == []

    shop.says("deleted", "L1", minute=2)
    _until_gone(engine, "L1")
    for table in ("photo", "photo_tag", "listing_tag", "related_tag", "search_document"):
        assert rows(engine, f"SELECT count(*) FROM {table}") == [(0,)], table  # noqa: S608
    assert _found(fleet, "apparat") == _found(fleet) == []
    assert_settled(engine, 0)
    _assert_all_end_well(fleet)


def test_photos_that_are_on_their_way_when_their_listing_lets_go_of_them_are_discarded(
    shop: Shop,
    engine: Engine,
    fleet: Fleet,
    slow: origins.Origin,
    photos: list[PhotoFile],
    photo_folder: Path,
    board: str,
) -> None:
    now = threading.Event()
    body = (photo_folder / _named(photos, "camera").path).read_bytes()
    urls = [
        slow.serve(path, origins.once(now, origins.answer(200, body)))
        for path in ("/updated.jpg", "/deleted.jpg")
    ]
    for listing, url in zip(("updated", "deleted"), urls, strict=True):
        shop.says("created", listing, minute=0, title="Wunderding", photos=[url])
    wait_until(lambda: len(slow.requests) == 2)
    assert rows(engine, "SELECT DISTINCT status FROM photo") == [("working",)]

    shop.says("updated", "updated", minute=1, title="Apparat", photos=[board])
    shop.says("deleted", "deleted", minute=1)
    _until(engine, "updated", lambda document: document["photos"]["tagged"] == 1)
    _until_gone(engine, "deleted")
    now.set()
    wait_until(lambda: _discarded(fleet) == 2)

    assert rows(engine, "SELECT url FROM photo") == [(board,)]
    assert _CAMERA not in _tags(engine, "photo_tag") | _tags(engine, "listing_tag")
    feed = rows(engine, "SELECT document::text FROM search_feed WHERE document IS NOT NULL")
    assert not [document for (document,) in feed if _CAMERA in document or "Wunder" in document]
    _until_index_has_all(engine)
    assert _found(fleet, "apparat") == _found(fleet, "--tag", _BOARD) == ["updated"]
    assert _found(fleet, "wunderding") == _found(fleet, "--tag", _CAMERA) == []
    assert_settled(engine, 1)
    _assert_all_end_well(fleet, allowed=("batch.fenced_off",))


def test_events_that_come_in_another_order_than_they_happened_change_nothing_afterwards(
    shop: Shop, engine: Engine, fleet: Fleet, camera: str, board: str
) -> None:
    assert shop.says("deleted", "gone", minute=5)["recorded"] == 1
    late = shop.says("created", "gone", minute=0, title="Wunderding", photos=[board])
    assert late == {"recorded": 0, "unchanged": 1, "rejected": []}

    shop.says("updated", "L1", minute=5, title="Apparat", photos=[camera])
    document = _until(engine, "L1", lambda document: document["photos"]["tagged"] == 1)
    before = rows(engine, "SELECT * FROM search_feed ORDER BY position")
    for kind, minute in (("created", 0), ("updated", 4), ("deleted", 3)):
        data = {} if kind == "deleted" else {"title": "Wunderding", "photos": [board]}
        assert shop.says(kind, "L1", minute=minute, **data)["unchanged"] == 1

    assert rows(engine, "SELECT url, status FROM photo") == [(camera, "tagged")]
    assert rows(engine, "SELECT * FROM search_feed ORDER BY position") == before
    _until_gone(engine, "gone")
    assert _found(fleet, "apparat") == _found(fleet) == ["L1"]
    assert _found(fleet, "wunderding") == []
    assert document["title"] == "Apparat"
    assert_settled(engine, 1)
    _assert_all_end_well(fleet)


def _named(photos: list[PhotoFile], what: str) -> PhotoFile:
    return next(photo for photo in photos if photo.path.stem.endswith(f"-{what}"))


def _url(photos: list[PhotoFile], origin: Origin, what: str) -> str:
    return f"{origin.url}/{_named(photos, what).path}"


def _until(
    engine: Engine, listing: str, as_wanted: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """Waits for a document in the feed, and until the index has it; returns it."""
    newest = (
        "SELECT document FROM search_feed WHERE listing_id = :id ORDER BY position DESC LIMIT 1"
    )

    def wanted() -> list[dict[str, Any]]:
        return [one for (one,) in rows(engine, newest, id=listing) if one and as_wanted(one)]

    [document] = wait_until(wanted, otherwise=lambda: rows(engine, newest, id=listing))
    _until_index_has_all(engine)
    return document


def _until_gone(engine: Engine, listing: str) -> None:
    """Waits for a tombstone at the end of a listing's entries, and until the index has it."""
    last = """SELECT document IS NULL FROM search_feed WHERE listing_id = :id
        ORDER BY position DESC LIMIT 1"""
    wait_until(lambda: rows(engine, last, id=listing) == [(True,)])
    _until_index_has_all(engine)


def _until_index_has_all(engine: Engine) -> None:
    behind = """SELECT (SELECT position FROM feed_head)
        - coalesce((SELECT position FROM feed_cursor WHERE name = 'postgres'), 0)"""
    wait_until(lambda: rows(engine, behind) == [(0,)])


def _found(fleet: Fleet, *arguments: str) -> list[str]:
    """The listings that `tagger search` finds."""
    done = fleet.run("search", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return [hit["listing_id"] for hit in json.loads(done.stdout)["hits"]]


def _tags(engine: Engine, table: str) -> set[str]:
    query = f"SELECT DISTINCT tag.name FROM {table} JOIN tag ON tag.id = tag_id"  # noqa: S608
    return {name for (name,) in rows(engine, query)}


def _discarded(fleet: Fleet) -> int:
    """Photos that were tagged in vain."""
    records = map(json.loads, fleet.log("worker").splitlines())
    return sum(line["photos"] for line in records if line["event"] == "batch.fenced_off")


def _assert_all_end_well(fleet: Fleet, allowed: tuple[str, ...] = ()) -> None:
    assert fleet.stop() == {"relay": 0, "worker": 0, "index": 0, "intake": 0}
    assert_quiet(fleet, "relay", "worker", "index", "intake", allowed=allowed)
