"""`tagger model`: which models there are, and which of them serves."""

import json
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import Row

from shared.db import decisions, models
from shared.db.session import make_engine
from shared.errors import ArtifactError, ModelUnknown, SetupError
from shared.settings import load_settings

if TYPE_CHECKING:
    from worker.model.artifact import Artifact
    from worker.model.store import ModelStore

app = typer.Typer(
    help="Models: candidates, the champion that serves, and its shadow.", no_args_is_help=True
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
Version = Annotated[str, typer.Argument(help="As `tagger model list` shows it.")]

_STANDING = {"candidate": "a candidate", "champion": "the champion", "retired": "retired,"}


@app.command()
def add(
    source: Annotated[str, typer.Argument(metavar="FOLDER_OR_URL", help="The model's artifact.")],
    as_json: Json = False,
) -> None:
    """Register a model as a candidate, and keep a copy of its artifact."""
    from worker.model.registry import (  # noqa: PLC0415  # slow to import
        decision_of,
        refuse_other_pixels,
        register,
    )
    from worker.model.store import ModelStore  # noqa: PLC0415
    from worker.model.tagger import Tagger  # noqa: PLC0415

    settings = load_settings()
    engine = make_engine(settings, role="model")
    store = ModelStore(settings)
    kept = store.keep(source)
    Tagger(kept.artifact)  # what LiteRT refuses here, it refuses everywhere
    with suppress(ModelUnknown), engine.connect() as connection:
        known = models.find(connection, kept.artifact.version)
        connection.rollback()  # its artifact may have to be fetched
        if (before := _still_there(store, known)) is not None:
            refuse_other_pixels(before, kept.artifact)
    with engine.begin() as connection:
        model_id = register(connection, kept.artifact, kept=kept)
        models.relocate(
            connection,
            model_id,
            location=kept.location,
            manifest_sha256=kept.manifest_sha256,
        )
        row = models.by_id(connection, model_id)
        its_own = decisions.add(
            connection, model_id, decision_of(kept.artifact), reason="its artifact"
        )
    found = {
        "version": row.version,
        "status": row.status,
        "location": row.location,
        "decision": its_own.number,
        "decision_active": its_own.active,
    }
    if as_json:
        typer.echo(json.dumps(found))
        return
    typer.echo(f"{row.version} is {_STANDING[row.status]} at {row.location}")
    if not its_own.active:
        typer.echo(
            f"Its thresholds are decision {its_own.number}, which is not in force: "
            f"tagger rethreshold --model {row.version} --decision {its_own.number}"
        )


@app.command(name="list")
def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="One object a line.")] = False,
) -> None:
    """Show all registered models, the newest first.

    A worker with TAGGER_MODEL_DIR set serves that model, whichever is the champion here.
    """
    from worker.model.overview import listed  # noqa: PLC0415

    with make_engine(load_settings(), role="model").connect() as connection:
        rows = listed(connection)
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row))
        return
    table = Table(box=None, padding=(0, 1, 0, 0))  # fits a terminal of 80 columns
    table.add_column("version", no_wrap=True)
    for name in ("status", "created", "Hamming", "mAP", "macro F1", "photos"):
        table.add_column(name, overflow="fold")
    for row in rows:
        shadow = f", shadow {row['shadow_share']:.0%}" if row["shadow_share"] else ""
        table.add_row(
            row["version"],
            row["status"] + shadow,
            row["created_at"][:10],
            *(_number(row[name]) for name in ("hamming", "map", "macro_f1")),
            f"{row['photos']:,}",
        )
    Console().print(table)
    for row in rows:
        if row["serving_since"]:
            since = datetime.fromisoformat(row["serving_since"]).astimezone(UTC)
            typer.echo(
                f"{row['version']} serves since {since:%Y-%m-%d %H:%M} UTC ({row['serving_by']}), "
                f"by decision {_number(row['decision'])} of {_number(row['decisions'])}"
            )
    for row in rows:
        if row["rollback_here"]:
            typer.echo(f"`tagger model rollback` leads back to {row['version']}")


