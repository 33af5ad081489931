"""`tagger flag`."""

from typing import Annotated

import typer

from shared import followers
from shared.settings import load_settings
from trust.process import projection


def flag(
    once: Annotated[bool, typer.Option("--once", help="End when nothing is left.")] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Judge all listings again, from the first.")
    ] = False,
) -> None:
    """Flag listings: keyword spam, reused photos, restricted tags, nothing known.

    It follows the feed and goes on where it stopped; nothing waits for it. Flags stand in
    listing_flag, each with its reason. Documents mention them only where TAGGER_FLAGS_SHADOW is
    false.
    """
    settings = load_settings()
    followers.serve(
        settings, projection(settings), ["trust.process"], role="flag", once=once, rebuild=rebuild
    )
