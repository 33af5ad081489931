"""Rejected events offered again, once what they failed at is mended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, text

from producer.events import ListingEvent
from producer.intake import Intake, limits
from producer.parsing import parse
from shared.domain.photo import Lane
from shared.errors import EventError
from shared.settings import Settings

_BATCH: Final = 200
#: A whole line is what was rejected; of others only a part, or a readable picture, was kept, or
#: they never were events, as rows of CSV that nobody could read.
_WHOLE: Final = "line_sha256 = sha256(convert_to(line, 'UTF8'))"
_CHOSEN: Final = "(CAST(:codes AS text[]) IS NULL OR code = ANY(:codes))"


@dataclass(slots=True)
class Replayed:
    """What became of rejected events."""

    recorded: int = 0
    unchanged: int = 0  #: older than what is known by now
    rejected: int = 0  #: still, with the reasons of today
    incomplete: int = 0  #: not kept as an event, so that nobody can tell what they said
    photos: int = 0


def replay(engine: Engine, settings: Settings, codes: Sequence[str] | None = None) -> Replayed:
    """Records the rejected events that are good by now, and takes them out of the table.

    Several may run at once, and one that is cut off is simply run again. Of two events of a
    listing the newer one wins as ever: an event that was overtaken changes nothing. Photos of
    what came with a back catalogue wait where those do.

    Args:
        engine: where the rows are.
        settings: what an event may hold.
        codes: only those that were rejected with one of these; all if None.
    """
    done = Replayed()
    chosen = None if codes is None else [*codes]
    for lane in (Lane.TAGGING, Lane.BACKFILL):
        _replay(engine, settings, lane, chosen, done)
    with engine.connect() as connection:
        done.incomplete = _incomplete(connection, chosen)
    return done


def _replay(
    engine: Engine, settings: Settings, lane: Lane, codes: list[str] | None, done: Replayed
) -> None:
    intake = Intake(engine, settings, lane)
    after = 0
    while True:
        with engine.begin() as connection:
            rows = _next(connection, lane, codes, after)
            if not rows:
                return
            after = rows[-1].id
            _offer(connection, intake, settings, rows, done)


def _next(
    connection: Connection, lane: Lane, codes: list[str] | None, after: int
) -> list[Row[Any]]:
    return list(
        connection.execute(
            text(f"""
                SELECT id, line FROM rejected_event
                WHERE id > :after AND {_WHOLE} AND {_CHOSEN} AND backfill = :backfill
                ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED
            """),  # noqa: S608  # our own words
            {
                "after": after,
                "codes": codes,
                "backfill": lane is Lane.BACKFILL,
                "most": _BATCH,
            },
        )
    )


def _offer(
    connection: Connection,
    intake: Intake,
    settings: Settings,
    rows: Sequence[Row[Any]],
    done: Replayed,
) -> None:
    now = datetime.now(UTC)
    good: dict[int, ListingEvent] = {}
    for row in rows:
        try:
            good[row.id] = parse(row.line.encode(), limits(settings), now)
        except EventError as error:
            done.rejected += 1
            connection.execute(
                text("UPDATE rejected_event SET code = :code, reason = :reason WHERE id = :id"),
                {"id": row.id, "code": error.kind, "reason": error.detail},
            )
    written = intake.write(connection, [*good.values()], [])
    connection.execute(text("DELETE FROM rejected_event WHERE id = ANY(:ids)"), {"ids": [*good]})
    done.recorded += len(written.applied)
    done.unchanged += len(good) - len(written.applied)
    done.photos += written.photos


def _incomplete(connection: Connection, codes: list[str] | None) -> int:
    return connection.execute(
        text(f"SELECT count(*) FROM rejected_event WHERE NOT {_WHOLE} AND {_CHOSEN}"),  # noqa: S608
        {"codes": codes},
    ).scalar_one()
