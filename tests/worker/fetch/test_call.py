"""What a call owes its caller, and what is left when the caller has gone."""

import pytest

from shared.errors import NotFound
from worker.fetch.call import Call, Download


def _call(photos: int) -> Call[bytes]:
    call: Call[bytes] = Call(photos, deadline_s=1, stragglers_s=0.5, quick=None, now=0.0)
    for _ in range(photos):
        call.expect()
    return call


def _download(place: int) -> Download:
    return Download(b"photo", "http://example.com/p", 0.1, place)


def test_after_its_last_photo_a_call_has_nothing_more() -> None:
    call = _call(2)
    assert call.arrive(_download(0), quickly=True)
    call.end(1, NotFound())
    assert call.ended
    assert call.next() == _download(0)
    assert call.next() is None
    assert isinstance(call.results[1], NotFound)


def test_what_a_failed_calls_caller_did_not_take_can_still_be_counted_off() -> None:
    call = _call(3)
    call.arrive(_download(0), quickly=True)
    call.arrive(_download(1), quickly=True)
    call.fail(MemoryError())
    with pytest.raises(MemoryError):
        call.next()
    assert [download.place for download in call.drain()] == [1, 0]


def test_stragglers_are_the_last_tenth_half_a_second_after_the_others() -> None:
    call = _call(20)
    for place in range(17):
        call.end(place, NotFound())
    assert not call.waits_for_stragglers(99.0), "three of twenty are missing"
    call.end(17, NotFound())
    assert not call.waits_for_stragglers(0.2)
    assert not call.waits_for_stragglers(0.6)
    assert call.waits_for_stragglers(0.8)


def test_stragglers_of_a_slow_call_get_half_as_long_again() -> None:
    call = _call(10)
    for place in range(9):
        call.end(place, NotFound())
    assert not call.waits_for_stragglers(4.0)
    assert not call.waits_for_stragglers(5.9)
    assert call.waits_for_stragglers(6.1)
