"""Photos from an origin that misbehaves in every way an origin can."""

import gzip
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import (
    BadResponse,
    BadUrl,
    BlockedAddress,
    FetchError,
    Forbidden,
    NotFound,
    OriginUnavailable,
    RateLimited,
    RetryAfter,
    TlsFailed,
    TooLarge,
    TooManyRedirects,
    TooSlow,
    Truncated,
    Unreachable,
    Unresolvable,
)
from tests.origins import (
    Behaviour,
    Origin,
    after,
    answer,
    drip,
    endless_chunks,
    hang,
    raw,
    redirect,
    reset,
)
from tests.worker.fetch.fetching import PHOTO, make_settings
from worker.fetch.answer import MAX_RETRY_AFTER_S, retry_after_s
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


def fetch_one(downloader: Downloader, url: str, *, deadline_s: float = 2) -> Download | FetchError:
    (result,) = downloader.fetch([url], deadline_s=deadline_s)
    return result


def open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


# What goes well


def test_a_photo_arrives_with_its_bytes_url_and_time(
    origin: Origin, downloader: Downloader
) -> None:
    url = origin.serve("/p.jpg", answer(200, PHOTO))
    result = fetch_one(downloader, url + "#fragment")
    assert isinstance(result, Download)
    assert (result.body, result.final_url) == (PHOTO, url)
    assert 0 < result.elapsed_s < 5


def test_results_come_in_the_order_of_the_urls_good_and_bad(
    origin: Origin, downloader: Downloader
) -> None:
    slow = origin.serve("/slow", after(0.2, answer(200, b"slow")))
    fast = origin.serve("/fast", answer(200, b"fast"))
    missing = origin.serve("/missing", answer(404))
    results = downloader.fetch([slow, "file:///x", fast, missing, fast], deadline_s=2)
    assert [r.body if isinstance(r, Download) else type(r) for r in results] == [
        b"slow", BadUrl, b"fast", NotFound, b"fast",
    ]  # fmt: skip


def test_no_urls_are_no_work(downloader: Downloader) -> None:
    assert downloader.fetch([], deadline_s=1) == []


def test_many_photos_of_one_host_share_few_connections_also_across_calls(origin: Origin) -> None:
    downloader = Downloader(make_settings(origin.port, connections_per_host=4))
    url = origin.serve("/p.jpg", answer(200, PHOTO))
    for _ in range(3):
        results = downloader.fetch([url] * 100, deadline_s=5)
        assert all(isinstance(r, Download) and r.body == PHOTO for r in results)
    assert 1 <= origin.accepted <= 4
    assert len(origin.requests) == 300
    downloader.close()


def test_connections_survive_redirects_and_errors(origin: Origin, downloader: Downloader) -> None:
    photo = origin.serve("/p.jpg", answer(200, PHOTO))
    moved = origin.serve("/moved", redirect("/p.jpg", body=b"moved" * 100))
    missing = origin.serve("/missing", answer(404, b"sorry" * 1000))
    for url in (photo, moved, missing, photo):
        fetch_one(downloader, url)
    assert origin.accepted == 1


def test_the_request_says_who_we_are_and_asks_for_no_compression_and_no_avif(
    origin: Origin, downloader: Downloader
) -> None:
    url = origin.serve("/p.jpg", answer(200, PHOTO, headers={"Set-Cookie": "a=b; path=/"}))
    for _ in range(2):
        fetch_one(downloader, url)
    for head in map(bytes.lower, origin.requests):
        assert b"user-agent: listing-tagger/" in head
        assert b"accept: image/jpeg, image/png, image/webp" in head
        for unwanted in (b"accept-encoding", b"avif", b"cookie", b"authorization", b"referer"):
            assert unwanted not in head


def test_a_connection_that_the_origin_dropped_between_calls_is_opened_again(
    origin: Origin, downloader: Downloader
) -> None:
    body = OK + b"Content-Length: 2\r\n\r\nok"
    url = origin.serve("/p.jpg", raw(body))  # promises to stay open and closes
    for _ in range(3):
        assert isinstance(fetch_one(downloader, url), Download)
        time.sleep(0.05)


