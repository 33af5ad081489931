"""How fast photos come in, and from which hosts."""

import pytest

from worker.fetch.pace import Pace


def _at_a_pace(photos_per_s: int, *, seconds: float = 10) -> tuple[Pace, float]:
    pace = Pace()
    now = 0.0
    while now < seconds:
        for _ in range(photos_per_s // 10):
            pace.count("a")
        pace.look(now)
        now += 0.1
    return pace, now


def test_the_rate_is_that_of_the_answers() -> None:
    pace, _ = _at_a_pace(1000)
    assert pace.per_s == pytest.approx(1000, rel=0.01)


def test_it_follows_a_change_within_a_second() -> None:
    pace, now = _at_a_pace(1000)
    for tick in range(10):
        pace.look(now + tick / 10)
    assert pace.per_s < 10


def test_only_what_waits_for_hosts_that_answer_counts() -> None:
    pace, now = _at_a_pace(1000)
    assert pace.moving({"a": 100, "silent": 100_000}) == 100
    pace.look(now + 5)
    assert pace.moving({"a": 100}) == 0, "it has fallen silent"
