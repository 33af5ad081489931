"""So many calls at once; who waits too long for a thread is told."""

import asyncio
import threading

import pytest

from review.photo_threads import PhotoThreads
from shared.errors import Busy


def test_a_call_runs_beside_the_loop_and_one_too_many_is_told() -> None:
    async def all_of_it() -> None:
        threads, go = PhotoThreads(2, wait_s=0.2), threading.Event()
        held = [asyncio.create_task(threads.run(lambda: go.wait(60))) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await threads.run(lambda: True)
        go.set()
        assert await asyncio.gather(*held) == [True, True]
        assert await threads.run(threading.get_ident) != threading.get_ident()
        threads.close()

    asyncio.run(all_of_it())


def test_what_a_call_raises_comes_out_and_its_thread_is_free_again() -> None:
    async def all_of_it() -> None:
        threads = PhotoThreads(1, wait_s=10)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await threads.run(lambda: 1 // 0)
        threads.close()

    asyncio.run(all_of_it())
