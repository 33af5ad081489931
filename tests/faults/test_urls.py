"""URLs, names and redirects that lead where nobody should go end there, and nobody is dialled."""

from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest

from dev.listings import PhotoFile
from dev.services import Services
from tests.faults import urls
from tests.faults.aftermath import Aftermath
from tests.faults.cases import PROXY, PUBLIC, PUBLIC_V6, ZONE, Run, ends, publish
from tests.faults.world import inhabited
from tests.settled import Tags, assert_quiet


@pytest.fixture(scope="module")
def run(
    servers: Services,
    _template: str,
    photo_folder: Path,
    calm_tags: dict[str, Tags],
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[Run]:
    """All photos of this file, tagged or refused by one worker."""
    table = urls.cases(photo_folder)
    variables = ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
    with inhabited(
        servers,
        _template,
        photo_folder,
        tmp_path_factory.mktemp("urls"),
        urls.__name__,
        TAGGER_DENIED_HOSTS=f"denied.{ZONE}",
        **dict.fromkeys(variables, f"http://{PROXY}"),
    ) as (world, fleet, engine):
        publish(fleet, table)
        aftermath = Aftermath(engine, fleet, calm_tags, lambda _name, _value: None)
        aftermath.check(len(table), timeout_s=150)
        yield Run(table, ends(engine), world.see(), fleet)


@pytest.mark.row("I1")
def test_what_is_no_url_for_photos_is_refused_before_its_name_is_asked_for(run: Run) -> None:
    run.check("I1")
    assert [name for name in run.seen.asked if name.startswith("i1-")] == []


@pytest.mark.row("I2")
def test_private_ipv4_addresses_are_refused_in_every_spelling(run: Run) -> None:
    run.check("I2")


@pytest.mark.row("I3")
def test_ipv6_that_is_private_or_carries_ipv4_is_refused(run: Run) -> None:
    run.check("I3")


@pytest.mark.row("I4")
def test_names_lead_to_public_addresses_only(run: Run) -> None:
    run.check("I4")
    for name in ("loops", "private", "metadata", "mixed", "mixed6"):
        assert run.seen.asked[f"{name}.{ZONE}"] > 0
    assert len(run.seen.visits["/i4/flips"]) == 1, "it was dialled while it was public"
    assert run.seen.asked[f"flips.{ZONE}"] >= 2, "and asked for again"


@pytest.mark.row("I5")
def test_redirects_are_held_to_the_same_rules_and_end(run: Run) -> None:
    run.check("I5")
    assert len(run.seen.visits["/i5/loop"]) == 4
    assert [name for name in run.seen.asked if name.startswith(("i5-gopher", "i5-port"))] == []


@pytest.mark.row("I6")
def test_odd_ports_are_refused_and_a_proxy_of_the_environment_is_not_asked(run: Run) -> None:
    run.check("I6")
    proxy = PROXY.replace(":", " ")
    assert run.seen.dialled[proxy] == 0


@pytest.mark.row("I1", "I2", "I3", "I4", "I5", "I6")
def test_nobody_was_dialled_but_the_two_public_addresses(run: Run) -> None:
    assert {*run.seen.dialled} == {f"{PUBLIC} 80", f"{PUBLIC_V6} 80"}, Counter(run.seen.dialled)


def test_hosts_that_the_operator_denies_are_not_asked_for(run: Run) -> None:
    run.check("")
    assert [name for name in run.seen.asked if name.endswith(f"denied.{ZONE}")] == []


def test_the_photos_beside_them_are_tagged_as_in_a_calm_run(
    run: Run, photos: list[PhotoFile], calm_tags: dict[str, Tags]
) -> None:
    run.check_tags(photos, calm_tags)
    assert_quiet(run.fleet, "worker", "relay")
