"""One process of the producer. Run by a supervisor: python -m producer.process PID ROLE ..."""

import sys

from producer.consumer_group import connect
from producer.relay import Relay
from producer.stream import StreamIntake
from shared.db.session import make_engine
from shared.queue import Doorbell, make_app
from shared.settings import Settings
from shared.supervised import work


def main(arguments: list[str]) -> int:
    """Works until SIGTERM; the exit code says whether starting again makes sense.

    `arguments`: the supervisor's process id, then `relay`, or `stream` and the names of the
    stream, the group and the consumer, and `passing` if nobody comes again under the last.
    """
    supervisor, role, *names = arguments
    if role == "relay":
        return work(int(supervisor), "relay", lambda settings: _relay(settings).run)
    return work(int(supervisor), "intake", lambda settings: _stream(settings, *names).run)


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
