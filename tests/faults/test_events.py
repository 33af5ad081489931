"""A hostile event is one row that says literally what it said, or one rejected event."""

import itertools
import json
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.listings import PhotoFile, events
from dev.origin import Origin
from tests.faults.aftermath import Aftermath
from tests.faults.conftest import seed
from tests.marketplace import event, rows
from tests.settled import assert_quiet
from tests.waiting import wait_until

_MOMENT = datetime.now(UTC) - timedelta(hours=1)
_NESTED = b"[" * 100_000 + b"]" * 100_000


def _with(**changes: Any) -> bytes:
    return json.dumps(event("bad", **changes)).encode()


def _without(name: str) -> bytes:
    whole = event("bad")
    del whole[name]
    return json.dumps(whole).encode()


#: Lines that cannot be recorded, and why.
_REJECTED: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"garbage", "not_json"),
    "half an event": (_with()[:60], "not_json"),
    "two events": (_with() + _with(), "not_json"),
    "a key twice": (_with()[:-1] + b', "title": "another"}', "not_json"),
    "NaN": (_with()[:-1] + b', "price": NaN}', "not_json"),
    "Infinity": (_with()[:-1] + b', "price": -Infinity}', "not_json"),
    "a number of 10,000 digits": (_with()[:-1] + b', "price": ' + b"9" * 10_000 + b"}", "not_json"),
    "deep nesting": (_with()[:-1] + b', "x": ' + _NESTED + b"}", "not_json"),
    "a raw control character": (_with().replace(b'"bad"', b'"b\x1bad"'), "not_json"),
    "Latin-1": ('{"title": "é"}'.encode("latin-1"), "not_utf8"),
    "an overlong code for a slash": (b'{"title": "\xc0\xaf"}', "not_utf8"),
    "a surrogate in UTF-8": (b'{"title": "\xed\xa0\x80"}', "not_utf8"),
    "a NUL byte": (b"\0", "not_json"),
    "a list": (b"[]", "not_an_object"),
    "a text": (b'"x"', "not_an_object"),
    "null": (b"null", "not_an_object"),
    "an unknown type": (_with(type="listing.sold"), "unknown_type"),
    "a type that is an object": (_with(type={}), "unknown_type"),
    "no listing": (_without("listing_id"), "missing_field"),
    "no event id": (_without("event_id"), "missing_field"),
    "no time": (_without("occurred_at"), "missing_field"),
    "no photos": (_without("photos"), "missing_field"),
    "a blank listing": (_with(listing_id=" \t\u3000"), "missing_field"),
    "a listing that is a number": (_with(listing_id=7), "wrong_type"),
    "a title that is a number": (_with(title=1e300), "wrong_type"),
    "a tag that is a list": (_with(seller_tags=[["x"]]), "wrong_type"),
    "a photo that is an object": (_with(photos=[{"url": "x"}]), "wrong_type"),
    "a listing of 201 characters": (_with(listing_id="x" * 201), "too_long"),
    "a title of 1,001 characters": (_with(title="x" * 1_001), "too_long"),
    "a tag of 201 characters": (_with(seller_tags=["x" * 201]), "too_long"),
    "101 tags": (_with(seller_tags=[str(n) for n in range(101)]), "too_many"),
    "10,000 photos": (_with(photos=[f"http://a/{n}" for n in range(10_000)]), "too_many"),
    "NUL in a title": (_with(title="a\0b"), "nul_character"),
    "NUL in a tag": (_with(seller_tags=["\0"]), "nul_character"),
    "NUL in a listing": (_with(listing_id="a\0"), "nul_character"),
    "NUL in a photo": (_with(photos=["http://a/\0.jpg"]), "nul_character"),
    "a lone surrogate in a title": (_with(title="\ud800"), "bad_unicode"),
    "surrogates in the wrong order": (_with(seller_tags=["\udc00\ud83d"]), "bad_unicode"),
    "a lone surrogate in a photo": (_with(photos=["http://a/\udfff"]), "bad_unicode"),
    "a time without a zone": (_with(occurred_at="2026-01-01T12:00:00"), "bad_time"),
    "a time that is no time": (_with(occurred_at="now()"), "bad_time"),
    "the year 9999": (_with(occurred_at="9999-12-31T23:59:59Z"), "bad_time"),
    "the year 0": (_with(occurred_at="0000-01-01T00:00:00Z"), "bad_time"),
    "a time before time": (_with(occurred_at="0001-01-01T00:00:00+14:00"), "bad_time"),
    "3 MB": (_with(title="x" * (3 << 20)), "too_large"),
}

