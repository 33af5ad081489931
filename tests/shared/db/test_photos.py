"""A photo moves from state to state once, whoever asks and however often."""

import threading
from dataclasses import replace

from sqlalchemy import Engine, text

from shared.db import photos
from shared.domain.photo import Lane, Status
from shared.settings import Settings
from tests.marketplace import claim_all, event, record, register, rows, settle, tagged


def _queue(engine: Engine, lease_s: float = 60) -> list[int]:
    with engine.begin() as connection:
        return photos.mark_queued(connection, Lane.TAGGING, limit=100, lease_s=lease_s)


def _claim(engine: Engine, ids: list[int], lease_s: float = 60) -> list[photos.Claim]:
    with engine.begin() as connection:
        return photos.claim(connection, ids, lease_s=lease_s)


def _sweep(engine: Engine) -> tuple[int, int]:
    with engine.begin() as connection:
        return photos.sweep(connection, max_crashes=3, max_losses=5)


def _ten_photos(engine: Engine, settings: Settings) -> None:
    record(engine, settings, *(event(f"L{n}") for n in range(10)))


def test_a_due_photo_is_queued_once(engine: Engine, settings: Settings) -> None:
    _ten_photos(engine, settings)
    assert len(_queue(engine)) == 10
    assert _queue(engine) == []


def test_photos_are_queued_oldest_first(engine: Engine, settings: Settings) -> None:
    for name in ("first", "second", "third"):
        record(engine, settings, event(name, photos=[name]))
    ids = _queue(engine)
    assert rows(engine, "SELECT url FROM photo ORDER BY array_position(:ids, id)", ids=ids) == [
        ("first",),
        ("second",),
        ("third",),
    ]


