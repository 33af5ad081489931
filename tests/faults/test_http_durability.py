"""A 202 over HTTP is a promise: kills, stops and a Postgres that is away break none."""

import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.services import Services
from tests.marketplace import rows
from tests.sender import PATIENT, Sender, envelope, start_intake
from tests.settled import assert_quiet
from tests.waiting import wait_until


def test_an_answer_of_202_means_that_the_event_outlives_a_kill(
    fleet: Fleet, engine: Engine
) -> None:
    accepted: list[str] = []
    stop = threading.Event()
    sender = start_intake(fleet)

    def send(thread: int) -> None:
        for number in range(10_000):
            name = f"L{thread}-{number}"
            try:
                if sender.post(envelope(name)).status == 202:
                    accepted.append(name)
            except (OSError, HTTPException):
                time.sleep(0.05)
            if stop.is_set():
                return

    threads = [threading.Thread(target=send, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for aim in (60, 120, 180):
        wait_until(lambda aim=aim: len(accepted) >= aim)
        fleet.kill("intake")
        (fleet.folder / "intake.log").unlink()
        sender = start_intake(fleet)
    stop.set()
    for thread in threads:
        thread.join()
    known = {row[0] for row in rows(engine, "SELECT external_id FROM listing")}
    assert len(accepted) >= 180
    assert set(accepted) <= known


def test_sigterm_lets_what_was_accepted_finish_and_takes_nothing_more(
    fleet: Fleet, engine: Engine
) -> None:
    sender = start_intake(fleet, **PATIENT)
    with ThreadPoolExecutor(4) as pool:
        with engine.begin() as blocker:
            blocker.exec_driver_sql("LOCK TABLE listing")
            asked = [pool.submit(sender.post, envelope(f"L{n}")) for n in range(4)]
            wait_until(lambda: _waiting_for_locks(engine) > 0)
            os.kill(fleet.pid("intake"), signal.SIGTERM)
            wait_until(lambda: not _accepts(sender))
            assert not any(job.done() for job in asked), "202 comes after the commit"
        assert [job.result().status for job in asked] == [202] * 4
    assert fleet.stop("intake") == {"intake": 0}
    assert rows(engine, "SELECT count(*) FROM listing") == [(4,)]
    assert_quiet(fleet, "intake")


def test_while_postgres_is_away_events_are_asked_for_again(
    servers: Services, fleet: Fleet, engine: Engine
) -> None:
    sender = start_intake(fleet)
    engine.dispose()
    servers.postgres.stop(immediate=True)
    try:
        answer = sender.post(envelope())
        assert (answer.status, answer.code) == (503, "database_away")
        assert int(answer.headers["retry-after"]) > 0
        wait_until(lambda: sender.get("/readyz").status == 503)
        assert sender.get("/healthz").status == 200
    finally:
        servers.postgres.start()
    wait_until(lambda: sender.get("/readyz").status == 200)
    assert sender.post(envelope()).status == 202
    assert "Traceback" not in fleet.log("intake")


def test_while_postgres_is_silent_the_client_is_answered_and_may_send_again(
    fleet: Fleet, servers: Services, engine: Engine
) -> None:
    sender = start_intake(fleet, answer_deadline_s="2")
    servers.postgres.suspend()
    try:
        answer = sender.post(envelope())
        assert (answer.status, answer.code) == (503, "not_known")
        wait_until(lambda: sender.get("/readyz").status == 503)
    finally:
        servers.postgres.resume()
    assert sender.post(envelope()).status == 202
    assert rows(engine, "SELECT count(*) FROM listing") == [(1,)]


def _waiting_for_locks(engine: Engine) -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    [(count,)] = rows(engine, query)
    return count


def _accepts(sender: Sender) -> bool:
    try:
        socket.create_connection(sender.address, 5).close()
    except ConnectionRefusedError:
        return False
    return True
