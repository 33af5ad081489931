"""Each guard stands in the code as its table says, and is named with a test that exists."""

import re

import pytest

from tests.faults.guards import GUARDS
from tests.faults.mutations import Mutation
from tests.faults.rounds import ROOT


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: f"{guard.row} {guard.name}")
def test_a_guard_can_be_taken_out(guard: Mutation) -> None:
    assert (ROOT / guard.file).read_text().count(guard.old) == 1
    file, _, test = guard.test.partition("::")
    name = re.escape(test.partition("[")[0])
    assert re.search(rf"^def {name or 'test_'}", (ROOT / file).read_text(), re.MULTILINE)