def test_relays_at_once_share_the_photos(engine: Engine, settings: Settings) -> None:
    _ten_photos(engine, settings)
    taken: list[int] = []
    threads = [threading.Thread(target=lambda: taken.extend(_queue(engine))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 10


def test_a_message_that_comes_twice_is_claimed_once(engine: Engine, settings: Settings) -> None:
    _ten_photos(engine, settings)
    ids = _queue(engine)
    assert len(_claim(engine, ids * 2)) == 10
    assert _claim(engine, ids) == []


def test_a_forged_message_claims_nothing_that_was_not_rung_for(
    engine: Engine, settings: Settings
) -> None:
    _ten_photos(engine, settings)
    assert _claim(engine, [*range(1, 50)]) == []


def test_the_attempt_counts_from_the_claim(engine: Engine, settings: Settings) -> None:
    record(engine, settings, event())
    [claim] = claim_all(engine)
    assert claim.attempt == 1
    assert rows(engine, "SELECT attempt, status FROM photo") == [(1, "working")]


def test_a_photo_whose_message_was_lost_is_due_again(engine: Engine, settings: Settings) -> None:
    record(engine, settings, event())
    before = rows(engine, "SELECT due_at FROM photo")
    _queue(engine, lease_s=0)
    assert _sweep(engine) == (1, 0)
    assert rows(engine, "SELECT due_at FROM photo") == before, "it keeps its place"
    [claim] = claim_all(engine)
    assert claim.attempt == 1, "nobody tried, so no attempt was used"


def test_a_live_lease_is_left_alone(engine: Engine, settings: Settings) -> None:
    record(engine, settings, event("L1"), event("L2"))
    claim_all(engine)
    record(engine, settings, event("L3"))
    _queue(engine)
    assert _sweep(engine) == (0, 0)


def _crash(engine: Engine) -> None:
    """A worker claims all that is due, dies, and is seen to be dead."""
    claims = claim_all(engine, holder=7)
    with engine.begin() as connection:
        assert photos.take_back(connection, 7) == len(claims)


def _give_up(engine: Engine) -> int:
    most = {"max_crashes": 3, "max_losses": 5}
    with engine.begin() as connection:
        owners = photos.listings_to_give_up(connection, **most)
        assert photos.give_up(connection, owners, **most) == owners
    return len(owners)


def test_a_photo_whose_worker_died_twice_travels_alone_and_fails_the_third_time(
    engine: Engine, settings: Settings
) -> None:
    record(engine, settings, event())
    for crash, alone in ((1, False), (2, True)):
        _crash(engine)
        assert _sweep(engine) == (0, 1)
        assert rows(engine, "SELECT crashes, alone, lane, status FROM photo") == [
            (crash, alone, "slow", "pending")
        ]
    _crash(engine)
    assert _sweep(engine) == (0, 0)
    assert _give_up(engine) == 1
    assert rows(engine, "SELECT status, error_code, crashes FROM photo") == [
        ("failed", "crashed", 3)
    ]


def test_a_photo_that_was_lost_with_its_worker_gets_more_chances(
    engine: Engine, settings: Settings
) -> None:
    record(engine, settings, event())
    for _ in range(4):
        claim_all(engine, lease_s=0)
        assert _give_up(engine) == 0
        assert _sweep(engine) == (0, 1)
    assert rows(engine, "SELECT crashes, alone FROM photo") == [(4, True)]
    claim_all(engine, lease_s=0)
    assert _sweep(engine) == (0, 0)
    assert _give_up(engine) == 1


def test_only_what_a_dead_process_holds_is_taken_back_and_it_cannot_write(
    engine: Engine, settings: Settings
) -> None:
    record(engine, settings, event("L1"))
    with engine.begin() as connection:
        model_id = register(connection)
    [dead] = claim_all(engine, holder=7)
    record(engine, settings, event("L2"))
    [other] = claim_all(engine, holder=8)
    with engine.begin() as connection:
        assert photos.take_back(connection, 7) == 1
    assert settle(engine, tagged(dead, model_id, [0.9, 0.1])) == set()
    assert settle(engine, tagged(other, model_id, [0.9, 0.1])) == {other.id}
    assert _sweep(engine) == (0, 1)
    assert rows(engine, "SELECT status, holder FROM photo ORDER BY id") == [
        ("pending", None),
        ("tagged", None),
    ]


def test_before_its_last_chance_it_is_alone_however_few_there_are(
    engine: Engine, settings: Settings
) -> None:
    record(engine, settings, event())
    claim_all(engine, lease_s=0)
    with engine.begin() as connection:
        assert photos.sweep(connection, max_crashes=2, max_losses=5) == (0, 1)
    assert rows(engine, "SELECT crashes, alone FROM photo") == [(1, True)]


def test_a_suspect_is_never_claimed_together_with_others(
    engine: Engine, settings: Settings
) -> None:
    record(engine, settings, event("L1"))
    for _ in range(2):
        claim_all(engine, lease_s=0)
        _sweep(engine)
    record(engine, settings, event("L2"))
    with engine.begin() as connection:
        [suspect] = photos.mark_queued(connection, Lane.SLOW, alone=True, limit=9, lease_s=60)
    [other] = _queue(engine)
    with engine.connect() as connection:
        assert photos.is_suspect(connection, [suspect])
        assert not photos.is_suspect(connection, [other])
    assert [claim.id for claim in _claim(engine, [suspect, other])] == [other]


def test_a_suspect_stays_one_until_it_is_settled_for_good(
    engine: Engine, settings: Settings
) -> None:
    record(engine, settings, event())
    for _ in range(2):
        claim_all(engine, lease_s=0)
        _sweep(engine)
    [claim] = claim_all(engine)
    later = replace(tagged(claim, 0, []), status=Status.PENDING, scores=None, model_id=None)
    settle(engine, replace(later, error_code="too_slow"))
    assert rows(engine, "SELECT status, alone FROM photo") == [("pending", True)]


def test_a_worker_that_comes_back_after_its_lease_cannot_write(
    engine: Engine, settings: Settings
) -> None:
    record(engine, settings, event())
    with engine.begin() as connection:
        model_id = register(connection)
    [late] = claim_all(engine, lease_s=0)
    _sweep(engine)
    [current] = claim_all(engine)
    assert settle(engine, tagged(late, model_id, [0.9, 0.1])) == set()
    assert settle(engine, tagged(current, model_id, [0.1, 0.9])) == {current.id}
    assert settle(engine, tagged(current, model_id, [0.9, 0.1])) == set(), "and only once"
    assert rows(engine, "SELECT scores, token FROM photo") == [([0.1, 0.9], None)]


def test_a_photo_to_retry_waits_until_it_is_due(engine: Engine, settings: Settings) -> None:
    record(engine, settings, event())
    [claim] = claim_all(engine)
    later = replace(
        tagged(claim, 0, []),
        status=Status.PENDING,
        lane=Lane.SLOW,
        due_in_s=3600,
        error_code="too_slow",
        scores=None,
        model_id=None,
    )
    assert settle(engine, later) == {claim.id}
    assert _queue(engine) == []
    assert rows(engine, "SELECT lane, error_code, due_at > now() + interval '59 m' FROM photo") == [
        ("slow", "too_slow", True)
    ]
    with engine.begin() as connection:
        connection.execute(text("UPDATE photo SET due_at = now()"))
        assert len(photos.mark_queued(connection, Lane.SLOW, limit=9, lease_s=9)) == 1


def test_a_photo_rests_since_it_was_first_sent_back_and_until_it_was_tried(
    engine: Engine, settings: Settings
) -> None:
    record(engine, settings, event())
    # As if it had been in the queue for long: that is not its host's trouble.
    with engine.begin() as connection:
        connection.execute(text("UPDATE photo SET created_at = now() - interval '9 days'"))
    rested: list[float] = []
    for code in ("overdue", "host_resting", "overdue", "host_resting", "unreachable", "overdue"):
        [claim] = claim_all(engine)
        rested.append(claim.resting_s)
        back = replace(tagged(claim, 0, []), status=Status.PENDING, error_code=code, scores=None)
        assert settle(engine, replace(back, model_id=None)) == {claim.id}
        with engine.begin() as connection:
            connection.execute(
                text("UPDATE photo SET resting_since = resting_since - interval '1 h'")
            )
    hours = [round(seconds / 3600) for seconds in rested]
    assert hours == [0, 0, 1, 2, 3, 0]


def test_what_a_photo_showed_is_stored_whole(engine: Engine, settings: Settings) -> None:
    record(engine, settings, event())
    with engine.begin() as connection:
        model_id = register(connection)
    [claim] = claim_all(engine)
    settle(engine, tagged(claim, model_id, [0.75, 0.25]))
    assert rows(
        engine,
        """SELECT status, scores, model_id, encode(content_sha256, 'hex'), content_bytes, width,
            height, error_code, finished_at IS NOT NULL FROM photo""",
    ) == [("tagged", [0.75, 0.25], model_id, "ab" * 32, 1000, 100, 80, None, True)]
