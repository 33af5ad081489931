"""What a download is to fetch, and what has come of each shard and of all of it."""

from collections import Counter
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, ValidationError

from shared.errors import DatasetError

PLAN = "plan.json"  # below the folder of the shards
SUMMARY = "download.json"

R = TypeVar("R", bound="_Record")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Plan(_Record):
    """What decides the content of every shard: a download goes on only with the same."""

    source_sha256: str  #: of photos.parquet
    photos: PositiveInt
    shard_photos: PositiveInt
    side: PositiveInt | None  #: longer side of the photos that are kept; None keeps all as they are

    @property
    def shards(self) -> int:
        """How many there will be."""
        return -(-self.photos // self.shard_photos)


class Failure(_Record):
    """A photo that is not in its shard."""

    photo_id: str
    url: str
    code: str
    detail: str


class ShardOutcome(_Record):
    """What came of the photos of one shard."""

    stored: NonNegativeInt
    stored_bytes: NonNegativeInt
    fetched_bytes: NonNegativeInt
    failed: list[Failure]


class Run(_Record):
    """The last call alone: what it fetched itself."""

    photos: NonNegativeInt
    seconds: float
    photos_per_s: float


class Groups(_Record):
    """Near-duplicates among the photos stored."""

    groups: NonNegativeInt
    photos: NonNegativeInt
    across_products: NonNegativeInt


class Summary(_Record):
    """`download.json`: written last, so its presence says that the download is complete."""

    plan: Plan
    shards: NonNegativeInt
    stored: NonNegativeInt
    failed: dict[str, NonNegativeInt]  #: by code
    stored_bytes: NonNegativeInt
    fetched_bytes: NonNegativeInt
    near_duplicates: Groups
    last_run: Run


def totals(outcomes: list[ShardOutcome]) -> Counter[str]:
    """Failures by code."""
    return Counter(failure.code for outcome in outcomes for failure in outcome.failed)


def shard_name(number: int) -> str:
    """The file of a shard, without its ending."""
    return f"{number:06}"


def read_record(path: Path, kind: type[R]) -> R | None:
    """A record; None where there is no such file.

    Raises:
        DatasetError: it cannot be read, or is not such a record.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise DatasetError(f"{path}: {f'{where}: ' if where else ''}{first['msg']}") from None
