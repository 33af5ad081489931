"""What came out: the table of downloads, that of batches, JSON."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bench.sections import Section
from bench.throughput.report import number
from bench.training_input.download import Download
from bench.training_input.turns import MEMORY, SHARDS, Input


def rates(found: Input) -> dict[str, float]:
    """Images a second by source, medians over the rounds."""
    return {
        source: statistics.median(t.images_per_s for t in found.turns if t.source == source)
        for source in (SHARDS, MEMORY)
    }


def as_json(
    downloads: Sequence[Download], found: Input, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything, with medians."""
    medians = rates(found)
    return {
        **facts,
        "downloads": [{**asdict(one), "photos_per_s": one.photos_per_s} for one in downloads],
        "input": {
            "images": found.images,
            "pixels_s": found.pixels_s,
            "images_per_s": medians,
            "ratio": medians[SHARDS] / medians[MEMORY],
            "turns": [{**asdict(turn), "images_per_s": turn.images_per_s} for turn in found.turns],
        },
    }


def sections(downloads: Sequence[Download], found: Input, what: str) -> list[Section]:
    """The tables; `what` says in words which photos they are of."""
    return [_downloads(downloads, what), _input(found, what)]


def _downloads(downloads: Sequence[Download], what: str) -> Section:
    rows: list[list[Any]] = [
        [
            place,
            one.photos,
            "; ".join(f"{code}: {count}" for code, count in one.failed.items()) or None,
            f"{one.seconds:.2f}",
            number(one.photos_per_s),
            number(one.megabytes / one.seconds),
            *(number(one.cpu_s[name] / one.photos * 1e6) for name in ("download", "origin")),
        ]
        for place, one in enumerate(downloads, start=1)
    ]
    return Section(
        "Downloading to shards",
        f"`tagger dataset download` of {what} from a loopback origin: fetched, decoded, hashed, "
        "written, synced, grouped by look; without the start of the process in the seconds, with "
        "it in the microseconds of CPU a photo.",
        ["round", "photos", "failed", "seconds", "photos/s", "MB/s", "us", "us, origin"],
        rows,
    )


def _input(found: Input, what: str) -> Section:
    medians = rates(found)
    once = found.images / found.pixels_s
    rows: list[list[Any]] = [["from shards to pixels, once", number(once), None, None]]
    for source, words in ((SHARDS, "epochs from these"), (MEMORY, "epochs from memory")):
        figures = [turn.images_per_s for turn in found.turns if turn.source == source]
        rows.append(
            [
                words,
                number(medians[source]),
                f"{number(min(figures))} to {number(max(figures))}",
                f"{medians[source] / medians[MEMORY]:.2f}",
            ]
        )
    return Section(
        "Training input",
        f"Images a second without a network, of {what}. A training decodes its shards once, to "
        "pixels in a mapped file (in the page cache here), and reads batches from that in every "
        "epoch; beside it the same arrays in memory. Medians over the rounds.",
        ["input", "images/s", "rounds", "of memory"],
        rows,
    )
