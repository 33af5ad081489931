"""Making a model the champion, and taking it back."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row

from shared.db import decisions, models, promotions
from shared.db.decisions import DecisionRow
from shared.errors import PromotionRefused
from shared.settings import Settings
from worker.model import gate
from worker.model.artifact import Artifact
from worker.model.registry import decision_of
from worker.model.store import ModelStore
from worker.model.tagger import Tagger


@dataclass(frozen=True, slots=True)
class Promoted:
    """Who serves from now on, instead of whom, and why."""

    version: str
    previous: str | None
    kind: promotions.Kind
    gate: Mapping[str, Any]


def promote(
    engine: Engine,
    settings: Settings,
    version: str,
    *,
    data: Path | None = None,
    margin: float,
    force: bool = False,
) -> Promoted | None:
    """Makes a model the champion if it passes the gate; None if it is the champion already.

    Args:
        engine: the database.
        settings: where models are kept.
        version: the candidate.
        data: a labelled folder to measure both on; else their recorded tests are compared.
        margin: by how much it may be worse in Hamming score and in mAP.
        force: promote it whatever the numbers say. They are kept all the same.

    Raises:
        ModelUnknown, ArtifactError, DatasetError, SetupError: as their words say.
        PromotionRefused: it is worse, or cannot be compared.
    """
    store = ModelStore(settings)
    with engine.connect() as connection:
        candidate = models.find(connection, version)
        champion, _ = models.in_service(connection)
        if champion is not None and champion.id == candidate.id:
            return None
    artifact = _loadable(store, candidate)
    kind: promotions.Kind = "first"
    numbers: dict[str, Any] = {}
    if champion is not None:
        kind = "forced" if force else "gate"
        try:
            numbers = _numbers(
                engine,
                settings,
                candidate=candidate,
                champion=champion,
                artifact=artifact,
                data=data,
            )
        except PromotionRefused as refused:
            if not force:
                raise
            numbers = {"not_compared": refused.detail}
        else:
            numbers |= {"margin": margin, "refusal": gate.refusal(numbers, margin)}
            if numbers["refusal"] and not force:
                raise PromotionRefused(numbers["refusal"])
    with engine.begin() as connection:
        previous = promotions.promote(connection, candidate.id, kind=kind, gate=numbers)
        if previous != (champion.id if champion else None):
            connection.rollback()
            raise PromotionRefused("another model was promoted meanwhile; look again")
    return Promoted(version, champion.version if champion else None, kind, numbers)


def rollback(engine: Engine, settings: Settings) -> Promoted:
    """Makes the champion before this one serve again.

    Raises:
        PromotionRefused: there was none before it.
        ArtifactError: its artifact is gone or refused.
    """
    with engine.connect() as connection:
        champion, _ = models.in_service(connection)
        before = promotions.before(connection, champion.id) if champion else None
        if champion is None or before is None:
            raise PromotionRefused(
                "there was no champion before this one; `tagger model promote` makes another one"
            )
        previous = models.by_id(connection, before)
    _loadable(ModelStore(settings), previous)
    with engine.begin() as connection:
        if promotions.promote(connection, previous.id, kind="rollback", gate={}) != champion.id:
            connection.rollback()
            raise PromotionRefused("another model was promoted meanwhile; look again")
    return Promoted(previous.version, champion.version, "rollback", {})


def active_decision(connection: Connection, model_id: int) -> DecisionRow | None:
    """The decision in force of a model; None where only a worker of before registered it."""
    rows = decisions.of_model(connection, model_id)
    return next((row for row in rows if row.active), None)


def _loadable(store: ModelStore, row: Row[Any]) -> Artifact:
    """A model's artifact, after trying it out here rather than in every worker."""
    artifact = store.open_registered(row)
    Tagger(artifact)
    return artifact


def _numbers(
    engine: Engine,
    settings: Settings,
    *,
    candidate: Row[Any],
    champion: Row[Any],
    artifact: Artifact,
    data: Path | None,
) -> dict[str, Any]:
    with engine.connect() as connection:
        new, old = (active_decision(connection, row.id) for row in (candidate, champion))
    if data is None:
        if any(row is not None and row.number != 1 for row in (new, old)):
            raise PromotionRefused(
                "its tests were made with other thresholds than serve now; give --data"
            )
        return gate.recorded(candidate, champion)
    theirs = ModelStore(settings).open_registered(champion)
    return gate.measured_on(
        data,
        gate.Contender(artifact, new.decision if new else decision_of(artifact)),
        gate.Contender(theirs, old.decision if old else decision_of(theirs)),
        settings,
    )
