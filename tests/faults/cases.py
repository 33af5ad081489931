"""Photos that are hostile in some way, how each must end, and how each did."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.listings import PhotoFile
from tests.marketplace import rows
from tests.origins import Behaviour
from tests.settled import Tags

#: The origins' addresses. Real ones, since all that is reserved for examples is refused.
PUBLIC = "93.184.216.34"
PUBLIC_V6 = "2606:2800:220:1:248:1893:25c8:1946"
#: A proxy that nobody may use.
PROXY = "93.184.216.99:3128"
#: Names below it resolve to PUBLIC unless a test says otherwise.
ZONE = "shop.test"


@dataclass(frozen=True)
class Case:
    """One photo of a listing, and how it must end.

    Attributes:
        row: of the scorecard.
        name: what it is about; unique.
        url: where the photo is said to be.
        ends: `tagged` or an error's code; several where chance decides among good ends.
        attempts: how many tries it must take.
        serves: what the origins answer, by path.
    """

    row: str
    name: str
    url: str
    ends: str | tuple[str, ...]
    attempts: int = 1
    serves: Mapping[str, Behaviour] = field(default_factory=dict[str, Behaviour])

    @property
    def good_ends(self) -> tuple[str, ...]:
        """All the ways in which it may end."""
        return (self.ends,) if isinstance(self.ends, str) else self.ends


@dataclass(frozen=True)
class End:
    """What became of a photo."""

    end: str  #: `tagged` or an error's code
    attempts: int
    tags: Tags


@dataclass(frozen=True)
class Seen:
    """What the origins and the name server saw.

    Attributes:
        dialled: connections by address and port that were dialled.
        asked: how often each name was asked for.
        visits: when (s) each request for a path was read and how long (s) it was held.
    """

    dialled: Counter[str]
    asked: Counter[str]
    visits: dict[str, list[tuple[float, float]]]


@dataclass(frozen=True)
class Run:
    """What became of all photos that one worker was given."""

    cases: Sequence[Case]
    ends: Mapping[str, End]  #: by the name of the case
    seen: Seen
    fleet: Fleet

    def check(self, row: str) -> None:
        """Each photo of a row has ended as it must, after as many tries as it must."""
        its_cases = [case for case in self.cases if case.row == row]
        assert its_cases
        wrong = {
            case.name: self.ends[case.name]
            for case in its_cases
            if self.ends[case.name].end not in case.good_ends
            or self.ends[case.name].attempts != case.attempts
        }
        assert wrong == {}

    def visits(self, path: str) -> list[tuple[float, float]]:
        """When (s) a path was asked for, and for how long (s) that was held, in their order."""
        return sorted(self.seen.visits[path])

    def check_tags(self, photos: Sequence[PhotoFile], calm_tags: Mapping[str, Tags]) -> None:
        """The good photos were tagged at once, and all as in a run without faults."""
        for photo in photos:
            assert self.ends[f"good {photo.path}"] == End("tagged", 1, calm_tags[f"/{photo.path}"])
        for case in self.cases:
            if case.row and self.ends[case.name].end == "tagged":
                # What is tagged for a row is the first photo under another name.
                assert self.ends[case.name].tags == calm_tags[f"/{photos[0].path}"], case.name


def publish(fleet: Fleet, cases: Sequence[Case]) -> None:
    """Publishes each case as a listing with one photo."""
    _write_events(cases, fleet.folder / "events.jsonl")
    done = fleet.run("produce", "events.jsonl")
    assert done.returncode == 0, done.stderr


def ends(engine: Engine) -> dict[str, End]:
    """How each photo ended, by the name of its case."""
    found = rows(
        engine,
        """SELECT external_id, coalesce(error_code, photo.status), attempt, coalesce(
            (SELECT json_agg(json_build_array(tag.name, score) ORDER BY rank) FROM photo_tag
                JOIN tag ON tag.id = tag_id WHERE photo_id = photo.id), '[]')::text
        FROM photo JOIN listing ON listing.id = listing_id""",
    )
    return {
        name: End(end, attempts, [(tag, score) for tag, score in json.loads(tags)])
        for name, end, attempts, tags in found
    }


def _write_events(cases: Sequence[Case], file: Path) -> None:
    """Writes one event for each case, as a listing with one photo."""
    now = datetime.now(UTC).isoformat()
    events = [
        {
            "event_id": f"E-{case.row}-{case.name}",
            "type": "listing.created",
            "occurred_at": now,
            "listing_id": case.name,
            "title": case.row,
            "seller_tags": [],
            "photos": [case.url],
        }
        for case in cases
    ]
    file.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
