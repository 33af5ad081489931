"""The model card: what a model was trained on, how good it is and where it fails."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from worker.dataset.labelled import LabelledPhoto

#: A tag with fewer training photos than this is named in the card as one not to rely on.
THIN_TAG_PHOTOS = 50
WIDTH = 100

CARD = """\
# Model card

{what}

## Trained on

{photo_count:,} photos of {product_count:,} products; {user_count:,} of the photos are by users.
Rows left out as unusable: {rejected}.

{sets}

The split is by {split}: {shares}{kept}.
Validation photos choose the epoch and the thresholds. The photos belong to their owners and are
not distributed with the model: check the terms of the sets before using it commercially.

SHA-256 of the data set's photo ids and tags: `{dataset_sha256}`. Made with:

    {command}

{recipe}

## Export

The fastest form that loses at most 0.005 of Hamming score and mean average precision against Keras
on the validation photos is served: {weights}. Times are of one thread of the machine it was
trained on.

{export}
## Test photos

{test}
{left_out}
## Where it fails

- Tags with fewer than {thin_limit} training photos, not to be relied on: {thin}.
- Where a set shows few things, each from many sides, under several products, one thing is on
  both sides of the split and its figures flatter. Only a model trained without that set
  (`--leave-out`) tells how it does on things it has never seen.
- Where one set supplies nearly all photos of a tag, the look of the set can stand in for the tag;
  augmentation lessens this and does not undo it.
- Small, cluttered or cropped objects: the network sees {side} x {side} pixels.
- Things that none of the sets shows: nothing tells it that they carry no tag.
- Scores are not calibrated probabilities; tags are decided one by one.
"""

SHARES = {
    "product": "70 % train, 15 % validation, 15 % test",
    "image": "15 % test, 10 % of the others validation, as the paper, which leaks",
}
#: What each network is, in a sentence's beginning.
NETWORKS = {
    "vanilla": "A small convolutional network, the vanilla CNN of the paper",
    "vgg16": "VGG16 with ImageNet weights and the paper's head",
    "densenet121": "DenseNet121 with ImageNet weights and the paper's head",
    "compact": "A small convolutional network that begins with EfficientNet-Lite0's weights and "
    "learned from a larger one",
    "backbone": "A pre-trained network, its last layers fine-tuned, with a head of its own",
    "path": "A pre-trained network, its last layers fine-tuned, with a head that keeps to the tag "
    "hierarchy",
    "path_rnn": "A pre-trained network, its last layers fine-tuned, with a recurrent head that "
    "walks the tag hierarchy",
}

LEFT_OUT = """
## Sets it has never seen: {names}

{measured}
"""


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What the card tells."""

    photos: Sequence[LabelledPhoto]  #: all usable ones
    train: Sequence[LabelledPhoto]
    rejected: Mapping[str, int]
    dataset_sha256: str
    tags: Sequence[str]
    measured: Mapping[str, Mapping[str, Any]]  #: part -> what `worker.judging.report.judge` found
    recipe: Mapping[str, Any]
    command: str


def thin_tags(train: Iterable[LabelledPhoto], tags: Sequence[str]) -> dict[str, int]:
    """The tags with fewer than `THIN_TAG_PHOTOS` training photos, and how many they have."""
    photos = Counter(tag for photo in train for tag in photo.tags)
    return {tag: photos[tag] for tag in tags if photos[tag] < THIN_TAG_PHOTOS}


def model_card(facts: CardFacts) -> str:
    """The text of `MODEL_CARD.md`."""
    recipe = dict(facts.recipe)
    exported = recipe.pop("validation_exported")
    sets = Counter(photo.set_name for photo in facts.photos)
    thin = thin_tags(facts.train, facts.tags)
    left_out = facts.measured.get("left_out")
    kept_apart = recipe["left_out_sets"]
    return CARD.format(
        what=textwrap.fill(
            f"{NETWORKS[recipe['network']]}, that gives each photo of a listing a score for each "
            f"of {len(facts.tags)} category tags.",
            WIDTH,
        ),
        photo_count=len(facts.photos),
        product_count=len({photo.product for photo in facts.photos}),
        user_count=sum(photo.source == "user" for photo in facts.photos),
        rejected=", ".join(f"{kind} {n}" for kind, n in facts.rejected.items()) or "none",
        sets="\n".join(f"- `{name}`: {n:,} photos" for name, n in sets.most_common()),
        split=recipe["split"],
        shares=SHARES[recipe["split"]],
        kept=f"; {', '.join(kept_apart)} kept apart" if kept_apart else "",
        dataset_sha256=facts.dataset_sha256,
        command=facts.command,
        recipe="\n".join(
            f"- {name}: {_plain(value)}" for name, value in recipe.items() if value is not None
        ),
        weights=recipe["weights"],
        export=_grouped("form", exported, list(next(iter(exported.values())))),
        test=_part(facts.measured["test"]),
        left_out=""
        if left_out is None
        else LEFT_OUT.format(names=", ".join(left_out["by_set"]), measured=_part(left_out)),
        thin_limit=THIN_TAG_PHOTOS,
        thin=", ".join(f"`{tag}` ({n})" for tag, n in thin.items()) or "none",
        side=recipe["side"],
    )


def _part(measured: Mapping[str, Any]) -> str:
    overall, spread = measured["overall"], measured["intervals"]
    nothing = measured["baselines"]["always_empty"]
    rows = [
        [words, overall[name], spread.get(name), nothing[name] if compared else None]
        for words, name, compared in (
            ("Hamming score (the paper's)", "hamming", True),
            ("the same, photos with tags only", "hamming_nonempty", True),
            ("exact match ratio", "exact_match", True),
            ("macro F1", "macro_f1", True),
            ("mean average precision", "map", False),
        )
    ]
    tables = [_table(["measure", "model", "95 % interval", "always no tags"], rows)]
    columns = ["photos", "hamming", "hamming_nonempty", "exact_match", "map"]
    tables += [_grouped(what, measured[f"by_{what}"], columns) for what in ("source", "set")]
    columns = ["photos", "threshold", "precision", "recall", "f1", "average_precision"]
    tables.append(_grouped("tag", measured["by_tag"], columns))
    return "\n".join(tables)


def _grouped(what: str, groups: Mapping[str, Mapping[str, Any]], columns: list[str]) -> str:
    rows = [[name, *(row.get(column) for column in columns)] for name, row in groups.items()]
    return _table([what, *(column.replace("_", " ") for column in columns)], rows)


def _table(head: list[str], rows: list[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *([_plain(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _plain(value: object) -> str:
    match value:
        case None:
            return ""
        case float():
            return f"{value:.4g}"
        case dict():
            inner = cast("dict[str, object]", value)
            told = [f"{name} {_plain(part)}" for name, part in inner.items() if part is not None]
            return ", ".join(told)
        case list():
            return ", ".join(map(_plain, cast("list[object]", value))) or "none"
        case _:
            return str(value)
