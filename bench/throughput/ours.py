"""This project: producer, relay and workers as they are, from the first event to the last tag."""

import sys
import time
from contextlib import closing

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812  # a type's name

from bench.events import listings
from bench.running import published, unsettled
from bench.throughput.child import Child
from bench.throughput.contest import LIMIT_S, Measured, Stage, until
from bench.throughput.cpu import is_waiting, measuring
from bench.throughput.rows import keep
from dev.fleet import Fleet
from shared.errors import SetupError

_START_S = 120.0
_QUIET_S = 0.5
_LOOK_S = 0.1


def ours(stage: Stage, count: int) -> Measured:
    """Tags photos with real processes on a fresh database.

    Raises:
        SetupError: something does not start, or photos are still under way after 10 min.
    """
    settings = {
        **({"SSL_CERT_FILE": stage.environment["SSL_CERT_FILE"]} if stage.trusted else {}),
        "TAGGER_ALLOW_PRIVATE_HOSTS": "true",
        "TAGGER_ALLOWED_PORTS": stage.origin.url.rpartition(":")[2],
        "TAGGER_LOG_FORMAT": "json",
        "TAGGER_MODEL_DIR": str(stage.model.resolve()),
        "TAGGER_MODEL_STORE": str((stage.folder / "models").resolve()),
        **stage.settings,
    }
    with (
        stage.servers.fresh() as urls,
        Fleet(urls, stage.folder, settings) as fleet,
        closing(psycopg2.connect(urls.database_url)) as connection,
    ):
        connection.autocommit = True
        fleet.start("relay", "relay")
        fleet.start("worker", "worker", "--processes", str(stage.cores))
        producer = Child(
            [sys.executable, "-m", "tagger", "produce", "-"],
            log=stage.folder / "producer.log",
            environment=fleet.environment,
            limit_s=LIMIT_S,
        )
        listed = [*listings(stage.urls(count), stage.photos_per_listing)]
        lines = "\n".join(listed)
        with producer:
            _until_ready(fleet, stage.cores + 1, producer.pid)
            roots = {
                "worker": fleet.pid("worker"),
                "relay": fleet.pid("relay"),
                **stage.servers.pids,
                "origin": stage.origin.pid,
                "producer": producer.pid,
            }
            with measuring(roots, memory_of="worker") as usage:
                started = time.time()
                code = producer.feed(lines)
                if code:
                    raise SetupError(f"tagger produce: exit code {code}; see {stage.folder}")
                until(lambda: _settled(connection, len(listed)), "photos are still under way")
        ended, failed, found = _facts(connection)
        keep(connection, stage.rows)
    if found != count:
        raise SetupError(f"{found} photos of {count} were recorded")
    return Measured.of(count, failed, ended - started, usage)


def _until_ready(fleet: Fleet, workers: int, producer: int) -> None:
    def ready() -> bool:
        for name in ("worker", "relay"):
            if (code := fleet.exit_code(name)) is not None:
                raise SetupError(f"tagger {name}: exit code {code}; see {fleet.folder}")
        return fleet.log("worker").count(
            '"worker.ready"'
        ) >= workers and '"relay.listening"' in fleet.log("relay")

    until(ready, f"relay and workers are not ready; see {fleet.folder}", _START_S)
    # The producer says nothing before its first event: it is ready once it sleeps.
    quiet_since = time.monotonic()

    def quiet() -> bool:
        nonlocal quiet_since
        if not is_waiting(producer):
            quiet_since = time.monotonic()
        return time.monotonic() - quiet_since > _QUIET_S

    until(quiet, "the producer is not ready", _START_S)


def _settled(connection: Connection, listings: int) -> bool:
    """Whether every listing is in the feed and no photo is left to do."""
    time.sleep(_LOOK_S)
    # The feed's head first: one row, where looking for photos that are not finished reads many.
    return published(connection) >= listings and not unsettled(connection)


def _facts(connection: Connection) -> tuple[float, int, int]:
    """When the last photo was finished (seconds since 1970), how many failed, how many are."""
    with connection.cursor() as cursor:
        cursor.execute("""
            SELECT extract(epoch FROM max(finished_at))::float,
                count(*) FILTER (WHERE status = 'failed'), count(*) FROM photo
        """)
        [(ended, failed, found)] = cursor.fetchall()
    return float(ended or 0), int(failed), int(found)
