"""Requests are recorded together, each for itself, and answered after the commit."""

from collections.abc import Generator
from concurrent.futures import wait

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DataError

from producer.events import EventType, ListingEvent
from producer.http.problems import RequestRefused
from producer.http.recorder import THREADS, Delivery, Recorded, Recorder, Submission
from shared.db.session import make_engine
from shared.settings import Settings
from tests.marketplace import NOON, rows
from tests.waiting import wait_until

_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


@pytest.fixture
def recorder(settings: Settings) -> Generator[Recorder]:
    """A recorder with connections of its own."""
    patient = settings.model_copy(update={"lock_timeout_s": 100, "statement_timeout_s": 100})
    engine = make_engine(patient, role="intake", connections=THREADS)
    recorder = Recorder(engine, patient)
    yield recorder
    recorder.close()
    engine.dispose()


def _submission(
    listing: str = "L1", delivery: Delivery | None = None, title: str = ""
) -> Submission:
    event = ListingEvent(f"e {listing}", EventType.CREATED, NOON, listing, title, (), ())
    return Submission(delivery, [event], [])


def _held_up(recorder: Recorder, engine: Engine, *submissions: Submission) -> None:
    """Submits while every thread waits for a lock, so that the rest is recorded together."""
    with engine.begin() as blocker:
        blocker.exec_driver_sql("LOCK TABLE listing")
        first = [_submission(f"first-{number}") for number in range(THREADS)]
        for number, submission in enumerate(first, start=1):
            recorder.submit(submission)
            wait_until(lambda number=number: rows(engine, _WAITING) == [(number,)])
        for submission in submissions:
            recorder.submit(submission)
        assert not any(submission.outcome.done() for submission in [*first, *submissions])
    wait([submission.outcome for submission in [*first, *submissions]], timeout=60)


def test_requests_that_wait_are_recorded_in_one_transaction(
    recorder: Recorder, engine: Engine
) -> None:
    many = [_submission(f"L{number}") for number in range(20)]
    _held_up(recorder, engine, *many)
    assert {submission.outcome.result() for submission in many} == {Recorded(1, 0)}
    query = "SELECT count(*), count(DISTINCT xmin::text) FROM listing WHERE external_id LIKE 'L%'"
    assert rows(engine, query) == [(20, 1)]


def test_the_same_event_in_two_requests_counts_once(recorder: Recorder, engine: Engine) -> None:
    first, second = _submission(), _submission()
    _held_up(recorder, engine, first, second)
    assert first.outcome.result() == Recorded(1, 0)
    assert second.outcome.result() == Recorded(0, 1)


def test_of_two_contents_under_one_id_the_first_is_taken(
    recorder: Recorder, engine: Engine
) -> None:
    first, retry, other = (
        _submission("L1", Delivery(["msg_1"], b"a")),
        _submission("L1", Delivery(["msg_1"], b"a")),
        _submission("L2", Delivery(["msg_1"], b"b")),
    )
    _held_up(recorder, engine, first, retry, other)
    assert first.outcome.result() == Recorded(1, 0)
    assert retry.outcome.result() == Recorded(0, 1)
    with pytest.raises(RequestRefused) as caught:
        other.outcome.result()
    assert caught.value.kind == "replayed"
    assert rows(engine, "SELECT external_id FROM listing WHERE external_id LIKE 'L%'") == [("L1",)]


def test_a_request_that_the_database_refuses_fails_alone(
    recorder: Recorder, engine: Engine
) -> None:
    bad = _submission("L2", title="no \0 in Postgres")
    good = [_submission("L1"), _submission("L3")]
    _held_up(recorder, engine, good[0], bad, good[1])
    assert [submission.outcome.result() for submission in good] == [Recorded(1, 0)] * 2
    assert isinstance(bad.outcome.exception(), DataError)


def test_closing_waits_until_all_is_recorded(settings: Settings, engine: Engine) -> None:
    recorder = Recorder(engine, settings)
    many = [_submission(f"L{number}") for number in range(200)]
    for submission in many:
        recorder.submit(submission)
    recorder.close()
    assert all(submission.outcome.done() for submission in many)
    assert rows(engine, "SELECT count(*) FROM listing") == [(200,)]
