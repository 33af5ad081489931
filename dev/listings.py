"""Listing events for a folder of photos: what a marketplace would publish about them."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from shared.errors import SetupError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """A photo in a folder, and what its seller says of it."""

    path: Path  #: below the folder
    title: str
    seller_tags: tuple[str, ...] = ()
    true_tags: frozenset[str] | None = None  #: what it shows, where that is known


def photo_files(folder: Path, limit: int | None = None) -> list[PhotoFile]:
    """The photos in a folder and below it, in the order of their names.

    Titles and sellers' words come from `photos.json` where `tagger dev photos` left one.

    Raises:
        SetupError: there is no such folder, or no photo in it.
    """
    if not folder.is_dir():
        raise SetupError(f"{folder} is not a folder")
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise SetupError(f"{folder} holds no photo ({', '.join(sorted(SUFFIXES))})")
    described = _described(folder)
    paths = [file.relative_to(folder) for file in found[:limit]]
    return [described.get(path, PhotoFile(path, printable(path.stem))) for path in paths]


def events(photos: list[PhotoFile], origin: str) -> Iterator[dict[str, Any]]:
    """A `listing.created` event for each photo, with its URL at `origin`."""
    now = datetime.now(UTC).isoformat()
    for number, photo in enumerate(photos, start=1):
        yield {
            "event_id": f"created-{number:06}",
            "type": "listing.created",
            "occurred_at": now,
            "listing_id": f"listing-{number:06}",
            "title": photo.title,
            "seller_tags": list(photo.seller_tags),
            "photos": [f"{origin}/{quote(os.fsencode(photo.path))}"],
        }


def write_events(photos: list[PhotoFile], origin: str, file: Path) -> None:
    """Writes the events of photos to a file, one JSON a line."""
    with file.open("w", encoding="utf-8") as stream:
        for event in events(photos, origin):
            stream.write(json.dumps(event, ensure_ascii=False) + "\n")


def printable(name: str) -> str:
    """A file's name without what could steer a terminal or is no text at all."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name
    )


def _described(folder: Path) -> dict[Path, PhotoFile]:
    file = folder / "photos.json"
    if not file.is_file():
        return {}
    entries: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    photos = [
        PhotoFile(
            Path(entry["path"]),
            entry["title"],
            tuple(entry["seller_tags"]),
            frozenset(entry["tags"]),
        )
        for entry in entries
    ]
    return {photo.path: photo for photo in photos}