@pytest.mark.parametrize(
    "whole",
    [
        OK + b"\r\n" + PHOTO,
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n",
        OK + b"Content-Encoding: identity\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\nx",
        b"HTTP/1.0 200 OK\r\n\r\nx",
        OK + b"Content-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
        OK + b"Content-Length: 0\r\n\r\n",
    ],
)
def test_every_legal_form_of_a_200_is_a_download(
    origin: Origin, downloader: Downloader, whole: bytes
) -> None:
    assert isinstance(fetch_one(downloader, origin.serve("/p", raw(whole))), Download)


# What the origin says


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (204, BadResponse),
        (206, Truncated),
        (300, BadResponse),
        (302, BadResponse),
        (304, BadResponse),
        (400, BadResponse),
        (401, Forbidden),
        (403, Forbidden),
        (404, NotFound),
        (408, OriginUnavailable),
        (410, NotFound),
        (418, BadResponse),
        (429, RateLimited),
        (500, OriginUnavailable),
        (503, OriginUnavailable),
        (599, OriginUnavailable),
        (999, BadResponse),
    ],
)
def test_each_status_has_its_error(
    origin: Origin, downloader: Downloader, status: int, error: type[FetchError]
) -> None:
    result = fetch_one(downloader, origin.serve("/p", answer(status)))
    assert type(result) is error
    assert str(status) in str(result)


@pytest.mark.parametrize("body", [hang(), drip(b"", b"x"), reset(), endless_chunks()])
def test_a_status_counts_whatever_becomes_of_its_body(
    origin: Origin, downloader: Downloader, body: Behaviour
) -> None:
    def behave(running: Origin, connection: socket.socket) -> bool:
        connection.sendall(b"HTTP/1.1 404 No\r\nContent-Length: 10000000000\r\n\r\n")
        return body(running, connection)

    assert isinstance(fetch_one(downloader, origin.serve("/p", behave), deadline_s=0.3), NotFound)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0), ("120", 120), ("999999", MAX_RETRY_AFTER_S), ("9" * 5000, MAX_RETRY_AFTER_S)],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_in_seconds_is_kept_up_to_a_day(
    origin: Origin, downloader: Downloader, status: int, value: str, seconds: float
) -> None:
    url = origin.serve("/p", answer(status, headers={"Retry-After": value}))
    result = fetch_one(downloader, url)
    assert isinstance(result, RetryAfter)
    assert result.retry_after_s == seconds


def test_retry_after_may_be_a_date_and_nonsense_is_nothing() -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)

    def seconds(date: datetime) -> float | None:
        return retry_after_s(format_datetime(date, usegmt=True), now=now)

    assert seconds(now + timedelta(seconds=90)) == 90
    assert seconds(now - timedelta(seconds=90)) == 0
    assert seconds(now + timedelta(days=400)) == MAX_RETRY_AFTER_S
    assert retry_after_s("Tue, 01 Jan 2030 00:00:05 -0000", now=now) == 5
    for nonsense in ("", "soon", "-1", "1.5", "\u0661", "Tue, 99 Jan 2030 99:00:00 GMT", "1, 2"):
        assert retry_after_s(nonsense, now=now) is None


@given(st.text(max_size=50))
def test_no_retry_after_raises(value: str) -> None:
    retry_after_s(value, now=datetime.now(UTC))


# Time


@pytest.mark.parametrize(
    "behaviour",
    [
        hang(),
        hang(OK + b"Content-Length: 10\r\n\r\nabc"),
        hang(b"HTTP/1.1 100 Continue\r\n\r\n"),
        drip(OK + b"Content-Length: 100000\r\n\r\n", b"x"),
        drip(OK, b"X-More: x\r\n"),
        drip(b"HT", b""),
    ],
    ids=["silence", "half a body", "only a 100", "body drips", "header drips", "half a word"],
)
def test_the_deadline_bounds_an_origin_that_stalls_or_drips(
    origin: Origin, downloader: Downloader, behaviour: Behaviour
) -> None:
    start = time.monotonic()
    result = fetch_one(downloader, origin.serve("/p", behaviour), deadline_s=0.3)
    assert isinstance(result, TooSlow)
    assert 0.25 < time.monotonic() - start < 5


