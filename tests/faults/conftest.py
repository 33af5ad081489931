"""What tests of faults share: a run without any, and a look at what each fault left."""

import os
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.listings import PhotoFile
from dev.origin import Origin
from dev.services import Services, Urls
from shared.db.session import make_engine
from tests import conftest as project
from tests.faults.aftermath import MARK, Aftermath, processes
from tests.faults.scorecard import ROWS
from tests.settled import Tags, publish, tags_by_path, wait_until_settled
from tests.waiting import wait_until

#: Of a test, with what it needs to start: a server that recovers, a run without faults.
_LIMIT_S = 300


def pytest_addoption(parser: pytest.Parser) -> None:
    """Rows can be chosen by their names."""
    parser.addoption("--rows", default="", help="only tests of these rows, such as F7,I12")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Each report says which rows of the scorecard it is about."""
    chosen = {*filter(None, str(config.getoption("--rows")).split(","))}
    if chosen:
        items[:] = [i for i in items if chosen & {r for m in i.iter_markers("row") for r in m.args}]
    for item in items:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_LIMIT_S))
        for mark in item.iter_markers("row"):
            for row in mark.args:
                assert row in ROWS, f"{item.nodeid}: no row is called {row}"
                item.user_properties.append(("row", row))


@pytest.fixture(scope="session")
def calm_tags(
    servers: Services,
    _template: str,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Tags]:
    """The tags of each photo in a run without faults, by the path of its URL."""
    with contextmanager(project.database)(servers, _template) as settings:
        engine = make_engine(settings, role="test")
        urls = Urls(settings.database_url.get_secret_value(), settings.redis_url.get_secret_value())
        folder = tmp_path_factory.mktemp("calm")
        with Fleet(urls, folder, project.fleet_environment(origin)) as fleet:
            fleet.start("relay", "relay")
            fleet.start("worker", "worker", "--processes", "1")
            total = publish(fleet, photos, origin, folder, copies=1)
            wait_until_settled(engine, total)
        tags = tags_by_path(engine)
        engine.dispose()
    assert len(tags) == len(photos)
    return {path: seen for path, [seen] in tags.items()}


@pytest.fixture
def fleet(fleet: Fleet) -> Generator[Fleet]:
    """As everywhere; afterwards no process of it may be left."""
    mark = uuid.uuid4().hex
    fleet.environment[MARK] = mark
    yield fleet
    fleet.stop()
    wait_until(
        lambda: not processes(mark),
        timeout_s=20,
        otherwise=lambda: [process.cmdline() for process in processes(mark)],
    )


@pytest.fixture
def aftermath(
    engine: Engine,
    fleet: Fleet,
    calm_tags: dict[str, Tags],
    record_property: Callable[[str, object], None],
) -> Aftermath:
    """The check after a fault."""
    return Aftermath(engine, fleet, calm_tags, record_property)


def pytest_report_header() -> str:
    """The seed of every random choice, so that a run can be repeated."""
    return f"seed: {seed()}"


def seed() -> int:
    """What random choices of these tests start from; FAULTS_SEED sets it."""
    return int(os.environ.get("FAULTS_SEED", "20261123"))
