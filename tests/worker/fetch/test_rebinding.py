"""Names and redirects that lead from a public address to this machine, in a network of our own.

A network namespace lends loopback a public address, and a name server there says whatever
a hostile one would. Nothing leaves the namespace.
"""

import fcntl
import shutil
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from shared.settings import Settings
from tests.origins import Origin, answer, redirect
from worker.fetch.call import Download
from worker.fetch.download import Downloader

PUBLIC = "93.184.216.34"
SIOCSIFADDR, SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8916, 0x8913, 0x8914, 1

#: What the name server says, answer after answer; the last one stays.
NAMES = {
    b"good": [[PUBLIC]],
    b"bad": [["127.0.0.1"]],
    b"flips": [[PUBLIC], ["127.0.0.1"]],
    b"mixed": [[PUBLIC, "127.0.0.1"]],
    b"metadata": [["169.254.169.254"]],
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What became of each case, by name: an error's code or `photo`, and who was dialled."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rmn", "true"], check=False).returncode:
        pytest.skip("needs network namespaces for ordinary users")
    resolver = tmp_path_factory.mktemp("names") / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.1\n")
    root = Path(__file__).resolve().parents[3]
    code = "from tests.worker.fetch.test_rebinding import main; main()"
    script = 'mount --bind "$1" /etc/resolv.conf && exec "$2" -c "$3"'
    command = [unshare, "-rmn", "sh", "-c", script, "sh", str(resolver), sys.executable, code]
    child = subprocess.run(
        command, cwd=root, check=False, capture_output=True, text=True, timeout=60
    )
    assert child.returncode == 0, child.stderr
    return dict(line.split("=") for line in child.stdout.splitlines())


@pytest.mark.parametrize(
    ("case", "outcome"),
    [
        ("public address", "photo outside:1 inside:0"),
        ("public name", "photo outside:1 inside:0"),
        ("loopback name", "blocked_address outside:0 inside:0"),
        ("metadata name", "blocked_address outside:0 inside:0"),
        ("name that flips, first", "photo outside:1 inside:0"),
        ("name that flips, then", "blocked_address outside:0 inside:0"),
        ("redirect to loopback", "blocked_address outside:1 inside:0"),
        ("redirect to decimal", "blocked_address outside:1 inside:0"),
        ("redirect to mapped", "blocked_address outside:1 inside:0"),
        ("redirect to bad name", "blocked_address outside:1 inside:0"),
        ("redirect to good name", "photo outside:2 inside:0"),
    ],
)
def test_only_a_checked_address_is_dialled(
    outcomes: dict[str, str], case: str, outcome: str
) -> None:
    assert outcomes[case] == outcome


def test_of_mixed_answers_the_bad_one_is_never_dialled(outcomes: dict[str, str]) -> None:
    assert outcomes["mixed answers"].endswith("inside:0")


def main() -> None:
    """Run every case inside the namespace and print what became of it."""
    bring_up_loopback()
    threading.Thread(target=serve_names, daemon=True).start()
    with Origin(address=PUBLIC) as outside, Origin(port=outside.port) as inside:
        for origin in (outside, inside):
            origin.serve("/p", answer(200, b"photo"))
        port = outside.port
        for name, target in {
            "loopback": f"127.0.0.1:{port}",
            "decimal": f"2130706433:{port}",
            "mapped": f"[::ffff:127.0.0.1]:{port}",
            "bad name": f"bad.example:{port}",
            "good name": f"good.example:{port}",
        }.items():
            outside.serve(f"/{name.replace(' ', '-')}", redirect(f"http://{target}/p"))
        cases = {
            "public address": "/p",
            "public name": "//good.example/p",
            "loopback name": "//bad.example/p",
            "metadata name": "//metadata.example/p",
            "name that flips, first": "//flips.example/p",
            "name that flips, then": "//flips.example/p",
            "mixed answers": "//mixed.example/p",
            "redirect to loopback": "/loopback",
            "redirect to decimal": "/decimal",
            "redirect to mapped": "/mapped",
            "redirect to bad name": "/bad-name",
            "redirect to good name": "/good-name",
        }
        for case, place in cases.items():
            host, _, path = (
                place[2:].partition("/") if place.startswith("//") else ("", "", place[1:])
            )
            before = outside.accepted, inside.accepted
            result = fetch(outside.url(f"/{path}", host=host or None), port)
            dialled = f"outside:{outside.accepted - before[0]} inside:{inside.accepted - before[1]}"
            print(f"{case}={result} {dialled}")  # noqa: T201


def fetch(url: str, port: int) -> str:
    settings = Settings(
        DATABASE_URL="postgresql://unused",  # pyright: ignore[reportCallIssue]
        REDIS_URL="redis://unused",  # pyright: ignore[reportCallIssue]
        allowed_ports=frozenset({port}),
    )
    downloader = Downloader(settings)
    (result,) = downloader.fetch([url], deadline_s=3)
    downloader.close()
    return "photo" if isinstance(result, Download) else result.code


def bring_up_loopback() -> None:
    with socket.socket() as any_socket:
        flags = fcntl.ioctl(any_socket, SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0))
        up = struct.unpack("16sH14x", flags)[1] | IFF_UP
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", up))
        address = struct.pack("16sH2x4s8x", b"lo:1", socket.AF_INET, socket.inet_aton(PUBLIC))
        fcntl.ioctl(any_socket, SIOCSIFADDR, address)


def serve_names() -> None:
    """Answer every A query from `NAMES` and every other one with nothing."""
    asked: dict[bytes, int] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 53))
        while True:
            query, client = server.recvfrom(512)
            end = query.index(b"\0", 12) + 5
            label = query[13 : 13 + query[12]]
            addresses: list[str] = []
            if query[end - 4 : end - 2] == b"\0\1" and label in NAMES:
                turn = asked.setdefault(label, 0)
                asked[label] += 1
                addresses = NAMES[label][min(turn, len(NAMES[label]) - 1)]
            head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, len(addresses), 0, 0)
            records = b"".join(
                b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + socket.inet_aton(a)
                for a in addresses
            )
            server.sendto(head + query[12:end] + records, client)
