"""Who meets whom, where and how often: contestants in turn, round after round."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.throughput.certificate import Certificate
from bench.throughput.contest import Contestant, Stage, cores
from bench.throughput.counts import photos_for, photos_for_limit
from bench.throughput.limit import measure_limit
from bench.throughput.origin import Origin
from bench.throughput.photos import PhotoSet, is_progressive
from bench.throughput.scene import OURS, Scene
from bench.throughput.servers import Servers
from worker.model.artifact import load

#: As on the command line -> as in the tables.
NAMES: Final = {
    "ours": OURS,
    "paper": "the paper's way",
    "naive": "naive Celery",
    "img2dataset": "img2dataset (download + resize only)",
}


#: Ours where an origin answers late: as many connections as a host of one's own stands.
FAR_AWAY: Final = {"TAGGER_CONNECTIONS_PER_HOST": "256"}


@dataclass(frozen=True, slots=True)
class Terms:
    """What is the same for everybody."""

    servers: Servers
    model: Path  #: the artifact that we serve
    folder: Path  #: for logs
    rows: Path  #: where we leave our rows, for the limit
    rounds: int
    most: int  #: photos of a round; 0 for no bound
    times: int  #: as many photos as usual
    limit: bool  #: whether what is possible is measured
    settings: Mapping[str, str]  #: of our processes, beyond the defaults
    photos_per_listing: int  #: ours


@dataclass(frozen=True, slots=True)
class Manner:
    """How an origin serves."""

    latency_ms: int = 0
    certificate: Certificate | None = None  #: with one, it speaks HTTPS

    def name(self, photos: PhotoSet) -> str:
        """As in the tables."""
        how = [photos.name]
        if self.certificate:
            how.append("HTTPS")
        if self.latency_ms:
            how.append(f"{self.latency_ms} ms")
        return ", ".join(how)


def play(
    photos: PhotoSet,
    manners: list[Manner],
    field: Mapping[str, Contestant],
    terms: Terms,
    tell: Callable[[str], None],
) -> list[Scene]:
    """All rounds over one set of photos, a scene for each manner.

    Everything takes turns within a round, the manners too, so that an hour in which the machine
    is slow is slow for all.
    """
    scenes = [Scene(manner.name(photos)) for manner in manners]
    with ExitStack() as stack:
        stages = [
            _stage(photos, manner, stack.enter_context(_origin(photos, manner)), terms)
            for manner in manners
        ]
        for round_ in range(1, terms.rounds + 1):
            for scene, manner, stage in zip(scenes, manners, stages, strict=True):
                for line in _round(scene, photos, manner, stage, field=field, terms=terms):
                    tell(f"{scene.name}, round {round_}: {line}")
    return scenes


def _round(
    scene: Scene,
    photos: PhotoSet,
    manner: Manner,
    stage: Stage,
    *,
    field: Mapping[str, Contestant],
    terms: Terms,
) -> Iterator[str]:
    for name, contestant in field.items():
        count = photos_for(
            name,
            photos.like,
            latency_ms=manner.latency_ms,
            https=manner.certificate is not None,
            progressive=is_progressive(photos.name),
            most=terms.most,
            times=terms.times,
        )
        _empty(stage.folder)
        measured = contestant(stage, count)
        scene.runs.setdefault(NAMES[name], []).append(measured)
        yield (
            f"{NAMES[name]}: {measured.photos_per_s:.0f} photos/s, "
            f"{measured.cpu_s_per_1000:.2f} CPU s for 1,000, {measured.failed} failed"
        )
    if terms.limit and "ours" in field:  # it is ours that is held against it
        _empty(stage.folder)
        files = [photos.folder / file for file in photos.files]
        counts = photos_for_limit(photos.like, most=terms.most)
        found = measure_limit(stage, files, counts)
        scene.limits.append(found)
        yield f"{found.photos_per_s:.0f} photos/s are possible"


def _origin(photos: PhotoSet, manner: Manner) -> Origin:
    certificate = manner.certificate.served if manner.certificate else None
    return Origin(photos, latency_ms=manner.latency_ms, certificate=certificate)


def _stage(photos: PhotoSet, manner: Manner, origin: Origin, terms: Terms) -> Stage:
    return Stage(
        servers=terms.servers,
        origin=origin,
        paths=photos.paths,
        model=terms.model,
        tags=len(load(terms.model).vocabulary),
        folder=terms.folder,
        rows=terms.rows,
        cores=cores(),
        trusted=manner.certificate.trusted if manner.certificate else None,
        settings={**(FAR_AWAY if manner.latency_ms else {}), **terms.settings},
        photos_per_listing=terms.photos_per_listing,
    )


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
