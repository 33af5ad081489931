"""The commands say what they did, to people and as JSON."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.errors import ArtifactError, DecisionError, ModelUnknown, SetupError, TaggerError
from shared.settings import DEFAULT_MODEL, Settings, load_settings
from tagger import app
from tests.worker.model.renamed import renamed


@pytest.fixture(autouse=True)
def _environment(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    monkeypatch.setenv("DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("REDIS_URL", settings.redis_url.get_secret_value())
    monkeypatch.setenv("TAGGER_MODEL_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "200")
    load_settings.cache_clear()
    yield
    load_settings.cache_clear()


def _run(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments)
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_a_model_goes_from_candidate_to_champion_and_back(tmp_path: Path) -> None:
    first = json.loads(_run("model", "add", str(DEFAULT_MODEL), "--json"))["version"]
    assert "candidate" in _run("model", "list")
    assert f"{first} is the champion (first)" in _run("model", "promote", first)
    second = renamed(tmp_path / "second", threshold=0.3).version
    assert f"{second} is a candidate" in _run("model", "add", str(tmp_path / "second"))
    said = _run("model", "promote", second)
    assert f"{second} is the champion (gate), after {first}" in said
    assert "candidate: hamming 0." in said
    assert "already" in _run("model", "promote", second)
    assert f"{first} is the champion (rollback)" in _run("model", "rollback")
    listed = json.loads(_run("model", "list", "--json"))
    assert [(row["version"], row["status"]) for row in listed] == [
        (second, "retired"),
        (first, "champion"),
    ]
    shown = _run("model", "diff", first, second)
    assert "headphones: threshold, AP" in shown
    assert "0.3000" in shown
    assert "scores 5.00% of live photos" in _run("model", "shadow", second, "--share", "0.05")
    assert "shadow 5%" in _run("model", "list")
    assert "no model" in _run("model", "shadow", "--off")


def test_other_thresholds_of_the_same_weights_wait_as_a_decision(tmp_path: Path) -> None:
    first = renamed(tmp_path / "first").version
    _run("model", "add", str(tmp_path / "first"))
    renamed(tmp_path / "other", threshold=0.9)
    said = _run("model", "add", str(tmp_path / "other"))
    assert f"tagger rethreshold --model {first} --decision 2" in said
    found = json.loads(_run("rethreshold", "--model", first, "--decision", "2", "--json"))
    assert (found["decision"], found["photos"]) == (2, 0)
    assert set(found["thresholds"].values()) == {0.9}
    dry = _run("rethreshold", "--model", first, "--thresholds", "0.5", "--dry-run")
    assert "a dry run" in dry
    assert json.loads(_run("model", "list", "--json"))[0]["decision"] == 2


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["model", "add", "nowhere"], ArtifactError, "No such file"),
        (["model", "promote", "x-1"], ModelUnknown, "x-1"),
        (["model", "diff", "x-1", "x-2"], ModelUnknown, "x-1"),
        (["model", "shadow"], SetupError, "--off"),
        (["model", "rollback"], TaggerError, "no champion before"),
        (["rethreshold", "--thresholds", "0.5"], ModelUnknown, "no champion"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    arguments: list[str], error: type[TaggerError], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        _run(*arguments)
    assert "\n" not in str(caught.value)


def test_numbers_that_do_not_fit_the_model_are_refused(tmp_path: Path) -> None:
    version = renamed(tmp_path / "first").version
    _run("model", "add", str(tmp_path / "first"))
    for arguments in (["--thresholds", "7"], ["--decision", "3"], ["--related-cutoff", "-1"]):
        with pytest.raises(DecisionError):
            _run("rethreshold", "--model", version, *arguments)
    assert json.loads(_run("model", "list", "--json"))[0]["decision"] == 1