@app.command()
def promote(
    version: Version,
    data: Annotated[
        Path | None,
        typer.Option(help="Labelled folder to measure it and the champion on, side by side."),
    ] = None,
    margin: Annotated[
        float, typer.Option(min=0, max=1, help="How much worse it may be, in Hamming and mAP.")
    ] = 0.005,
    force: Annotated[bool, typer.Option("--force", help="Whatever the numbers say.")] = False,
    as_json: Json = False,
) -> None:
    """Make a model the champion if it is no worse; workers serve it seconds later.

    Without --data, the tests that were recorded at training are compared; they must have been
    made on the same part of the same data set.
    """
    from worker.model.promote import promote as make_champion  # noqa: PLC0415

    settings = load_settings()
    done = make_champion(
        make_engine(settings, role="model"),
        settings,
        version,
        data=data,
        margin=margin,
        force=force,
    )
    if done is None:
        typer.echo(
            json.dumps({"version": version, "changed": False})
            if as_json
            else f"{version} is the champion already"
        )
        return
    _tell(asdict(done), as_json)


@app.command()
def rollback(as_json: Json = False) -> None:
    """Make the champion before this one serve again."""
    from worker.model.promote import rollback as take_back  # noqa: PLC0415

    settings = load_settings()
    _tell(asdict(take_back(make_engine(settings, role="model"), settings)), as_json)


@app.command()
def shadow(
    version: Annotated[str | None, typer.Argument(help="The model that looks on.")] = None,
    share: Annotated[
        float, typer.Option(min=0.0001, max=1, help="Share of live photos it scores too.")
    ] = 0.1,
    off: Annotated[bool, typer.Option("--off", help="End it.")] = False,
    as_json: Json = False,
) -> None:
    """Let a model score some live photos beside the champion; its scores never become tags."""
    from worker.model.store import ModelStore  # noqa: PLC0415
    from worker.model.tagger import Tagger  # noqa: PLC0415

    settings = load_settings()
    engine = make_engine(settings, role="model")
    if off:
        with engine.begin() as connection:
            models.cast_shadow(connection, None, None)
        _tell_shadow(None, None, as_json)
        return
    if version is None:
        raise SetupError("name the model, or --off")
    with engine.connect() as connection:
        row = models.find(connection, version)
    if row.status == "champion":
        raise SetupError(f"{version} is the champion, and cannot be its own shadow")
    Tagger(ModelStore(settings).open_registered(row))
    with engine.begin() as connection:
        models.cast_shadow(connection, row.id, share)
    _tell_shadow(version, share, as_json)


@app.command()
def diff(one: Version, other: Version, as_json: Json = False) -> None:
    """Show two models side by side: recorded tests, thresholds, and agreement as shadows."""
    from worker.model.overview import compared  # noqa: PLC0415

    with make_engine(load_settings(), role="model").connect() as connection:
        found = compared(connection, one, other)
    if as_json:
        typer.echo(json.dumps(found))
        return
    _print_diff(found)


def _still_there(store: "ModelStore", row: Row[Any]) -> "Artifact | None":
    """The artifact of a registered model; None where adding it again is what brings it back."""
    with suppress(ArtifactError):
        return store.open_registered(row)
    return None


def _tell_shadow(version: str | None, share: float | None, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"version": version, "share": share}))
    elif share is None:
        typer.echo("no model shadows the champion")
    else:
        typer.echo(f"{version} scores {share:.2%} of live photos; `tagger model diff` compares")


def _tell(done: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({**done, "changed": True}))
        return
    typer.echo(f"{done['version']} is the champion ({done['kind']}), after {done['previous']}")
    for who in ("candidate", "champion"):
        if numbers := done["gate"].get(who):
            words = ", ".join(f"{name} {_number(value)}" for name, value in numbers.items())
            typer.echo(f"  {who}: {words}")


def _print_diff(found: dict[str, Any]) -> None:
    one, other = found["models"]
    table = Table("", one["version"], other["version"], box=None, padding=(0, 2, 0, 0))
    for name in ("status", "hamming", "map", "macro_f1", "photos", "related_cutoff"):
        table.add_row(name, _number(one[name]), _number(other[name]))
    for tag in dict.fromkeys([*one["tags"], *other["tags"]]):
        table.add_row(
            f"{tag}: threshold, AP", *(_of_tag(it["tags"].get(tag)) for it in (one, other))
        )
    Console().print(table)
    if not found["comparable"]:
        typer.echo("The two were tested on different photos; their measures do not compare.")
    for its in found["agreement"]:
        if its["photos"]:
            typer.echo(
                f"{its['shadow']} shadowed {its['served']} on {its['photos']:,} photos: "
                f"the same tags on {its['same_tags']:.1%}"
            )
            for tag, flips in its["flips"].items():
                typer.echo(f"  {tag}: -{flips['only_served']:,} +{flips['only_shadow']:,}")


def _of_tag(tag: dict[str, Any] | None) -> str:
    return f"{_number(tag['threshold'])}, {_number(tag['average_precision'])}" if tag else "-"


def _number(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
