"""Every process and command works under a login that has its role and nothing else."""

import importlib.util
import json
import re
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import Engine
from typer.main import get_command

from dev.fleet import Fleet
from dev.listings import PhotoFile, write_events
from dev.origin import Origin
from shared.db import grants
from shared.db.roles import Role
from shared.settings import Settings
from tagger import app
from tests.logins import login
from tests.marketplace import event, rows
from tests.review.page import fields
from tests.settled import assert_quiet, assert_settled, wait_until_settled
from tests.waiting import wait_until
from tests.worker.model.renamed import renamed

pytestmark = pytest.mark.timeout(300)  # a dozen commands, each a process


_ROW = re.compile(r"^\| `(tagger_[a-z]+)` \| (.*?) \|", re.MULTILINE)
#: Commands that need no role: what they do leaves the database alone, or makes the roles.
_WITHOUT = {
    *("roles", "evaluate", "related", "spam", "dataset download", "events schema"),
    *("dev up", "dev status", "dev down", "dev origin", "dev photos", "dev events"),
}


def _documented() -> dict[str, Role]:
    """The role of each command, as docs/security.md has it."""
    text = (Path(__file__).parents[2] / "docs/security.md").read_text()
    return {
        command: Role(role)
        for role, commands in _ROW.findall(text)
        for command in re.findall(r"`([^`]+)`", commands)
    }


def _role_of(arguments: Sequence[str]) -> Role:
    """Whose a command is: that of the longest one that it is an instance of."""
    fitting = [
        (len(words), role)
        for command, role in _documented().items()
        if arguments[0] == (words := command.split())[0] and {*words} <= {*arguments}
    ]
    return max(fitting)[1]


def _commands(command: Any, *path: str) -> Generator[str]:
    below = getattr(command, "commands", {})
    if path and (not below or command.invoke_without_command):
        yield " ".join(path)
    for name, inner in below.items():
        yield from _commands(inner, *path, name)


def test_docs_tell_the_role_of_every_command() -> None:
    told = [re.sub(" --.*", "", command) for command in _documented()]
    assert sorted([*told, *_WITHOUT]) == sorted(_commands(get_command(app)))


@pytest.fixture
def urls(engine: Engine, settings: Settings) -> Generator[dict[Role, str]]:
    """The test's database, with its roles, as a login of each sees it."""
    grants.make(engine)
    with ExitStack() as stack:
        yield {role: stack.enter_context(login(engine, settings, role)) for role in Role}


class _Shop:
    """The commands of a fleet, each under the role that it is for."""

    def __init__(self, fleet: Fleet, urls: dict[Role, str]) -> None:
        self._fleet = fleet
        self._urls = urls

    def start(self, role: Role, name: str, *arguments: str) -> None:
        assert _role_of(arguments) is role, "as docs/security.md has it"
        self._fleet.environment["DATABASE_URL"] = self._urls[role]
        self._fleet.start(name, *arguments)

    def run(self, role: Role, *arguments: str, stdin: bytes = b"", code: int = 0) -> str:
        assert _role_of(arguments) is role, "as docs/security.md has it"
        self._fleet.environment["DATABASE_URL"] = self._urls[role]
        done = self._fleet.run(*arguments, stdin=stdin)
        assert done.returncode == code, done.stderr
        assert b"permission" not in done.stderr
        return done.stdout.decode()

    def refused(self, role: Role, *arguments: str, stdin: bytes = b"") -> None:
        assert arguments == ("roles",) or _role_of(arguments) is not role
        self._fleet.environment["DATABASE_URL"] = self._urls[role]
        done = self._fleet.run(*arguments, stdin=stdin)
        assert done.returncode == 1
        assert b"permission denied" in done.stderr
        assert b"Traceback" not in done.stderr


@pytest.fixture
def shop(fleet: Fleet, urls: dict[Role, str]) -> Generator[_Shop]:
    """The fleet under its roles, stopped before its logins go."""
    yield _Shop(fleet, urls)
    fleet.stop()


