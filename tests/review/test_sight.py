"""Where the shipped model looked, on real photos, and what is said where there is no telling."""

import hashlib
import re
from pathlib import Path
from urllib.parse import unquote_plus

import cv2
import numpy as np
import pytest
from sqlalchemy import Engine, text

from dev.listings import PhotoFile
from dev.origin import Origin
from shared.settings import DEFAULT_MODEL, Settings
from tests.marketplace import claim_all, event, record, settle, tagged
from tests.review.conftest import Page, Serve, may_fetch
from worker.decode.pixels import to_pixels
from worker.model.registry import register
from worker.model.store import ModelStore
from worker.model.tagger import Tagger


def tag_really(engine: Engine, settings: Settings, urls: dict[str, Path]) -> None:
    """Listings of one photo each, tagged by the shipped model."""
    kept = ModelStore.in_place(DEFAULT_MODEL)
    with engine.begin() as connection:
        model_id = register(connection, kept.artifact, champion=True, kept=kept)
    tagger, size = Tagger(kept.artifact), kept.artifact.manifest.input
    for number, (url, file) in enumerate(urls.items(), start=1):
        record(engine, settings, event(f"L{number}", photos=[url], title=file.stem))
        body = file.read_bytes()
        pixels = to_pixels(
            body,
            width=size.width,
            height=size.height,
            max_photo_pixels=settings.max_photo_pixels,
            min_photo_elements=settings.min_photo_elements,
        )
        [claim] = claim_all(engine)
        settle(engine, tagged(claim, model_id, tagger.scores(pixels[None])[0].tolist()))
        with engine.begin() as connection:
            connection.execute(
                text("UPDATE photo SET content_sha256 = :sha256 WHERE url = :url"),
                {"sha256": hashlib.sha256(body).digest(), "url": url},
            )


@pytest.fixture
def page(
    serve: Serve,
    engine: Engine,
    settings: Settings,
    origin: Origin,
    photo_folder: Path,
    photos: list[PhotoFile],
) -> Page:
    """Real photos with real tags."""
    tag_really(
        engine,
        settings,
        {f"{origin.url}/{photo.path}": photo_folder / photo.path for photo in photos[:6]},
    )
    return serve(**may_fetch(origin)).sign_in()


def _tagged(page: Page) -> tuple[int, str]:
    """A listing, and one of its tags."""
    for id_ in range(1, 7):
        found = re.search(r"where=([\w+%]+)#", page.get(f"/listing/{id_}").text)
        if found:
            return id_, found[1]
    pytest.fail("the model saw nothing on any photo")


def test_the_photo_is_lit_up_where_hiding_it_lowers_the_score(page: Page, engine: Engine) -> None:
    id_, tag = _tagged(page)
    shown = page.get(f"/listing/{id_}?where={tag}").text
    said = " ".join(re.sub(r"<[^>]+>", "", shown[shown.index("figcaption") :]).split())
    stored = _score(engine, id_, tag)
    assert f"from {stored:.2f} to" in said or f"stays at {stored:.2f}" in said
    plain = _picture(page, f"/photo/{id_}")
    lit = _picture(page, f"/sight/{id_}?tag={tag}")
    assert plain.shape == lit.shape
    # The rest is dark and grey.
    assert lit.mean() < 0.9 * plain.mean()
    assert np.abs(lit.astype(int) - plain).max(axis=2).min() < 40


def _score(engine: Engine, listing_id: int, tag: str) -> float:
    with engine.connect() as connection:
        return connection.execute(
            text("""
                SELECT score FROM listing_tag JOIN tag ON tag.id = tag_id
                WHERE listing_id = :id AND name = :tag
            """),
            {"id": listing_id, "tag": unquote_plus(tag)},
        ).scalar_one()


def _picture(page: Page, path: str) -> "np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]":
    answer = page.get(path)
    assert answer.headers["content-type"] == "image/jpeg"
    return cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)  # pyright: ignore[reportReturnType]


def test_another_photo_under_the_same_url_is_told(page: Page, engine: Engine) -> None:
    id_, tag = _tagged(page)
    with engine.begin() as connection:
        connection.execute(text("UPDATE photo SET content_sha256 = decode('00', 'hex')"))
    assert "not the one that was tagged" in page.get(f"/listing/{id_}?where={tag}").text


@pytest.mark.parametrize("tag", ["", "unicorn", "%00", "a" * 5000])
def test_where_there_is_no_telling_that_is_said(page: Page, tag: str) -> None:
    answer = page.get(f"/sight/1?tag={tag}")
    assert answer.status_code == 404
    assert "unseen" in answer.text
    assert page.get(f"/listing/1?where={tag}").status_code == 200
    assert page.get("/sight/999?tag=camera").status_code == 404


def test_a_model_that_is_gone_is_said_to_be(page: Page, engine: Engine) -> None:
    id_, tag = _tagged(page)
    with engine.begin() as connection:
        connection.execute(text("UPDATE model SET location = '/no/such/folder'"))
    assert "unseen: There is no telling" in page.get(f"/listing/{id_}?where={tag}").text
