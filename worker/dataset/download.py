"""The photos of a prepared data set downloaded to shards: killed, it goes on where it was."""

import fcntl
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, StringConstraints, ValidationError

from shared.errors import DatasetError, SetupError
from shared.settings import PhotoLimits
from worker.dataset import durable, near_duplicates
from worker.dataset.fetch_shard import ShardFetcher
from worker.dataset.ledger import (
    PLAN,
    SUMMARY,
    Groups,
    Plan,
    Run,
    ShardOutcome,
    Summary,
    read_record,
    shard_name,
    totals,
)
from worker.dataset.photo_rows import PhotoRow, PhotoRows
from worker.dataset.sharded import SOURCE, sha256_of
from worker.dataset.shards import FOLDER, samples

#: Shards under way at once: while one waits for its slowest photo, others go on.
THREADS: Final = 4


@dataclass
class Progress:
    """How far a download is, in photos."""

    total: int
    stored: int = 0
    failed: Counter[str] = field(default_factory=Counter[str])  #: by code
    resumed: int = 0  #: of both, those that an earlier call fetched


def download(
    folder: Path,
    limits: PhotoLimits,
    *,
    side: int | None = None,
    shard_photos: int = 1000,
    connections: int = 16,
    attempts: int = 3,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Summary:
    """Fetches every photo of `folder/photos.parquet` into `folder/shards/`.

    Photos go through the fetching and the checks of the service. What fails for now is tried
    again, later in its shard; what fails for good stands with its code in the file beside its
    shard. Finished shards are never fetched again. In the end near-duplicates are grouped.

    Args:
        folder: what `tagger dataset prepare` made.
        limits: of fetching and decoding.
        side: photos with more pixels on their longer side are stored as JPEG shrunk to it.
        shard_photos: rows of a shard.
        connections: to one host at once, in all.
        attempts: how often a photo is tried that may do better later.
        on_progress: called as photos come, from several threads, one at a time.

    Raises:
        DatasetError: the rows cannot be used, another plan was begun in this folder, or the disk
            is full or fails.
        SetupError: another download is at work in this folder.
    """
    started = time.monotonic()
    with closing(PhotoRows(folder / SOURCE)) as rows, _locked(folder):
        plan = _settled_plan(
            folder,
            Plan(
                source_sha256=sha256_of(folder / SOURCE),
                photos=_some(rows.count(), folder),
                shard_photos=shard_photos,
                side=side,
            ),
        )
        progress = Progress(plan.photos)
        crew = _Crew(
            folder,
            limits,
            plan,
            connections=connections,
            attempts=attempts,
            progress=progress,
            on_progress=on_progress,
        )
        outcomes = crew.run(rows.batches(shard_photos))
        groups = _group(folder, plan)
        summary = _summary(plan, outcomes, groups, progress, time.monotonic() - started)
        durable.write(folder / SUMMARY, summary.model_dump_json(indent=1) + "\n")
        return summary


class _Grouped(BaseModel):
    """What of a stored row near-duplicates are told by."""

    product: str
    phash: Annotated[str, StringConstraints(pattern="^[0-9a-f]{16}$")] | None


class _Crew:
    """The threads of one download, each with a shard of its own."""

    def __init__(
        self,
        folder: Path,
        limits: PhotoLimits,
        plan: Plan,
        *,
        connections: int,
        attempts: int,
        progress: Progress,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._shards = folder / FOLDER
        self._threads = min(THREADS, connections)
        self._progress = progress
        self._on_progress = on_progress
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._fetcher = ShardFetcher(
            limits.model_copy(update={"connections_per_host": connections}),
            side=plan.side,
            attempts=attempts,
            stopping=self._stopping,
            on_photos=self._count,
        )

    def run(self, batches: Iterator[list[PhotoRow]]) -> list[ShardOutcome]:
        """The outcome of each shard; those that are finished are not fetched again."""
        outcomes: list[ShardOutcome] = []
        under_way: set[Future[ShardOutcome]] = set()
        with (
            closing(self._fetcher),
            ThreadPoolExecutor(self._threads, "download") as threads,
        ):
            try:
                for number, rows in enumerate(batches):
                    shard = self._shards / f"{shard_name(number)}.tar"
                    if (outcome := _finished(shard, len(rows))) is not None:
                        outcomes.append(outcome)
                        self._resume(outcome)
                        continue
                    if len(under_way) == self._threads:
                        under_way = _collect(under_way, outcomes)
                    under_way.add(threads.submit(self._fetcher.fetch, shard, rows))
                while under_way:
                    under_way = _collect(under_way, outcomes)
            finally:
                self._stopping.set()  # nothing to an orderly end; else the others give up
        return outcomes

    def _count(self, stored: int, codes: Sequence[str]) -> None:
        with self._lock:
            self._progress.stored += stored
            self._progress.failed.update(codes)
            self._on_progress(self._progress)

    def _resume(self, outcome: ShardOutcome) -> None:
        with self._lock:
            self._progress.resumed += outcome.stored + len(outcome.failed)
        self._count(outcome.stored, [failure.code for failure in outcome.failed])


def _collect(
    under_way: set[Future[ShardOutcome]], outcomes: list[ShardOutcome]
) -> set[Future[ShardOutcome]]:
    ended, others = wait(under_way, return_when=FIRST_COMPLETED)
    outcomes += [future.result() for future in ended]
    return others


def _finished(shard: Path, photos: int) -> ShardOutcome | None:
    """What came of a shard that is finished.

    Raises:
        DatasetError: it is of other photos, or unreadable.
    """
    record = shard.with_suffix(".json")
    outcome = read_record(record, ShardOutcome) if shard.exists() else None
    if outcome is not None and outcome.stored + len(outcome.failed) != photos:
        raise DatasetError(f"{record} does not tell of {photos} photos: remove it and its shard")
    return outcome


def _some(photos: int, folder: Path) -> int:
    if not photos:
        raise DatasetError(f"{folder / SOURCE}: has no rows")
    return photos


@contextmanager
def _locked(folder: Path) -> Generator[None]:
    """The folder of the shards is this process's own; what others left unfinished is gone."""
    shards = folder / FOLDER
    try:
        shards.mkdir(exist_ok=True)
        with (shards / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SetupError(f"another download is at work in {folder}") from None
            for left in shards.glob(f"*{durable.UNFINISHED}"):
                left.unlink()
            yield
    except OSError as error:
        raise DatasetError(f"{shards}: {error.strerror or error}") from None


def _settled_plan(folder: Path, plan: Plan) -> Plan:
    """Writes down what this folder is to hold, or checks that it is what was begun.

    Raises:
        DatasetError: it is not.
    """
    path = folder / FOLDER / PLAN
    begun = read_record(path, Plan)
    if begun is None:
        # Of an earlier download, whose shards were removed.
        (folder / SUMMARY).unlink(missing_ok=True)
        durable.write(path, plan.model_dump_json(indent=1) + "\n")
    elif begun != plan:
        old, new = begun.model_dump(), plan.model_dump()
        changed = ", ".join(f"{name} was {old[name]}" for name in old if old[name] != new[name])
        raise DatasetError(f"{folder / FOLDER} was begun otherwise ({changed}): remove it first")
    return plan


def _group(folder: Path, plan: Plan) -> Groups:
    """Finds and writes down the near-duplicates of all that was stored."""
    photos: list[str] = []
    hashes: list[int | None] = []
    products: dict[str, str] = {}
    for number in range(plan.shards):
        for member, line in samples(folder / FOLDER / f"{shard_name(number)}.tar"):
            try:
                row = _Grouped.model_validate_json(line)
            except ValidationError:
                raise DatasetError(
                    f"{member.shard}: the row of {member.name} is damaged; "
                    "remove the shard, and it is fetched again"
                ) from None
            photos.append(member.name)
            hashes.append(None if row.phash is None else int(row.phash, 16))
            products[member.name] = row.product
    groups = near_duplicates.group(photos, hashes)
    near_duplicates.write(folder, groups)
    pairs = {(group, products[photo]) for photo, group in groups.items()}
    several = Counter(group for group, _ in pairs)
    return Groups(
        groups=len(several),
        photos=len(groups),
        across_products=sum(count > 1 for count in several.values()),
    )


def _summary(
    plan: Plan,
    outcomes: list[ShardOutcome],
    groups: Groups,
    progress: Progress,
    seconds: float,
) -> Summary:
    fetched = plan.photos - progress.resumed
    return Summary(
        plan=plan,
        shards=len(outcomes),
        stored=sum(outcome.stored for outcome in outcomes),
        failed=dict(sorted(totals(outcomes).items())),
        stored_bytes=sum(outcome.stored_bytes for outcome in outcomes),
        fetched_bytes=sum(outcome.fetched_bytes for outcome in outcomes),
        near_duplicates=groups,
        last_run=Run(
            photos=fetched, seconds=round(seconds, 3), photos_per_s=round(fetched / seconds, 1)
        ),
    )
