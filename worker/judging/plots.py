"""The plots of a report, as PNG: curves, calibration, thresholds, tags, worst mistakes."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import io
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve

from worker.judging.mistakes import Mistake

#: A vocabulary may have a thousand tags; a picture of more than these shows nothing.
MAX_CURVES, MAX_BARS = 30, 60
_CAPTION_LINES = 5
_TAG_CHARACTERS = 36
_DPI = 110
_BLUE, _ORANGE, _GREEN, _GREY, _RED = "#1f77b4", "#ff7f0e", "#2ca02c", "#7f7f7f", "#c62828"


def pr_curves(
    scores: NDArray[np.float32],
    truth: NDArray[np.bool_],
    tags: Sequence[str],
    by_tag: Mapping[str, Mapping[str, Any]],
) -> bytes:
    """Precision over recall of each tag that occurs, the commonest 30, with its threshold's point.

    Args:
        scores: float32 `[n, tags]`; NaN counts as 0.
        truth: bool `[n, tags]`.
        tags: `[tags]` names.
        by_tag: as `measures.measure_tags` gives it.
    """
    support = truth.sum(axis=0)
    shown = [int(tag) for tag in np.argsort(-support, kind="stable") if support[tag]]
    shown = shown[:MAX_CURVES]
    columns = 4
    rows = max(1, -(-len(shown) // columns))
    figure = Figure(figsize=(12, 2.7 * rows), layout="constrained")
    for place, tag in enumerate(shown):
        axes = figure.add_subplot(rows, columns, place + 1)
        precision, recall, _ = precision_recall_curve(truth[:, tag], np.nan_to_num(scores[:, tag]))
        axes.step(recall, precision, where="post", color=_BLUE)
        measured = by_tag[tags[tag]]
        axes.axhline(support[tag] / len(truth), color=_GREY, linestyle=":", linewidth=1)
        if measured["precision"] is not None:
            axes.plot(measured["recall"], measured["precision"], "o", color=_ORANGE)
        axes.set(xlim=(0, 1.02), ylim=(0, 1.05))
        axes.tick_params(labelsize=7)
        facts = f"photos {support[tag]:,}, AP {measured['average_precision']:.2f}"
        axes.set_title(f"{_short(tags[tag])}\n{facts}", fontsize=8, parse_math=False)
    figure.supxlabel("recall", fontsize=9)
    figure.supylabel("precision", fontsize=9)
    return _png(figure)


def calibration_plot(calibration: Mapping[str, Any]) -> bytes:
    """The share of right ones over the mean score, and how many pairs each bin has."""
    bins: Sequence[Mapping[str, Any]] = calibration["bins"]
    figure = Figure(figsize=(6, 6.5), layout="constrained")
    top, below = figure.subplots(2, 1, height_ratios=(3, 1))
    top.plot([0, 1], [0, 1], color=_GREY, linestyle=":", label="calibrated")
    scores = [row["mean_score"] for row in bins]
    top.plot(scores, [row["share_true"] for row in bins], "o-", color=_BLUE, label="model")
    error = calibration["expected_calibration_error"]
    top.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that is true")
    top.set_title(f"expected calibration error {error:.4f}", fontsize=10)
    top.legend()
    starts = [row["from"] for row in bins]
    widths = [row["to"] - row["from"] for row in bins]
    below.bar(starts, [row["pairs"] for row in bins], widths, align="edge", color=_BLUE)
    below.set(xlim=(0, 1), yscale="log", xlabel="score", ylabel="pairs")
    return _png(figure)


def thresholds_plot(curve: Sequence[Mapping[str, float]], overall: Mapping[str, Any]) -> bytes:
    """Hamming score and exact match ratio over one common threshold, and with the model's own."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    at = [row["threshold"] for row in curve]
    for name, colour in (("hamming", _BLUE), ("exact_match", _ORANGE)):
        words = name.replace("_", " ")
        axes.plot(at, [row[name] for row in curve], color=colour, label=words)
        axes.axhline(
            overall[name], color=colour, linestyle="--", label=f"{words}, model's thresholds"
        )
    axes.set(xlabel="one threshold for all tags", xlim=(0, 1), ylim=(0, 1))
    axes.legend(fontsize=8)
    return _png(figure)


