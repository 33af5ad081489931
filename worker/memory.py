"""Bounds the memory of this process: what it keeps for long, and what it takes at all.

What the allocator holds for nobody goes back to the system from time to time: glibc keeps what lies
between blocks in use, and wherever load comes and goes that grows.

RLIMIT_DATA is no backstop here: it fails the allocation of whoever asks next, which OpenCV reports
like damage, and so a batch mate of the photo that ate the memory would be failed for good.
"""

import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from shared.supervisor import WELL_S

log = structlog.get_logger()

#: sysexits.h EX_OSERR: the system could not give what was asked of it.
EXIT_MEMORY: Final = 71
#: Memory is touched at a gigabyte or two a second.
_LOOK_S: Final = 0.05
#: What a few large photos take for a moment is no reason to start again.
_KEPT_S: Final = 30.0
#: Where the work itself takes more than the limit, starting again gives nothing back for long: it
#: is to cost little, and the supervisor is to see a process that was well.
_LEAST_AGE_S: Final = 5 * WELL_S
#: Often enough for a flat line, too seldom for the page faults that follow to count.
_TRIM_S: Final = 30.0
_STATM: Final = Path("/proc/self/statm")


def _stop_warmly() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


class MemoryWatch:
    """Ends this process when it holds too much; what it held goes back by its leases."""

    def __init__(
        self,
        *,
        recycle_bytes: int,
        max_bytes: int,
        kept_s: float = _KEPT_S,
        least_age_s: float = _LEAST_AGE_S,
        trim_s: float = _TRIM_S,
        recycle: Callable[[], None] = _stop_warmly,
    ) -> None:
        """Watches from a thread of its own, which ends with the process.

        Args:
            recycle_bytes: resident; a process that never has less for `kept_s` is to end warmly.
            max_bytes: resident; a process with more ends at once.
            kept_s: how long.
            least_age_s: a process younger than this, from now, is not asked to end.
            trim_s: how often free memory goes back to the system.
            recycle: called once, to end the process warmly.
        """
        self._recycle_bytes = recycle_bytes
        self._max_bytes = max_bytes
        self._kept_s = kept_s
        self._old_at = time.monotonic() + least_age_s
        self._trim_s = trim_s
        self._recycle = recycle
        try:
            before = resident_bytes()
        except OSError:  # not Linux
            log.info("memory.not_watched", reason=f"no {_STATM}")
            return
        if before > recycle_bytes:
            # It would only be started again and again.
            log.warning(
                "memory.limit_too_low",
                bytes_at_start=before,
                recycle_process_bytes=recycle_bytes,
            )
            self._recycle_bytes = max_bytes
        threading.Thread(target=self._watch, daemon=True, name="memory-watch").start()

    def _watch(self) -> None:
        recycled = False
        less_at = trimmed_at = time.monotonic()
        while True:
            resident, now = resident_bytes(), time.monotonic()
            if now - trimmed_at > self._trim_s:
                trimmed_at = now
                _trim()
            if resident > self._max_bytes:
                log.critical("memory.too_much", bytes=resident, max_process_bytes=self._max_bytes)
                os._exit(EXIT_MEMORY)
            if resident <= self._recycle_bytes:
                less_at = now
            elif now > self._old_at and now - less_at > self._kept_s and not recycled:
                recycled = True
                log.info(
                    "memory.recycling", bytes=resident, recycle_process_bytes=self._recycle_bytes
                )
                self._recycle()
            time.sleep(_LOOK_S)


def _trim() -> None:
    """Gives free memory back to the system (malloc_trim(3)), where the C library is glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def resident_bytes() -> int:
    """The memory that this process has in RAM (proc_pid_statm(5)).

    Raises:
        OSError: the system has no such file.
    """
    return int(_STATM.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
