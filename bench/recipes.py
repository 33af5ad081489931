"""Every recipe on one data set: how good, on products and on sets it has not seen, and how fast.

    scripts/bench recipes --data DIR --backbone FILE --out DIR --leave-out SET ...

Trains what does not lie in OUT yet, so a run that was broken off goes on; prints a Markdown table
and writes it with its JSON. Speed is that of one thread, all models taking turns: scores alone,
and from the photo's bytes to the scores.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shared.settings import Settings
from worker.dataset.labelled import read_dataset
from worker.decode import pixels
from worker.model.artifact import Artifact, load
from worker.model.tagger import Tagger

RECIPES = ("paper-vanilla", "compact", "backbone", "path", "path-rnn")
#: Those that are also trained without a set; a path head learns from the same body.
LEFT_OUT_RECIPES = ("paper-vanilla", "compact", "backbone")
ROUNDS = 9
TIMED_PHOTOS = 320


@dataclass(frozen=True, slots=True)
class Row:
    """One trained model."""

    recipe: str
    left_out: str | None
    part: str  #: what was judged: `test`, or the set that was left out
    overall: dict[str, Any]
    intervals: dict[str, Any]
    by_source: dict[str, Any]
    always_empty: float  #: Hamming score of no tag ever


@dataclass(frozen=True, slots=True)
class Speed:
    """What a photo costs in service, in microseconds on one thread, medians."""

    recipe: str
    weights: str
    side: int
    kilobytes: int
    scores_us: float
    photo_us: float  #: decoding, resizing and scores


def main() -> None:
    """Trains, measures and prints."""
    arguments = _arguments()
    pixels.configure()
    out: Path = arguments.out
    rows: list[Row] = []
    served: dict[str, Artifact] = {}
    for left_out in [None, *arguments.leave_out]:
        for recipe in RECIPES if left_out is None else LEFT_OUT_RECIPES:
            artifact = _trained(recipe, left_out, arguments)
            rows.append(_row(recipe, left_out, artifact))
            if left_out is None:
                served[recipe] = artifact
    speeds = _speeds(served, arguments.data)
    found = {"rows": [asdict(row) for row in rows], "speeds": [asdict(speed) for speed in speeds]}
    (out / "recipes.json").write_text(json.dumps(found, indent=2) + "\n")
    table = _markdown(rows, speeds)
    (out / "recipes.md").write_text(table)
    sys.stdout.write(table)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--backbone", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--leave-out", action="append", default=[], metavar="SET")
    return parser.parse_args()


def _trained(recipe: str, left_out: str | None, arguments: argparse.Namespace) -> Artifact:
    folder: Path = arguments.out / f"{recipe}-{left_out or 'none'}"
    if not folder.exists():
        # TensorFlow is only needed for what is not trained yet.
        from worker.training.recipes import recipe_of  # noqa: PLC0415
        from worker.training.train import Order, train  # noqa: PLC0415

        sys.stderr.write(f"training {folder.name}\n")
        order = Order(
            data=arguments.data,
            out=folder,
            recipe=recipe_of(recipe),
            leave_out=[left_out] if left_out else [],
            backbone=arguments.backbone if recipe != "paper-vanilla" else None,
            work=arguments.out / "work",
        )
        train(order)
    return load(folder)


def _row(recipe: str, left_out: str | None, artifact: Artifact) -> Row:
    measured = artifact.manifest.metrics["test" if left_out is None else "left_out"]
    return Row(
        recipe=recipe,
        left_out=left_out,
        part=left_out or "test",
        overall=measured["overall"],
        intervals=measured["intervals"],
        by_source=measured["by_source"],
        always_empty=measured["baselines"]["always_empty"]["hamming"],
    )


def _speeds(served: dict[str, Artifact], data: Path) -> list[Speed]:
    dataset = read_dataset(data)
    step = max(1, len(dataset.photos) // TIMED_PHOTOS)
    bodies = [dataset.body(photo) for photo in dataset.photos[::step][:TIMED_PHOTOS]]
    taggers = {recipe: Tagger(artifact) for recipe, artifact in served.items()}
    scores: dict[str, list[float]] = {recipe: [] for recipe in served}
    photos: dict[str, list[float]] = {recipe: [] for recipe in served}
    for _ in range(ROUNDS):
        for recipe, artifact in served.items():
            started = time.perf_counter()
            seen = np.stack([_pixels(body, artifact) for body in bodies])
            decoded = time.perf_counter()
            taggers[recipe].scores(seen)
            ended = time.perf_counter()
            scores[recipe].append((ended - decoded) / len(bodies) * 1e6)
            photos[recipe].append((ended - started) / len(bodies) * 1e6)
    return [
        Speed(
            recipe=recipe,
            weights=artifact.manifest.provenance.recipe["weights"],
            side=artifact.manifest.input.width,
            kilobytes=round(len(artifact.model) / 1024),
            scores_us=float(np.median(scores[recipe])),
            photo_us=float(np.median(photos[recipe])),
        )
        for recipe, artifact in served.items()
    ]


def _pixels(body: bytes, artifact: Artifact) -> pixels.Pixels:
    size = artifact.manifest.input
    return pixels.to_pixels(
        body,
        width=size.width,
        height=size.height,
        max_photo_pixels=Settings.model_fields["max_photo_pixels"].default,
        min_photo_elements=Settings.model_fields["min_photo_elements"].default,
        preprocessing=artifact.manifest.preprocessing,
    )


def _markdown(rows: Sequence[Row], speeds: Sequence[Speed]) -> str:
    measures = ("hamming", "exact_match", "map", "macro_f1")
    lines = ["| judged on | recipe | Hamming | MR | mAP | macro F1 | always empty |"]
    lines.append("|---|---|---|---|---|---|---|")
    for row in rows:
        cells = [_with_interval(row, measure) for measure in measures]
        where = "test products" if row.left_out is None else f"`{row.left_out}`, left out"
        lines.append(f"| {where} | {row.recipe} | {' | '.join(cells)} | {row.always_empty:.3f} |")
    lines += ["", "| recipe | form | input | size | scores | photo to scores |"]
    lines.append("|---|---|---|---|---|---|")
    lines += [
        f"| {speed.recipe} | {speed.weights} | {speed.side} | {speed.kilobytes:,} KB "
        f"| {speed.scores_us:.0f} us | {speed.photo_us:.0f} us |"
        for speed in speeds
    ]
    return "\n".join(lines) + "\n"


def _with_interval(row: Row, measure: str) -> str:
    value, interval = row.overall[measure], row.intervals.get(measure)
    if value is None:
        return ""
    return f"{value:.3f}" + (f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else "")


if __name__ == "__main__":
    main()
