"""Passwords and signed URLs show nowhere, whatever goes wrong and however much is logged."""

# pyright: reportUnknownMemberType=false

import json
import time
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

import psutil
import pytest
from redis import Redis
from sqlalchemy import Engine, text

from dev.fleet import Fleet
from dev.listings import PhotoFile
from dev.origin import Origin
from dev.services import Services
from tests.marketplace import event, rows
from tests.settled import wait_until_settled
from tests.waiting import wait_until

#: Its first and last letters stand apart: a part of it that shows is found as well.
_SECRET = "Wq7headZ/ %?#@:'\"\\&=+é Zk3tailQ"  # noqa: S105  # made up here
_MARKS = ("Wq7head", "Zk3tail")
_USER = "marked"


@pytest.fixture
def marked(engine: Engine, servers: Services, fleet: Fleet) -> Generator[Fleet]:
    """A fleet, as talkative as can be, that knows both servers by a password with a mark."""
    with engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE {_USER} SUPERUSER LOGIN"))
        connection.execute(
            text("SELECT set_config('test.password', :password, true)"), {"password": _SECRET}
        )
        connection.execute(
            text(f"""DO $$ BEGIN
                EXECUTE 'ALTER ROLE {_USER} PASSWORD '
                    || quote_literal(current_setting('test.password'));
            END $$""")
        )
    valkey = Redis.from_url(servers.valkey.url)
    valkey.acl_setuser(
        _USER,
        enabled=True,
        passwords=[f"+{_SECRET}"],
        keys=["*"],
        channels=["*"],
        commands=["+@all"],
    )
    fleet.environment["TAGGER_LOG_LEVEL"] = "DEBUG"
    for variable in ("DATABASE_URL", "REDIS_URL"):
        fleet.environment[variable] = _with_password(fleet.environment[variable], _SECRET)
    yield fleet
    fleet.stop()
    valkey.acl_deluser(_USER)
    valkey.close()
    with engine.begin() as connection:
        connection.execute(text(f"DROP ROLE {_USER}"))


def _with_password(url: str, password: str, port: int | None = None) -> str:
    parts = urlsplit(url)
    encoded = quote(password, safe="")
    netloc = f"{_USER}:{encoded}@{parts.hostname}:{port or parts.port}"
    return parts._replace(netloc=netloc).geturl()


def _shown(texts: dict[str, str]) -> list[str]:
    """Where something of the secret shows, plain or encoded."""
    secrets = (*_MARKS, _SECRET, quote(_SECRET), quote(_SECRET, safe=""))
    return [
        f"{name}: {line[:300]}"
        for name, content in texts.items()
        for line in content.splitlines()
        if any(secret in line for secret in secrets)
    ]


def _commands_of(*pids: int) -> dict[str, str]:
    """What anybody on this machine may read of processes and their children."""
    found: dict[str, str] = {}
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
            for process in family:
                found[f"command of {process.pid}"] = "\n".join(process.cmdline())
    return found


def _wait_for(fleet: Fleet, name: str, words: str) -> None:
    wait_until(lambda: words in fleet.log(name), otherwise=lambda: fleet.log(name))


def _logs(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(errors="replace") for path in folder.glob("*.log")}


def _ran(fleet: Fleet, *arguments: str, code: int | None = None) -> dict[str, str]:
    done = fleet.run(*arguments, stdin=json.dumps(event("secretive")).encode())
    assert code in (None, done.returncode), done.stderr
    assert b"Traceback" not in done.stderr
    return {" ".join(arguments): (done.stdout + done.stderr).decode(errors="replace")}


def test_the_passwords_of_both_servers_show_nowhere(
    engine: Engine, marked: Fleet, servers: Services, tmp_path: Path
) -> None:
    relay = marked.start("relay", "relay")
    worker = marked.start("worker", "worker", "--processes", "1")
    training = marked.start("training", "worker", "--queues", "training")
    _wait_for(marked, "relay", "relay.listening")
    _wait_for(marked, "worker", "worker.ready")
    shown = _commands_of(relay, worker, training)
    assert len(shown) >= 5
    for arguments in (
        ("produce", "-"), ("migrate",), ("feed",), ("model", "list"), ("rethreshold",),
        ("dev", "status"), ("worker", "--help"),
    ):  # fmt: skip
        shown |= _ran(marked, *arguments, code=0)
    wait_until_settled(engine, 1)
    # Servers that go away while they are talked to.
    with Redis.from_url(servers.valkey.url) as valkey:
        valkey.client_kill_filter(_type="normal", skipme=True)
    with engine.begin() as connection:
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = :user"),
            {"user": _USER},
        )
    _wait_for(marked, "worker", "worker.valkey_back")
    servers.valkey.stop()
    try:
        _wait_for(marked, "relay", "relay.servers_away")
        # The worker says once that they are away, and then tries again in silence.
        time.sleep(3)
    finally:
        servers.valkey.start()
    assert _shown(shown | _logs(tmp_path)) == []


_SAYS_SO = ('"level": "error"', '"level": "warning"', "cannot run as things are")


