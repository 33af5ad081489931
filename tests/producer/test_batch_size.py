"""Messages grow while workers keep up and shrink where photos would wait too long."""

from hypothesis import given
from hypothesis import strategies as st

from producer.batch_size import BatchSize

IDS = list(range(10_000))


def _run(size: BatchSize, *, photos_per_s: float, depth: int = 16, seconds: float = 120) -> float:
    """Keeps a queue full for workers of a pace; returns how long the last messages waited."""
    waiting: list[int] = []
    sent_at: list[float] = []
    waited, owed, now = 0.0, 0.0, 0.0
    while now < seconds:
        size.look(len(waiting), now)
        room = depth - len(waiting)
        if room:
            due = IDS[: size.photos * room]
            size.more_is_due(now)
            batches = size.split(due, room, now)
            waiting += [len(batch) for batch in batches]
            sent_at += [now] * len(batches)
        owed += photos_per_s * 0.05
        while waiting and owed >= waiting[0]:
            owed -= waiting.pop(0)
            waited = now - sent_at.pop(0)
        now += 0.05
    return waited


def test_a_fast_pace_ends_at_the_largest_messages() -> None:
    size = BatchSize(most=256, patience_s=5)
    _run(size, photos_per_s=4000)
    assert size.photos == 256


def test_a_slow_pace_ends_at_messages_that_do_not_wait_longer_than_they_may() -> None:
    size = BatchSize(most=256, patience_s=5)
    _run(size, photos_per_s=4000)
    assert _run(size, photos_per_s=150) < 2 * 5
    assert size.photos < 256


def test_a_queue_that_nobody_reads_shrinks_messages_once() -> None:
    size = BatchSize(most=256, patience_s=5)
    first = size.photos
    size.split(IDS[: first * 4], 4, 0.0)
    for tick in range(10_000):
        size.look(4, tick / 10)
    assert size.photos == first // 2


def test_few_photos_are_spread_over_several_messages() -> None:
    size = BatchSize(most=256, patience_s=5)
    assert [len(ids) for ids in size.split(IDS[:320], 16, 0.0)] == [64] * 5
    assert [len(ids) for ids in size.split(IDS[:10], 16, 0.0)] == [10]
    assert size.split([], 16, 0.0) == []


@given(
    most=st.integers(1, 256), ids=st.integers(0, 5000), room=st.integers(0, 64), look=st.booleans()
)
def test_no_photo_is_left_out_and_no_message_too_large(
    most: int, ids: int, room: int, look: bool
) -> None:
    size = BatchSize(most=most, patience_s=5)
    if look:
        size.split([1], 1, 0.0)
        size.more_is_due(0.1)
    batches = size.split(IDS[:ids], room, 1.0)
    assert [id_ for batch in batches for id_ in batch] == IDS[:ids]
    assert all(0 < len(batch) <= most for batch in batches)
