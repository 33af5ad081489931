"""What an answer may not do beyond being an answer: steer later requests, or unpack itself."""

import gzip
import socket
from collections.abc import Iterator

import pytest

from shared.errors import BadResponse, FetchError
from tests.origins import Behaviour, Origin, answer, raw
from tests.worker.fetch.fetching import make_settings
from worker.fetch.call import Download
from worker.fetch.download import Downloader

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as running:
        yield running


@pytest.fixture
def downloader(origin: Origin) -> Iterator[Downloader]:
    opened = Downloader(make_settings(origin.port))
    yield opened
    opened.close()


def _fetch(downloader: Downloader, url: str) -> Download | FetchError:
    [result] = downloader.fetch([url], deadline_s=5)
    return result


def test_no_header_moves_later_requests_to_another_host_or_scheme(
    origin: Origin, downloader: Downloader
) -> None:
    with Origin(address="127.0.0.2") as other:
        headers = {
            "Alt-Svc": f'h3="127.0.0.2:{other.port}", http/1.1="127.0.0.2:{other.port}"; persist=1',
            "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
            "Refresh": f"0; url=http://127.0.0.2:{other.port}/",
            "Content-Location": f"http://127.0.0.2:{other.port}/",
            "Set-Cookie": "session=1",
        }
        urls = [
            origin.serve(f"/{n}", answer(200, b"photo", headers=headers | close))
            for n, close in enumerate([{}, {"Connection": "close"}, {}])
        ]
        named = [url.replace("127.0.0.1", "localhost") for url in urls]
        for url in [*urls, *named]:
            assert isinstance(_fetch(downloader, url), Download)
        assert len(origin.requests) == 6
        assert other.accepted == 0


def test_an_answer_that_nobody_asked_for_is_no_later_photo(
    origin: Origin, downloader: Downloader
) -> None:
    forged = OK + b"Content-Length: 6\r\n\r\nforged"
    twice = raw(OK + b"Content-Length: 5\r\n\r\nfirst" + forged, keep=True)
    for n in range(4):
        first = _fetch(downloader, origin.serve(f"/twice{n}", twice))
        second = _fetch(downloader, origin.serve(f"/second{n}", answer(200, b"second")))
        assert isinstance(first, Download)
        assert first.body == b"first"
        assert isinstance(second, Download)
        assert second.body == b"second"


def test_a_trailer_changes_neither_status_nor_place(origin: Origin, downloader: Downloader) -> None:
    behaviour = raw(
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nphoto\r\n0\r\n"
        b"HTTP/1.1 302 Found: x\r\nLocation: /elsewhere\r\nContent-Encoding: gzip\r\n\r\n"
    )
    result = _fetch(downloader, origin.serve("/p", behaviour))
    assert isinstance(result, Download)
    assert result.body == b"photo"
    assert len(origin.requests) == 1


def _chunked(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"gzip", b"deflate, gzip, chunked"])
def test_a_transfer_coding_that_nobody_asked_for_is_not_unpacked(
    origin: Origin, downloader: Downloader, coding: bytes
) -> None:
    bomb = gzip.compress(bytes(64 << 20))
    head = OK + b"Transfer-Encoding: " + coding + b"\r\n\r\n"
    body = _chunked(bomb) if coding.endswith(b"chunked") else bomb
    result = _fetch(downloader, origin.serve("/p", raw(head + body)))
    assert isinstance(result, FetchError) or result.body == bomb
    assert not isinstance(result, Download) or len(result.body) == len(bomb)


def _early(data: bytes) -> Behaviour:
    """An answer before the request is read, as a server does that has seen enough."""

    def behave(_: Origin, connection: socket.socket) -> bool:
        connection.sendall(data)
        return False

    return behave


@pytest.mark.parametrize(
    "version", [b"HTTP/0.9", b"HTTP/2", b"HTTP/3", b"ICY", b"RTSP/1.0", b"HTTP/1.2.3"]
)
def test_only_http_1_is_understood(origin: Origin, downloader: Downloader, version: bytes) -> None:
    url = origin.serve("/p", _early(version + b" 200 OK\r\nContent-Length: 5\r\n\r\nphoto"))
    assert isinstance(_fetch(downloader, url), FetchError)


def test_a_body_without_any_head_is_no_photo(origin: Origin, downloader: Downloader) -> None:
    url = origin.serve("/p", raw(b"\xff\xd8\xff photo"))
    assert isinstance(_fetch(downloader, url), BadResponse)