@pytest.mark.parametrize(
    ("database", "valkey"),
    [
        ("wrong", "right"),
        ("right", "wrong"),
        ("right", "unreachable"),
        ("no url", "right"),
        ("right", "no url"),
        ("not encoded", "not encoded"),
    ],
)
def test_neither_do_those_of_servers_that_cannot_be_used(
    marked: Fleet, database: str, valkey: str, tmp_path: Path
) -> None:
    environment = marked.environment
    for variable, what in (("DATABASE_URL", database), ("REDIS_URL", valkey)):
        url = environment.pop(variable)
        (tmp_path / variable).write_text(
            {
                "right": url,
                "wrong": _with_password(url, f"{_SECRET}!"),
                "unreachable": _with_password(url, _SECRET, port=1),
                "no url": quote(_SECRET),
                "not encoded": url.replace(quote(_SECRET, safe=""), _SECRET.replace("@", "")),
            }[what]
        )
        environment[f"{variable}_FILE"] = str(tmp_path / variable)
    pids = [marked.start("relay", "relay"), marked.start("worker", "worker", "--processes", "1")]
    shown = _ran(marked, "model", "list") | _ran(marked, "dev", "status")
    shown |= _commands_of(*pids)
    for name in ("relay", "worker"):
        wait_until(
            lambda name=name: any(words in marked.log(name) for words in _SAYS_SO),
            otherwise=lambda name=name: marked.log(name),
        )
    marked.stop()
    assert _shown(shown | _logs(tmp_path)) == []


def test_a_password_in_a_setting_of_another_kind_is_not_quoted(marked: Fleet) -> None:
    marked.environment["TAGGER_INTAKE_BATCH_EVENTS"] = _SECRET
    assert _shown(_ran(marked, "feed", code=1)) == []
    marked.environment["TAGGER_INTAKE_BATCH_EVENTS"] = "500"
    marked.environment["DATABASE_URL_FILE"] = marked.environment.pop("DATABASE_URL")
    assert _shown(_ran(marked, "feed", code=1)) == []


#: As clouds sign URLs: whoever has one may read the photo.
_SIGNED = f"X-Amz-Credential=me&X-Amz-Signature={_MARKS[0]}abc({_MARKS[1]}),x"


def test_what_signs_a_photos_url_shows_nowhere(
    engine: Engine, fleet: Fleet, photos: list[PhotoFile], origin: Origin, tmp_path: Path
) -> None:
    fleet.environment["TAGGER_LOG_LEVEL"] = "DEBUG"
    fleet.environment["TAGGER_MAX_ATTEMPTS"] = "1"
    fleet.environment["TAGGER_ALLOWED_PORTS"] += ",1"
    good = f"{origin.url}/{quote(str(photos[0].path))}"
    bad = [
        f"{origin.url}/missing.jpg",
        f"{origin.url}/photos.json",
        "http://127.0.0.1:1/refused.jpg",
        "http://no-such-host.invalid:1/x.jpg",
        "http://127.0.0.1:99/port.jpg",
        "file:///etc/passwd",
        f"http://me:{_MARKS[0]}@127.0.0.1:1/x.jpg",
    ]
    sent = event("signed", photos=[f"{url}?{_SIGNED}" for url in (good, *bad)])
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", "--processes", "1")
    done = fleet.run("produce", "-", stdin=json.dumps(sent).encode())
    assert done.returncode == 0
    wait_until_settled(engine, 1 + len(bad))
    assert rows(engine, "SELECT count(*) FROM photo WHERE status = 'tagged'") == [(1,)]
    details = rows(engine, "SELECT id, concat(error_code, error_detail) FROM photo")
    shown = {f"photo {row[0]}": row[1] for row in details}
    shown["produce"] = (done.stdout + done.stderr).decode()
    shown["feed"] = fleet.run("feed").stdout.decode()
    assert _shown(shown | _logs(tmp_path)) == []


def test_a_row_that_the_database_refuses_is_not_quoted(
    engine: Engine, fleet: Fleet, photos: list[PhotoFile], origin: Origin, tmp_path: Path
) -> None:
    """Postgres says which row broke a rule, with all that a seller wrote in it."""
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE photo ADD CHECK (status <> 'tagged')"))
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", "--processes", "1")
    sent = event("signed", photos=[f"{origin.url}/{quote(str(photos[0].path))}?{_MARKS[0]}"])
    assert fleet.run("produce", "-", stdin=json.dumps(sent).encode()).returncode == 0
    _wait_for(fleet, "worker", "batch.not_storable")
    with engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE photo ADD CHECK (url NOT LIKE '%{_MARKS[1]}%')"))
    again = event("other", title=_MARKS[1], photos=[f"http://127.0.0.1/{_MARKS[1]}"])
    done = fleet.run("produce", "-", stdin=json.dumps(again).encode())
    assert done.returncode == 1
    assert b"violates check constraint" in done.stderr
    fleet.stop()
    assert _shown(_logs(tmp_path) | {"produce": (done.stdout + done.stderr).decode()}) == []