def test_photos_are_tagged_by_processes_that_may_do_no_more_than_they_need(
    engine: Engine,
    fleet: Fleet,
    shop: _Shop,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
) -> None:
    assert shop.run(Role.MIGRATOR, "migrate").startswith("schema ")
    shop.start(Role.PRODUCER, "relay", "relay")
    shop.start(Role.WORKER, "worker", "worker", "--processes", "1")
    write_events(photos, origin.url, tmp_path / "events.jsonl")
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write("this is no event\n")
    shop.run(Role.PRODUCER, "produce", "events.jsonl", code=3)
    wait_until_settled(engine, len(photos))
    # A listing that loses its photo, and one that goes away, with all that hangs on them.
    changed = event("listing-000001", photos=[], occurred_at=datetime.now(UTC).isoformat())
    gone = event(
        "listing-000002", type="listing.deleted", occurred_at=datetime.now(UTC).isoformat()
    )
    lines = "\n".join(map(json.dumps, (changed, gone))).encode()
    shop.run(Role.PRODUCER, "produce", "-", stdin=lines)
    assert fleet.stop() == {"relay": 0, "worker": 0}
    assert_settled(engine, len(photos) - 2)
    assert_quiet(fleet, "relay", "worker")
    assert rows(engine, "SELECT DISTINCT status FROM photo") == [("tagged",)]
    feed = [json.loads(line) for line in shop.run(Role.ANALYST, "feed").splitlines()]
    assert len(feed) == len(photos) + 2
    assert feed[-1]["deleted"]
    assert "entries" in shop.run(Role.PRODUCER, "index", "--once")
    assert "entries" in shop.run(Role.PRODUCER, "flag", "--once")
    assert json.loads(shop.run(Role.ANALYST, "search", "--json"))["total"] == len(photos) - 1
    assert "is forgotten" in shop.run(Role.PRODUCER, "index", "--forget", "postgres")
    assert "this is no event" in shop.run(Role.ANALYST, "events", "rejected", "--json")
    shop.run(Role.PRODUCER, "events", "replay", code=3)
    assert "entries deleted" in shop.run(Role.PRODUCER, "compact-feed", "--keep-days", "0")
    shop.refused(Role.PRODUCER, "review", "precision")
    shop.refused(Role.WORKER, "index", "--once")
    shop.refused(Role.WORKER, "produce", "-", stdin=lines)
    shop.refused(Role.ANALYST, "produce", "-", stdin=lines)
    shop.refused(Role.PRODUCER, "roles")


def test_models_are_changed_by_operators_who_may_do_what_workers_may(
    engine: Engine,
    fleet: Fleet,
    shop: _Shop,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
) -> None:
    shop.start(Role.PRODUCER, "relay", "relay")
    shop.start(Role.WORKER, "worker", "worker", "--processes", "1")
    renamed(tmp_path / "second", threshold=0.3)
    second = json.loads(shop.run(Role.WORKER, "model", "add", "second", "--json"))["version"]
    shop.run(Role.WORKER, "model", "shadow", second, "--share", "1")
    wait_until(lambda: fleet.log("worker").count('"model.serving"') >= 2, timeout_s=100)
    write_events(photos, origin.url, tmp_path / "events.jsonl")
    shop.run(Role.PRODUCER, "produce", "--backfill", "events.jsonl")
    wait_until_settled(engine, len(photos))
    wait_until(lambda: rows(engine, "SELECT count(*) FROM shadow_score") == [(len(photos),)])
    [(first,)] = rows(engine, "SELECT version FROM model WHERE status = 'champion'")
    shop.run(Role.WORKER, "model", "promote", second, "--force")
    shop.run(Role.WORKER, "model", "rollback")
    shop.run(Role.WORKER, "rethreshold", "--thresholds", "0.4")
    assert second in shop.run(Role.ANALYST, "model", "list")
    assert first in shop.run(Role.ANALYST, "model", "diff", first, second)
    assert fleet.stop() == {"relay": 0, "worker": 0}
    assert_settled(engine, len(photos))
    assert_quiet(fleet, "relay", "worker")
    shop.refused(Role.PRODUCER, "model", "promote", second, "--force")
    shop.refused(Role.ANALYST, "rethreshold", "--thresholds", "0.5")


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="needs the extra `train`"
)
def test_a_training_is_asked_for_rung_for_and_taken_under_these_roles(
    engine: Engine, fleet: Fleet, shop: _Shop
) -> None:
    shop.start(Role.PRODUCER, "relay", "relay")
    shop.start(Role.WORKER, "training", "worker", "--queues", "training")
    shop.run(Role.WORKER, "train", "--queue", "--data", "nothing", "--out", "model")
    refused = "SELECT error_code FROM training_run"
    wait_until(lambda: rows(engine, refused) == [("bad_dataset",)], timeout_s=100)
    assert fleet.stop() == {"relay": 0, "training": 0}
    assert "permission" not in fleet.log("training") + fleet.log("relay")
    shop.refused(Role.ANALYST, "train", "--queue", "--data", "nothing", "--out", "model")


