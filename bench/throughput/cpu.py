"""CPU seconds and peak memory of processes with all their children, out of /proc (Linux)."""

import os
import statistics
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

#: Rare enough to cost nothing that shows: adding up a process's pages takes milliseconds.
_LOOK_S: Final = 2.0
_GONE: Final = (FileNotFoundError, ProcessLookupError, PermissionError)


@dataclass(slots=True)
class Usage:
    """What processes took between two moments; complete once the `with` block has ended."""

    cpu_s: dict[str, float] = field(default_factory=dict[str, float])  #: by the name of its root
    seconds: float = 0.0  #: on the clock
    largest_mb: float = 0.0  #: the largest resident set of a single process
    looks_mb: list[float] = field(default_factory=list[float])  #: all, shared pages counted once

    @property
    def together_mb(self) -> float:
        """The most that all of them held at once."""
        return max(self.looks_mb, default=0.0)

    @property
    def grew_mb(self) -> float:
        """By how much the last third of the time took more memory than the middle third.

        0 for a run that was looked at too rarely to tell.
        """
        third = len(self.looks_mb) // 3
        if not third:
            return 0.0
        middle, last = self.looks_mb[third : 2 * third], self.looks_mb[-third:]
        return statistics.mean(last) - statistics.mean(middle)


@contextmanager
def measuring(roots: Mapping[str, int], *, memory_of: str) -> Generator[Usage]:
    """Measures process trees while in the block.

    Args:
        roots: name -> process id; counted with its children, theirs, and those that have ended
            and were waited for.
        memory_of: the name whose memory is looked at: at the end, and every 2 s until then.
    """
    usage = Usage()
    done = threading.Event()

    def look() -> None:
        while not done.wait(_LOOK_S):
            _look_at_memory(usage, roots[memory_of])

    watcher = threading.Thread(target=look, daemon=True, name="memory")
    before = cpu_seconds(roots)
    started = time.monotonic()
    watcher.start()
    try:
        yield usage
    finally:
        usage.seconds = time.monotonic() - started
        after = cpu_seconds(roots)
        done.set()
        watcher.join()
        _look_at_memory(usage, roots[memory_of])
        usage.cpu_s = {name: max(0.0, after[name] - before[name]) for name in roots}


def cpu_seconds(roots: Mapping[str, int]) -> dict[str, float]:
    """User and system time so far of each process and its descendants, in seconds.

    0 for a process that is gone: its time is with whoever waited for it.
    """
    ticks_s = 1 / os.sysconf("SC_CLK_TCK")
    parents, ticks = _processes()
    return {
        name: ticks_s * sum(ticks.get(pid, 0) for pid in _family(root, parents))
        for name, root in roots.items()
    }


def is_waiting(pid: int) -> bool:
    """Whether a process sleeps, or is gone (proc_pid_stat(5))."""
    with suppress(*_GONE):
        return _fields(Path(f"/proc/{pid}/stat").read_text())[0] not in {"R", "D"}
    return True


def _processes() -> tuple[dict[int, int], dict[int, int]]:
    """Of every process: its parent, and its clock ticks with those of children waited for."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208  # a path for each of hundreds costs more
        if entry.isdecimal():
            with suppress(*_GONE):
                fields = _fields(Path(f"/proc/{entry}/stat").read_text())
                parents[int(entry)] = int(fields[1])
                ticks[int(entry)] = sum(map(int, fields[11:15]))
    return parents, ticks


def _fields(stat: str) -> list[str]:
    """The fields after the command, which may itself hold spaces and brackets."""
    return stat.rpartition(")")[2].split()


def _family(root: int, parents: Mapping[int, int]) -> Iterator[int]:
    yield root
    for pid, parent in parents.items():
        if parent == root:
            yield from _family(pid, parents)


def _look_at_memory(usage: Usage, root: int) -> None:
    parents, _ = _processes()
    together = 0.0
    for pid in _family(root, parents):
        with suppress(*_GONE):
            status = Path(f"/proc/{pid}/status").read_text()
            usage.largest_mb = max(usage.largest_mb, _megabytes(status, "VmHWM:"))
            together += _megabytes(Path(f"/proc/{pid}/smaps_rollup").read_text(), "Pss:")
    usage.looks_mb.append(together)


def _megabytes(text: str, name: str) -> float:
    """A value that /proc gives in kB; 0 where it gives none, as for a zombie."""
    for line in text.splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return 0.0
