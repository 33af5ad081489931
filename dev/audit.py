"""Asks whether anything in the lock files has a known vulnerability.

`python -m dev.audit`, part of `scripts/check`. A finding fails it, unless it stands with its reason
in requirements/accepted-vulnerabilities.txt. Where no vulnerability service answers, that is said
and nothing fails: a network's failure is no finding.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import SetupError

_FOLDER = Path(__file__).resolve().parent.parent / "requirements"
#: All that any of the lock files installs: dev.lock holds the other three, a test sees to it.
LOCKS = (_FOLDER / "dev.lock", _FOLDER / "uv.lock")
ACCEPTED = _FOLDER / "accepted-vulnerabilities.txt"
#: Asked in this order, until one knows these packages.
SERVICES = (("--vulnerability-service", "osv"), ("--vulnerability-service", "pypi"))
_LONGEST_S = 180


@dataclass(frozen=True, slots=True)
class Finding:
    """A vulnerability of a locked package."""

    package: str
    ids: frozenset[str]  #: of all who gave it a name
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        fix = f"fixed in {', '.join(self.fixed_in)}" if self.fixed_in else "no fix yet"
        return f"{self.package}: {', '.join(sorted(self.ids))}; {fix}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a vulnerability service says of the lock files."""

    findings: list[Finding]
    unknown: list[str]  #: packages that it does not know


def read_accepted(file: Path) -> dict[str, str]:
    """The vulnerabilities that are accepted, each with the reason.

    Raises:
        SetupError: one has no reason.
    """
    accepted: dict[str, str] = {}
    for line in file.read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, reason = line.partition(" ")
            if not reason.strip():
                raise SetupError(f"{file.name}: {name} is accepted without a reason")
            accepted[name] = reason.strip()
    return accepted


def ask(locks: Sequence[Path], services: Sequence[Sequence[str]]) -> Answer | None:
    """The answer of the first service that has one; None where none can be reached.

    Raises:
        SetupError: pip-audit cannot read the lock files, or is not installed.
    """
    files = [word for lock in locks for word in ("--requirement", str(lock))]
    # Without a service: whatever fails here is no failure of the network.
    read = _pip_audit(*files, "--dry-run")
    if read.returncode != 0:
        raise SetupError(f"pip-audit cannot read the lock files: {read.stderr[-500:]}")
    for service in services:
        try:
            asked = _pip_audit(*files, *service, "--format", "json")
            answer = read_report(json.loads(asked.stdout))
        except (subprocess.TimeoutExpired, ValueError):
            continue
        if answer is not None:
            return answer
    return None


def read_report(report: dict[str, Any]) -> Answer | None:
    """What pip-audit's JSON says; None where the service knew none of the packages.

    An index that serves packages and no advisories says of each that it has never heard of it.
    """
    packages: list[dict[str, Any]] = report["dependencies"]
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if len(unknown) == len(packages):
        return None
    return Answer(
        findings=[
            Finding(
                f"{package['name']} {package['version']}",
                frozenset({vulnerability["id"], *vulnerability["aliases"]}),
                tuple(vulnerability["fix_versions"]),
            )
            for package in packages
            for vulnerability in package.get("vulns", [])
        ],
        unknown=unknown,
    )


def judge(answer: Answer | None, accepted: Mapping[str, str]) -> int:
    """Says what was found, on standard error; returns the exit code."""
    if answer is None:
        _say("vulnerabilities: NOT CHECKED, for no service that knows them can be reached")
        return 0
    if answer.unknown:
        _say(f"vulnerabilities: not known to the service: {', '.join(answer.unknown)}")
    for finding in answer.findings:
        reasons = [accepted[name] for name in sorted(finding.ids & accepted.keys())]
        _say(f"{'accepted, ' + reasons[0] if reasons else 'VULNERABLE'}: {finding}")
    found = {name for finding in answer.findings for name in finding.ids}
    for name in sorted(accepted.keys() - found):
        _say(f"{name} is accepted and is not found any more: take it out of {ACCEPTED.name}")
    return 0 if all(finding.ids & accepted.keys() for finding in answer.findings) else 1


def _pip_audit(*arguments: str) -> subprocess.CompletedProcess[str]:
    # The lock files name everything: pip would only resolve it again, and download it.
    options = ("--disable-pip", "--require-hashes", "--progress-spinner", "off", "--timeout", "10")
    return subprocess.run(
        [sys.executable, "-m", "pip_audit", *arguments, *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=_LONGEST_S,
    )


def _say(words: str) -> None:
    print(words, file=sys.stderr)  # noqa: T201  # this is a command


if __name__ == "__main__":
    try:
        sys.exit(judge(ask(LOCKS, SERVICES), read_accepted(ACCEPTED)))
    except SetupError as error:
        sys.exit(str(error))
