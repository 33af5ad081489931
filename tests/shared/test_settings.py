"""Settings come from the environment, are checked, and never show their secrets."""

import pytest

from shared.errors import SetupError
from shared.settings import load_photo_limits, load_settings


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