def tags_plot(by_tag: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Precision, recall and average precision of each tag that occurs, the commonest 60."""
    occurring = [(tag, row) for tag, row in by_tag.items() if row["photos"]]
    occurring.sort(key=lambda item: -item[1]["photos"])
    occurring = occurring[:MAX_BARS]
    figure = Figure(figsize=(9, 1.2 + 0.5 * max(1, len(occurring))), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(occurring))
    columns = (("precision", _BLUE), ("recall", _ORANGE), ("average_precision", _GREEN))
    for number, (name, colour) in enumerate(columns):
        values = [row[name] or 0.0 for _, row in occurring]
        label = name.replace("_", " ")
        axes.barh(places + (number - 1) * 0.26, values, 0.26, color=colour, label=label)
    names = [f"{_short(tag)} ({row['photos']:,})" for tag, row in occurring]
    axes.set_yticks(places, names, parse_math=False)
    axes.tick_params(labelsize=8)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1))
    axes.margins(y=0.02)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, fontsize=8, frameon=False)
    return _png(figure)


def contact_sheet(mistakes: Sequence[Mistake], pixels: NDArray[np.uint8]) -> bytes:
    """The photos of the mistakes with what is wrong, missed and right below each.

    Args:
        mistakes: worst first.
        pixels: uint8 `[mistakes, height, width, 3]` RGB.
    """
    columns = 6
    rows = max(1, -(-len(mistakes) // columns))
    figure = Figure(figsize=(2.4 * columns, (2.4 + 1.1) * rows))
    # A row of photos, a row of words: words beyond their axes would be cut off at the edge.
    grid = figure.add_gridspec(
        2 * rows,
        columns,
        left=0.01,
        right=0.99,
        bottom=0.0,
        top=0.985,
        height_ratios=[2.4, 1.1] * rows,
        hspace=0.1,
        wspace=0.06,
    )
    if not mistakes:
        figure.text(0.5, 0.5, "no mistakes", ha="center")
    for place, (mistake, picture) in enumerate(zip(mistakes, pixels, strict=True)):
        row, column = divmod(place, columns)
        axes = figure.add_subplot(grid[2 * row, column])
        axes.imshow(picture)
        axes.set_axis_off()
        axes.set_title(str(place + 1), fontsize=7, loc="left", pad=2)
        _caption(figure.add_subplot(grid[2 * row + 1, column]), mistake)
    return _png(figure)


def _caption(axes: Axes, mistake: Mistake) -> None:
    axes.set_axis_off()
    top = 1.0
    for what, colour, tags in (
        ("wrong", _RED, mistake.wrong),
        ("missed", _ORANGE, mistake.missed),
        ("right", _GREEN, mistake.right),
    ):
        if not tags:
            continue
        words = ", ".join(f"{_short(tag)} {score:.2f}" for tag, score in tags)
        lines = textwrap.wrap(f"{what}: {words}", 40)[:_CAPTION_LINES]
        text = "\n".join(lines)
        axes.text(0, top, text, fontsize=6.5, color=colour, va="top", parse_math=False)
        top -= 0.11 * len(lines) + 0.03


def _short(tag: str) -> str:
    # Cut and not shortened by words: a tag may be one long word.
    return tag if len(tag) <= _TAG_CHARACTERS else tag[: _TAG_CHARACTERS - 3] + "..."


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        # A tag in a script that the font lacks is drawn as boxes; the tables have it right.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        # Without the version of the library, the same figures are the same bytes.
        figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
    return file.getvalue()
