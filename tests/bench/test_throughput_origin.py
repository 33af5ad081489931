"""The cheap origin, spoken to over real sockets."""

import http.client
import socket
import ssl
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bench.throughput.certificate import Certificate, make_certificate
from bench.throughput.origin import Origin
from bench.throughput.photos import PhotoSet
from shared.errors import SetupError
from shared.settings import PhotoLimits
from worker.fetch.call import Download
from worker.fetch.download import Downloader

BODIES = [b"a small one", bytes(range(256)) * 20_000]  # the second in more than one piece


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> PhotoSet:
    folder = tmp_path_factory.mktemp("photos")
    files = (Path("b c.jpg"), Path("a.jpg"))
    for file, body in zip(files, BODIES, strict=True):
        (folder / file).write_bytes(body)
    return PhotoSet("two", folder, files, 0, "thumbnail")


@pytest.fixture(scope="module")
def origin(photos: PhotoSet) -> Iterator[Origin]:
    with Origin(photos) as origin:
        yield origin


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    try:
        return make_certificate(tmp_path_factory.mktemp("tls"))
    except SetupError as error:
        pytest.skip(str(error))


def connect(origin: Origin) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(origin.url).netloc, timeout=10)


def get(connection: http.client.HTTPConnection, target: str, **headers: str) -> tuple[int, bytes]:
    connection.request("GET", target, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def fetch_and_close(url: str, context: ssl.SSLContext | None = None) -> bytes:
    """As the paper's way fetches."""
    with urllib.request.urlopen(url, timeout=10, context=context) as answer:  # noqa: S310
        return answer.read()


def test_it_serves_files_by_their_place_over_one_connection(origin: Origin) -> None:
    connection = connect(origin)
    for target, body in (("/0", BODIES[0]), ("/1?copy=7", BODIES[1]), ("/0?copy=1", BODIES[0])):
        assert get(connection, target) == (200, body)
    kept = connection.sock
    assert get(connection, "/2") == (404, b"")
    assert connection.sock is kept
    connection.close()


def test_it_hangs_up_when_asked_to(origin: Origin) -> None:
    connection = connect(origin)
    assert get(connection, "/1", Connection="close") == (200, BODIES[1])
    assert connection.sock.recv(1) == b""
    connection.close()
    assert fetch_and_close(f"{origin.url}/1") == BODIES[1]


def test_a_request_may_come_in_pieces_and_a_slow_reader_loses_nothing(origin: Origin) -> None:
    address = urlsplit(origin.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 15)
        client.sendall(b"GET /1 HTTP/1.1\r\n")
        time.sleep(0.05)
        client.sendall(b"Connection: close\r\n\r\n")
        time.sleep(0.05)
        told = b"".join(iter(lambda: client.recv(65536), b""))
    assert told.partition(b"\r\n\r\n")[2] == BODIES[1]


def test_who_hangs_up_or_sends_rubbish_hurts_nobody_else(origin: Origin) -> None:
    address = urlsplit(origin.url)
    for data in (b"", b"GET /1 HTTP/1.1\r\n\r\n", bytes(1 << 16)):
        with socket.create_connection((address.hostname, address.port), timeout=10) as client:
            client.sendall(data)
    assert get(connect(origin), "/0") == (200, BODIES[0])


def test_latency_delays_each_answer_and_not_the_sum_of_them(photos: PhotoSet) -> None:
    with Origin(photos, latency_ms=300) as origin:
        connections = [connect(origin) for _ in range(20)]
        started = time.monotonic()
        for connection in connections:
            connection.request("GET", "/0")
        for connection in connections:
            assert connection.getresponse().read() == BODIES[0]
        elapsed_s = time.monotonic() - started
    assert elapsed_s >= 0.3


def test_https_is_trusted_with_the_bundle_only_and_our_downloader_takes_it(
    photos: PhotoSet, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Origin(photos, certificate=certificate.served) as origin:
        assert origin.url.startswith("https://")
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            fetch_and_close(f"{origin.url}/0")
        context = ssl.create_default_context(cafile=str(certificate.trusted))
        assert fetch_and_close(f"{origin.url}/1", context) == BODIES[1]
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.trusted))
        port = urlsplit(origin.url).port
        limits = PhotoLimits(allow_private_hosts=True, allowed_ports=frozenset({port or 0}))
        downloader = Downloader(limits)
        urls = [f"{origin.url}/{n % 2}?copy={n}" for n in range(40)]
        found = downloader.fetch(urls, deadline_s=10)
        downloader.close()
    assert [one.body for one in found if isinstance(one, Download)] == BODIES * 20


def test_it_ends_with_who_started_it(photos: PhotoSet) -> None:
    with Origin(photos) as origin:
        url = origin.url
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=10)


def test_a_folder_without_its_files_is_told(tmp_path: Path) -> None:
    missing = PhotoSet("none", tmp_path, (Path("gone.jpg"),), 0, "mid")
    with pytest.raises(SetupError), Origin(missing):
        pass
