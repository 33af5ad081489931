"""Nothing gets in over HTTP that should not, and what is refused leaves no trace."""

import json
import socket
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Engine

from dev.fleet import Fleet
from tests.marketplace import rows
from tests.sender import (
    BATCHED,
    OTHER_SECRET,
    PATIENT,
    SECRET,
    STRUCTURED,
    Answer,
    Sender,
    envelope,
    signature,
    start_intake,
    wait_until,
)
from tests.settled import assert_quiet

_STORED = """
    SELECT (SELECT count(*) FROM listing), (SELECT count(*) FROM photo),
        (SELECT count(*) FROM rejected_event), (SELECT count(*) FROM webhook_delivery),
        (SELECT count(*) FROM search_feed)
"""
_MIB = 1 << 20


@pytest.fixture
def nothing_gets_in(fleet: Fleet, engine: Engine) -> Generator[Sender]:
    """An intake that stored nothing when the test is over, lives, and takes a good event."""
    sender = start_intake(
        fleet,
        max_requests="4",
        header_deadline_s="3",
        body_deadline_s="3",
        max_connections="64",
        max_event_bytes=str(_MIB),
    )
    yield sender
    assert rows(engine, _STORED) == [(0, 0, 0, 0, 0)]
    assert sender.get("/healthz").status == 200
    assert sender.post(envelope()).json == {"recorded": 1, "unchanged": 0, "rejected": []}
    assert rows(engine, _STORED) == [(1, 1, 0, 1, 0)]
    assert fleet.stop("intake") == {"intake": 0}
    assert_quiet(fleet, "intake")
    assert SECRET.removeprefix("whsec_") not in fleet.log("intake")


@pytest.mark.row("I22")
def test_what_is_unsigned_or_wrongly_signed_is_refused(nothing_gets_in: Sender) -> None:
    for secret in (None, OTHER_SECRET):
        stranger = Sender(nothing_gets_in.url, secret)
        for body in (envelope(), [envelope(), 17]):
            assert stranger.post(body).status == 401
    body = json.dumps(envelope("L2")).encode()
    forged = signature(json.dumps(envelope()).encode(), "msg_1")
    answer = nothing_gets_in.request("POST", "/events", body, {"content-type": STRUCTURED} | forged)
    assert (answer.status, answer.code) == (401, "bad_signature")


@pytest.mark.row("I22")
def test_an_old_request_that_is_sent_again_is_refused(nothing_gets_in: Sender) -> None:
    for body in (envelope(), [envelope(), 17]):
        assert nothing_gets_in.post(body, at=timedelta(minutes=-6)).status == 409


@pytest.mark.row("I22")
def test_a_message_id_that_is_sent_again_with_other_content_is_refused(
    fleet: Fleet, engine: Engine
) -> None:
    one, other = start_intake(fleet, "one"), start_intake(fleet, "other")
    assert one.post(envelope(), webhook_id="msg_1").status == 202
    before = rows(engine, "SELECT * FROM listing, photo, webhook_delivery")
    for sender in (one, other):
        answer = sender.post(envelope("L2", title="other"), webhook_id="msg_1")
        assert (answer.status, answer.code) == (409, "replayed")
    assert rows(engine, "SELECT * FROM listing, photo, webhook_delivery") == before
    assert other.post(envelope(), webhook_id="msg_1").status == 202, "a retry is no replay"


@pytest.mark.row("I22")
def test_bodies_of_100_megabytes_are_refused_in_bounded_memory(
    nothing_gets_in: Sender, fleet: Fleet
) -> None:
    pid = fleet.pid("intake")
    before = _peak_bytes(pid)
    megabyte = b"x" * _MIB
    headers = {"content-type": STRUCTURED} | signature(b"", "msg_1")

    def declared() -> Answer:
        return nothing_gets_in.request(
            "POST", "/events", megabyte * 100, {**headers, "content-type": BATCHED}
        )

    def chunked() -> Answer:
        return _post_in_chunks(nothing_gets_in, headers, (megabyte for _ in range(100)))

    with ThreadPoolExecutor(4) as pool:
        for answer in [pool.submit(job) for job in (declared, chunked, chunked, chunked)]:
            assert answer.result().status == 413
    assert _peak_bytes(pid) - before < 32 * _MIB


@pytest.mark.row("I22")
def test_other_media_types_and_unknown_events_are_refused(nothing_gets_in: Sender) -> None:
    for content_type in ("text/plain", "application/json", "application/cloudevents+xml"):
        answer = nothing_gets_in.post(b"{}", content_type)
        assert (answer.status, answer.code) == (415, "media_type")
    assert nothing_gets_in.post(envelope(), content_encoding="gzip").status == 415
    for bad in (envelope(type="listing.sold"), envelope(time=None), envelope(data="x")):
        assert nothing_gets_in.post(bad).status == 422


