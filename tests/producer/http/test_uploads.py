"""Bodies are held within what all requests together may take."""

import json
import select
import socket

from sqlalchemy import Engine

from tests.marketplace import rows
from tests.producer.http.conftest import Serve
from tests.sender import BATCHED, Sender, envelope, signature
from tests.waiting import wait_until


def _begin(sender: Sender, body: bytes, sent: int) -> socket.socket:
    """Sends the headers of a request, and so many bytes of its body."""
    headers = {
        "host": "x",
        "content-type": BATCHED,
        "content-length": str(len(body)),
        "connection": "close",
        **signature(body, f"msg_{sent}"),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    client = socket.create_connection(sender.address, 30)
    client.sendall(f"POST /events HTTP/1.1\r\n{head}\r\n".encode() + body[:sent])
    return client


def _status(client: socket.socket) -> int:
    with client, client.makefile("rb") as answer:
        return int(answer.readline().split()[1])


def _answered(clients: list[socket.socket]) -> list[socket.socket]:
    return select.select(clients, [], [], 0)[0]


def _serve(serve: Serve, max_requests: int = 1) -> Sender:
    """An intake with room for so many large bodies, and no deadline that would make any."""
    return serve(
        max_requests=max_requests,
        max_event_bytes=1000,
        max_batch_bytes=300_000,
        body_deadline_s=600,
    )


_LARGE = json.dumps([envelope(title="x" * 600)] * 320).encode()


def test_bodies_that_arrive_at_once_share_their_room(serve: Serve, engine: Engine) -> None:
    assert 250_000 < len(_LARGE) < 300_000
    sender = _serve(serve, max_requests=2)
    clients = [_begin(sender, _LARGE, len(_LARGE) - 1) for _ in range(4)]
    wait_until(lambda: len(_answered(clients)) == 2)
    refused = _answered(clients)
    assert all(sender.get("/healthz").status == 200 for _ in range(5))
    for client in clients:
        if client not in refused:
            client.sendall(_LARGE[-1:])
    assert sorted(map(_status, clients)) == [202, 202, 429, 429]
    assert _status(_begin(sender, _LARGE, len(_LARGE))) == 202, "the room is given back"
    assert rows(engine, "SELECT external_id FROM listing") == [("L1",)]


def test_who_sends_a_large_body_and_never_ends_it_makes_way(serve: Serve) -> None:
    sender = _serve(serve)
    stalled = _begin(sender, _LARGE, len(_LARGE) - 1)
    for _ in range(30):  # meanwhile its bytes are read, in turn
        assert sender.get("/healthz").status == 200
    assert _status(_begin(sender, _LARGE, len(_LARGE))) == 202
    assert _status(stalled) == 429


def test_a_small_body_needs_no_room_however_slowly_it_comes(serve: Serve) -> None:
    sender = _serve(serve)
    small = json.dumps([envelope("L2")]).encode()
    slow = _begin(sender, small, len(small) - 1)
    large = [_begin(sender, _LARGE, len(_LARGE) - 1) for _ in range(2)]
    wait_until(lambda: bool(_answered(large)))
    slow.sendall(small[-1:])
    assert _status(slow) == 202
    for client in large:
        client.close()


def test_a_client_that_goes_away_gives_its_room_back(serve: Serve) -> None:
    sender = _serve(serve)
    for _ in range(5):
        _begin(sender, _LARGE, len(_LARGE) - 1).close()
    wait_until(lambda: _status(_begin(sender, _LARGE, len(_LARGE))) == 202)
