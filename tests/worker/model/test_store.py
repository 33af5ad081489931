"""What goes into the store is checked, and what comes out is what was registered."""

import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from shared.db import models
from shared.errors import ArtifactError
from shared.settings import Settings
from tests.origins import Origin, answer
from tests.worker.model.drafts import draft
from worker.model.artifact import write
from worker.model.registry import register
from worker.model.store import Kept, ModelStore

_FILES = ("manifest.json", "model.tflite", "related.json", "MODEL_CARD.md")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "trained"
    write(folder, draft(), "# Card\n")
    return folder


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return _store(tmp_path / "store")


def _store(folder: Path, **changes: Any) -> ModelStore:
    return ModelStore(
        Settings(
            _env_file=None,  # pyright: ignore[reportCallIssue]
            DATABASE_URL="postgresql://unused",  # pyright: ignore[reportCallIssue]
            REDIS_URL="redis://unused",  # pyright: ignore[reportCallIssue]
            model_store=folder,
            model_fetch_deadline_s=5,
            **changes,
        )
    )


def _serve(origin: Origin, folder: Path) -> str:
    for name in _FILES:
        origin.serve(f"/models/{name}", answer(200, (folder / name).read_bytes()))
    return origin.url("/models")


def _open(store: ModelStore, kept: Kept) -> str:
    return store.open(kept.artifact.version, kept.location, kept.manifest_sha256).version


def test_a_folder_is_copied_and_needed_no_more(store: ModelStore, folder: Path) -> None:
    kept = store.keep(folder)
    shutil.rmtree(folder)
    assert _open(store, kept) == kept.artifact.version
    assert (Path(kept.location) / "MODEL_CARD.md").read_text() == "# Card\n"


