"""A listing has a look since it first had it, whatever becomes of its URLs and photo rows."""

from datetime import UTC, datetime

import pytest

from trust.fingerprints import successors

_EARLY, _LATE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
_LOOK, _NEAR, _OTHER = -0x0123456789ABCDEF, -0x0123456789ABCDEF ^ 0b1111, 77


@pytest.mark.parametrize(
    ("stored", "shown", "waiting", "expected"),
    [
        ({}, {_LOOK: _LATE}, False, {_LOOK: _LATE}),
        ({_LOOK: _EARLY}, {_LOOK: _LATE}, False, {_LOOK: _EARLY}),
        ({_LOOK: _LATE}, {_LOOK: _EARLY}, False, {_LOOK: _EARLY}),
        ({_LOOK: _EARLY}, {_NEAR: _LATE}, False, {_NEAR: _EARLY}),
        ({_LOOK: _EARLY}, {_OTHER: _LATE}, False, {_OTHER: _LATE}),
        ({_LOOK: _EARLY}, {_LOOK: _EARLY, _NEAR: _LATE}, False, {_LOOK: _EARLY, _NEAR: _LATE}),
        ({_LOOK: _EARLY}, {}, True, {_LOOK: _EARLY}),
        ({_LOOK: _EARLY}, {_NEAR: _LATE}, True, {_LOOK: _EARLY, _NEAR: _EARLY}),
        ({_LOOK: _EARLY}, {}, False, {}),
    ],
)
def test_what_takes_the_place_of_a_photo_has_been_there_since_then(
    stored: dict[int, datetime],
    shown: dict[int, datetime],
    waiting: bool,
    expected: dict[int, datetime],
) -> None:
    assert successors(stored, shown, waiting=waiting) == expected