@pytest.mark.row("I22")
def test_too_many_requests_at_once_are_asked_to_come_back(fleet: Fleet, engine: Engine) -> None:
    sender = start_intake(fleet, max_requests="4", **PATIENT)
    with ThreadPoolExecutor(24) as pool:
        with engine.begin() as blocker:
            blocker.exec_driver_sql("LOCK TABLE listing")
            asked = [pool.submit(sender.post, envelope(f"L{n}")) for n in range(24)]
            wait_until(lambda: sum(job.done() for job in asked) >= 20)
            refused = [job.result() for job in asked if job.done()]
            assert {answer.code for answer in refused} == {"too_many_requests"}
            assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
        taken = [job.result() for job in asked if job.result().status == 202]
    assert len(taken) == 24 - len(refused) == 4
    assert rows(engine, "SELECT count(*) FROM listing") == [(4,)]
    assert sender.post(envelope("again")).status == 202


@pytest.mark.row("I22")
def test_clients_that_drip_headers_or_bodies_are_cut_off_and_hold_nobody_up(
    nothing_gets_in: Sender, fleet: Fleet
) -> None:
    process = psutil.Process(fleet.pid("intake"))
    idle = process.num_fds()
    head = _head({"content-type": STRUCTURED, "content-length": "9999", **signature(b"", "m")})
    begins = [b"", b"POST /ev", head[:-2], head + b"{"] * 12
    with ThreadPoolExecutor(len(begins)) as pool:
        dripping = [pool.submit(_drip, nothing_gets_in, begin) for begin in begins]
        wait_until(lambda: process.num_fds() > idle)
        meanwhile = nothing_gets_in.post(envelope(type="listing.sold"))
        assert meanwhile.status == 422, "others are served"
        answers = [job.result() for job in dripping]
    assert sum(answer.startswith(b"HTTP/1.1 408 ") for answer in answers) == 12
    assert sum(answer == b"" for answer in answers) == 36
    wait_until(lambda: process.num_fds() <= idle)


@pytest.mark.row("I22")
def test_more_connections_than_allowed_are_closed_at_once(fleet: Fleet) -> None:
    sender = start_intake(fleet, max_connections="8", header_deadline_s="600")
    with ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(sender.address, 60)) for _ in range(8)
        ]
        for client in clients:
            client.sendall(b"GET /healthz HTTP/1.1\r\n")
        for _ in range(8):
            with socket.create_connection(sender.address, 60) as further:
                assert _said(further) == b""
        for client in clients:
            client.sendall(b"host: x\r\n\r\n")
            assert _said(client).startswith(b"HTTP/1.1 200 ")
    wait_until(lambda: _is_served(sender))


def test_without_keys_it_does_not_start_unless_on_loopback_and_told_to(fleet: Fleet) -> None:
    for environment, host in (
        ({}, "127.0.0.1"),
        ({"TAGGER_ALLOW_UNSIGNED_EVENTS": "true"}, "0.0.0.0"),  # noqa: S104  # refused
        ({"TAGGER_WEBHOOK_SECRETS": "whsec_c2hvcnQ="}, "127.0.0.1"),
    ):
        fleet.environment |= environment
        done = fleet.run("intake", "http", "--host", host, "--port", "0", timeout_s=60)
        assert done.returncode == 1
        assert b"setup_error" in done.stderr
        assert b"TAGGER_WEBHOOK_SECRETS" in done.stderr
        assert b"Traceback" not in done.stderr
        assert b"c2hvcnQ" not in done.stderr


def _peak_bytes(pid: int) -> int:
    """The most memory that the process ever had resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) << 10


def _head(headers: dict[str, str]) -> bytes:
    lines = ["POST /events HTTP/1.1", "host: x", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def _post_in_chunks(sender: Sender, headers: dict[str, str], body: Iterator[bytes]) -> Answer:
    """Sends a body without its length, and reads the answer once all is sent."""
    with socket.create_connection(sender.address, 60) as client:
        client.sendall(_head({**headers, "transfer-encoding": "chunked"}))
        for chunk in body:
            client.sendall(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        client.sendall(b"0\r\n\r\n")
        raw = _read_all(client)
    head, _, content = raw.partition(b"\r\n\r\n")
    return Answer(int(head.split()[1]), {}, content)


def _drip(sender: Sender, begin: bytes) -> bytes:
    """Sends a byte now and then until the server has had enough; returns what it said."""
    with socket.create_connection(sender.address, 30) as client:
        client.sendall(begin)
        client.settimeout(0.3)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                return client.recv(1 << 16)
            except TimeoutError:
                with suppress(OSError):  # the next read tells
                    client.sendall(b"a")
            except OSError:
                return b""
    raise AssertionError("it still listens")


def _said(client: socket.socket) -> bytes:
    try:
        return client.recv(1 << 16)
    except ConnectionResetError:
        return b""


def _is_served(sender: Sender) -> bool:
    try:
        return sender.post(envelope()).status == 202
    except OSError:
        return False


def _read_all(client: socket.socket) -> bytes:
    whole = bytearray()
    while chunk := client.recv(1 << 16):
        whole += chunk
    return bytes(whole)
