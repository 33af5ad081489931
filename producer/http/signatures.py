"""Signatures of requests by the Standard Webhooks specification 1.0 (pure).

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from producer.http.problems import BAD_SIGNATURE, STALE, UNSIGNED, RequestRefused
from shared.errors import SetupError

_PREFIX: Final = "whsec_"
#: The specification's bounds for a key.
_KEY_BYTES: Final = range(24, 65)
_ID: Final = re.compile(r"[!-~]{1,200}")
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")
#: A sender that rotates keys signs with two or three.
_MOST_SIGNATURES: Final = 16


@dataclass(frozen=True, slots=True)
class Seal:
    """What the three headers say, not yet believed."""

    id: str
    timestamp: int  #: Unix time, in seconds
    signatures: tuple[bytes, ...]  #: those of version 1


def read_keys(text: str) -> tuple[bytes, ...]:
    """The keys of a setting: `whsec_<base64>`, apart by white space or commas.

    Raises:
        SetupError: one is no such key. None is in the message.
    """
    keys: list[bytes] = []
    for number, word in enumerate(re.split(r"[\s,]+", text.strip(" \t\r\n,")), start=1):
        try:
            key = base64.b64decode(word.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not word.startswith(_PREFIX) or len(key) not in _KEY_BYTES:
            raise SetupError(
                f"TAGGER_WEBHOOK_SECRETS: key {number} is not {_PREFIX} and the base64 of"
                f" {_KEY_BYTES.start} to {_KEY_BYTES.stop - 1} bytes"
            )
        keys.append(key)
    return tuple(keys)


def read_seal(headers: Sequence[tuple[bytes, bytes]]) -> Seal:
    """The signature headers of a request; names in lower case.

    Raises:
        RequestRefused: one is missing, stands twice or is not in form (`UNSIGNED`).
    """
    id_, timestamp, signatures = (
        _only(headers, name) for name in (b"webhook-id", b"webhook-timestamp", b"webhook-signature")
    )
    if not _ID.fullmatch(id_):
        raise RequestRefused(UNSIGNED, "webhook-id is not 1 to 200 printable ASCII characters")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise RequestRefused(UNSIGNED, "webhook-timestamp is not Unix time in seconds")
    words = signatures.split(" ")
    if len(words) > _MOST_SIGNATURES:
        raise RequestRefused(UNSIGNED, f"more than {_MOST_SIGNATURES} signatures")
    return Seal(id_, int(timestamp), tuple(filter(None, map(_version_1, words))))


def verify(seal: Seal, body: bytes, keys: Sequence[bytes]) -> list[bytes]:
    """The keys that this body was signed with under this id and time: one at least.

    Raises:
        RequestRefused: it was signed with none (`BAD_SIGNATURE`).
    """
    signed = f"{seal.id}.{seal.timestamp}.".encode() + body
    fitting: list[bytes] = []
    for key in keys:
        expected = hmac.digest(key, signed, hashlib.sha256)
        # Every pair is compared: how long it takes tells nothing about which one fits.
        if sum([hmac.compare_digest(expected, given) for given in seal.signatures]):
            fitting.append(key)
    if not fitting:
        raise RequestRefused(BAD_SIGNATURE)
    return fitting


def names(seal: Seal, keys: Sequence[bytes]) -> tuple[str, ...]:
    """What a message is known by: its id among those of each key that it was signed with.

    Who holds one key can so take no id from those who sign with another. A message of several keys
    has all these names, since on its way somebody may have taken signatures off.
    """
    marks = (hmac.digest(key, b"webhook-id", hashlib.sha256).hex()[:16] for key in keys)
    return tuple(f"{mark}:{seal.id}" for mark in marks)


def check_time(seal: Seal, now: datetime, tolerance_s: float) -> None:
    """Whether the request was signed about now.

    Raises:
        RequestRefused: it was not (`STALE`).
    """
    if abs(now.timestamp() - seal.timestamp) > tolerance_s:
        raise RequestRefused(STALE, f"more than {tolerance_s:g} s from now")


def _only(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> str:
    values = [value for other, value in headers if other == name]
    if len(values) != 1:
        problem = "stands twice" if values else "is missing"
        raise RequestRefused(UNSIGNED, f"the header {name.decode()} {problem}")
    return values[0].decode("latin-1")


def _version_1(word: str) -> bytes | None:
    version, _, signature = word.partition(",")
    if version != "v1":
        return None
    try:
        return base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return None
