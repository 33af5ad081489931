"""Every guard that a test is there for, each with what the code is without it."""

from typing import Final

from tests.faults.guards.marketplace import MARKETPLACE
from tests.faults.guards.scorecard import SCORECARD

GUARDS: Final = [*SCORECARD, *MARKETPLACE]
#: What mutations may be chosen by beside the scorecard's rows.
AREAS: Final = sorted({guard.row for guard in MARKETPLACE})
