"""Opening files of a folder that somebody else filled: plain ones only."""

import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_plain(path: Path) -> BinaryIO:
    """Opens a file for reading; a link is followed.

    Raises:
        OSError: it cannot be opened, or is a pipe, a device or a folder, which would give bytes
            without end, or none and hold the command for ever.
    """
    # NONBLOCK, or opening a named pipe would wait for somebody who writes to it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "not a plain file", str(path))
    return open(descriptor, "rb")  # noqa: PTH123  # a descriptor, not a path
