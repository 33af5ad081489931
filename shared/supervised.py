"""One process under a supervisor, from its settings to its end."""

import signal
import sys
import threading
from collections.abc import Callable

from sqlalchemy.exc import DBAPIError

from shared import logs
from shared.db.session import worded
from shared.errors import TaggerError
from shared.settings import Settings, load_settings
from shared.supervisor import EXIT_SETUP, end_with

#: Works until the event is set.
Work = Callable[[threading.Event], None]


def work(supervisor: int, role: str, make: Callable[[Settings], Work]) -> int:
    """Works until SIGTERM, or until the supervisor is gone.

    Args:
        supervisor: its process id.
        role: what the log calls this process.
        make: what is to be done, by these settings.

    Returns:
        The exit code; it says whether starting again makes sense.
    """
    try:
        settings = load_settings()
        logs.configure(settings, role=role)
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: stop.set())
        end_with(supervisor)
        make(settings)(stop)
    except (TaggerError, DBAPIError) as error:
        # What time mends they wait for; this is for whoever set it up.
        print(worded(error), file=sys.stderr)  # noqa: T201  # it may be before there are logs
        return EXIT_SETUP
    return 0
