"""What a step of `tagger flag` takes beside many listings, with nobody else at work.

`scripts/bench flags` fills a fresh database with listings whose photos look at random, and with
some that all look the same. Then 500 more of each kind come at once, with words to be judged.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import orjson
import typer
from rich.console import Console
from sqlalchemy import Connection, Engine, text

from bench.command import main
from bench.findings import machine, tell
from bench.running import settings_of
from bench.sections import Section
from bench.throughput.servers import Servers
from dev.services import Urls
from shared.db import follow, listings
from shared.db.decisions import Decisions
from shared.db.follow import Follower
from shared.db.session import make_engine
from shared.settings import DEFAULT_MODEL
from trust import fingerprints
from trust.flagger import Flagger
from trust.reuse import CANDIDATES
from worker.model import registry
from worker.model.artifact import Artifact, load

FOLDER: Final = Path(".tagger/bench/flags")
_PLACEHOLDER: Final = 0x0123456789ABCDEF
#: One listing's words; the judge knows some of them.
_WORDS: Final = 5
_FILLED_AT_ONCE: Final = 25_000


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the follower, from its beginning to its commit."""

    what: str
    listings: int
    seconds: float
    reused: int  #: listings of the database that are flagged for a photo then


def flags(
    *,
    listings_count: Annotated[int, typer.Option("--listings", min=2000)] = 150_000,
    same: Annotated[int, typer.Option(min=0, help="More, that all look the same.")] = 20_000,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    out: Annotated[Path, typer.Option(help="Where JSON and servers go.")] = FOLDER,
) -> None:
    """Time steps of `tagger flag`, 500 listings each, beside many others."""
    facts = {**machine(), "listings": listings_count, "same": same, "batch": follow.BATCH}
    with ExitStack() as stack:
        servers = stack.enter_context(Servers(out / "servers"))
        urls = stack.enter_context(servers.fresh())
        steps = measure(urls, listings_count, same, seed=seed)
    told = [asdict(step) for step in steps]
    tell(Console(), [section(steps)], {**facts, "steps": told}, out / "flags.json")


def measure(urls: Urls, count: int, same: int, *, seed: int) -> list[Step]:
    """Steps of each kind, one after the other."""
    engine = make_engine(settings_of(urls), role="bench")
    try:
        return _measure(engine, count, same, seed)
    finally:
        engine.dispose()


def section(steps: Sequence[Step]) -> Section:
    """As a table."""
    return Section(
        "Steps of tagger flag",
        "What comes at once, beside what came before it.",
        [f"{follow.BATCH} listings", "seconds", "flagged for a photo, of all"],
        [[step.what, f"{step.seconds:.2f}", step.reused] for step in steps],
    )


def _measure(engine: Engine, count: int, same: int, seed: int) -> list[Step]:
    random = np.random.default_rng(seed)
    artifact = load(DEFAULT_MODEL)
    with engine.begin() as connection:
        model = registry.register(connection, artifact, champion=True)
    looks = _looks(random, count)
    for start in range(0, count, _FILLED_AT_ONCE):
        _fill(engine, artifact, model, looks[start : start + _FILLED_AT_ONCE], random)
    for start in range(0, same, _FILLED_AT_ONCE):
        _fill(engine, artifact, model, [_PLACEHOLDER] * min(same - start, _FILLED_AT_ONCE), random)
    _fill(engine, artifact, model, _crowded(random, CANDIDATES), random)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM ANALYZE"))
    batch = follow.BATCH
    kinds = {
        "with photos of their own": _looks(random, batch),
        "each with another's photo": looks[:batch],
        "each with another's photo, four bits off": [
            look ^ 0b1111 for look in looks[batch : 2 * batch]
        ],
        f"all with the photo that {same:,} have": [_PLACEHOLDER] * batch,
        "all with that one, one bit off": [_PLACEHOLDER ^ 1 << n % 63 for n in range(batch)],
        f"each to be compared with {CANDIDATES:,} others": _crowded(random, batch),
    }
    steps: list[Step] = []
    for what, its in kinds.items():
        with engine.begin() as connection:
            ids = _insert(connection, artifact, model, its, random)
            listings.publish(connection, ids, Decisions())
        steps.append(_step(engine, what))
    with engine.begin() as connection:
        _delete_the_copied(connection)
    steps.append(_step(engine, "whose photos others had later, deleted"))
    return steps


def _looks(random: np.random.Generator, count: int) -> list[int]:
    return random.integers(-(1 << 63), (1 << 63) - 1, count).tolist()


def _crowded(random: np.random.Generator, count: int) -> list[int]:
    """Looks that share a key, and are of different photos."""
    return [look & ~0x1FFFFF for look in _looks(random, count)]


def _fill(
    engine: Engine,
    artifact: Artifact,
    model: int,
    looks: Sequence[int],
    random: np.random.Generator,
) -> None:
    """Listings that were judged before: as one step leaves them, apart from their flags."""
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        fingerprints.update(connection, _insert(connection, artifact, model, looks, random))


def _insert(
    connection: Connection,
    artifact: Artifact,
    model: int,
    looks: Sequence[int],
    random: np.random.Generator,
) -> list[int]:
    """Listings with a tagged photo each, as intake and workers leave them."""
    known = artifact.spam.names if artifact.spam else artifact.vocabulary
    rows = [
        {
            "phash": look,
            "scores": random.random(len(artifact.vocabulary)).round(3).tolist(),
            "words": random.choice(known, _WORDS).tolist(),
        }
        for look in looks
    ]
    return list(
        connection.execute(
            text("""
                WITH new AS (
                    SELECT *, gen_random_uuid()::text AS name
                    FROM jsonb_to_recordset(CAST(:rows AS jsonb))
                        AS _(phash bigint, scores real[], words text[])
                ), made AS (
                    INSERT INTO listing (external_id, title, seller_tags, occurred_at, event_id)
                    SELECT name, 'A listing', words, now(), name FROM new
                    RETURNING id, external_id
                )
                INSERT INTO photo (listing_id, position, url, url_sha256, status, phash, scores,
                    model_id, finished_at)
                SELECT id, 0, name, sha256(name::bytea), 'tagged', phash, scores, :model, now()
                FROM made JOIN new ON name = external_id RETURNING listing_id
            """),
            {"rows": orjson.dumps(rows).decode(), "model": model},
        ).scalars()
    )


def _delete_the_copied(connection: Connection) -> None:
    """A batch of listings, as a deletion leaves them."""
    ids = (
        connection.execute(
            text("""
                SELECT DISTINCT listing.id FROM listing_flag JOIN listing ON external_id = subject
                WHERE kind = 'reused_photo' ORDER BY 1 LIMIT :batch
            """),
            {"batch": follow.BATCH},
        )
        .scalars()
        .all()
    )
    for statement in (
        "DELETE FROM photo WHERE listing_id = ANY(:ids)",
        "UPDATE listing SET deleted_at = now() WHERE id = ANY(:ids)",
    ):
        connection.execute(text(statement), {"ids": ids})
    listings.publish(connection, ids, Decisions())


def _step(engine: Engine, what: str) -> Step:
    follower = Follower(engine, Flagger((), shadow=True))
    began = time.perf_counter()
    done = follower.step()
    seconds = time.perf_counter() - began
    with engine.connect() as connection:
        reused = connection.execute(
            text("SELECT count(DISTINCT listing_id) FROM listing_flag WHERE kind = 'reused_photo'")
        ).scalar_one()
    return Step(what, done.entries, seconds, reused)


if __name__ == "__main__":
    main(flags)