def test_a_tls_handshake_that_stalls_is_too_slow() -> None:
    start = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        downloader = Downloader(make_settings(port))
        result = fetch_one(downloader, f"https://127.0.0.1:{port}/p", deadline_s=0.3)
        downloader.close()
    assert isinstance(result, TooSlow)
    assert time.monotonic() - start < 5


def test_all_hops_share_one_deadline(origin: Origin) -> None:
    downloader = Downloader(make_settings(origin.port, max_redirects=10))
    url = origin.serve("/p", after(0.15, redirect("/p")))
    start = time.monotonic()
    assert isinstance(fetch_one(downloader, url, deadline_s=0.4), TooSlow)
    assert time.monotonic() - start < 5
    downloader.close()


def test_a_stalling_photo_holds_up_no_other(origin: Origin, downloader: Downloader) -> None:
    stuck = origin.serve("/stuck", hang())
    good = origin.serve("/good", answer(200, PHOTO))
    results = downloader.fetch([stuck, *[good] * 50], deadline_s=3)
    assert isinstance(results[0], TooSlow)
    for result in results[1:]:
        assert isinstance(result, Download)
        assert result.elapsed_s < 2.5


def test_waiting_for_a_connection_costs_a_photo_nothing_of_its_deadline(origin: Origin) -> None:
    downloader = Downloader(make_settings(origin.port, connections_per_host=1))
    url = origin.serve("/p", after(0.8, answer(200, PHOTO)))
    results = downloader.fetch([url] * 2, deadline_s=1.4)  # the second ends at 1.6
    assert all(isinstance(r, Download) for r in results)
    downloader.close()


def test_a_call_takes_at_most_two_deadlines_however_many_photos_hang(origin: Origin) -> None:
    downloader = Downloader(make_settings(origin.port, connections_per_host=2))
    start = time.monotonic()
    results = downloader.fetch([origin.serve("/p", hang())] * 40, deadline_s=0.3)
    assert time.monotonic() - start < 5
    assert {type(r) for r in results} == {TooSlow}
    assert origin.accepted <= 6
    downloader.close()


# Size


def test_ten_announced_gigabytes_are_not_read(origin: Origin, downloader: Downloader) -> None:
    url = origin.serve("/p", hang(OK + b"Content-Length: 10000000000\r\n\r\nxxx"))
    start = time.monotonic()
    assert isinstance(fetch_one(downloader, url), TooLarge)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    "behaviour", [endless_chunks(), drip(OK + b"\r\n", bytes(1 << 16), every_s=0)]
)
def test_an_endless_body_ends_at_the_limit_with_bounded_memory(
    origin: Origin, downloader: Downloader, behaviour: Behaviour
) -> None:
    url = origin.serve("/p", behaviour)
    tracemalloc.start()
    try:
        assert isinstance(fetch_one(downloader, url), TooLarge)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 << 20


def test_a_body_of_exactly_the_limit_is_read_and_one_byte_more_is_not(
    origin: Origin, downloader: Downloader
) -> None:
    whole = origin.serve("/whole", answer(200, bytes(1 << 20)))
    over = origin.serve("/over", raw(OK + b"\r\n" + bytes((1 << 20) + 1)))
    first, second = downloader.fetch([whole, over], deadline_s=2)
    assert isinstance(first, Download)
    assert len(first.body) == 1 << 20
    assert isinstance(second, TooLarge)


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip", "br", "GZIP", "identity, gzip", "zstd"])
@pytest.mark.parametrize("length", [True, False])
def test_a_compressed_body_is_refused_unread(
    origin: Origin, downloader: Downloader, encoding: str, *, length: bool
) -> None:
    bomb = gzip.compress(bytes(5 << 20))
    start = OK + f"Content-Encoding: {encoding}\r\n".encode()
    start += f"Content-Length: {len(bomb)}\r\n".encode() if length else b""
    result = fetch_one(downloader, origin.serve("/p", raw(start + b"\r\n" + bomb)))
    assert type(result) is BadResponse


