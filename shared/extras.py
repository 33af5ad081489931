"""What some commands need and others do without: the package's extras."""

from collections.abc import Generator
from contextlib import contextmanager

from shared.errors import SetupError


def missing(what: str, extra: str) -> SetupError:
    """The failure of a command that lacks something of an extra."""
    way_out = f'install the extra `{extra}`, pip install -e ".[{extra}]"'
    return SetupError(f"{what} is missing: {way_out}")


@contextmanager
def needing_extra(extra: str) -> Generator[None]:
    """For imports of what only an extra installs.

    Raises:
        SetupError: one of the modules is not there.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing(str(error.name), extra) from None
