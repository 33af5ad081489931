"""One target in a process of its own: fuzzed with libFuzzer's options, or given a file to replay.

`python -m tests.fuzz.child TARGET [FILE | FOLDER | -OPTION ...]`
"""

import logging
import sys

import structlog

try:
    import atheris
except ImportError:
    sys.exit("setup_error: atheris has no wheel for this machine; Linux on x86-64 has one")

#: Ours, to be steered by; what a native decoder does shows in its crashes alone.
_OURS = [
    "producer.events",
    "shared.domain",
    "shared.transport",
    "worker.decode",
    "worker.tasks",
]


def main(arguments: list[str]) -> None:
    """Never returns: libFuzzer ends the process."""
    with atheris.instrument_imports(include=_OURS):  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415  # instrumented as it is imported

    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    target, *options = arguments
    atheris.Setup([sys.argv[0], *options], TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
