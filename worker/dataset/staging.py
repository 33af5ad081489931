"""A folder that appears finished or not at all."""

import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import DatasetError


@contextmanager
def staged(folder: Path) -> Generator[Path]:
    """A work folder beside `folder` that takes its name when the block ends well.

    What a killed process left behind is cleared away by the next one. Files are on the disk
    before the rename, which is atomic.

    Raises:
        DatasetError: the folder holds something already, another process is making it, or the
            disk does not take it.
    """
    work = folder.parent / f".{folder.name}.unfinished"
    try:
        if folder.exists() and not (folder.is_dir() and _is_empty(folder)):
            raise DatasetError(f"{folder} is not empty; give a new folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.parent / f"{work.name}.lock", folder):
            shutil.rmtree(work, ignore_errors=True)
            try:
                work.mkdir()
                yield work
                _sync(work)
                work.rename(folder)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise DatasetError(f"{folder}: {error.strerror or error}") from None


@contextmanager
def _locked(path: Path, folder: Path) -> Generator[None]:
    """Holds a lock that the kernel takes back from a process that is killed."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The one who had the file before may have removed it meanwhile.
            held = os.path.samestat(os.fstat(lock), path.stat())
        except (BlockingIOError, FileNotFoundError):
            held = False
        if not held:
            raise DatasetError(f"{folder} is being made by another process")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(lock)


def _is_empty(folder: Path) -> bool:
    return next(folder.iterdir(), None) is None


def _sync(folder: Path) -> None:
    for path in [*folder.iterdir(), folder]:
        file = os.open(path, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
