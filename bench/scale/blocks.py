"""The same photos' way through Postgres before a short and before a long backlog, in turns."""

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812  # a type's name
from sqlalchemy import text

from bench.scale.backlog import due, fill, table_facts, vacuum
from bench.scale.explained import Plan, relay_plan
from bench.scale.steps import Cost, Steps, steps
from bench.throughput.servers import Servers
from shared.errors import SetupError

#: Nobody asks for these photos.
_NOWHERE: Final = "http://127.0.0.1:9"
_FILES: Final = 100
#: Photos that go first, unmeasured, so that nobody's first statement counts.
_WARM_UP: Final = 128


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found before one backlog."""

    backlog: int  #: due photos that are left when all is measured
    blocks: list[dict[str, Cost]] = field(default_factory=list[dict[str, Cost]])  #: by step
    plans: list[Plan] = field(default_factory=list[Plan])  #: before and after
    #: Tables and indexes, before and after.
    tables: list[list[dict[str, Any]]] = field(default_factory=list[list[dict[str, Any]]])


def measure_blocks(
    backlogs: Sequence[int],
    *,
    servers: Servers,
    photos: int,
    block: int,
    at_once: int,
    batch: int,
    vacuumed: bool,
    say: Callable[[str], None],
) -> list[Measured]:
    """Takes photos through the steps, a block of them before each backlog in turn.

    Args:
        backlogs: due photos behind those that are measured, a fresh database each.
        servers: where these are made.
        photos: how many are measured before each.
        block: how many before it is the next one's turn.
        at_once: how many the relay takes in a round.
        batch: how many are claimed and settled together.
        vacuumed: whether the tables are, before it starts.
        say: told what is going on.

    Raises:
        SetupError: a step did not find the photos that the one before it left.
    """
    with ExitStack() as stack:
        grounds: list[_Ground] = []
        for backlog in backlogs:
            say(f"making {backlog + photos:,} due photos")
            count = backlog + photos + _WARM_UP
            ground = stack.enter_context(_ground(servers, backlog, count, vacuumed=vacuumed))
            ground.steps.go(_WARM_UP, at_once=at_once, batch=batch)
            grounds.append(ground)
        for ground in grounds:
            ground.look(at_once)
        for turn, first in enumerate(range(0, photos, block)):
            count = min(block, photos - first)
            for ground in grounds if turn % 2 == 0 else reversed(grounds):
                ground.measured.blocks.append(ground.steps.go(count, at_once=at_once, batch=batch))
        for ground in grounds:
            ground.look(at_once)
            left = due(ground.connection)
            if left != ground.measured.backlog:
                raise SetupError(f"{left} photos are still due, not {ground.measured.backlog}")
        return [ground.measured for ground in grounds]


@dataclass(frozen=True, slots=True)
class _Ground:
    """A database with a backlog."""

    measured: Measured
    connection: Connection
    steps: Steps

    def look(self, at_once: int) -> None:
        """How the relay's statement is planned now, and how the tables stand."""
        self.measured.plans.append(relay_plan(self.steps, at_once))
        with self.steps.engine.begin() as connection:
            connection.execute(text("SELECT pg_stat_force_next_flush()"))
        self.measured.tables.append(table_facts(self.connection))


@contextmanager
def _ground(servers: Servers, backlog: int, count: int, *, vacuumed: bool) -> Generator[_Ground]:
    with (
        servers.fresh() as urls,
        closing(psycopg2.connect(urls.database_url)) as connection,
        steps(urls) as its_steps,
    ):
        connection.autocommit = True
        fill(connection, count, _NOWHERE, _FILES)
        if vacuumed:
            vacuum(connection)
        yield _Ground(Measured(backlog), connection, its_steps)
