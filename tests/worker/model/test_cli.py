"""The commands say what they did, to people and as JSON."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from shared.errors import ArtifactError, DecisionError, ModelUnknown, SetupError, TaggerError
from shared.settings import DEFAULT_MODEL, Settings, load_settings
from tagger import app
from tests.marketplace import claim_all, event, record, register, rows, settle, tagged
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


def _listed() -> list[dict[str, Any]]:
    return [json.loads(line) for line in _run("model", "list", "--json").splitlines()]


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
    listed = _listed()
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
    assert _listed()[0]["decision"] == 2


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
    assert _listed()[0]["decision"] == 1


def test_the_same_weights_on_other_pixels_do_not_take_the_champions_place(tmp_path: Path) -> None:
    first = renamed(tmp_path / "first").version
    _run("model", "add", str(tmp_path / "first"))
    _run("model", "promote", first)
    [before] = _listed()
    assert renamed(tmp_path / "other", preprocessing="bgr-bilinear-v1").version == first
    with pytest.raises(ArtifactError, match="known with preprocessing rgb-area-v1"):
        _run("model", "add", str(tmp_path / "other"))
    assert _listed() == [before]
    shutil.rmtree(tmp_path / "store")
    assert f"{first} is the champion at" in _run("model", "add", str(tmp_path / "first"))


def test_a_shadow_is_told_as_json_too(tmp_path: Path) -> None:
    _run("model", "add", str(DEFAULT_MODEL))
    second = renamed(tmp_path / "second").version
    _run("model", "add", str(tmp_path / "second"))
    said = _run("model", "shadow", second, "--share", "0.25", "--json")
    assert json.loads(said) == {"version": second, "share": 0.25}
    said = _run("model", "shadow", "--off", "--json")
    assert json.loads(said) == {"version": None, "share": None}


def test_the_champion_cannot_be_its_own_shadow(tmp_path: Path) -> None:
    first = renamed(tmp_path / "first").version
    _run("model", "add", str(tmp_path / "first"))
    _run("model", "promote", first)
    with pytest.raises(SetupError, match="own shadow"):
        _run("model", "shadow", first)


def test_an_operator_is_told_the_way_back(tmp_path: Path) -> None:
    first = renamed(tmp_path / "first").version
    second = renamed(tmp_path / "second", name="third").version
    for folder in ("first", "second"):
        _run("model", "add", str(tmp_path / folder))
    _run("model", "promote", first)
    assert "leads back" not in _run("model", "list")
    _run("model", "promote", second, "--force")
    said = _run("model", "list")
    assert f"{second} serves since" in said
    assert "UTC (forced), by decision 1 of 1\n" in said
    assert f"`tagger model rollback` leads back to {first}" in said
    way_back = f"tagger rethreshold --model {second} --decision 1"
    assert way_back not in _run("rethreshold", "--thresholds", "0.4", "--dry-run")
    assert way_back in _run("rethreshold", "--thresholds", "0.4")
    assert way_back not in _run("rethreshold", "--thresholds", "0.4"), "it only went on"
    assert json.loads(_run("rethreshold", "--decision", "1", "--json"))["before"] == 2


def test_what_a_rethreshold_waits_for_is_not_among_its_results(
    engine: Engine, settings: Settings
) -> None:
    with engine.begin() as connection:
        model_id = register(connection)
    record(engine, settings, event())
    [claim] = claim_all(engine)
    settle(engine, tagged(claim, model_id, [0.4, 0.1]))
    version = rows(engine, "SELECT version FROM model")[0][0]
    with engine.connect() as holder:
        holder.execute(text("SELECT FROM listing FOR UPDATE"))
        command = ["rethreshold", "--model", version, "--thresholds", "0.3", "--json"]
        with subprocess.Popen(
            [sys.executable, "-m", "tagger", *command],
            env={**os.environ, "TAGGER_LOCK_TIMEOUT_S": "0.2"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            while rows(engine, waiting) == [(0,)] and process.poll() is None:
                time.sleep(0.01)
            time.sleep(1)  # well past the timeout
            holder.rollback()
            said, logged = process.communicate(timeout=30)
    assert json.loads(said)["photos_changed"] == 1
    assert "database.again" in logged
