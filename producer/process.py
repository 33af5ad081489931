"""One process of the producer. Run by a supervisor: python -m producer.process PID ROLE ..."""

import signal
import sys
import threading

from sqlalchemy.exc import DBAPIError

from producer.consumer_group import connect
from producer.relay import Relay
from producer.stream import StreamIntake
from shared import logs
from shared.db.session import make_engine, worded
from shared.errors import TaggerError
from shared.queue import Doorbell, make_app
from shared.settings import Settings, load_settings
from shared.supervisor import EXIT_SETUP, end_with


def main(arguments: list[str]) -> int:
    """Works until SIGTERM; the exit code says whether starting again makes sense.

    `arguments`: the supervisor's process id, then `relay`, or `stream` and the names of the
    stream, the group and the consumer, and `passing` if nobody comes again under the last.
    """
    supervisor_pid, role, *names = arguments
    try:
        settings = load_settings()
        logs.configure(settings, role="relay" if role == "relay" else "intake")
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: stop.set())
        end_with(int(supervisor_pid))
        worker = _relay(settings) if role == "relay" else _stream(settings, *names)
        worker.run(stop)
    except (TaggerError, DBAPIError) as error:
        # What time mends they wait for; this is for whoever set it up.
        print(worded(error), file=sys.stderr)  # noqa: T201  # it may be before there are logs
        return EXIT_SETUP
    return 0


def _relay(settings: Settings) -> Relay:
    engine = make_engine(settings, role="relay", connections=2)
    return Relay(engine, Doorbell(make_app(settings), settings), settings)


def _stream(
    settings: Settings, stream: str, group: str, consumer: str, passing: str = ""
) -> StreamIntake:
    return StreamIntake(
        make_engine(settings, role="intake", connections=1),
        connect(settings),
        settings,
        stream=stream,
        group=group,
        consumer=consumer,
        passing=bool(passing),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
