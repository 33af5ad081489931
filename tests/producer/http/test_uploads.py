"""Bodies are held within what all requests together may take."""

import json
import socket

from sqlalchemy import Engine

from tests.marketplace import rows
from tests.producer.http.conftest import Serve
from tests.sender import BATCHED, Sender, envelope, signature, wait_until


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


def test_bodies_that_arrive_at_once_share_their_room(serve: Serve, engine: Engine) -> None:
    sender = serve(max_requests=1, max_event_bytes=1000, max_batch_bytes=100_000)
    large = json.dumps([envelope(title="x" * 600)] * 80).encode()
    assert 60_000 < len(large) < 100_000
    first = _begin(sender, large, len(large) - 1)
    for _ in range(5):
        assert sender.get("/healthz").status == 200, "meanwhile what was sent is read"
    assert _status(_begin(sender, large, len(large))) == 429
    assert sender.post([envelope("L2")]).status == 202
    first.sendall(large[-1:])
    assert _status(first) == 202
    assert _status(_begin(sender, large, len(large))) == 202, "the room is given back"
    assert rows(engine, "SELECT external_id FROM listing ORDER BY 1") == [("L1",), ("L2",)]


def test_a_client_that_goes_away_gives_its_room_back(serve: Serve) -> None:
    sender = serve(max_requests=1, max_event_bytes=1000, max_batch_bytes=100_000)
    large = json.dumps([envelope(title="x" * 600)] * 80).encode()
    for _ in range(5):
        _begin(sender, large, len(large) - 1).close()
    wait_until(lambda: _status(_begin(sender, large, len(large))) == 202)
