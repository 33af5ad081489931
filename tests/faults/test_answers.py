"""Origins that stall, flood, unpack, break off and lie: each photo ends with its own code."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dev.listings import PhotoFile
from dev.services import Services
from tests.faults import answers
from tests.faults.aftermath import Aftermath
from tests.faults.answers import RETRY_AFTER_S
from tests.faults.cases import Run, ends, publish
from tests.faults.world import inhabited
from tests.settled import Tags, assert_quiet

_MAX_PHOTO_BYTES = 4 << 20
_SLOW_DEADLINE_S = 8
#: The floods' bytes that it may hold at once, and what their handling takes.
_MAY_GROW_BYTES = 96 << 20


@dataclass(frozen=True)
class _Run(Run):
    grown_bytes: int  #: the worker's peak, by the floods


@pytest.fixture(scope="module")
def run(
    servers: Services,
    _template: str,
    photo_folder: Path,
    calm_tags: dict[str, Tags],
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[_Run]:
    """All photos of this file, tagged or failed at one worker; the floods last."""
    table, last = answers.cases(photo_folder), answers.floods(photo_folder)
    names = {case.name for case in last}
    with inhabited(
        servers,
        _template,
        photo_folder,
        tmp_path_factory.mktemp("answers"),
        answers.__name__,
        TAGGER_MAX_PHOTO_BYTES=str(_MAX_PHOTO_BYTES),
        TAGGER_SLOW_FETCH_DEADLINE_S=str(_SLOW_DEADLINE_S),
    ) as (world, fleet, engine):
        aftermath = Aftermath(engine, fleet, calm_tags, lambda _name, _value: None)
        publish(fleet, [case for case in table if case.name not in names])
        aftermath.check(len(table) - len(last), timeout_s=150)
        before = world.peak_bytes()
        publish(fleet, last)
        aftermath.check(len(table), timeout_s=150)
        grown = world.peak_bytes() - before
        yield _Run(table, ends(engine), world.see(), fleet, grown)


@pytest.mark.row("I7")
def test_origins_that_stall_or_drip_are_too_slow_at_the_total_deadline(run: _Run) -> None:
    run.check("I7")
    for case in run.cases:
        if case.row == "I7" and case.serves:
            visits = run.visits(next(iter(case.serves)))
            assert len(visits) == 2
            # Where nothing bounds them they last minutes: a busy machine may take its time.
            assert max(held_s for _, held_s in visits) < _SLOW_DEADLINE_S + 10, case.name


@pytest.mark.row("I8")
def test_more_bytes_than_a_photo_may_have_are_not_read(run: _Run) -> None:
    run.check("I8")


@pytest.mark.row("I9")
def test_nothing_is_unpacked_that_could_be_a_bomb(run: _Run) -> None:
    run.check("I9")


@pytest.mark.row("I8", "I9")
def test_floods_and_bombs_leave_the_workers_memory_where_it_was(
    run: _Run, record_property: Callable[[str, object], None]
) -> None:
    record_property("grown_bytes", run.grown_bytes)
    assert run.grown_bytes < _MAY_GROW_BYTES


@pytest.mark.row("I10")
def test_photos_cut_short_are_truncated_and_tried_again(run: _Run) -> None:
    run.check("I10")


@pytest.mark.row("I11")
def test_statuses_are_final_delayed_or_tried_again(run: _Run) -> None:
    run.check("I11")
    [(first, _), (second, _)] = run.visits("/i11/429")
    assert second - first >= RETRY_AFTER_S
    for path in ("/i11/404", "/i11/410", "/i11/403", "/i11/html"):
        assert len(run.visits(path)) == 1


@pytest.mark.row("I12")
def test_bytes_decide_what_a_photo_is_and_never_a_content_type(run: _Run) -> None:
    run.check("I12")


def test_the_photos_beside_them_are_tagged_as_in_a_calm_run(
    run: _Run, photos: list[PhotoFile], calm_tags: dict[str, Tags]
) -> None:
    run.check_tags(photos, calm_tags)
    assert_quiet(run.fleet, "worker", "relay", allowed=("host.rests",))