#: Texts that are odd and none the worse for it.
_LITERAL = {
    "SQL": "Robert'); DROP TABLE listing CASCADE; --",
    "SQL's dollars": "$$; SELECT pg_sleep(60); $$ {1,2} :name %s %(x)s",
    "quotes and backslashes": "\\' \" `$(touch pwned)` \\u0000 \\",
    "a list in Postgres' words": '{"a","b",NULL}',
    "markup": "[red]x[/red] <script>alert(1)</script> &amp;",
    "emoji of several code points": "👩\u200d👩\u200d👧\u200d👦 🏳️\u200d🌈 🇩🇪",
    "four bytes": "𝕳𠜎\U0010ffff",
    "combining marks": "Z" + "\u0335\u0301" * 80,
    "the same letter twice": "é e\u0301 ﬁ K",
    "right to left": "\u202egpj.exe\u202c \u2066x\u2069 שלום",
    "invisible": "\ufeff\u200b\u2060\u00ad",
    "no characters": "\ufffe\uffff\U0001fffe",
    "line ends": "a\r\nb\u2028c\u2029d\x85e\x0bf",
    "a terminal's orders": "\x1b[2J\x1b]0;owned\x07\x9b31m\x7f\x08",
    "blanks": "  padded\t",
}
_ORDERS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x202E) if code != 10]


def _assert_harmless(printed: bytes) -> None:
    said = printed.decode()
    assert [repr(order) for order in _ORDERS if order in said] == []


def _start(fleet: Fleet) -> None:
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", "--processes", "1")


@pytest.mark.row("I19")
def test_a_line_that_is_no_event_is_rejected_once_and_with_its_reason(
    engine: Engine,
    fleet: Fleet,
    aftermath: Aftermath,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
) -> None:
    good = [json.dumps(one).encode() for one in events(photos, origin.url)]
    lines: list[bytes] = []
    for one, (line, _) in itertools.zip_longest(good, _REJECTED.values(), fillvalue=(b"", "")):
        lines += [line, *([one] if isinstance(one, bytes) else [])]
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(lines))
    _start(fleet)
    for times in (1, 2):
        done = fleet.run("produce", "events.jsonl")
        assert done.returncode == 3, done.stderr
        assert done.stderr == b""
        _assert_harmless(done.stdout)
        found = rows(engine, "SELECT line_sha256, code, reason, times, source FROM rejected_event")
        by_line = {int(source.rpartition(":")[2]): code for _, code, _, _, source in found}
        numbers = {lines.index(line) + 1: name for name, (line, _) in _REJECTED.items()}
        assert {numbers[number]: code for number, code in by_line.items()} == {
            name: code for name, (_, code) in _REJECTED.items()
        }
        assert all(reason and again == times for _, _, reason, again, _ in found)
    assert rows(engine, "SELECT max(length(line)), max(line_bytes) > 3e6 FROM rejected_event") == [
        (64 << 10, True)
    ]
    aftermath.check(len(photos))
    assert rows(engine, "SELECT count(*) FROM listing") == [(len(photos),)]
    assert fleet.stop() == {"relay": 0, "worker": 0}
    assert_quiet(fleet, "relay", "worker")


