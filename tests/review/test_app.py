"""What a reviewer sees and does, over real HTTP."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine, text

from dev.listings import PhotoFile
from dev.origin import Origin
from shared.settings import Settings
from tests.marketplace import DECISION, event, listing, record, register, rows
from tests.review.page import Page, Serve, flag, may_fetch


@pytest.fixture
def camera(engine: Engine, settings: Settings) -> int:
    """A flagged listing with one tag."""
    id_ = listing(engine, settings, "L1", [0.6, 0.1])
    flag(engine, id_, 0.9)
    return id_


VOTES = "SELECT kind, subject, verdict, score, model_id FROM vote ORDER BY kind, subject"


def test_a_listing_is_shown_with_its_flags_its_tags_and_their_scores(
    page: Page, camera: int
) -> None:
    shown = page.get(f"/listing/{camera}").text
    assert "A camera" in shown
    assert "The photos show a camera." in shown
    assert "score 0.60, threshold 0.50" in shown
    assert f"/photo/{_first_photo(page, camera)}" in shown


def _first_photo(page: Page, listing_id: int) -> str:
    found = re.search(r"/photo/(\d+)", page.get(f"/listing/{listing_id}").text)
    assert found
    return found[1]


def test_the_queue_leads_through_all_that_waits_and_ends(
    engine: Engine, settings: Settings, page: Page, camera: int
) -> None:
    second = listing(engine, settings, "L2", [0.7, 0.1])
    queue = page.get("/").text
    assert queue.index(">flagged</span>") < queue.index(">uncertain</span>")
    first = page.get("/next").headers["location"]
    assert first.startswith(f"/listing/{camera}?key=flagged")
    query = first.partition("?")[2]
    then = page.get(f"/next?{query}").headers["location"]
    assert then.startswith(f"/listing/{second}?key=uncertain")
    query = then.partition("?")[2]
    assert page.get(f"/previous?{query}").headers["location"] == first
    assert page.get(f"/next?{query}").headers["location"] == "/"
    assert page.get("/previous").headers["location"] == "/"


def test_a_vote_is_a_row_that_can_be_changed_and_taken_back(
    engine: Engine, page: Page, camera: int
) -> None:
    answer = page.vote(camera, "camera", "accept", at="1", key="flagged:0.9:1")
    assert answer.headers["location"] == f"/listing/{camera}?key=flagged%3A0.9%3A1#s2"
    page.vote(camera, "bargain", "reject", subject_kind="spam")
    assert rows(engine, VOTES) == [
        ("spam", "bargain", "reject", pytest.approx(0.9), 1),
        ("tag", "camera", "accept", pytest.approx(0.6), 1),
    ]
    page.vote(camera, "camera", "reject")
    assert rows(engine, VOTES)[1][2] == "reject"
    assert 'data-voted="reject"' in page.get(f"/listing/{camera}").text
    undone = page.post("/undo", {"csrf": page.csrf})
    assert undone.headers["location"] == f"/listing/{camera}"
    # What was said before it holds again, and is the older vote.
    assert rows(engine, VOTES)[1] == ("tag", "camera", "accept", pytest.approx(0.6), 1)
    page.post("/undo", {"csrf": page.csrf})
    assert [row[1] for row in rows(engine, VOTES)] == ["camera"]
    page.post("/undo", {"csrf": page.csrf})
    assert page.post("/undo", {"csrf": page.csrf}).headers["location"] == "/"
    assert rows(engine, VOTES) == []


def test_a_tag_that_the_model_missed_can_be_added_and_another_word_cannot(
    engine: Engine, page: Page, camera: int
) -> None:
    assert page.vote(camera, " Cable ", "accept").status_code == 303
    assert "added by a reviewer" in page.get(f"/listing/{camera}").text
    assert page.vote(camera, "cable", "reject").status_code == 303  # by mistake, after all
    assert rows(engine, VOTES) == [("tag", "cable", "reject", None, 1)]
    for subject, verdict in (("unicorn", "accept"), ("tripod", "reject"), ("", "accept")):
        assert page.vote(camera, subject, verdict).status_code == 409
    assert page.vote(camera, "x", "accept", subject_kind="spam").status_code == 409
    assert page.vote(10**9, "camera", "accept").status_code == 409
    assert page.vote(camera, "camera", "maybe").status_code == 400
    assert len(rows(engine, VOTES)) == 1


def test_precision_is_told_with_its_interval_and_counts_listings(
    engine: Engine, settings: Settings, page: Page, camera: int
) -> None:
    others = [listing(engine, settings, f"M{n}", [0.9, 0.1]) for n in range(3)]
    for id_ in others:
        page.vote(id_, "camera", "accept")
    page.vote(camera, "camera", "reject")
    page.vote(camera, "cable", "accept")  # added: no model gave it
    shown = " ".join(re.sub(r"<[^>]+>", " ", page.get("/precision").text).split())
    assert "camera 3 1 0 75 % 30 % to 95 %" in shown
    assert "cable" not in shown
    assert "camera 3 1 0" in " ".join(
        re.sub(r"<[^>]+>", " ", page.get("/precision?model=m-1").text).split()
    )
    assert page.get("/precision?model=unknown").status_code == 404


def test_a_photo_is_fetched_here_and_comes_as_a_jpeg_of_ours(
    serve: Serve, engine: Engine, settings: Settings, origin: Origin, photos: list[PhotoFile]
) -> None:
    id_ = listing(engine, settings, "L1", [0.9, 0.1], photos=[f"{origin.url}/{photos[0].path}"])
    page = serve(**may_fetch(origin)).sign_in()
    photo = _first_photo(page, id_)
    assert origin.url not in page.get(f"/listing/{id_}").text
    large, small = page.get(f"/photo/{photo}"), page.get(f"/photo/{photo}?size=small")
    for answer in (large, small):
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.content.startswith(b"\xff\xd8\xff")
    assert len(small.content) < len(large.content)


def test_a_photo_that_cannot_be_had_is_a_picture_that_says_why(
    serve: Serve, engine: Engine, settings: Settings, origin: Origin
) -> None:
    port = origin.url.rpartition(":")[2]
    urls = [f"{origin.url}/no/such.jpg", f"http://169.254.169.254:{port}/latest/meta-data"]
    id_ = listing(engine, settings, "L1", [0.9, 0.1], photos=urls)
    page = serve(**may_fetch(origin)).sign_in()
    photos = [row[0] for row in rows(engine, "SELECT id FROM photo ORDER BY position")]
    codes = ("not_found", "blocked_address")
    for photo, code in zip(photos, codes, strict=True):
        for path in (f"/photo/{photo}", f"/photo/{photo}?size=small"):
            answer = page.get(path)
            assert answer.status_code == 404
            assert answer.headers["content-type"] == "image/svg+xml"
            assert code in answer.text
    assert "The origin has no such photo." in page.get(f"/photo/{photos[0]}").text
    asked = page.get(f"/listing/{id_}?where=camera")
    assert "not_found: The origin has no such photo." in asked.text


def test_a_photo_that_never_was_tagged_tells_its_code_and_sentence(
    engine: Engine, settings: Settings, page: Page
) -> None:
    id_ = listing(engine, settings, "L1", [0.9, 0.1])
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE photo SET status = 'failed', error_code = 'too_large'")
        connection.exec_driver_sql("DELETE FROM photo_tag")
    shown = page.get(f"/listing/{id_}").text
    assert "too_large: The photo has more bytes than are read." in shown
    assert "<img" not in shown


@pytest.mark.parametrize(
    ("status", "code", "shown"),
    [("pending", None, "pending"), ("working", None, "pending"), ("failed", "crashed", "crashed")],
)
def test_what_may_kill_a_decoder_is_not_fetched(
    serve: Serve,
    engine: Engine,
    settings: Settings,
    origin: Origin,
    status: str,
    code: str,
    shown: str,
    photos: list[PhotoFile],
) -> None:
    listing(engine, settings, "L1", [0.9, 0.1], photos=[f"{origin.url}/{photos[0].path}"])
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE photo SET status = :status, error_code = :code"),
            {"status": status, "code": code},
        )
    page = serve(**may_fetch(origin)).sign_in()
    answer = page.get("/photo/1")
    assert answer.status_code == 404
    assert shown in answer.text
    assert f"{shown}: " in page.get("/listing/1").text


def test_over_another_photo_than_the_one_that_was_tagged_that_is_written(
    serve: Serve,
    engine: Engine,
    settings: Settings,
    origin: Origin,
    photos: list[PhotoFile],
    photo_folder: Path,
) -> None:
    listing(engine, settings, "L1", [0.9, 0.1], photos=[f"{origin.url}/{photos[0].path}"])
    page = serve(**may_fetch(origin)).sign_in()
    another = [_picture(page, path) for path in ("/photo/1", "/photo/1?size=small")]
    body = (photo_folder / photos[0].path).read_bytes()
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE photo SET content_sha256 = :sha256"),
            {"sha256": hashlib.sha256(body).digest()},
        )
    same = [_picture(page, path) for path in ("/photo/1", "/photo/1?size=small")]
    for warned, plain in zip(another, same, strict=True):
        bar = warned.shape[0] - plain.shape[0]
        assert bar > 5
        # Red, with words in white, and nothing of the photo hidden.
        blue, green, red = warned[:bar].reshape(-1, 3).mean(axis=0)
        assert red > 100 > max(blue, green)
        assert np.abs(warned[bar:].astype(int) - plain).mean() < 8


def _picture(page: Page, path: str) -> NDArray[np.uint8]:
    found = cv2.imdecode(np.frombuffer(page.get(path).content, np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return found.astype(np.uint8)


def test_a_vote_on_photos_that_have_changed_since_is_refused(
    engine: Engine, page: Page, camera: int
) -> None:
    assert page.vote(camera, "camera", "accept", shown="00" * 32).status_code == 409
    assert page.vote(camera, "camera", "accept", shown="").status_code == 409
    assert page.vote(camera, "camera", "accept", shown="x").status_code == 400
    assert rows(engine, VOTES) == []


def test_votes_on_other_photos_are_not_shown_as_votes_on_these(
    engine: Engine, page: Page, camera: int
) -> None:
    page.vote(camera, "camera", "accept")
    assert 'data-voted="accept"' in page.get(f"/listing/{camera}").text
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE photo SET content_sha256 = decode('00', 'hex')")
    assert 'data-voted="accept"' not in page.get(f"/listing/{camera}").text


def test_tags_with_capitals_are_voted_on_and_found(
    engine: Engine, settings: Settings, page: Page
) -> None:
    with engine.begin() as connection:
        register(connection, replace(DECISION, vocabulary=("TV", "cable")), "m-2")
        connection.execute(text("UPDATE model SET status = 'champion'"))
    id_ = listing(engine, settings, "L1", [0.9, 0.1])
    other = listing(engine, settings, "L2", [0.9, 0.1])
    assert f"/listing/{id_}" in page.get("/?tag=TV").text
    flag(engine, id_, 0.9)
    assert f"/listing/{id_}" in page.get("/?tag=tv&kind=spam").text
    assert page.vote(id_, "TV", "accept").status_code == 303
    assert page.vote(other, "tv", "accept").status_code == 303
    assert [row[1] for row in rows(engine, VOTES)] == ["TV", "TV"]


@pytest.mark.parametrize("subject", ["cable\n", "a\r\nb", "\r"])
def test_a_flag_about_words_with_line_breaks_is_voted_on_as_browsers_post_them(
    engine: Engine, page: Page, camera: int, subject: str
) -> None:
    flag(engine, camera, 0.8, subject=subject)
    posted = "\r\n".join(re.split("\r\n|\r|\n", subject))
    assert page.vote(camera, posted, "reject", subject_kind="spam").status_code == 303
    assert rows(engine, VOTES)[0][1] == subject


def test_votes_on_flags_count_where_no_model_serves(
    engine: Engine, settings: Settings, page: Page
) -> None:
    record(engine, settings, event("L1", photos=[]))
    flag(engine, 1, 1.0, kind="restricted", subject="ivory")
    assert page.vote(1, "ivory", "accept", subject_kind="restricted").status_code == 303
    shown = " ".join(re.sub(r"<[^>]+>", " ", page.get("/precision").text).split())
    assert "restricted 1 0 0 100 %" in shown


@pytest.mark.parametrize(
    "path", ["/listing/5", "/listing/x", f"/listing/{'9' * 5000}", "/a", "/photo/-1"]
)
def test_what_is_not_there_is_a_page_that_says_so(page: Page, path: str) -> None:
    answer = page.get(path)
    assert answer.status_code == 404
    assert "<h1>Nothing is here</h1>" in answer.text
