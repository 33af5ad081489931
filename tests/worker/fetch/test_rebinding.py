"""Names and redirects that lead from a public address to this machine, in a network of our own.

Every address is this machine's there, and a name server says whatever a hostile one would.
"""

import subprocess
from pathlib import Path

import pytest

from shared.settings import Settings
from tests import namespace
from tests.origins import Origin, answer, redirect
from worker.fetch.call import Download
from worker.fetch.download import Downloader

PUBLIC = "93.184.216.34"
PRIVATE = "10.1.2.3"
METADATA = "169.254.169.254"

#: What the name server says, answer after answer; the last one stays.
NAMES = {
    "good.example": [[PUBLIC]],
    "bad.example": [["127.0.0.1"]],
    "flips.example": [[PUBLIC], ["127.0.0.1"]],
    "mixed.example": [[PUBLIC, "127.0.0.1"]],
    "metadata.example": [[METADATA]],
    "private.example": [[PRIVATE]],
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What became of each case, by name: an error's code or `photo`, and who was dialled."""
    code = "from tests.worker.fetch.test_rebinding import main; main()"
    child = subprocess.run(
        namespace.command(tmp_path_factory.mktemp("names"), code),
        cwd=Path(__file__).resolve().parents[3],
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
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
        ("allowed: private address", "photo inside:1 cloud:0"),
        ("allowed: private name", "photo inside:1 cloud:0"),
        ("allowed: metadata address", "blocked_address inside:0 cloud:0"),
        ("allowed: metadata in decimal", "blocked_address inside:0 cloud:0"),
        ("allowed: metadata in IPv6", "blocked_address inside:0 cloud:0"),
        ("allowed: metadata name", "blocked_address inside:0 cloud:0"),
        ("allowed: redirect to metadata", "blocked_address inside:1 cloud:0"),
        ("allowed: redirect to its name", "blocked_address inside:1 cloud:0"),
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
    namespace.own_every_address()
    namespace.NameServer(NAMES, default=lambda _: []).start()
    run_as_in_production()
    run_with_private_hosts_allowed()


def run_as_in_production() -> None:
    """Names and redirects that lead from a public address to this machine."""
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


def run_with_private_hosts_allowed() -> None:
    """A private network is open; where clouds hand out credentials stays shut all the same."""
    with Origin(address=PRIVATE) as inside, Origin(address=METADATA, port=inside.port) as cloud:
        port = inside.port
        mapped = f"[::ffff:169.254.169.254]:{port}"
        for origin in (inside, cloud):
            origin.serve("/p", answer(200, b"photo"))
        for name, host in {"address": METADATA, "name": "metadata.example"}.items():
            inside.serve(f"/to-{name}", redirect(f"http://{host}:{port}/p"))
        for case, url in {
            "allowed: private address": inside.url("/p"),
            "allowed: private name": f"http://private.example:{port}/p",
            "allowed: metadata address": cloud.url("/p"),
            "allowed: metadata in decimal": f"http://2852039166:{port}/p",
            "allowed: metadata in IPv6": f"http://{mapped}/p",
            "allowed: metadata name": f"http://metadata.example:{port}/p",
            "allowed: redirect to metadata": inside.url("/to-address"),
            "allowed: redirect to its name": inside.url("/to-name"),
        }.items():
            before = inside.accepted, cloud.accepted
            result = fetch(url, port, allow_private_hosts=True)
            dialled = f"inside:{inside.accepted - before[0]} cloud:{cloud.accepted - before[1]}"
            print(f"{case}={result} {dialled}")  # noqa: T201


def fetch(url: str, port: int, *, allow_private_hosts: bool = False) -> str:
    settings = Settings(
        DATABASE_URL="postgresql://unused",  # pyright: ignore[reportCallIssue]
        REDIS_URL="redis://unused",  # pyright: ignore[reportCallIssue]
        allowed_ports=frozenset({port}),
        allow_private_hosts=allow_private_hosts,
    )
    downloader = Downloader(settings)
    (result,) = downloader.fetch([url], deadline_s=3)
    downloader.close()
    return "photo" if isinstance(result, Download) else result.code
