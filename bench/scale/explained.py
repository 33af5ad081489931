"""What Postgres reads for the relay's statement: its plan, run and rolled back."""

# pyright: reportUnknownMemberType=false

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, event

from bench.scale.steps import Steps
from shared.db import photos
from shared.domain.photo import Lane

_EXPLAIN: Final = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)"


@dataclass(frozen=True, slots=True)
class Plan:
    """The relay's statement once; blocks of 8 KB that were looked at, in memory or on disk."""

    photos: int
    select_blocks: int  #: of finding and locking them
    blocks: int  #: of all of the statement
    ms: float
    nodes: tuple[str, ...]  #: the plan, outermost first: kind, table, index


def relay_plan(steps: Steps, limit: int) -> Plan:
    """Explains `photos.mark_queued` as it is, without leaving a trace."""
    [(statement, values)] = _statements(steps, limit)
    with steps.engine.connect() as connection:
        [(told,)] = connection.exec_driver_sql(f"{_EXPLAIN} {statement}", values).all()
        connection.rollback()
    root: dict[str, Any] = told[0]["Plan"]
    nodes = list(_nodes(root))
    # The SELECT is what locks; where the statement has no such part, all of it counts.
    select = next((node for node in nodes if node["Node Type"] == "LockRows"), root)
    return Plan(
        photos=int(select["Actual Rows"]),
        select_blocks=_blocks(select),
        blocks=_blocks(root),
        ms=told[0]["Execution Time"],
        nodes=tuple(map(_name, nodes)),
    )


def _statements(steps: Steps, limit: int) -> list[tuple[str, Any]]:
    """What the function sends, with its values, as the driver gets it."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Connection, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        sent.append((statement, values))

    with steps.engine.connect() as connection:
        event.listen(connection, "before_cursor_execute", note)
        photos.mark_queued(
            connection, Lane.TAGGING, limit=limit, lease_s=steps.settings.queued_lease_s
        )
        connection.rollback()
    return sent


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for part in node.get("Plans", ()):
        yield from _nodes(part)


def _blocks(node: dict[str, Any]) -> int:
    return int(node["Shared Hit Blocks"] + node["Shared Read Blocks"])


def _name(node: dict[str, Any]) -> str:
    where = node.get("Index Name") or node.get("Relation Name")
    return f"{node['Node Type']} ({where})" if where else str(node["Node Type"])
