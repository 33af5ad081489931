"""The scorecard itself: no row is without a test."""

import re
from pathlib import Path

from tests.faults.scorecard import ROWS


def test_every_row_is_shown_by_a_test() -> None:
    marked = {
        row
        for file in Path(__file__).parent.rglob("test_*.py")
        for marks in re.findall(r"mark\.row\(([^)]*)\)", file.read_text())
        for row in re.findall(r'"([FI]\d+)"', marks)
    }
    assert marked == {*ROWS}
