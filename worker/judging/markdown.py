"""The report for people: tables and plots in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

_PAGE = """\
# How good {model} is

Judged on {photos:,} photos of {products:,} products from `{folder}` (part: {part}), as it serves:
the LiteRT model with its thresholds.

{warning}

| measure | model | {level}always no tag | always {frequent} |
| --- | --- | --- | --- | --- |
{overall}
{intervals_note}
The Hamming score is the paper's: the mean over photos of intersection over union of the tag sets;
no tag given to a photo that has none scores 1. Exact match is its MR. mAP is over the {map_tags}
tags that at least 4 photos carry, macro F1 over the {macro_tags} that occur. The commonest tag set
is counted on these very photos.

{left_out}## By source

{by_source}
## By set

{by_set}
## By tag

{by_tag}
A tag without photos cannot be judged, and one with few is judged by luck.

![Measures of each tag](by_tag.png)

![Precision over recall of each tag](pr_curves.png)

The dot is where the tag's threshold lies, the dotted line what guessing gets.

## Thresholds

With one threshold for all tags the best Hamming score on these photos would be {best_hamming} at
{best_threshold}; with its own thresholds the model has {hamming}.

![Hamming score and exact match over the threshold](thresholds.png)

## Calibration

The expected calibration error is {calibration_error}, over all pairs of a photo and a tag. Most are
plain misses near 0, so look at the curve too.

![Share of true tags over the score](calibration.png)

## The worst mistakes

The photos on which the model is most surely wrong, one a product, squeezed into squares as the
network sees them, with their scores.

![Contact sheet](mistakes.png)

{mistakes}
## The data

{data}
"""

_MEASURES = (
    ("Hamming score", "hamming"),
    ("the same, photos with tags only", "hamming_nonempty"),
    ("exact match", "exact_match"),
    ("the same, photos with tags only", "exact_match_nonempty"),
    ("mAP", "map"),
    ("macro F1", "macro_f1"),
    ("micro F1", "micro_f1"),
)


def markdown(report: Mapping[str, Any]) -> str:
    """The text of `report.md`, which shows the PNG files that lie beside it."""
    overall, data, intervals = report["overall"], report["data"], report["intervals"]
    best = max(report["threshold_curve"], key=lambda row: row["hamming"])
    frequent = report["baselines"]["most_frequent_nonempty"]
    slices = ["photos", *(name for _, name in _MEASURES)]
    tag_columns = ["photos", "answers", "threshold", "precision", "recall", "f1"]
    return _PAGE.format(
        model=report["model"]["version"],
        photos=overall["photos"],
        products=overall["products"],
        folder=data["folder"],
        part=data["part"],
        warning=data["warning"],
        level="95 % interval | " if intervals else "| ",
        frequent=", ".join(f"`{_cell(tag)}`" for tag in frequent["tags"]) or "no tag",
        overall=_rows(_overall(report)),
        intervals_note=_intervals_note(intervals),
        map_tags=overall["map_tags"],
        macro_tags=overall["macro_f1_tags"],
        left_out=_left_out(report.get("left_out")),
        by_source=_grouped("source", report["by_source"], slices),
        by_set=_grouped("set", report["by_set"], slices),
        by_tag=_grouped("tag", report["by_tag"], [*tag_columns, "average_precision"]),
        best_hamming=_cell(best["hamming"]),
        best_threshold=best["threshold"],
        hamming=_cell(overall["hamming"]),
        calibration_error=_cell(report["calibration"]["expected_calibration_error"]),
        mistakes=_mistakes(report["worst_mistakes"]),
        data=_data(report),
    )


def _overall(report: Mapping[str, Any]) -> list[list[Any]]:
    intervals, baselines = report["intervals"], report["baselines"]
    rows: list[list[Any]] = []
    for words, name in _MEASURES:
        bounds = intervals.get(name)
        span = f"{bounds[0]:.4f} to {bounds[1]:.4f}" if bounds else None
        others = [baselines[which][name] for which in ("always_empty", "most_frequent_nonempty")]
        rows.append([words, report["overall"][name], span, *others])
    return rows


def _intervals_note(intervals: Mapping[str, Any]) -> str:
    if not intervals:
        return ""
    return (
        f"\nIntervals hold 95 % of {intervals['resamples']:,} bootstrap resamples of products. "
        "They tell the chance in\nthe choice of these products, not how photos from elsewhere "
        "would do.\n"
    )


def _left_out(left_out: Mapping[str, Any] | None) -> str:
    if left_out is None:
        return ""
    slices = ["photos", *(name for _, name in _MEASURES)]
    groups = {"all of them": left_out["overall"], **left_out["by_set"]}
    return f"## Sets judged apart\n\n{_grouped('set', groups, slices)}\n"


def _mistakes(mistakes: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            number,
            f"`{_cell(mistake['photo'])}`",
            mistake["set"],
            *(_tags(mistake[what]) for what in ("right", "missed", "wrong")),
        ]
        for number, mistake in enumerate(mistakes, 1)
    ]
    return _table(["", "photo", "set", "right", "missed", "wrong"], rows)


def _tags(tags: Sequence[tuple[str, float]]) -> str | None:
    return ", ".join(f"{tag} {score:.2f}" for tag, score in tags) or None


def _data(report: Mapping[str, Any]) -> str:
    data, model = report["data"], report["model"]
    unknown: Mapping[str, int] = data["unknown_tags"]
    unreadable = {**data["rejected_rows"], **data["unreadable_photos"]}
    facts = [
        ("photos in the labels", f"{data['photos_in_labels']:,}"),
        ("rows and photos that cannot be used", _counts(unreadable)),
        ("photos without scores (judged as given no tag)", report["unscored"]),
        ("tags of the labels the model does not know, by photos (ignored)", _counts(unknown)),
        ("tags of the model without a photo", ", ".join(data["tags_without_photos"]) or "none"),
        ("split", f"seed {data['seed']}; sets judged apart: {', '.join(data['leave_out']) or '-'}"),
        ("SHA-256 of photo ids and tags", data["sha256"]),
        ("the data set the model was trained on", model["dataset_sha256"]),
    ]
    return _table(["fact", ""], [list(fact) for fact in facts])


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


def _grouped(what: str, groups: Mapping[str, Mapping[str, Any]], columns: list[str]) -> str:
    rows = [[name, *(row[column] for column in columns)] for name, row in groups.items()]
    return _table([what, *(column.replace("_", " ") for column in columns)], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    return f"| {' | '.join(head)} |\n|{' --- |' * len(head)}\n{_rows(rows)}"


def _rows(rows: Sequence[Sequence[Any]]) -> str:
    return "".join(f"| {' | '.join(_cell(cell) for cell in row)} |\n" for row in rows)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value).replace("|", r"\|").replace("\n", " ")
