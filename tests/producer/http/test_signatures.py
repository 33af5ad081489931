"""Signatures by the Standard Webhooks specification, held against its own library."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from producer.http.problems import RequestRefused
from producer.http.signatures import check_time, names, read_keys, read_seal, verify
from shared.errors import SetupError
from tests.marketplace import NOON
from tests.sender import OTHER_SECRET, SECRET, signature

_BODY = b'{"title": "Caf\xc3\xa9"}'


def _headers(**changes: str) -> list[tuple[bytes, bytes]]:
    headers = signature(_BODY, "msg_1", NOON) | {k.replace("_", "-"): v for k, v in changes.items()}
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def _check(headers: list[tuple[bytes, bytes]], body: bytes = _BODY, secrets: str = SECRET) -> None:
    verify(read_seal(headers), body, read_keys(secrets))


@given(st.text(alphabet=st.characters(codec="utf-8")), st.binary(min_size=24, max_size=64))
def test_what_the_reference_library_signs_is_accepted(text: str, key: bytes) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    body = json.dumps({"text": text}, ensure_ascii=False).encode()
    headers = signature(body, "msg_1", NOON, secret)
    _check([(k.encode(), v.encode()) for k, v in headers.items()], body, secret)


def test_our_keys_are_those_of_the_reference_library() -> None:
    assert read_keys(SECRET) == (Webhook(SECRET)._whsecret,)  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook_id": "msg_2"},
        {"webhook_timestamp": str(int(NOON.timestamp()) + 1)},
        {"webhook_signature": "v1,"},
        {"webhook_signature": "v1,not base64!"},
        {"webhook_signature": "v2," + signature(_BODY, "msg_1", NOON)["webhook-signature"][3:]},
        {"webhook_signature": signature(_BODY, "msg_1", NOON)["webhook-signature"][3:]},
        {"webhook_signature": signature(_BODY, "msg_1", NOON, OTHER_SECRET)["webhook-signature"]},
    ],
)
def test_a_signature_of_anything_else_is_none(changes: dict[str, str]) -> None:
    with pytest.raises(RequestRefused) as caught:
        _check(_headers(**changes))
    assert caught.value.kind == "bad_signature"


def test_a_changed_body_has_no_signature() -> None:
    with pytest.raises(RequestRefused) as caught:
        _check(_headers(), _BODY + b" ")
    assert caught.value.kind == "bad_signature"


def test_one_of_several_signatures_is_enough() -> None:
    ours = signature(_BODY, "msg_1", NOON)["webhook-signature"]
    other = signature(_BODY, "msg_1", NOON, OTHER_SECRET)["webhook-signature"]
    _check(_headers(webhook_signature=f"v1a,AAAA {other} {ours}"))


def test_the_keys_that_signed_are_told() -> None:
    keys = read_keys(f"{OTHER_SECRET} {SECRET}")
    ours = signature(_BODY, "msg_1", NOON)["webhook-signature"]
    other = signature(_BODY, "msg_1", NOON, OTHER_SECRET)["webhook-signature"]
    for signed, fitting in ((ours, keys[1:]), (other, keys[:1]), (f"{ours} {other}", keys)):
        seal = read_seal(_headers(webhook_signature=signed))
        assert tuple(verify(seal, _BODY, keys)) == fitting
    assert len(set(names(seal, keys))) == 2
    assert all(name.endswith(":msg_1") for name in names(seal, keys))


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook_id": ""},
        {"webhook_id": "x" * 201},
        {"webhook_id": "a b"},
        {"webhook_id": "a\x00"},
        {"webhook_timestamp": "1e9"},
        {"webhook_timestamp": "-1"},
        {"webhook_timestamp": "9" * 13},
        {"webhook_signature": " ".join(["v1,AAAA"] * 17)},
    ],
)
def test_headers_that_are_not_in_form_are_no_signature(changes: dict[str, str]) -> None:
    with pytest.raises(RequestRefused) as caught:
        read_seal(_headers(**changes))
    assert caught.value.kind == "unsigned"


def test_a_header_that_stands_twice_or_is_missing_is_no_signature() -> None:
    for headers in (_headers() + _headers()[:1], _headers()[1:], []):
        with pytest.raises(RequestRefused) as caught:
            read_seal(headers)
        assert caught.value.kind == "unsigned"


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_clocks_may_differ_by_five_minutes(seconds: int) -> None:
    check_time(read_seal(_headers()), NOON + timedelta(seconds=seconds), 300)


@pytest.mark.parametrize("seconds", [-301, 301, 10**6])
def test_a_signature_of_another_time_is_stale(seconds: int) -> None:
    with pytest.raises(RequestRefused) as caught:
        check_time(read_seal(_headers()), NOON + timedelta(seconds=seconds), 300)
    assert caught.value.kind == "stale_timestamp"


@pytest.mark.parametrize(
    "text",
    ["", "secret", SECRET[6:], "whsec_", "whsec_c2hvcnQ=", "whsec_!!!!", f"{SECRET} x"],
)
def test_a_key_that_is_not_in_form_is_refused_and_never_shown(text: str) -> None:
    with pytest.raises(SetupError, match="TAGGER_WEBHOOK_SECRETS: key ") as caught:
        read_keys(text)
    assert SECRET not in str(caught.value)
    assert "c2hvcnQ" not in str(caught.value)


def test_keys_stand_apart_by_white_space_or_commas() -> None:
    for separator in (" ", "\n", ",", ", ", "\r\n"):
        assert len(read_keys(f"{SECRET}{separator}{OTHER_SECRET}{separator}")) == 2


def test_signing_times_are_in_utc() -> None:
    assert (
        signature(b"", "x", datetime(2026, 1, 1, tzinfo=UTC))["webhook-timestamp"] == "1767225600"
    )
