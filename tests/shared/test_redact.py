"""Texts for logs lose their secrets and keep the rest."""

import pytest

from shared.redact import redacted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://cdn.test/a.jpg?X-Amz-Signature=hush&b=(c),d", "https://cdn.test/a.jpg?***"),
        ("'http://cdn.test?hush' HTTP://CDN.test/#hush.", "'http://cdn.test?***' HTTP://CDN.test/?***"),
        ("redis://me:hu%40sh@valkey:6379/0 is away", "redis://me:***@valkey:6379/0 is away"),
        ("amqp://:hush@valkey", "amqp://:***@valkey"),
        ("https://me:hush@cdn.test/a?hush", "https://me:***@cdn.test/a?***"),
        ("https://cdn.test/a.jpg is gone; why?", "https://cdn.test/a.jpg is gone; why?"),
        ("12:30 me@cdn.test: a ratio of 3:4", "12:30 me@cdn.test: a ratio of 3:4"),
        (
            'new row breaks "ck"\nDETAIL:  Failing row contains (1, hush\n, hush).\n\n[SQL: x]',
            'new row breaks "ck"\n[SQL: x]',
        ),
        (
            "bad row\nDETAIL:  hush\n\n\nThe above exception was\nmore\nDETAIL:  hush\n",
            "bad row\n\nThe above exception was\nmore",
        ),
        ("DETAIL is a word", "DETAIL is a word"),
    ],
)  # fmt: skip
def test_what_is_secret_is_replaced_and_the_rest_is_kept(text: str, expected: str) -> None:
    assert redacted(text) == expected


def test_texts_within_are_looked_at_too() -> None:
    value = {"a": ["http://x.test/?hush", 1], "b": ("http://x.test/?hush", None), "c": 2.5}
    assert redacted(value) == {
        "a": ["http://x.test/?***", 1],
        "b": ["http://x.test/?***", None],
        "c": 2.5,
    }


def test_long_texts_take_no_time() -> None:
    for piece in ("http://", "a://b:", "\nDETAIL: ", "x://@:", "http://?"):
        assert redacted(piece * 100_000) is not None