@pytest.mark.row("I19")
def test_odd_text_is_stored_and_published_literally_and_never_printed_raw(
    engine: Engine,
    fleet: Fleet,
    aftermath: Aftermath,
    photos: list[PhotoFile],
    origin: Origin,
) -> None:
    odd = [
        one
        | {
            "listing_id": f"{name}: {text}",
            "title": text,
            "seller_tags": [text, "plain"],
            "event_id": text,
            "photos": [*one["photos"], text],
        }
        for one, (name, text) in zip(events(photos, origin.url), _LITERAL.items(), strict=False)
    ]
    _start(fleet)
    written = "\n".join(
        json.dumps(one, ensure_ascii=number % 2 == 0) for number, one in enumerate(odd)
    )
    done = fleet.run("produce", "-", stdin=written.encode())
    assert (done.returncode, done.stderr) == (0, b""), done.stdout
    _assert_harmless(done.stdout)
    aftermath.check(2 * len(odd))
    stored = rows(engine, "SELECT external_id, title, seller_tags, event_id FROM listing")
    assert sorted(stored) == sorted(
        (one["listing_id"], one["title"], one["seller_tags"], one["event_id"]) for one in odd
    )
    assert rows(engine, "SELECT count(*) FROM photo WHERE error_code = 'bad_url'") == [(len(odd),)]
    feed = fleet.run("feed")
    assert (feed.returncode, feed.stderr) == (0, b"")
    _assert_harmless(feed.stdout)
    entries = [json.loads(line) for line in feed.stdout.decode().splitlines()]
    last = {entry["listing_id"]: entry["document"] for entry in entries}
    assert {id_: document["title"] for id_, document in last.items()} == {
        one["listing_id"]: one["title"] for one in odd
    }
    assert fleet.stop() == {"relay": 0, "worker": 0}
    assert_quiet(fleet, "relay", "worker")
    _assert_harmless((fleet.log("relay") + fleet.log("worker")).encode())
    assert not (fleet.folder / "pwned").exists()


@pytest.mark.row("I19")
@pytest.mark.parametrize(
    ("start", "between", "end"),
    [
        (b"", b"\n", b""),
        (b"\xef\xbb\xbf", b"\n", b"\n"),
        (b"", b"\r\n", b"\r\n"),
        (b"\n \n\r\n", b"\n\n\t\n", b"\n\n"),
    ],
    ids=["no end", "BOM", "CRLF", "blank lines"],
)
def test_lines_are_told_apart_however_they_end(
    engine: Engine, fleet: Fleet, *, start: bytes, between: bytes, end: bytes
) -> None:
    lines = [json.dumps(event(f"L{n}", photos=[])).encode() for n in range(3)]
    done = fleet.run("produce", "-", stdin=start + between.join(lines) + end)
    assert done.returncode == 0, done.stdout
    assert rows(engine, "SELECT external_id FROM listing ORDER BY 1") == [("L0",), ("L1",), ("L2",)]


def _history(number: int, photos: list[PhotoFile], origin: Origin) -> list[dict[str, Any]]:
    """One listing's life: photos come and go, and it ends with two of them, or deleted."""
    urls = [f"{origin.url}/{photo.path}" for photo in photos]
    return [
        event(
            f"L{number}",
            event_id=f"E{number}-{step}",
            occurred_at=(_MOMENT + timedelta(seconds=step)).isoformat(),
            type="listing.deleted" if step == 5 and number % 3 == 0 else "listing.updated",
            title=f"title {step}",
            photos=[urls[(number + step + k) % len(urls)] for k in range(2)],
        )
        for step in range(6)
    ]