def test_keeping_it_twice_or_all_at_once_keeps_it_once(
    store: ModelStore, folder: Path, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(8) as threads:
        places = {kept.location for kept in threads.map(store.keep, [folder] * 16)}
    assert len(places) == 1
    assert [str(path) for path in (tmp_path / "store").iterdir()] == [*places]


def test_a_file_url_names_a_folder(store: ModelStore, folder: Path) -> None:
    assert store.keep(folder.as_uri()).location == store.keep(folder).location


def test_other_thresholds_lie_beside_the_first(store: ModelStore, folder: Path) -> None:
    first = store.keep(folder)
    write(folder, draft(thresholds=[0.3, 0.3]), "")
    second = store.keep(folder)
    assert first.artifact.version == second.artifact.version
    assert first.location != second.location


def test_a_damaged_copy_is_replaced_by_keeping_it_again(store: ModelStore, folder: Path) -> None:
    kept = store.keep(folder)
    (Path(kept.location) / "model.tflite").write_bytes(b"damaged")
    with pytest.raises(ArtifactError, match="bytes"):
        _open(store, kept)
    assert store.keep(folder).location == kept.location
    assert _open(store, kept) == kept.artifact.version


def test_another_artifact_in_its_place_is_refused(
    store: ModelStore, folder: Path, tmp_path: Path
) -> None:
    kept = store.keep(folder)
    write(Path(kept.location), draft(thresholds=[0.1, 0.1]), "")
    with pytest.raises(ArtifactError, match="not the one that was registered"):
        _open(store, kept)
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(ArtifactError, match=r"no manifest\.json"):
        _open(store, kept)


def test_a_url_is_fetched_once_and_kept(folder: Path, tmp_path: Path) -> None:
    with Origin() as origin:
        url = _serve(origin, folder)
        store = _store(tmp_path / "store")
        kept = store.keep(url + "/")
        assert kept.location == url
        fetched = len(origin.requests)
        assert _open(store, kept) == kept.artifact.version
        assert len(origin.requests) == fetched
        elsewhere = _store(tmp_path / "elsewhere")
        assert _open(elsewhere, kept) == kept.artifact.version
    assert _open(elsewhere, kept) == kept.artifact.version, "the origin is not needed again"


def test_what_a_url_serves_must_be_what_was_registered(folder: Path, tmp_path: Path) -> None:
    with Origin() as origin:
        kept = _store(tmp_path / "store").keep(_serve(origin, folder))
        write(folder, draft(thresholds=[0.3, 0.3]), "")
        _serve(origin, folder)
        with pytest.raises(ArtifactError, match="not the one that was registered"):
            _open(_store(tmp_path / "elsewhere"), kept)
    assert not [*(tmp_path / "elsewhere").glob("*")]


def test_a_url_with_a_wrong_file_leaves_nothing_behind(folder: Path, tmp_path: Path) -> None:
    (folder / "model.tflite").write_bytes(b"x" * (folder / "model.tflite").stat().st_size)
    with Origin() as origin:
        url = _serve(origin, folder)
        with pytest.raises(ArtifactError, match="hash"):
            _store(tmp_path / "store").keep(url)
        with pytest.raises(ArtifactError, match=r"no manifest\.json"):
            _store(tmp_path / "store").keep(origin.url("/elsewhere"))
    assert not [*(tmp_path / "store").glob("*")]


@pytest.mark.parametrize("source", ["ftp://host/model", "s3://bucket/model"])
def test_other_urls_are_refused(store: ModelStore, source: str) -> None:
    with pytest.raises(ArtifactError, match="file://, http:// or https://"):
        store.keep(source)


@pytest.mark.parametrize("source", ["http://host:port/model", "http:///model"])
def test_a_url_that_is_none_is_refused(store: ModelStore, source: str) -> None:
    with pytest.raises(ArtifactError):
        store.keep(source)


def test_a_link_local_host_is_never_asked(store: ModelStore) -> None:
    with pytest.raises(ArtifactError, match="blocked_address"):
        store.keep("http://169.254.169.254/models")


def test_a_store_that_cannot_be_written_is_an_error_in_words(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArtifactError, match="file"):
        _store(tmp_path / "file").keep(folder)
    kept = ModelStore.in_place(folder)
    assert kept.location == str(folder)
    assert (
        kept.manifest_sha256 == hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    )


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_card_that_is_no_plain_file_is_not_followed(
    store: ModelStore, folder: Path, tmp_path: Path, kind: str
) -> None:
    card = folder / "MODEL_CARD.md"
    card.unlink()
    if kind == "link":
        (tmp_path / "secret").write_text("for the owner's eyes")
        card.symlink_to(tmp_path / "secret")
    else:
        os.mkfifo(card)
    with pytest.raises(ArtifactError, match=r"MODEL_CARD\.md"):
        store.keep(folder)
    assert not [*(tmp_path / "store").glob("*")]


def test_of_an_archive_it_is_said_what_is_taken_instead(
    store: ModelStore, folder: Path, tmp_path: Path
) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "model"), "tar", folder))
    with pytest.raises(ArtifactError, match=r"model\.tar is no folder; .* no archive"):
        store.keep(archive)
    with Origin() as origin:
        origin.serve("/model.tar", answer(200, archive.read_bytes()))
        with pytest.raises(ArtifactError, match=r"no manifest\.json; .* no archive"):
            store.keep(origin.url("/model.tar"))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("file:///tmp/%00", "names no folder"),
        ("file://[half/model", "names no folder"),
        ("file://elsewhere/model", "the host elsewhere"),
        ("http://[half/model", "URL is none"),
        ("http://host:99999/model", "URL is none"),
        ("https://host/model?token=1", "no file can lie below"),
        ("https://host/model#part", "no file can lie below"),
    ],
)
def test_a_source_that_names_nothing_is_refused_in_words(
    store: ModelStore, source: str, words: str
) -> None:
    with pytest.raises(ArtifactError, match=words):
        store.keep(source)


def test_a_ring_of_links_is_refused_in_words(store: ModelStore, tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    with pytest.raises(ArtifactError, match="one"):
        store.keep(tmp_path / "one")


def test_a_models_url_may_name_a_schemes_own_port_whatever_photos_may(tmp_path: Path) -> None:
    store = _store(tmp_path / "store", allowed_ports=frozenset({8443}))
    with pytest.raises(ArtifactError) as caught:
        store.keep("http://127.0.0.1/no/model/here")
    assert "TAGGER_ALLOWED_PORTS" not in str(caught.value)


def test_of_a_copy_that_is_gone_it_is_said_which_and_how_it_comes_back(
    engine: Engine, store: ModelStore, folder: Path, tmp_path: Path
) -> None:
    kept = store.keep(folder)
    with engine.begin() as connection:
        row = models.by_id(connection, register(connection, kept.artifact, kept=kept))
    assert store.open_registered(row).version == kept.artifact.version
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(ArtifactError, match=f"{row.version}: .*`tagger model add` its folder"):
        store.open_registered(row)
