"""Another decision for a model: read, put in force, and applied to all stored scores."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from sqlalchemy import Engine

from shared.db import decisions, redecide
from shared.db.decisions import Decisions
from shared.db.redecide import Redecided
from shared.db.retry import retrying
from shared.domain.decision import Decision
from shared.domain.related import RelatedTags
from shared.errors import DecisionError

#: Listings in one transaction: it stays well below a second.
PAGE_LISTINGS = 200
MAX_FILE_BYTES = 1 << 20
#: How long a page is tried again while Postgres is away.
_PATIENCE_S = 60.0


def parse_thresholds(given: str | None) -> float | dict[str, float] | None:
    """Thresholds as they come from a command line: a number, or the name of a file.

    Raises:
        DecisionError: as `read_thresholds`.
    """
    if given is None:
        return None
    try:
        return float(given)
    except ValueError:
        return read_thresholds(Path(given))


def read_thresholds(path: Path) -> float | dict[str, float]:
    """Thresholds out of a JSON file: `{tag: threshold}`, also under `thresholds`, or one number.

    Raises:
        DecisionError: it cannot be read, or holds something else.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise DecisionError(f"{path}: more than {MAX_FILE_BYTES} bytes")
        value: object = json.loads(content)
    except OSError as error:
        raise DecisionError(
            f"{path} is neither a number nor a file that can be read: {error.strerror}"
        ) from None
    except (ValueError, RecursionError):
        raise DecisionError(f"{path} is not JSON") from None
    if not isinstance(value, dict):
        return _number(str(path), value)
    named = cast("dict[str, object]", value)
    inner = named.get("thresholds")
    if isinstance(inner, dict):
        named = cast("dict[str, object]", inner)
    elif list(named) == ["thresholds"]:
        return _number("thresholds", inner)
    return {tag: _number(tag, number) for tag, number in named.items()}


def _number(of: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, float | int):
        raise DecisionError(f"{of}: a threshold is a number")
    try:
        return float(value)
    except OverflowError:
        return math.inf  # an integer of hundreds of digits; too large, as its range says


def changed(
    decision: Decision,
    *,
    thresholds: float | Mapping[str, float] | None = None,
    related_cutoff: float | None = None,
) -> Decision:
    """A decision like another, but for some of its numbers.

    Args:
        decision: the other one.
        thresholds: one for all tags, or by tag; a tag that is not named keeps its own.
        related_cutoff: a recommended tag's similarity is greater than this.

    Raises:
        DecisionError: a tag is not the model's, or a number is out of range.
    """
    column = {tag: index for index, tag in enumerate(decision.vocabulary)}
    if thresholds is None:
        named: dict[str, float] = {}
    elif isinstance(thresholds, Mapping):
        named = dict(thresholds)
    else:
        named = dict.fromkeys(decision.vocabulary, float(thresholds))
    if unknown := sorted(named.keys() - column.keys()):
        raise DecisionError(f"the model has no tag {unknown[0]!r} ({len(unknown)} such)")
    new = decision.thresholds.copy()
    for tag, value in named.items():
        if not 0 < value <= 1:  # also where it is not a number
            raise DecisionError(f"{tag}: {value} is not above 0 and at most 1")
        stored = round(value, 6)  # as the database keeps it: what is tried out is what comes
        if not stored:
            raise DecisionError(f"{tag}: {value} is 0 in six digits, and each photo reaches that")
        new[column[tag]] = np.float32(stored)
    related = decision.related
    if related_cutoff is not None:
        if not (math.isfinite(related_cutoff) and related_cutoff >= 0):
            raise DecisionError(f"the cutoff {related_cutoff} is not 0 or more")
        related = RelatedTags(
            related.names,
            related.matrix,
            related_cutoff,
            related.limit,
            normalised=related.normalised,
        )
    return replace(decision, thresholds=new, related=related)


def put_in_force(
    engine: Engine, model_id: int, decision: Decision, *, reason: str
) -> decisions.DecisionRow:
    """Makes a decision the one by which the model's scores become tags from now on."""
    with engine.begin() as connection:
        row = decisions.add(connection, model_id, decision, reason=reason)
        decisions.activate(connection, row)
    return row


def apply(
    engine: Engine,
    model_id: int,
    *,
    trial: Decision | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Redecided:
    """Brings all stored photos of a model to its decision in force.

    Broken off, it goes on where it was: what is done is passed over. Workers may go on tagging.

    Args:
        engine: the database.
        model_id: the model.
        trial: count only what this decision would change, and change nothing.
        on_progress: called with (listing row id reached, the highest).
    """
    known = Decisions()
    total, after = Redecided(), 0
    with engine.connect() as connection:
        last = redecide.last_listing(connection)
    while True:

        def page(after: int = after) -> tuple[list[int], Redecided]:
            with engine.begin() as connection:
                ids = redecide.next_listings(connection, after=after, limit=PAGE_LISTINGS)
                if trial is not None:
                    return ids, redecide.count(connection, ids, model_id, trial)
                return ids, redecide.redecide(connection, ids, model_id, known)

        ids, done = retrying(page, for_s=_PATIENCE_S)
        if not ids:
            return total
        total.add(done)
        after = ids[-1]
        on_progress(after, max(last, after))


def describe(decision: Decision) -> dict[str, Any]:
    """The numbers of a decision, for people and for JSON."""
    return {
        "thresholds": {
            tag: round(float(value), 6)
            for tag, value in zip(decision.vocabulary, decision.thresholds, strict=True)
        },
        "related_cutoff": decision.related.cutoff,
    }
