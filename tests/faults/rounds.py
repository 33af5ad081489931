"""One run of all rows by pytest, and what its report says of each."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET  # reads what pytest here has just written

ROOT = Path(__file__).resolve().parents[2]


@dataclass(slots=True)
class Shown:
    """What one round showed of a row.

    `recovery_s` and `settled_s` are those of its slowest test: from the fault's end to the
    first photo settled after it, and to the last.
    """

    outcomes: list[str] = field(default_factory=list[str])  #: passed, failed or skipped, by test
    tests: list[str] = field(default_factory=list[str])
    recovery_s: float | None = None
    settled_s: float | None = None

    @property
    def verdict(self) -> str:
        """failed, if any test did; else skipped, if any was; else passed."""
        for verdict in ("failed", "skipped"):
            if verdict in self.outcomes:
                return verdict
        return "passed"


def run(report: Path, chosen: Sequence[str]) -> dict[str, Shown]:
    """Runs the tests of all rows, or of those chosen, once; the report is pytest's XML file."""
    folder = Path(__file__).parent
    command = [
        *(sys.executable, "-m", "pytest", str(folder), "-m", "row", "-q"),
        *("--override-ini", "console_output_style=count", f"--junitxml={report}"),
        *((f"--rows={','.join(chosen)}",) if chosen else ()),
    ]
    subprocess.run(command, cwd=ROOT, check=False)
    return read(report)


def read(report: Path) -> dict[str, Shown]:
    """The rows of a report in pytest's XML."""
    shown: dict[str, Shown] = {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314
        facts = [(p.get("name", ""), p.get("value", "")) for p in case.iter("property")]
        times = {
            name: max((float(value) for key, value in facts if key == name), default=None)
            for name in ("recovery_s", "settled_s")
        }
        test = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name', '')}"
        for row in dict.fromkeys(value for name, value in facts if name == "row"):
            known = shown.setdefault(row, Shown())
            known.outcomes.append(_outcome(case))
            known.tests.append(test)
            known.recovery_s = _longest(known.recovery_s, times["recovery_s"])
            known.settled_s = _longest(known.settled_s, times["settled_s"])
    return shown


def _outcome(case: ET.Element) -> str:
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "passed" if case.find("skipped") is None else "skipped"


def _longest(one: float | None, other: float | None) -> float | None:
    known = [seconds for seconds in (one, other) if seconds is not None]
    return max(known, default=None)
