"""Known vulnerabilities of locked packages fail the check; a network that is away does not."""

import json
import re
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from dev.audit import ACCEPTED, LOCKS, ask, judge, read_accepted, read_report
from shared.errors import SetupError

_HASH = "0" * 64
_ADVISORY = {
    "id": "GHSA-aaaa-bbbb-cccc",
    "aliases": ["CVE-2026-1"],
    "summary": "It can be made to do what it should not.",
    "affected": [
        {
            "package": {"name": "wobbly", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
        }
    ],
}


class _Osv(BaseHTTPRequestHandler):
    """The interface of osv.dev, with one advisory."""

    def do_POST(self) -> None:
        asked: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["content-length"])))
        wobbly = asked["package"]["name"] == "wobbly"
        body = json.dumps({"vulns": [_ADVISORY]} if wobbly else {}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its parameter's name
        """Says nothing."""


@pytest.fixture
def service() -> Generator[tuple[str, ...]]:
    """A vulnerability service on loopback, as pip-audit is told of it."""
    with HTTPServer(("127.0.0.1", 0), _Osv) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield (
            "--vulnerability-service",
            "osv",
            "--osv-url",
            f"http://127.0.0.1:{server.server_port}/",
        )
        server.shutdown()


@pytest.fixture
def away() -> tuple[str, ...]:
    """A vulnerability service that nobody can reach."""
    return ("--vulnerability-service", "osv", "--osv-url", "http://127.0.0.1:1/")


def _lock(folder: Path, *packages: str) -> list[Path]:
    lines = [f"{package} \\\n    --hash=sha256:{_HASH}\n" for package in packages]
    (folder / "test.lock").write_text("".join(lines))
    return [folder / "test.lock"]


def test_a_vulnerable_package_fails_the_check_unless_it_is_accepted(
    service: tuple[str, ...],
    away: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = ask(_lock(tmp_path, "wobbly==1.0", "steady==2.0"), [away, service])
    assert judge(answer, {}) == 1
    shown = capsys.readouterr().err
    assert "VULNERABLE: wobbly 1.0: CVE-2026-1, GHSA-aaaa-bbbb-cccc; fixed in 1.1" in shown
    assert "steady" not in shown
    accepted = {"CVE-2026-1": "never called", "CVE-2020-1": "gone since"}
    assert judge(answer, accepted) == 0
    shown = capsys.readouterr().err
    assert "accepted, never called: wobbly" in shown
    assert "CVE-2020-1 is accepted and is not found any more" in shown
    assert judge(answer, {"CVE-2020-1": "another one"}) == 1


def test_nothing_known_is_nothing_said(
    service: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judge(ask(_lock(tmp_path, "steady==2.0"), [service]), {}) == 0
    assert capsys.readouterr().err == ""


def test_without_a_service_it_says_that_nothing_was_checked(
    away: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = ask(_lock(tmp_path, "wobbly==1.0"), [away, away])
    assert answer is None
    assert judge(answer, {}) == 0
    assert "NOT CHECKED" in capsys.readouterr().err


def test_a_service_that_knows_no_package_has_checked_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    skipped = {"name": "steady", "skip_reason": "Dependency not found on PyPI"}
    assert read_report({"dependencies": [skipped]}) is None
    known: dict[str, Any] = {"name": "sound", "version": "1.0", "vulns": []}
    assert judge(read_report({"dependencies": [skipped, known]}), {}) == 0
    assert "not known to the service: steady" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["wobbly==1.0\n", "wobbly==\n", "wobbly>=1\n"])
def test_a_lock_that_cannot_be_read_is_no_failure_of_the_network(
    service: tuple[str, ...], tmp_path: Path, content: str
) -> None:
    (tmp_path / "test.lock").write_text(content)
    with pytest.raises(SetupError, match="cannot read the lock"):
        ask([tmp_path / "test.lock"], [service])


def test_each_accepted_one_has_its_reason(tmp_path: Path) -> None:
    read_accepted(ACCEPTED)
    (tmp_path / "accepted.txt").write_text("# why\n\nCVE-1 never  called \n")
    assert read_accepted(tmp_path / "accepted.txt") == {"CVE-1": "never  called"}
    (tmp_path / "accepted.txt").write_text("CVE-1 \n")
    with pytest.raises(SetupError, match="CVE-1 is accepted without a reason"):
        read_accepted(tmp_path / "accepted.txt")


def test_what_is_audited_is_all_that_any_lock_installs() -> None:
    audited = {pin for lock in LOCKS for pin in _pins(lock)}
    for lock in LOCKS[0].parent.glob("*.lock"):
        assert _pins(lock), lock
        assert _pins(lock) <= audited, lock


def _pins(lock: Path) -> set[str]:
    return set(re.findall(r"^([\w.-]+(?:\[[\w,-]+\])?==[^\s;]+)", lock.read_text(), re.MULTILINE))