def test_a_bomb_on_a_redirect_is_dropped(origin: Origin, downloader: Downloader) -> None:
    photo = origin.serve("/p.jpg", answer(200, PHOTO))
    head = f"HTTP/1.1 302 Found\r\nLocation: {photo}\r\nContent-Encoding: gzip\r\n\r\n".encode()
    result = fetch_one(downloader, origin.serve("/p", drip(head, bytes(1 << 16), every_s=0)))
    assert isinstance(result, Download)
    assert result.body == PHOTO


@pytest.mark.parametrize(
    "head",
    [
        OK + b"X-Long: " + b"x" * 70_000 + b"\r\n\r\n",
        OK + b"X-Many: x\r\n" * 7_000 + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000,
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X-Trailer: x\r\n" * 6_000,
    ],
    ids=["one long header", "many headers", "many interim answers", "many trailers"],
)
def test_headers_without_end_are_a_bad_response(
    origin: Origin, downloader: Downloader, head: bytes
) -> None:
    assert type(fetch_one(downloader, origin.serve("/p", hang(head)))) is BadResponse


# Broken answers


@pytest.mark.parametrize(
    "behaviour",
    [
        raw(OK + b"Content-Length: 100\r\n\r\nabc"),
        raw(OK + b"Transfer-Encoding: chunked\r\n\r\n64\r\nabc"),
        reset(OK + b"Content-Length: 100\r\n\r\nabc"),
        reset(OK + b"\r\nabc"),
        reset(),
        raw(b""),
    ],
    ids=["short", "short chunk", "reset", "reset without a length", "reset at once", "nothing"],
)
def test_an_answer_cut_short_is_truncated(
    origin: Origin, downloader: Downloader, behaviour: Behaviour
) -> None:
    result = fetch_one(downloader, origin.serve("/p", behaviour))
    assert type(result) is Truncated
    assert result.retryable


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff not HTTP at all",
        b"HTTP/9.9 200 OK\r\n\r\nx",
        b"HTTP/1.1 abc OK\r\n\r\nx",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nContent-Length: minus\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nA\x00B: x\r\n\r\nxx",
        b"HTTP/1.1 302 Found\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    ],
)
def test_an_answer_that_is_not_http_is_a_bad_response(
    origin: Origin, downloader: Downloader, data: bytes
) -> None:
    result = fetch_one(downloader, origin.serve("/p", raw(data)), deadline_s=0.5)
    assert isinstance(result, FetchError)
    assert result.detail.isascii()
    assert result.detail.isprintable()


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=20),
            st.sampled_from(
                [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 302 x\r\n", b"Location: ", b"Location: /x",
                 b"Transfer-Encoding: chunked", b"\r\n", b"\r\n\r\n", b"Content-Length: 3",
                 b"HTTP/1.1 100 x\r\n", b"Retry-After: ", b"HTTP/1.1 503 \r\n", b"\x80\xff", b"5;"]
            ),
        ),
        max_size=10,
    ).map(b"".join)
)  # fmt: skip
def test_no_answer_whatever_makes_fetch_raise(
    origin: Origin, downloader: Downloader, data: bytes
) -> None:
    result = fetch_one(downloader, origin.serve("/p", raw(data)), deadline_s=0.5)
    assert isinstance(result, Download | FetchError)


# Whom it talks to


LOOPBACK_HOSTS = [
    "127.0.0.1", "127.1", "127.0.1", "127.0.0.1.", "2130706433", "0x7f000001", "0x7f.1",
    "017700000001", "0177.0.0.1", "0", "0.0.0.0", "127.255.255.254", "localhost", "LOCALHOST.",  # noqa: S104
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]",
    "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "\uff11\uff12\uff17.0.0.1", "127\u30020.0.1",
]  # fmt: skip


@pytest.mark.parametrize("host", LOOPBACK_HOSTS)
def test_no_spelling_of_this_machine_is_ever_dialled(origin: Origin, host: str) -> None:
    origin.serve("/p", answer(200, PHOTO))
    careful = Downloader(make_settings(origin.port, allow_private_hosts=False))
    result = fetch_one(careful, origin.url("/p", host=host))
    careful.close()
    assert type(result) is BlockedAddress
    time.sleep(0.02)
    assert origin.accepted == 0


