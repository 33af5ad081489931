"""Votes become training labels: what most reviewers say, of listings that are decided."""

import hashlib
import json
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import Engine, text

from dev.fleet import Fleet
from dev.listings import PhotoFile
from dev.origin import Origin
from shared.db.votes import Verdict
from shared.errors import DatasetError
from shared.settings import Settings
from tests.marketplace import listing, vote
from tests.worker.dataset.catalogues import write_lines
from worker.dataset.labelled import read_dataset
from worker.dataset.voted import tag_paths, write_voted

YES, NO = Verdict.ACCEPT, Verdict.REJECT


@pytest.fixture
def reviewed(
    engine: Engine,
    settings: Settings,
    origin: Origin,
    photos: list[PhotoFile],
    photo_folder: Path,
) -> Engine:
    """Listings with votes of three reviewers, decided and not, each with its name's photos."""
    both, camera = [0.9, 0.9], [0.9, 0.1]
    cast: dict[str, tuple[list[float], dict[str, list[Verdict]]]] = {
        "accepted": (both, {"camera": [YES], "cable": [YES]}),
        "partly": (both, {"camera": [YES], "cable": [NO]}),
        "rejected": (camera, {"camera": [NO]}),
        "majority": (camera, {"camera": [YES, NO, YES]}),
        "outvoted": (camera, {"camera": [YES, NO, NO]}),
        "missed": (camera, {"camera": [YES], "cable": [YES]}),
        "even": (camera, {"camera": [YES, NO]}),
        "half done": (both, {"camera": [YES]}),
        "gone": (camera, {"camera": [YES]}),
        "unseen": (camera, {"camera": [YES]}),
        "swapped": (camera, {"camera": [YES]}),
    }
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO reviewer (name) VALUES ('a'), ('b'), ('c')"))
    for number, (name, (scores, said)) in enumerate(cast.items()):
        url = f"{origin.url}/{photos[number].path}"
        id_ = listing(engine, settings, name, scores, photos=[url])
        sha256 = hashlib.sha256((photo_folder / photos[number].path).read_bytes()).digest()
        with engine.begin() as connection:
            connection.execute(
                text("UPDATE photo SET content_sha256 = :sha256 WHERE listing_id = :id"),
                {"sha256": sha256, "id": id_},
            )
            for tag, verdicts in said.items():
                for reviewer, verdict in enumerate(verdicts, start=1):
                    vote(connection, reviewer, id_, tag, verdict)
    listing(engine, settings, "without votes", both)
    with engine.begin() as connection:
        connection.execute(text("UPDATE listing SET deleted_at = now() WHERE external_id = 'gone'"))
        connection.execute(
            text("""
                UPDATE photo SET status = 'failed' FROM listing
                WHERE listing.id = listing_id AND external_id = 'unseen'
            """)
        )
        connection.execute(
            text("""
                UPDATE photo SET content_sha256 = decode('00', 'hex') FROM listing
                WHERE listing.id = listing_id AND external_id = 'swapped'
            """)
        )
        connection.execute(
            text("""
                UPDATE tag SET parent_id = (SELECT id FROM tag WHERE name = 'camera')
                WHERE name = 'cable'
            """)
        )
    return engine


def test_decided_listings_give_rows_and_the_others_are_counted(
    reviewed: Engine, tmp_path: Path
) -> None:
    with reviewed.connect() as connection:
        voted = write_voted(connection, tmp_path)
    found = [json.loads(line) for line in voted.path.read_text().splitlines()]
    assert {row["product"]: row["categories"] for row in found} == {
        "accepted": [["camera", "cable"]],
        "partly": [["camera"]],
        "rejected": [],
        "majority": [["camera"]],
        "outvoted": [],
        "missed": [["camera", "cable"]],
    }
    assert all(len(row["user_urls"]) == len(row["content_sha256"]) == 1 for row in found)
    assert voted.listings == len(found)
    assert voted.left_out == {
        "even_votes": 1,
        "undecided_tag": 1,
        "deleted_listing": 1,
        "no_tagged_photo": 1,
        "changed_photos": 1,
    }