@pytest.mark.row("I19")
def test_events_twice_and_in_any_order_from_two_producers_end_as_their_newest(
    engine: Engine,
    fleet: Fleet,
    aftermath: Aftermath,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
) -> None:
    listings = 60
    histories = [_history(number, photos, origin) for number in range(listings)]
    lines = [json.dumps(one) for history in histories for one in history]
    _start(fleet)
    for name in ("one", "other"):
        random.Random(f"{seed()}{name}").shuffle(lines)
        (tmp_path / name).write_text("\n".join(lines))
        fleet.environment["TAGGER_INTAKE_BATCH_EVENTS"] = "20"
        fleet.start(name, "produce", name)
    for name in ("one", "other"):
        wait_until(lambda name=name: fleet.exit_code(name) is not None)
        assert fleet.stop(name) == {name: 0}
    left = [history[-1] for history in histories if history[-1]["type"] != "listing.deleted"]
    aftermath.check(2 * len(left))
    assert rows(engine, "SELECT DISTINCT title FROM listing WHERE deleted_at IS NULL") == [
        ("title 5",)
    ]
    assert rows(engine, "SELECT url FROM photo ORDER BY listing_id, position") == [
        (url,)
        for _, urls in sorted(
            (listing_id, urls)
            for external_id, urls in ((one["listing_id"], one["photos"]) for one in left)
            for [(listing_id,)] in [
                rows(engine, "SELECT id FROM listing WHERE external_id = :id", id=external_id)
            ]
        )
        for url in urls
    ]
    _assert_tombstones(engine, listings - len(left))


@pytest.mark.row("I19")
def test_listings_deleted_while_their_photos_are_in_work_are_gone(
    engine: Engine,
    fleet: Fleet,
    aftermath: Aftermath,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
) -> None:
    created = [
        one | {"occurred_at": _MOMENT.isoformat()} for one in events(photos * 20, origin.url)
    ]
    gone = [
        one
        | {
            "type": "listing.deleted",
            "event_id": f"gone {number}",
            "occurred_at": (_MOMENT + timedelta(minutes=1)).isoformat(),
        }
        for number, one in enumerate(created)
        if number % 2
    ]
    for name, published in (("created", created), ("gone", gone)):
        (tmp_path / name).write_text("\n".join(json.dumps(one) for one in published))
    fleet.environment["TAGGER_BATCH_PHOTOS"] = "16"
    _start(fleet)
    fleet.start("created", "produce", "created")
    held = _stop_in_work(engine, psutil.Process(fleet.pid("worker")))
    assert fleet.run("produce", "gone").returncode == 0
    for process in held:
        process.resume()
    aftermath.check(len(created) - len(gone))
    assert "batch.fenced_off" in fleet.log("worker")
    _assert_tombstones(engine, len(gone))
    # A late copy of what they were does not bring them back.
    assert fleet.run("produce", "created").returncode == 0
    aftermath.check(len(created) - len(gone))
    assert fleet.stop() == {"relay": 0, "worker": 0, "created": 0}
    assert_quiet(fleet, "relay", "worker", allowed=("batch.fenced_off",))


def _stop_in_work(engine: Engine, worker: psutil.Process) -> list[psutil.Process]:
    """Stops worker processes that hold photos, and no lock."""
    holds = """SELECT (SELECT count(*) > 1 FROM photo WHERE status = 'working'),
        (SELECT bool_and(state = 'idle') FROM pg_stat_activity
            WHERE application_name = 'tagger worker' AND datname = current_database())"""
    deadline = time.monotonic() + 30
    while True:
        assert time.monotonic() < deadline
        processes = worker.children()
        for process in processes:
            process.suspend()
        if rows(engine, holds) == [(True, True)]:
            return processes
        for process in processes:
            process.resume()
        time.sleep(0.01)


def _assert_tombstones(engine: Engine, deleted: int) -> None:
    """The last word of the feed on a deleted listing is that it is gone, and nothing is left."""
    [(listings,)] = rows(engine, "SELECT count(*) FROM listing WHERE deleted_at IS NOT NULL")
    assert listings == deleted
    assert (
        rows(
            engine,
            """SELECT listing.id FROM listing WHERE deleted_at IS NOT NULL AND (
                doc_version > 0 AND (SELECT document FROM search_feed WHERE listing_id = external_id
                    ORDER BY position DESC LIMIT 1) IS NOT NULL
                OR EXISTS (SELECT FROM photo WHERE listing_id = listing.id)
                OR EXISTS (SELECT FROM listing_tag WHERE listing_id = listing.id))""",
        )
        == []
    )
