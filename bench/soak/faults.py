"""The faults of a soak: each happens, lasts a while and is over when its function returns."""

import signal
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from typing import Final

from redis import Redis

from bench.soak.world import RELAY, WORKER, World
from dev.processes import children, send
from shared.errors import SetupError

#: Shorter than the time between two faults, longer than the fetcher's patience.
_FROZEN_S: Final = 6.0


def kill_a_process(world: World) -> None:
    """SIGKILL of one worker process; its supervisor starts another."""
    family = children(world.fleet.pid(WORKER))
    if family:
        send(world.random.choice(family), signal.SIGKILL)


def kill_all_workers(world: World) -> None:
    """SIGKILL of a whole group of workers, which is then started again."""
    world.fleet.kill(WORKER)
    world.start_worker()


def stop_workers(world: World) -> None:
    """SIGTERM to a group of workers, as in a deployment; it must end well."""
    codes = world.fleet.stop(WORKER)
    world.start_worker()
    if codes != {WORKER: 0}:
        raise SetupError(f"the workers ended with {codes}")


def freeze_a_process(world: World) -> None:
    """SIGSTOP of one worker process for a while."""
    family = children(world.fleet.pid(WORKER))
    if family:
        with _stopped([world.random.choice(family)]):
            time.sleep(_FROZEN_S)


def kill_the_relay(world: World) -> None:
    """SIGKILL of one of two relays, which is then started again."""
    world.fleet.kill(RELAY)
    world.start_relay()


def kill_valkey(world: World) -> None:
    """SIGKILL of Valkey, which is then started again."""
    world.services.valkey.kill()
    world.services.valkey.start()


def freeze_valkey(world: World) -> None:
    """SIGSTOP of Valkey for a while."""
    world.services.valkey.suspend()
    try:
        time.sleep(_FROZEN_S)
    finally:
        world.services.valkey.resume()


def flush_valkey(world: World) -> None:
    """Every message is forgotten."""
    with closing(Redis.from_url(world.services.valkey.url)) as client:  # pyright: ignore[reportUnknownMemberType]
        client.flushall()  # pyright: ignore[reportUnknownMemberType]


def stop_postgres(world: World) -> None:
    """Postgres is stopped without any tidying up, and started again."""
    world.services.postgres.stop(immediate=True)
    world.services.postgres.start()


def freeze_postgres(world: World) -> None:
    """SIGSTOP of every process of Postgres for a while."""
    world.services.postgres.suspend()
    try:
        time.sleep(_FROZEN_S)
    finally:
        world.services.postgres.resume()


def freeze_the_origin(world: World) -> None:
    """SIGSTOP of the origin: it accepts connections and says nothing."""
    with _stopped([world.origin.pid]):
        time.sleep(_FROZEN_S)


FAULTS: Final[Sequence[Callable[[World], None]]] = (
    kill_a_process,
    kill_all_workers,
    stop_workers,
    freeze_a_process,
    kill_the_relay,
    kill_valkey,
    freeze_valkey,
    flush_valkey,
    stop_postgres,
    freeze_postgres,
    freeze_the_origin,
)


@contextmanager
def _stopped(pids: Sequence[int]) -> Generator[None]:
    for pid in pids:
        send(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            send(pid, signal.SIGCONT)
