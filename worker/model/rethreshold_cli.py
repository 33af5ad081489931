"""`tagger rethreshold`: other thresholds for stored scores."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from shared import logs
from shared.db import decisions, models
from shared.db.session import make_engine
from shared.errors import DecisionError, ModelUnknown
from shared.settings import load_settings
from worker.model import rethreshold as again


def rethreshold(  # a command's options are its parameters
    model: Annotated[str | None, typer.Option(help="A version; the champion by default.")] = None,
    thresholds: Annotated[
        str | None,
        typer.Option(metavar="FILE_OR_NUMBER", help='JSON {"tag": threshold}, or one for all.'),
    ] = None,
    related_cutoff: Annotated[
        float | None, typer.Option(help="Related tags have a similarity above this.")
    ] = None,
    decision: Annotated[
        int | None, typer.Option(min=1, help="Put this one of the model's decisions in force.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Kept with the decision.")] = "tagger rethreshold",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would change, and change nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
) -> None:
    """Decide all stored photos again by other thresholds; no photo is fetched.

    Workers use the new thresholds at once. Broken off, the same command goes on where it was;
    without any number it only finishes what was left.
    """
    settings = load_settings()
    logs.configure(settings, role="rethreshold")  # to stderr: standard output is for the result
    engine = make_engine(settings, role="rethreshold")
    with engine.connect() as connection:
        row = models.find(connection, model) if model else models.in_service(connection)[0]
        if row is None:
            raise ModelUnknown("there is no champion")
        known = {it.number: it for it in decisions.of_model(connection, row.id)}
        base = decisions.Decisions().active(connection, [row.id])[row.id].decision
    if decision is not None:
        if decision not in known:
            raise DecisionError(f"{row.version} has decisions {sorted(known)}")
        base = known[decision].decision
    wanted = again.changed(
        base, thresholds=again.parse_thresholds(thresholds), related_cutoff=related_cutoff
    )
    before = next((it.number for it in known.values() if it.active), None)
    number = None
    if not dry_run:
        number = again.put_in_force(engine, row.id, wanted, reason=reason).number
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("listings")
        counts = again.apply(
            engine,
            row.id,
            trial=wanted if dry_run else None,
            on_progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )
    found = {
        "version": row.version,
        "decision": number,
        "before": before,
        "dry_run": dry_run,
        **asdict(counts),
    }
    if as_json:
        typer.echo(json.dumps(found | again.describe(wanted)))
        return
    typer.echo(
        f"{row.version}, {'a dry run' if dry_run else f'decision {number}'}: "
        f"{counts.photos:,} photos decided again, {counts.photos_changed:,} with other tags; "
        f"{counts.listings_changed:,} listings {'would change' if dry_run else 'published'}"
    )
    if before is not None and number not in (None, before):
        typer.echo(
            f"Decision {before} was in force before; the way back: "
            f"tagger rethreshold --model {row.version} --decision {before}"
        )
