"""Files given to a target one after the other: `python -m tests.fuzz.replay TARGET FILE ...`."""

import os
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from dev.valkey import Valkey
from tests.fuzz.targets import REDIS_URL, TARGETS


@contextmanager
def servers(target: str) -> Generator[dict[str, str]]:
    """Starts what a target needs; yields the environment that says where."""
    if target != "entry":
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        valkey = Valkey(Path(folder))
        valkey.start()
        try:
            yield {REDIS_URL: valkey.url}
        finally:
            valkey.stop()


def main(arguments: list[str]) -> None:
    """Names each file before it is looked at, so that the last one named is the one that crashes.

    Raises:
        Exception: whatever a target finds.
    """
    target, *files = arguments
    with servers(target) as environment:
        os.environ.update(environment)
        for file in files:
            sys.stdout.write(f"{file}\n")
            sys.stdout.flush()
            TARGETS[target](Path(file).read_bytes())


if __name__ == "__main__":
    main(sys.argv[1:])