@given(st.ip_addresses(v=4), st.sampled_from(["dotted", "decimal", "hex", "octal", "mixed"]))
@settings(max_examples=60, deadline=None)
def test_no_private_address_is_dialled_in_any_base(address: object, base: str) -> None:
    number = int(str(address).split(".")[3]) | 0x0A000000  # 10.0.0.x
    host = {
        "dotted": f"10.0.0.{number & 255}",
        "decimal": str(number),
        "hex": hex(number),
        "octal": f"0{number:o}",
        "mixed": f"012.0x0.{number & 255}",
    }[base]
    careful = Downloader(make_settings(allow_private_hosts=False))
    assert type(fetch_one(careful, f"http://{host}/")) is BlockedAddress
    careful.close()


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "gopher://127.0.0.1/",
        "dict://127.0.0.1:11211/stats",
        "http://user:password@127.0.0.1/",
        "http://127.0.0.1:22/",
        "//127.0.0.1:6379/",
        "http://a.example\\@127.0.0.1/",
        "http://[",
        "/a b",
        "/a\x01b",
    ],
)
def test_a_redirect_to_a_url_that_is_not_fetched_is_a_bad_url(
    origin: Origin, downloader: Downloader, location: str
) -> None:
    result = fetch_one(downloader, origin.serve("/p", redirect(location)))
    assert type(result) is BadUrl
    assert len(origin.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/p.jpg", "p.jpg", "../p.jpg", "//127.0.0.1:{port}/p.jpg"])
def test_a_redirect_is_followed_to_the_photo(
    origin: Origin, downloader: Downloader, status: int, location: str
) -> None:
    photo = origin.serve("/p.jpg", answer(200, PHOTO))
    target = location.format(port=origin.port)
    result = fetch_one(downloader, origin.serve("/moved", redirect(target, status=status)))
    assert isinstance(result, Download)
    assert (result.body, result.final_url) == (PHOTO, photo)


def test_a_redirect_in_raw_utf8_is_followed(origin: Origin, downloader: Downloader) -> None:
    photo = origin.serve("/f%C3%BC.jpg", answer(200, PHOTO))
    result = fetch_one(downloader, origin.serve("/moved", redirect("/f\u00fc.jpg")))
    assert isinstance(result, Download)
    assert result.final_url == photo


def test_a_chain_within_the_limit_is_followed_and_a_longer_one_is_not(
    origin: Origin, downloader: Downloader
) -> None:
    origin.serve("/0", answer(200, PHOTO))
    for hop in range(1, 5):
        origin.serve(f"/{hop}", redirect(f"/{hop - 1}"))
    assert isinstance(fetch_one(downloader, origin.url("/3")), Download)
    assert isinstance(fetch_one(downloader, origin.url("/4")), TooManyRedirects)


def test_a_redirect_loop_ends(origin: Origin, downloader: Downloader) -> None:
    origin.serve("/a", redirect("/b"))
    result = fetch_one(downloader, origin.serve("/b", redirect("/a")))
    assert isinstance(result, TooManyRedirects)
    assert len(origin.requests) == 4


def test_proxies_and_netrc_of_the_environment_are_ignored(
    origin: Origin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Origin() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("HOME", str(tmp_path))
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
        downloader = Downloader(make_settings(origin.port))
        url = origin.serve("/p", answer(200, PHOTO))
        assert isinstance(fetch_one(downloader, url), Download)
        downloader.close()
        assert proxy.accepted == 0
    assert b"uthorization" not in origin.requests[0]


# Names, connections, certificates


def test_a_closed_port_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    closed = Downloader(make_settings(port))
    result = fetch_one(closed, f"http://127.0.0.1:{port}/p?secret=1")
    closed.close()
    assert type(result) is Unreachable
    assert "secret" not in str(result)


def test_a_name_that_does_not_exist_is_unresolvable(downloader: Downloader) -> None:
    # RFC 6761 keeps .invalid free of names; a network without any DNS may only time out.
    result = fetch_one(downloader, "http://photos.invalid/p", deadline_s=5)
    assert type(result) in {Unresolvable, TooSlow}


def test_an_origin_that_talks_no_tls_where_it_should_is_a_tls_error() -> None:
    def talk_plain(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(OK + b"\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        thread = threading.Thread(target=talk_plain, args=(server,))
        thread.start()
        downloader = Downloader(make_settings(port))
        assert type(fetch_one(downloader, f"https://127.0.0.1:{port}/p")) is TlsFailed
        downloader.close()
        thread.join()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 and its key, in one file."""
    path = tmp_path / "certificate.pem"
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command")
    command = (
        f"{openssl} req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
        f" -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout {path} -out {path}.crt"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


def test_a_certificate_is_accepted_only_from_an_authority_we_trust(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Origin(tls=context) as origin:
        url = origin.serve("/p", answer(200, PHOTO))
        for trusted in (False, True):
            if trusted:
                monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            downloader = Downloader(make_settings(origin.port))
            result = fetch_one(downloader, url)
            downloader.close()
            assert isinstance(result, Download if trusted else TlsFailed)


# What it leaves behind


def test_errors_tell_nothing_of_the_query(origin: Origin, downloader: Downloader) -> None:
    paths = {
        "/404": answer(404),
        "/garbage": raw(b"garbage"),
        "/short": raw(OK + b"Content-Length: 9\r\n\r\n"),
        "/slow": hang(),
        "/loop": redirect("/loop?token=hunter2"),
        "/odd": redirect("http://user:hunter2@127.0.0.1/?token=hunter2"),
        "/port": redirect("http://127.0.0.1:1/?token=hunter2"),
    }
    urls = [origin.serve(path, behaviour) + "?token=hunter2" for path, behaviour in paths.items()]
    results = downloader.fetch([*urls, "http://no-such.invalid/?token=hunter2"], deadline_s=0.5)
    for result in results:
        assert isinstance(result, FetchError)
        assert "hunter2" not in f"{result} {result!r} {result.args}"


def test_no_descriptor_stays_open_after_close(origin: Origin) -> None:
    kinds = [
        answer(200, PHOTO), hang(), reset(), redirect("/0"), endless_chunks(), raw(b"garbage"),
    ]  # fmt: skip
    urls = [origin.serve(f"/{number}", behaviour) for number, behaviour in enumerate(kinds)]
    descriptors: list[int] = []
    for _ in range(4):
        downloader = Downloader(make_settings(origin.port))
        downloader.fetch(urls * 3, deadline_s=0.1)
        downloader.close()
        deadline = time.monotonic() + 2  # the origin's own ends close a moment later
        while open_descriptors() > (descriptors or [1 << 20])[0] and time.monotonic() < deadline:
            time.sleep(0.01)
        descriptors.append(open_descriptors())
    assert descriptors[-1] <= descriptors[1]


def test_failed_photos_leave_no_connection_and_no_body_behind(
    origin: Origin, downloader: Downloader
) -> None:
    url = origin.serve("/p", endless_chunks())
    downloader.fetch([url] * 16, deadline_s=2)
    before = open_descriptors()
    tracemalloc.start()
    try:
        for _ in range(3):
            results = downloader.fetch([url] * 16, deadline_s=2)
            assert {type(r) for r in results} == {TooLarge}
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    time.sleep(0.05)
    assert open_descriptors() <= before + 2
    assert kept < 1 << 20


def test_an_interrupted_call_leaves_the_downloader_usable(
    origin: Origin, downloader: Downloader
) -> None:
    good = origin.serve("/good", answer(200, PHOTO))
    stuck = origin.serve("/stuck", hang())
    # Again and again: pycurl takes for a failed transfer what is raised in a callback of it.
    interrupts = [
        threading.Timer(after_s, signal.pthread_kill, [threading.get_ident(), signal.SIGINT])
        for after_s in (0.2, *range(1, 30))
    ]
    for interrupt in interrupts:
        interrupt.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            downloader.fetch([stuck] * 40, deadline_s=30)
    finally:
        for interrupt in interrupts:
            interrupt.cancel()
    assert isinstance(fetch_one(downloader, good), Download)
