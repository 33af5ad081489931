"""The scorecard with what was shown of it, as Markdown."""

import re
from collections.abc import Mapping, Sequence
from statistics import median

from tests.faults.rounds import Shown
from tests.faults.scorecard import FAULTS, ROWS

BEGIN, END = "<!-- scorecard -->", "<!-- end of scorecard -->"
_MARKS = {"passed": "green", "failed": "RED", "skipped": "skipped"}


def markdown(rounds: Sequence[Mapping[str, Shown]], rows: Sequence[str]) -> str:
    """A table with a line for each of these rows."""
    lines = [
        "| row | what happens | what is expected | rounds | recovery | all settled | tests |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        shown = [found[row] for found in rounds if row in found]
        what, expected = ROWS[row]
        tests = sorted({_name(test) for found in shown for test in found.tests})
        cells = [
            row,
            what,
            expected,
            verdicts(rounds, row),
            _seconds([found.recovery_s for found in shown]) if row in FAULTS else "",
            _seconds([found.settled_s for found in shown]) if row in FAULTS else "",
            ", ".join(f"`{test}`" for test in tests),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def verdicts(rounds: Sequence[Mapping[str, Shown]], row: str) -> str:
    """Each round's verdict, in words where they differ and counted where they do not."""
    each = [_MARKS[found[row].verdict] if row in found else "no test" for found in rounds]
    return f"{len(each)} x {each[0]}" if len({*each}) == 1 else ", ".join(each)


def insert(document: str, table: str) -> str:
    """The document with this table between its two marks."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table}{END}{after}"


def _name(test: str) -> str:
    """The file and the function; a table's cell has no room for a test's parameters."""
    return re.sub(r"\[.*\]$", "", test).partition("::")[0] + ".py"


def _seconds(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{median(known):.1f} s" if known else ""