def test_reviewers_vote_by_a_process_that_may_do_no_more_than_it_needs(
    engine: Engine,
    fleet: Fleet,
    shop: _Shop,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
) -> None:
    """From tagged photos to labels: a real page, its photos and maps, votes, a data set."""
    shop.start(Role.PRODUCER, "relay", "relay")
    shop.start(Role.WORKER, "worker", "worker", "--processes", "1")
    write_events(photos, origin.url, tmp_path / "events.jsonl")
    shop.run(Role.PRODUCER, "produce", "events.jsonl")
    wait_until_settled(engine, len(photos))
    password = shop.run(Role.REVIEWER, "review", "add", "kim").strip()
    shop.start(Role.REVIEWER, "review", "review", "--port", "0")
    wait_until(lambda: "review.listening" in fleet.log("review"))
    [listening] = [line for line in fleet.log("review").splitlines() if "review.listening" in line]
    url = f"http://127.0.0.1:{json.loads(listening)['port']}"
    with requests.Session() as http:
        signed = {"name": "kim", "password": password}
        http.post(f"{url}/sign-in", signed, headers={"Origin": url}, timeout=60)
        first = http.get(f"{url}/next", timeout=60)
        listing = first.url.partition("?")[0].rpartition("/")[2]
        voted = rows(
            engine,
            "SELECT name FROM listing_tag JOIN tag ON tag.id = tag_id WHERE listing_id = :id",
            id=int(listing),
        )
        assert voted
        for (tag,) in voted:
            where = {"where": tag}
            assert "lowers" in http.get(f"{url}/listing/{listing}", params=where, timeout=60).text
            form = {
                **{name: fields(first.text)[name] for name in ("csrf", "shown")},
                "listing": listing,
                "subject_kind": "tag",
                "subject": tag,
                "verdict": "accept",
            }
            answer = http.post(f"{url}/vote", form, headers={"Origin": url}, timeout=60)
            assert answer.url.startswith(f"{url}/listing/{listing}")
        picture = re.search(r"/photo/\d+", first.text)
        assert picture
        assert http.get(url + picture[0], timeout=60).content.startswith(b"\xff\xd8\xff")
    assert fleet.stop() == {"relay": 0, "worker": 0, "review": 0}
    assert_quiet(fleet, "relay", "worker", "review")
    lines = shop.run(Role.ANALYST, "review", "precision", "--json").splitlines()
    precision = {row["subject"]: row["accepted"] for row in map(json.loads, lines)}
    assert precision == {tag: 1 for (tag,) in voted}
    words = ("--votes", "--minimum-share", "0", "--out", "votes")
    assert "1 photos" in shop.run(Role.ANALYST, "dataset", "prepare", *words)
    for role in (Role.PRODUCER, Role.WORKER, Role.ANALYST):
        shop.refused(role, "review", "add", "eve")
    shop.run(Role.REVIEWER, "review", "remove", "kim")
