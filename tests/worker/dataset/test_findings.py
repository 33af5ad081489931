"""A step whose counts do not add up is an error, not a report."""

import pytest

from shared.errors import DatasetError
from worker.dataset.findings import Findings


def test_a_step_that_lost_a_row_is_refused() -> None:
    findings = Findings()
    with pytest.raises(DatasetError, match="do not add up"):
        findings.step("merge", "rows", came_in=3, kept=1, dropped={"broken": 1})
    findings.step("merge", "rows", came_in=3, kept=3, dropped={"broken": 1}, added={"again": 1})
    assert findings.steps[0].balanced


def test_the_first_example_is_kept_and_fits_a_table() -> None:
    findings = Findings()
    findings.met("broken_line", 2, "a:1: x|`y`\x1b[31m\n" + "z" * 500)
    findings.met("broken_line", 1, "another")
    found = findings.dirt["broken_line"]
    assert found.count == 3
    assert len(found.example) == 160
    [row] = [line for line in findings.as_markdown() if "`broken_line`" in line]
    assert "x\\|'y' [31mz" not in row  # the control character became a space
    assert row.count("`") == 4
