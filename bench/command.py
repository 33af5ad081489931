"""A benchmark as a command: nothing that it started outlives it, and errors are told in words."""

import signal
import sys
from collections.abc import Callable

import typer

from shared.errors import TaggerError


def main(command: Callable[..., None]) -> None:
    """Runs it with the arguments of the command line.

    SIGTERM ends it as Ctrl-C does: by way of every `with` block that it is in.
    """
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit("stopped"))
    try:
        typer.run(command)
    except TaggerError as error:
        raise SystemExit(str(error)) from None
