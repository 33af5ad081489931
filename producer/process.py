"""One relay process. Run by the supervisor as `python -m producer.process SUPERVISOR_PID`."""

import signal
import sys
import threading

from sqlalchemy.exc import DBAPIError

from producer.relay import Relay
from shared import logs
from shared.db.session import in_words, make_engine
from shared.errors import TaggerError
from shared.queue import Doorbell, make_app
from shared.settings import load_settings
from shared.supervisor import EXIT_SETUP, end_with


def main(arguments: list[str]) -> int:
    """Relays until SIGTERM; the exit code says whether starting again makes sense."""
    try:
        settings = load_settings()
        logs.configure(settings, role="relay")
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: stop.set())
        end_with(int(arguments[0]))
        engine = make_engine(settings, role="relay", connections=2)
        Relay(engine, Doorbell(make_app(settings), settings), settings).run(stop)
    except (TaggerError, DBAPIError) as error:
        # What time mends the relay waits for; this is for whoever set it up.
        sentence = (
            f"database_error: {in_words(error)}"
            if isinstance(error, DBAPIError)
            else f"{error.code}: {error}"
        )
        print(sentence, file=sys.stderr)  # noqa: T201  # as every command words its failures
        return EXIT_SETUP
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
