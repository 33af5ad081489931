"""Votes of reviewers as rows of the plain form: listings whose every tag somebody decided."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from shared.db import votes
from shared.errors import DatasetError

#: Names the file, and so the set that its photos are of.
FILE = "votes.jsonl"


@dataclass(frozen=True, slots=True)
class Voted:
    """Rows that votes made."""

    path: Path
    listings: int
    left_out: Mapping[str, int]  #: listings with votes that give no row, by reason


def write_voted(connection: Connection, folder: Path) -> Voted:
    """Writes a row for each listing that is decided, and counts the others.

    A row's categories are the accepted tags, each below those of its parents that were accepted
    too; one whose tags were all rejected has none, and shows what no tag fits. Its photos are the
    listing's that were tagged, as users' photos, each with the hash of what was voted on.

    Raises:
        DatasetError: no listing is decided.
    """
    left_out: Counter[str] = Counter()
    listings = 0
    path = folder / FILE
    with path.open("w", encoding="utf-8") as file:
        for found in votes.labelled(connection):
            if isinstance(found, str):
                left_out[found] += 1
                continue
            row = {
                "product": found.listing_id,
                "categories": tag_paths(found.tags, found.parents),
                "user_urls": found.urls,
                "content_sha256": found.content_sha256,
            }
            file.write(json.dumps(row) + "\n")
            listings += 1
    if not listings:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(left_out.items()))
        raise DatasetError(f"no listing is decided by votes ({reasons or 'there are none'})")
    return Voted(path, listings, dict(left_out))


def tag_paths(tags: Sequence[str], parents: Mapping[str, str]) -> list[list[str]]:
    """Tags as category paths, root first, of these tags alone.

    Args:
        tags: the tags.
        parents: tag -> the tag above it, for some of them.
    """
    paths: list[list[str]] = []
    for tag in tags:
        path = [tag]
        while (above := parents.get(path[0])) in tags and above not in path:
            assert above is not None  # noqa: S101  # it is one of the tags
            path.insert(0, above)
        paths.append(path)
    starts = {tuple(path[:length]) for path in paths for length in range(1, len(path))}
    return [path for path in paths if tuple(path) not in starts]
