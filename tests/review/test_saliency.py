"""Where the shipped model looked, on real photos, and what is said where there is no telling."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_plus

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine, text

from dev.listings import PhotoFile
from dev.origin import Origin
from shared.settings import DEFAULT_MODEL, Settings
from tests.marketplace import claim_all, event, record, rows, settle, tagged
from tests.review.page import Page, Serve, may_fetch
from worker.decode.pixels import to_pixels
from worker.model.artifact import load
from worker.model.registry import register
from worker.model.store import ModelStore
from worker.model.tagger import Tagger


def tag_really(engine: Engine, settings: Settings, urls: dict[str, Path]) -> None:
    """Listings of one photo each, tagged by the shipped model."""
    kept = ModelStore.in_place(DEFAULT_MODEL)
    with engine.begin() as connection:
        model_id = register(connection, kept.artifact, champion=True, kept=kept)
        # So that the row of a listing is no photo's.
        connection.execute(text("ALTER SEQUENCE photo_id_seq RESTART 101"))
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


@dataclass(frozen=True)
class _Seen:
    """A listing, its one photo, and a tag that was read off it."""

    listing_id: int
    photo_id: int
    tag: str
    file: Path

    @property
    def path(self) -> str:
        """The listing, with where the network looked for the tag."""
        return f"/listing/{self.listing_id}?where={quote_plus(self.tag)}"


@pytest.fixture
def seen(page: Page, engine: Engine, photo_folder: Path, photos: list[PhotoFile]) -> _Seen:
    """The first photo with a tag to which one of its places matters."""
    query = """
        SELECT listing_id, photo.id, tag.name FROM photo JOIN listing_tag USING (listing_id)
        JOIN tag ON tag.id = tag_id ORDER BY listing_id, rank
    """
    for listing_id, photo_id, tag in rows(engine, query):
        found = _Seen(listing_id, photo_id, tag, photo_folder / photos[int(listing_id) - 1].path)
        if "Hiding the brightest place lowers" in page.get(found.path).text:
            return found
    pytest.fail("no place of any photo matters to any tag")


def test_the_photo_is_lit_up_where_hiding_it_lowers_the_score(page: Page, seen: _Seen) -> None:
    plain = _picture(page, f"/photo/{seen.photo_id}")
    lit = _picture(page, f"/saliency/{seen.photo_id}?tag={quote_plus(seen.tag)}")
    assert plain.shape == lit.shape
    light = _brightness(lit) / _brightness(plain)
    brightest, darkest = int(light.argmax()), int(light.argmin())
    assert light.flat[brightest] > 0.9
    assert light.flat[darkest] < 0.6
    whole, without_brightest, without_darkest = _scores(seen, brightest, darkest)
    assert without_brightest < without_darkest - 0.02
    said = " ".join(re.sub(r"<[^>]+>", "", page.get(seen.path).text).split())
    assert f"from {whole:.2f} to {without_brightest:.2f} on this photo" in said


def _picture(page: Page, path: str) -> NDArray[np.uint8]:
    answer = page.get(path)
    assert answer.headers["content-type"] == "image/jpeg"
    return cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)  # pyright: ignore[reportReturnType]


def _brightness(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """`[8, 8]`: of the middles of its cells, above 0."""
    height, width = picture.shape[0] // 8, picture.shape[1] // 8
    cells = picture[: 8 * height, : 8 * width].reshape(8, height, 8, width, 3)
    middles = cells[:, height // 3 : -height // 3, :, width // 3 : -width // 3]
    return middles.mean(axis=(1, 3, 4)) + 1


def _scores(seen: _Seen, *cells: int) -> list[float]:
    """The tag's score of the whole photo, and with each of these cells and what is near hidden."""
    artifact = load(DEFAULT_MODEL)
    size = artifact.manifest.input
    photo = to_pixels(
        seen.file.read_bytes(),
        width=size.width,
        height=size.height,
        max_photo_pixels=10**8,
        min_photo_elements=0,
    )
    batch = np.stack([photo] * (1 + len(cells)))
    for one, cell in zip(batch[1:], cells, strict=True):
        row, column = (max(0, 2 * place - 1) for place in divmod(cell, 8))
        bottom, right = (2 * place + 3 for place in divmod(cell, 8))
        one[
            row * size.height // 16 : bottom * size.height // 16,
            column * size.width // 16 : right * size.width // 16,
        ] = photo.mean(axis=(0, 1)).round()
    return Tagger(artifact).scores(batch)[:, artifact.vocabulary.index(seen.tag)].tolist()


def test_another_photo_under_the_same_url_is_told(page: Page, engine: Engine, seen: _Seen) -> None:
    other = "not the one that was tagged"
    assert other not in page.get(seen.path).text
    with engine.begin() as connection:
        connection.execute(text("UPDATE photo SET content_sha256 = decode('00', 'hex')"))
    assert other in page.get(seen.path).text


@pytest.mark.parametrize("tag", ["", "unicorn", "%00", "a" * 5000])
def test_where_there_is_no_telling_that_is_said(page: Page, tag: str) -> None:
    answer = page.get(f"/saliency/101?tag={tag}")
    assert answer.status_code == 404
    assert "unseen" in answer.text
    assert page.get(f"/listing/1?where={tag}").status_code == 200
    assert page.get("/saliency/999?tag=camera").status_code == 404


def test_a_model_that_is_gone_is_said_to_be(page: Page, engine: Engine) -> None:
    [(listing_id, tag)] = rows(
        engine,
        "SELECT listing_id, name FROM listing_tag JOIN tag ON tag.id = tag_id"
        " ORDER BY listing_id, rank LIMIT 1",
    )
    with engine.begin() as connection:
        connection.execute(text("UPDATE model SET location = '/no/such/folder'"))
    shown = page.get(f"/listing/{listing_id}?where={quote_plus(tag)}").text
    assert "unseen: There is no telling" in shown
