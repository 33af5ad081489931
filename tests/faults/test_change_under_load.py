"""Another model and another schema come while photos flow, and none is lost or mixed up."""

import itertools
import json
import shutil
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import Engine, text

import migrations
from dev.fleet import Fleet
from dev.listings import PhotoFile, events
from dev.origin import Origin
from dev.processes import HOST
from dev.services import Urls
from migrations import run
from tests.faults.aftermath import Aftermath
from tests.faults.proxy import Proxy
from tests.marketplace import rows
from tests.settled import assert_quiet
from tests.waiting import wait_until
from tests.worker.model.renamed import renamed

pytestmark = pytest.mark.timeout(300)

_BATCH = 8
#: A further revision, of a version after this one: it changes the tables that are written most.
_NEXT = """
from alembic import op

revision, down_revision, branch_labels, depends_on = "9999", "{head}", None, None


def upgrade():
    op.execute("LOCK TABLE model, tag, photo_tag, listing_tag, related_tag")
    for table in ("photo_tag", "photo", "listing"):
        op.execute(f"ALTER TABLE {{table}} ADD COLUMN next text")
"""


class _Flow:
    """Listings of one photo each, published without a pause until the block ends."""

    def __init__(self, fleet: Fleet, photos: list[PhotoFile], origin: str) -> None:
        self._fleet = fleet
        self._lines = [json.dumps(one).encode() for one in events(photos * 400, origin)]
        self._over = threading.Event()
        self.published = 0

    def publish(self) -> None:
        for start in itertools.count(0, 100):
            lines = self._lines[start : start + 100]
            if self._over.is_set() or not lines:
                return
            done = self._fleet.run("produce", "-", stdin=b"\n".join(lines))
            assert done.returncode == 0, done.stderr
            self.published += len(lines)

    @contextmanager
    def going(self) -> Generator[None]:
        failures: list[BaseException] = []

        def publish() -> None:
            try:
                self.publish()
            except BaseException as error:  # noqa: BLE001  # raised below, in the test's thread
                failures.append(error)

        thread = threading.Thread(target=publish)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
        if failures:
            raise failures[0]


def _tagged(engine: Engine) -> int:
    return rows(engine, "SELECT count(*) FROM photo WHERE status = 'tagged'")[0][0]


def _by(engine: Engine, version: str) -> int:
    return rows(
        engine,
        "SELECT count(*) FROM photo JOIN model ON model.id = model_id WHERE version = :v",
        v=version,
    )[0][0]


@pytest.mark.row("F20")
def test_each_photo_and_its_tags_name_one_model_while_models_change(
    engine: Engine,
    fleet: Fleet,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
    aftermath: Aftermath,
) -> None:
    second = renamed(tmp_path / "second").version
    assert fleet.run("model", "add", "second").returncode == 0
    # Photos that take their time: whenever a model changes, batches are under way.
    port = urlsplit(origin.url).port
    assert port
    with Proxy((HOST, port)) as slow:
        slow.delay_s = 0.3
        fleet.environment |= {
            "TAGGER_ALLOWED_PORTS": str(slow.port),
            "TAGGER_BATCH_PHOTOS": str(_BATCH),
            "TAGGER_FETCH_DEADLINE_S": "20",
            "TAGGER_MODEL_POLL_S": "0.2",
            "TAGGER_STRAGGLERS_S": "20",
        }
        fleet.start("relay", "relay")
        fleet.start("worker", "worker", "--processes", "2")
        flow = _Flow(fleet, photos, f"http://{HOST}:{slow.port}")
        with flow.going():
            wait_until(lambda: _tagged(engine) > _BATCH)
            for command in (("promote", second, "--force"), ("rollback",), ("promote", second)):
                before = _tagged(engine)
                done = fleet.run("model", *command, *(["--force"] if len(command) == 2 else []))
                assert done.returncode == 0, done.stderr
                wait_until(lambda: _tagged(engine) > before + 2 * _BATCH)  # noqa: B023  # at once
            scored = _by(engine, second)
            wait_until(lambda: _by(engine, second) > scored)
        # The second model has the first one's weights: tags are those of a run without faults.
        aftermath.check(flow.published, timeout_s=150)
    assert rows(engine, "SELECT count(*) FROM photo WHERE status = 'failed'") == [(0,)]
    assert (
        rows(
            engine,
            """SELECT photo.id FROM photo
            JOIN decision ON decision.id = decision_id
            LEFT JOIN photo_tag ON photo_id = photo.id
            WHERE decision.model_id <> photo.model_id OR photo_tag.model_id <> photo.model_id
                OR attempt > 1""",
        )
        == []
    )
    batches = [json.loads(line) for line in fleet.log("worker").splitlines()]
    assert len({line["model"] for line in batches if line["event"] == "batch.done"}) == 2
    assert fleet.stop() == {"relay": 0, "worker": 0}
    assert_quiet(fleet, "relay", "worker")


@pytest.mark.row("F20")
def test_a_migration_under_load_loses_nothing_and_queues_nobody_for_long(
    engine: Engine,
    fleet: Fleet,
    photos: list[PhotoFile],
    origin: Origin,
    aftermath: Aftermath,
    tmp_path: Path,
) -> None:
    ours = Path(migrations.__file__).parent
    theirs = tmp_path / "next" / "migrations"
    shutil.copytree(ours, theirs, ignore=shutil.ignore_patterns("__pycache__"))
    (theirs / "versions" / "9999_next.py").write_text(_NEXT.format(head=run.head()))
    environment = fleet.environment | {"PYTHONPATH": f"{theirs.parent}:{ours.parent}"}
    urls = Urls(environment["DATABASE_URL"], environment["REDIS_URL"])
    following = Fleet(urls, tmp_path, environment)
    fleet.environment["TAGGER_BATCH_PHOTOS"] = str(_BATCH)
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", "--processes", "1")
    flow = _Flow(fleet, photos, origin.url)
    with following, flow.going():
        wait_until(lambda: _tagged(engine) > _BATCH)
        # Somebody reads for long: the migration must not make all others wait behind it.
        with engine.connect() as reader:
            reader.execute(text("SET idle_in_transaction_session_timeout = 0"))
            reader.execute(text("SELECT count(*) FROM photo_tag"))
            following.start("migrate", "migrate")
            wait_until(lambda: _waiting(engine) > 0)
            before = _tagged(engine)
            wait_until(lambda: _tagged(engine) > before + 4 * _BATCH, timeout_s=30)
            assert following.exit_code("migrate") is None, "it still tries"
        aftermath.fault_is_over()
        wait_until(lambda: following.exit_code("migrate") is not None)
        before = _tagged(engine)
        wait_until(lambda: _tagged(engine) > before + 4 * _BATCH)
        assert following.stop("migrate") == {"migrate": 0}
    assert rows(engine, "SELECT version_num FROM alembic_version") == [("9999",)]
    aftermath.check(flow.published)
    assert rows(engine, "SELECT max(attempt), max(crashes) FROM photo") == [(1, 0)]
    assert fleet.stop() == {"relay": 0, "worker": 0}
    assert_quiet(fleet, "relay", "worker", allowed=("database.again",))


def _waiting(engine: Engine) -> int:
    return rows(
        engine,
        """SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tagger migrate'
        AND wait_event_type = 'Lock' AND datname = current_database()""",
    )[0][0]
