"""A suspect works alone, and nobody waits for ever."""

import threading
import time

from worker.quarantine import Quarantine


def test_a_suspect_never_shares_the_process() -> None:
    quarantine = Quarantine()
    inside: list[str] = []
    clashes: list[list[str]] = []

    def work(kind: str) -> None:
        for _ in range(30):
            with quarantine.alone() if kind == "suspect" else quarantine.together():
                inside.append(kind)
                time.sleep(0.001)
                if "suspect" in inside and len(inside) > 1:
                    clashes.append([*inside])
                inside.remove(kind)

    kinds = ["suspect", "suspect", "other", "other", "other"]
    threads = [threading.Thread(target=work, args=(kind,)) for kind in kinds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert clashes == []


def test_ordinary_batches_share_it() -> None:
    quarantine = Quarantine()
    both = threading.Barrier(2, timeout=5)

    def work() -> None:
        with quarantine.together():
            both.wait()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not both.broken
