"""Settings come from the environment, are checked, and never show their secrets."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest

from shared.errors import SetupError
from shared.settings import SERVICES_ENV, Settings, load_photo_limits, load_settings


@pytest.fixture(autouse=True)
def _servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://tagger:hush@127.0.0.1/tagger")
    monkeypatch.setenv("REDIS_URL", "redis://:hush@127.0.0.1/0")
    load_settings.cache_clear()


def test_a_setting_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGGER_ALLOWED_PORTS", "80,8080")
    assert load_settings().allowed_ports == {80, 8080}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TAGGER_MAX_PHOTO_BYTES", "hush"),
        ("TAGGER_FETCH_DEADLINE_S", "-1"),
        ("TAGGER_ALLOWED_PORTS", "80,hush"),
        ("TAGGER_FETCH_DEADLIN_S", "hush"),
        ("TAGGER_ALLOWED_HOSTS", "hush.example,https://hush.example"),
        ("TAGGER_DENIED_HOSTS", "*.hush.example"),
        ("TAGGER_RESPECT_ROBOTS_TAG", "hush"),
        ("TAGGER_OPERATOR", "hush"),
        ("TAGGER_OPERATOR", "https://hush.example/\r\nX-Evil: 1"),
        ("TAGGER_OPERATOR", "https://hush.example/)("),
        ("TAGGER_OPERATOR", "https://user:hush@a.example/"),
        ("TAGGER_OPERATOR", "hush@a.example b"),
        ("TAGGER_USER_AGENT", "hush\r\nX-Evil: 1"),
        ("TAGGER_USER_AGENT", "hush "),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SetupError, match=variable) as caught:
        load_settings()
    assert "hush" not in str(caught.value)


def test_without_servers_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    monkeypatch.delenv("DATABASE_URL")
    with pytest.raises(SetupError, match=r"DATABASE_URL.*tagger dev up"):
        load_settings()


def test_secrets_do_not_show() -> None:
    assert "hush" not in repr(load_settings())


def test_fetching_photos_needs_no_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.delenv("REDIS_URL")
    monkeypatch.setenv("TAGGER_MAX_PHOTO_BYTES", "1000")
    monkeypatch.setenv("TAGGER_BATCH_PHOTOS", "8")  # a setting of other commands
    assert load_photo_limits().max_photo_bytes == 1000
    monkeypatch.setenv("TAGGER_FETCH_DEADLIN_S", "1")
    with pytest.raises(SetupError, match="TAGGER_FETCH_DEADLIN_S"):
        load_photo_limits()


def test_the_servers_may_stand_in_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "database").write_text("postgresql://tagger:filed@127.0.0.1/tagger\n")
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "database"))
    with pytest.raises(SetupError, match="DATABASE_URL and DATABASE_URL_FILE"):
        load_settings()
    monkeypatch.delenv("DATABASE_URL")
    loaded = load_settings()
    assert loaded.database_url.get_secret_value().endswith(":filed@127.0.0.1/tagger")
    assert "filed" not in repr(loaded)


_SECRETS = {
    "DATABASE_URL": "postgresql://tagger:{}@db.example.com/tagger",
    "REDIS_URL": "redis://:{}@valkey/0",
    "TAGGER_STREAM_URL": "redis://:{}@stream/0",
    "TAGGER_INDEX_URL": "https://tagger:{}@search.example.com",
}


@pytest.mark.parametrize("variable", [*_SECRETS, "TAGGER_WEBHOOK_SECRETS"])
def test_every_secret_may_stand_in_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    value = _SECRETS.get(variable, "whsec_{}").format("filed")
    (tmp_path / "secret").write_text(value + "\n")
    monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(f"{variable}_FILE", str(tmp_path / "secret"))
    loaded = load_settings()
    secret = getattr(loaded, variable.lower().removeprefix("tagger_"))
    assert secret.get_secret_value() == value
    assert "filed" not in repr(loaded)
    monkeypatch.setenv(variable, value)
    load_settings.cache_clear()
    with pytest.raises(SetupError, match=f"{variable} and {variable}_FILE"):
        load_settings()


@pytest.mark.parametrize("variable", _SECRETS)
def test_no_url_has_a_password_that_anybody_would_try(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, _SECRETS[variable].format("changeme"))
    with pytest.raises(SetupError, match=f"{variable} has a password that anybody would try"):
        load_settings()


def test_docs_tell_of_every_secret() -> None:
    secrets = {
        str(field.validation_alias or f"TAGGER_{name.upper()}")
        for name, field in Settings.model_fields.items()
        if "SecretStr" in str(field.annotation)
    }
    text = (Path(__file__).parents[2] / "docs/security.md").read_text()
    table = re.findall(r"^\| `([A-Z_]+)` \|", text, re.MULTILINE)
    assert {*table} == secrets == {*_SECRETS, "TAGGER_WEBHOOK_SECRETS"}


def test_a_file_goes_before_the_local_servers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / SERVICES_ENV).parent.mkdir()
    (tmp_path / SERVICES_ENV).write_text("DATABASE_URL=postgresql://local\nREDIS_URL=redis://l\n")
    (tmp_path / "database").write_text("postgresql://far")
    monkeypatch.delenv("DATABASE_URL")
    assert load_settings().database_url.get_secret_value() == "postgresql://local"
    load_settings.cache_clear()
    monkeypatch.setenv("DATABASE_URL_FILE", "database")
    assert load_settings().database_url.get_secret_value() == "postgresql://far"


def test_what_needs_no_server_reads_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL_FILE", "/nonexistent")
    assert load_photo_limits().max_redirects == 3


def test_no_server_has_a_default_and_a_well_known_password_stops_every_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("database_url", "redis_url"):
        assert Settings.model_fields[name].is_required()
    monkeypatch.setenv("REDIS_URL", "redis://:redis@valkey/0")
    with pytest.raises(SetupError, match="REDIS_URL has a password that anybody would try"):
        load_settings()
    monkeypatch.delenv("REDIS_URL")
    (tmp_path / SERVICES_ENV).parent.mkdir()
    (tmp_path / SERVICES_ENV).write_text("REDIS_URL=redis://:@valkey/0\n")
    with pytest.raises(SetupError, match="REDIS_URL has an empty password"):
        load_settings()


def test_hosts_are_kept_in_one_spelling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGGER_ALLOWED_HOSTS", "Example.COM., 0x08.8.8.8")
    monkeypatch.setenv("TAGGER_DENIED_HOSTS", "bad.example.com")
    assert load_settings().allowed_hosts == {"example.com", "8.8.8.8"}
    assert load_settings().denied_hosts == {"bad.example.com"}


def test_lists_that_let_no_host_through_refuse_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGGER_ALLOWED_HOSTS", "cdn.example.com,example.com")
    monkeypatch.setenv("TAGGER_DENIED_HOSTS", "example.com")
    with pytest.raises(SetupError, match=r"TAGGER_DENIED_HOSTS: .* denies every host"):
        load_settings()


@pytest.mark.parametrize(
    ("variables", "agent"),
    [
        ({}, f"listing-tagger/{version('listing-tagger')}"),
        (
            {"OPERATOR": "https://shop.example/bot"},
            f"listing-tagger/{version('listing-tagger')} (+https://shop.example/bot)",
        ),
        (
            {"OPERATOR": "photos@shop.example"},
            f"listing-tagger/{version('listing-tagger')} (+photos@shop.example)",
        ),
        ({"OPERATOR": "a@b.example", "USER_AGENT": "Shop/1 (bot)"}, "Shop/1 (bot)"),
    ],
)
def test_the_user_agent_names_the_version_and_the_operator(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], agent: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"TAGGER_{name}", value)
    settings = load_settings()
    assert settings.agent == agent
    assert settings.is_anonymous == (not variables)


def test_who_fetches_from_their_own_network_need_not_name_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TAGGER_ALLOW_PRIVATE_HOSTS", "true")
    assert not load_settings().is_anonymous
