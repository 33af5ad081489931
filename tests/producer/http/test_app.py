"""Events come in over HTTP by the three modes, and whatever is refused is refused for a reason."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from producer.http.problems import MEDIA_TYPE
from shared.settings import Settings
from tests.marketplace import event, record, rows
from tests.producer.http.conftest import Serve
from tests.sender import (
    BATCHED,
    OTHER_SECRET,
    SECRET,
    STRUCTURED,
    Answer,
    Sender,
    envelope,
    signature,
)
from tests.waiting import wait_until

_LISTINGS = "SELECT external_id, title, event_id FROM listing ORDER BY 1"
_STORED = """
    SELECT (SELECT count(*) FROM listing) + (SELECT count(*) FROM photo)
        + (SELECT count(*) FROM rejected_event) + (SELECT count(*) FROM webhook_delivery)
        + (SELECT count(*) FROM search_feed)
"""
BINARY: dict[str, Any] = {
    "ce_specversion": "1.0",
    "ce_type": "listing.created",
    "ce_source": "https://shop.test",
    "ce_id": "e-1",
    "ce_time": "2026-01-01T12:00:00Z",
    "ce_subject": "L1",
}
_DATA = json.dumps(envelope()["data"]).encode()


def test_an_event_in_structured_mode_is_recorded(serve: Serve, engine: Engine) -> None:
    answer = serve().post(envelope(title="Canon"))
    assert (answer.status, answer.json) == (202, {"recorded": 1, "unchanged": 0, "rejected": []})
    assert rows(engine, _LISTINGS) == [("L1", "Canon", "https://shop.test E-L1-0")]
    assert rows(engine, "SELECT url, status, lane FROM photo") == [
        ("http://origin.test/L1/0.jpg", "pending", "tagging")
    ]


@pytest.mark.parametrize("content_type", ["application/json", "application/vnd.shop+json", None])
def test_an_event_in_binary_mode_is_recorded(
    serve: Serve, engine: Engine, content_type: str | None
) -> None:
    sender = serve(allow_unsigned_attributes=True)
    assert sender.post(_DATA, content_type, **BINARY).status == 202
    assert rows(engine, _LISTINGS) == [("L1", "A camera", "https://shop.test e-1")]


def test_a_deletion_in_binary_mode_needs_no_body(serve: Serve, engine: Engine) -> None:
    sender = serve(allow_unsigned_attributes=True)
    gone: dict[str, Any] = BINARY | {"ce_type": "listing.deleted"}
    assert sender.post(b"", None, **gone).status == 202
    assert rows(engine, "SELECT external_id, deleted_at IS NOT NULL FROM listing") == [("L1", True)]


def test_the_good_events_of_a_batch_are_recorded_and_the_others_kept_with_reasons(
    serve: Serve, engine: Engine
) -> None:
    batch = [
        envelope("L1"),
        envelope("L2", type="listing.sold"),
        envelope("L1"),
        17,
        envelope("L3", data={"photos": "x"}),
    ]
    answer = serve().post(batch, webhook_id="msg_batch")
    assert answer.status == 202
    assert (answer.json["recorded"], answer.json["unchanged"]) == (1, 1)
    assert [(item["index"], item["code"]) for item in answer.json["rejected"]] == [
        (1, "unknown_type"),
        (3, "not_an_object"),
        (4, "wrong_type"),
    ]
    assert rows(engine, "SELECT code, source, line FROM rejected_event ORDER BY source") == [
        ("unknown_type", "http:msg_batch:1", json.dumps(batch[1])),
        ("not_an_object", "http:msg_batch:3", "17"),
        ("wrong_type", "http:msg_batch:4", json.dumps(batch[4])),
    ]
    assert [item["reason"] for item in answer.json["rejected"]] == [
        row[0] for row in rows(engine, "SELECT reason FROM rejected_event ORDER BY source")
    ]


def test_an_empty_batch_is_taken(serve: Serve) -> None:
    assert serve().post([]).json == {"recorded": 0, "unchanged": 0, "rejected": []}


def test_an_event_that_is_known_or_older_is_answered_as_unchanged(serve: Serve) -> None:
    sender = serve()
    assert sender.post(envelope(minute=5)).json["recorded"] == 1
    for minute in (5, 1):
        again = sender.post(envelope(minute=minute))
        assert (again.status, again.json["unchanged"]) == (202, 1)


def test_events_of_two_sources_may_have_the_same_id(serve: Serve, engine: Engine) -> None:
    sender = serve()
    for source in ("https://a.test", "https://b.test"):
        assert sender.post(envelope(source=source, title=source)).json["recorded"] == 1
    assert rows(engine, _LISTINGS) == [("L1", "https://b.test", "https://b.test E-L1-0")]


def test_a_retry_of_a_message_is_taken_again(serve: Serve, engine: Engine) -> None:
    sender = serve()
    first = sender.post(envelope(), webhook_id="msg_retry", at=timedelta(seconds=-60))
    assert first.status == 202
    again = sender.post(envelope(), webhook_id="msg_retry")
    assert (again.status, again.json["unchanged"]) == (202, 1)
    query = "SELECT split_part(webhook_id, ':', 2) FROM webhook_delivery"
    assert rows(engine, query) == [("msg_retry",)]


def test_other_content_under_the_same_message_id_is_a_replay(serve: Serve, engine: Engine) -> None:
    sender = serve()
    assert sender.post(envelope("L1"), webhook_id="msg_1").status == 202
    for attempt in (envelope("L2"), [envelope("L2"), 17]):
        assert _refused(sender.post(attempt, webhook_id="msg_1")) == (409, "replayed")
    assert rows(engine, "SELECT external_id FROM listing") == [("L1",)]
    assert rows(engine, "SELECT count(*) FROM rejected_event") == [(0,)]


def test_a_replay_with_other_attributes_in_its_headers_is_a_replay(
    serve: Serve, engine: Engine
) -> None:
    sender = serve(allow_unsigned_attributes=True)
    assert sender.post(_DATA, webhook_id="msg_1", **BINARY).status == 202
    gone: dict[str, Any] = BINARY | {
        "ce_type": "listing.deleted",
        "ce_time": "2026-01-02T00:00:00Z",
    }
    assert _refused(sender.post(_DATA, webhook_id="msg_1", **gone)) == (409, "replayed")
    assert rows(engine, "SELECT deleted_at FROM listing") == [(None,)]


def test_who_holds_one_key_takes_no_id_from_those_who_hold_another(serve: Serve) -> None:
    sender = serve(webhook_secrets=SecretStr(f"{SECRET} {OTHER_SECRET}"))
    other = Sender(sender.url, OTHER_SECRET)
    assert other.post(envelope("L1"), webhook_id="msg_1").status == 202
    assert sender.post(envelope("L2"), webhook_id="msg_1").status == 202
    assert _refused(other.post(envelope("L2"), webhook_id="msg_1")) == (409, "replayed")


@pytest.mark.parametrize("kept", [SECRET, OTHER_SECRET])
def test_a_message_of_two_keys_is_a_replay_under_each_of_them(serve: Serve, kept: str) -> None:
    sender = serve(
        webhook_secrets=SecretStr(f"{SECRET} {OTHER_SECRET}"), allow_unsigned_attributes=True
    )
    both = [
        signature(_DATA, "msg_1", None, key)["webhook-signature"] for key in (SECRET, OTHER_SECRET)
    ]
    first = sender.post(_DATA, webhook_id="msg_1", webhook_signature=" ".join(both), **BINARY)
    assert first.status == 202
    gone: dict[str, Any] = BINARY | {
        "ce_type": "listing.deleted",
        "ce_time": "2026-01-02T00:00:00Z",
    }
    answer = Sender(sender.url, kept).post(_DATA, webhook_id="msg_1", **gone)
    assert _refused(answer) == (409, "replayed")


def test_two_intakes_agree_on_what_is_a_replay(serve: Serve) -> None:
    one, other = serve(), serve()
    assert one.post(envelope("L1"), webhook_id="msg_1").status == 202
    assert _refused(other.post(envelope("L2"), webhook_id="msg_1")) == (409, "replayed")


def test_a_message_that_was_refused_may_be_corrected_under_its_id(serve: Serve) -> None:
    sender = serve()
    assert sender.post(envelope(time=None), webhook_id="msg_1").status == 422
    assert sender.post(envelope(), webhook_id="msg_1").status == 202


@pytest.mark.parametrize("position", [0, 1])
def test_any_of_several_keys_is_accepted_while_keys_are_rotated(
    serve: Serve, position: int
) -> None:
    both = f"{OTHER_SECRET} {SECRET}\n" if position else f"{SECRET},{OTHER_SECRET}"
    sender = serve(webhook_secrets=SecretStr(both))
    for secret in (SECRET, OTHER_SECRET):
        assert Sender(sender.url, secret).post(envelope()).status == 202


def test_without_keys_loopback_may_send_unsigned_events(serve: Serve) -> None:
    sender = serve(webhook_secrets=None, allow_unsigned_events=True)
    assert Sender(sender.url, secret=None).post(_DATA, **BINARY).status == 202


_OLD, _AHEAD = timedelta(minutes=-6), timedelta(minutes=6)
_NESTED = b'{"specversion": "1.0", "x": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"


@pytest.mark.parametrize(
    ("body", "changes", "status", "code"),
    [
        (envelope(), {"webhook_signature": None}, 401, "unsigned"),
        (envelope(), {"webhook_id": "", "webhook_signature": None}, 401, "unsigned"),
        (envelope(), {"webhook_timestamp": None}, 401, "unsigned"),
        (envelope(), {"webhook_timestamp": "nan"}, 401, "unsigned"),
        (envelope(), {"webhook_signature": "v1,AAAA"}, 401, "bad_signature"),
        (envelope(), {"webhook_signature": "v1a,AAAA"}, 401, "bad_signature"),
        (b"x", {}, 415, "media_type"),
        (b"{}", {"content_type": "application/json"}, 415, "media_type"),
        (b"{}", {"content_type": "text/plain"}, 415, "media_type"),
        (b"{}", {"content_type": "application/cloudevents+avro"}, 415, "media_type"),
        (b"{}", {"content_type": STRUCTURED + "; charset=utf-16"}, 415, "media_type"),
        (envelope(), {"content_encoding": "gzip"}, 415, "media_type"),
        (_DATA, BINARY, 415, "unsigned_attributes"),
        (envelope(), {"at": _OLD}, 409, "stale_timestamp"),
        (envelope(), {"at": _AHEAD}, 409, "stale_timestamp"),
        (envelope(title="x" * 5000), {}, 413, "body_too_large"),
        ([envelope()] * 9, {}, 413, "too_many_events"),
        (envelope(type="listing.sold"), {}, 422, "unknown_type"),
        (envelope(specversion="0.3"), {}, 422, "unknown_version"),
        (envelope(time=None), {}, 422, "missing_field"),
        (envelope(subject="L2", data={"listing_id": "L1"}), {}, 422, "contradiction"),
        (b"{", {"content_type": STRUCTURED}, 422, "not_json"),
        (b'{"id": NaN}', {"content_type": STRUCTURED}, 422, "not_json"),
        (b'{"id": "a", "id": "b"}', {"content_type": STRUCTURED}, 422, "not_json"),
        (b"\xff", {"content_type": STRUCTURED}, 422, "not_utf8"),
        (b"[]", {"content_type": STRUCTURED}, 422, "not_an_object"),
        (b"{}", {"content_type": BATCHED}, 422, "not_an_array"),
        (b"[{]", {"content_type": BATCHED}, 422, "not_json"),
    ],
)
def test_a_request_is_refused_with_its_reason_and_nothing_is_stored(
    serve: Serve, engine: Engine, body: Any, changes: dict[str, Any], status: int, code: str
) -> None:
    sender = serve(max_event_bytes=4000, max_batch_bytes=20_000, intake_batch_events=8)
    answer = sender.post(body, **{"content_type": None} | changes)
    assert _refused(answer) == (status, code)
    assert answer.json["title"]
    assert answer.json["way_out"]
    assert rows(engine, _STORED) == [(0,)]
    assert sender.post(envelope()).status == 202, "the next one is taken"


def test_json_that_is_nested_without_end_is_refused(serve: Serve, engine: Engine) -> None:
    sender = serve()
    assert _refused(sender.post(_NESTED, STRUCTURED)) == (422, "not_json")
    for depth in range(900, 1000, 7):
        body = b"[" * depth + b"]" * depth
        assert sender.post(body, BATCHED).status in (202, 422)
    assert sender.post(envelope()).status == 202
    assert rows(engine, "SELECT count(*) FROM listing") == [(1,)]


def test_a_full_queue_asks_to_come_back_later_until_it_is_shorter(
    serve: Serve, engine: Engine, settings: Settings
) -> None:
    sender = serve(max_photos_waiting=3)
    record(engine, settings, event("L9", photos=[f"http://a/{n}" for n in range(4)]))
    answer = _wait_for(429, lambda: sender.post(envelope(photos=[])))
    assert answer.code == "queue_full"
    assert int(answer.headers["retry-after"]) > 0
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE photo SET lane = 'backfill'")
    _wait_for(202, lambda: sender.post(envelope(photos=[])))


def test_other_paths_and_methods_are_refused_in_the_same_form(serve: Serve) -> None:
    sender = serve()
    assert _refused(sender.get("/nowhere")) == (404, "not_found")
    answer = sender.get("/events")
    assert _refused(answer) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


def test_it_says_that_it_lives_that_it_is_ready_and_what_it_takes(serve: Serve) -> None:
    sender = serve()
    assert sender.get("/healthz").json == {"status": "alive"}
    assert sender.get("/readyz").json == {"status": "ready"}
    described = sender.get("/openapi.json").json["paths"]["/events"]["post"]
    assert set(described["requestBody"]["content"]) == {STRUCTURED, BATCHED, "application/json"}
    assert {"202", "401", "409", "413", "415", "422", "429", "503"} <= set(described["responses"])
    assert MEDIA_TYPE in described["responses"]["422"]["content"]
    example = described["requestBody"]["content"][STRUCTURED]["example"]
    assert sender.post(example).status == 202
    assert sender.get("/docs").status == 200


def test_what_nobody_thought_of_is_answered_in_the_same_form(serve: Serve, engine: Engine) -> None:
    sender = serve()
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE listing ADD CHECK (title <> 'odd')")
    for body in (envelope(title="odd"), [envelope("L2"), envelope(title="odd")]):
        assert _refused(sender.post(body)) == (500, "unexpected")
    assert rows(engine, _STORED) == [(0,)]
    assert sender.post(envelope()).status == 202


def test_a_schema_that_is_missing_is_named(serve: Serve, engine: Engine) -> None:
    sender = serve()
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE webhook_delivery RENAME TO away")
    assert _refused(sender.post(envelope())) == (503, "database_away")
    answer = _wait_for(503, lambda: sender.get("/readyz"))
    assert "tagger migrate" in answer.json["detail"]
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO webhook_delivery")
    assert sender.post(envelope()).status == 202
    _wait_for(200, lambda: sender.get("/readyz"))


def _wait_for(status: int, ask: Callable[[], Answer]) -> Answer:
    def asked() -> Answer | None:
        answer = ask()
        return answer if answer.status == status else None

    answer = wait_until(asked)
    assert answer
    return answer


def _refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code