def test_without_a_decided_listing_that_is_said(engine: Engine, tmp_path: Path) -> None:
    with engine.connect() as connection, pytest.raises(DatasetError, match="there are none"):
        write_voted(connection, tmp_path)


@pytest.mark.parametrize(
    ("tags", "parents", "expected"),
    [
        ([], {}, []),
        (["b", "a"], {}, [["b"], ["a"]]),
        (["a", "b", "c"], {"c": "b", "b": "a"}, [["a", "b", "c"]]),
        (["a", "c"], {"c": "b", "b": "a"}, [["a"], ["c"]]),  # nobody accepted b
        (["a", "b", "c"], {"c": "a", "b": "a"}, [["a", "b"], ["a", "c"]]),
        (["a", "b"], {"a": "b", "b": "a"}, [["b", "a"], ["a", "b"]]),  # a ring ends
    ],
)
def test_tags_stand_below_those_parents_that_were_accepted(
    tags: list[str], parents: dict[str, str], expected: list[list[str]]
) -> None:
    assert tag_paths(tags, parents) == expected


def test_votes_are_prepared_downloaded_and_read_as_labels(
    reviewed: Engine, fleet: Fleet, tmp_path: Path
) -> None:
    """Together with a catalogue that says otherwise of one of them, which then does not count."""
    del reviewed
    shop = [
        {
            "product": name,
            "categories": [["Cable"]],
            "catalogue_urls": [f"http://shop.test/{name}.jpg"],
        }
        for name in ("partly", "another")
    ]
    file, out = write_lines(tmp_path / "shop.jsonl", shop), tmp_path / "out"
    words = ("--votes", "--products", str(file), "--minimum-share", "0", "--out", str(out))
    prepared = fleet.run("dataset", "prepare", *words)
    assert prepared.returncode == 0, prepared.stderr
    assert b"1 of products that votes decide" in prepared.stdout
    rows = duckdb.read_parquet(str(out / "photos.parquet"))
    expected = {
        "accepted": ["cable", "camera"],
        "partly": ["camera"],
        "rejected": [],
        "majority": ["camera"],
        "outvoted": [],
        "missed": ["cable", "camera"],
    }
    found = {product: sorted(tags) for product, tags in rows.project("product, tags").fetchall()}
    assert found == expected | {"another": ["cable"]}
    sets = rows.project("set, source").distinct().order("set").fetchall()
    assert sets == [("shop", "catalogue"), ("votes", "user")]
    fleet.run("dataset", "download", str(out), "--attempts", "1")
    labels = {photo.product: sorted(photo.tags) for photo in read_dataset(out).photos}
    assert labels == expected


def test_bytes_that_nobody_voted_on_are_not_taken_for_those_of_a_vote(
    reviewed: Engine, fleet: Fleet, tmp_path: Path
) -> None:
    """A host that shows reviewers one photo, and whoever trains on it another."""
    with reviewed.begin() as connection:
        for statement in (
            "UPDATE photo SET content_sha256 = :sha256 WHERE listing_id = :id",
            "UPDATE vote SET photos_sha256 = sha256(:sha256) WHERE listing_id = :id",
        ):
            connection.execute(text(statement), {"sha256": b"1" * 32, "id": 1})
    out = tmp_path / "out"
    words = ("--votes", "--minimum-share", "0", "--out", str(out))
    prepared = fleet.run("dataset", "prepare", *words)
    assert prepared.returncode == 0, prepared.stderr
    done = fleet.run("dataset", "download", str(out), "--attempts", "1")
    assert done.returncode == 3
    summary = json.loads((out / "download.json").read_text())
    assert summary["failed"] == {"changed_photo": 1}
    assert "accepted" not in {photo.product for photo in read_dataset(out).photos}


def test_the_paper_knows_no_votes(reviewed: Engine, fleet: Fleet, tmp_path: Path) -> None:
    del reviewed
    words = ("--votes", "--paper-faithful", "--out", str(tmp_path / "out"))
    done = fleet.run("dataset", "prepare", *words)
    assert done.returncode == 1
    assert b"the paper had no votes" in done.stderr
