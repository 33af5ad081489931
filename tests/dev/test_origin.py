"""The loopback photo origin, spoken to over real sockets."""

import http.client
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dev.origin import Origin
from shared.errors import SetupError

PHOTO = bytes(range(256)) * 400


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    outside = tmp_path_factory.mktemp("origin")
    (outside / "secret.txt").write_text("secret")
    photos = outside / "photos"
    (photos / "deep").mkdir(parents=True)
    (photos / "one.jpg").write_bytes(PHOTO)
    (photos / "deep" / "two words.PNG").write_bytes(b"png")
    (photos / "unknown.xyz").write_bytes(b"?")
    (photos / "link.txt").symlink_to(outside / "secret.txt")
    (outside / "photos-too").mkdir()
    (outside / "photos-too" / "secret.txt").write_text("secret")
    return photos


@pytest.fixture(scope="module")
def origin(folder: Path) -> Iterator[Origin]:
    with Origin(folder) as origin:
        yield origin


def get(origin: Origin, target: str, method: str = "GET") -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(urlsplit(origin.url).netloc, timeout=5)
    try:
        connection.putrequest(method, target, skip_host=False)
        connection.endheaders()
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def say(origin: Origin, request: bytes) -> bytes:
    """All that comes back until the origin closes the connection."""
    address = urlsplit(origin.url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as client:
        client.sendall(request)
        return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.mark.parametrize(
    ("target", "body", "content_type"),
    [
        ("/one.jpg", PHOTO, "image/jpeg"),
        ("/one.jpg?size=large", PHOTO, "image/jpeg"),
        ("/deep/two%20words.PNG", b"png", "image/png"),
        ("/deep/../one.jpg", PHOTO, "image/jpeg"),
        ("/unknown.xyz", b"?", "application/octet-stream"),
    ],
)
def test_a_file_comes_with_its_length_and_type(
    origin: Origin, target: str, body: bytes, content_type: str
) -> None:
    response, received = get(origin, target)
    assert response.status == 200
    assert received == body
    assert response.headers["Content-Length"] == str(len(body))
    assert response.headers["Content-Type"] == content_type


def test_head_gives_the_headers_alone(origin: Origin) -> None:
    response, received = get(origin, "/one.jpg", "HEAD")
    assert (response.status, received) == (200, b"")
    assert response.headers["Content-Length"] == str(len(PHOTO))


@pytest.mark.parametrize(
    "target",
    [
        "/missing.jpg",
        "/",
        "/deep",
        "/../secret.txt",
        "/deep/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/%2E%2E%2Fsecret.txt",
        "/..%2fsecret.txt",
        "/../photos-too/secret.txt",
        "//etc/passwd",
        "/%2fetc/passwd",
        "///etc/passwd",
        "/link.txt",
        "/one.jpg%00",
        "/%ff.jpg",
        "/" + "x" * 5000,
        "one.jpg",
        "http://127.0.0.1/one.jpg",
        "*",
    ],
)
def test_nothing_else_is_found(origin: Origin, target: str) -> None:
    response, received = get(origin, target)
    assert response.status == 404
    assert b"secret" not in received


def test_a_connection_serves_request_after_request(origin: Origin) -> None:
    connection = http.client.HTTPConnection(urlsplit(origin.url).netloc, timeout=5)
    connection.connect()
    first = connection.sock
    for target, status in (("/one.jpg", 200), ("/missing", 404), ("/one.jpg", 200)):
        connection.request("GET", target)
        response = connection.getresponse()
        response.read()
        assert response.status == status
        assert connection.sock is first
    connection.close()


def test_pipelined_requests_are_answered_in_order(origin: Origin) -> None:
    one = b"GET /unknown.xyz HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /missing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = say(origin, one * 500 + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 500
    assert answer.rfind(b"HTTP/1.1 404") > answer.rfind(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /one.jpg\r\n\r\n", 400),
        (b"\x16\x03\x01\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000, 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 400),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\nConnection: close\r\n\r\n", 405),
        (b"GET /unknown.xyz HTTP/1.0\r\n\r\n", 200),
    ],
)
def test_what_it_does_not_speak_ends_the_connection(
    origin: Origin, request_bytes: bytes, status: int
) -> None:
    assert say(origin, request_bytes).startswith(f"HTTP/1.1 {status} ".encode())


def test_many_clients_are_served_at_once(origin: Origin) -> None:
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(get, [origin] * 200, ["/one.jpg"] * 200))
    assert all(body == PHOTO for _, body in answers)


def test_it_is_gone_after_its_block(folder: Path) -> None:
    with Origin(folder) as origin:
        address = urlsplit(origin.url)
        with socket.create_connection((address.hostname, address.port), timeout=5):
            pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.hostname, address.port), timeout=5)


def test_a_taken_port_or_a_missing_folder_is_refused(folder: Path, origin: Origin) -> None:
    port = urlsplit(origin.url).port
    assert port is not None
    with pytest.raises(SetupError, match="in use"), Origin(folder, port):
        pass
    with pytest.raises(SetupError, match="not a folder"), Origin(folder / "missing"):
        pass
