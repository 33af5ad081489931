"""Each benchmark can be asked what it takes."""

from collections.abc import Callable

import pytest
import typer
from typer.testing import CliRunner

from bench.backfill.__main__ import backfill
from bench.events_to_search.__main__ import events_to_search
from bench.flags import flags
from bench.hanging.__main__ import hanging
from bench.http_intake.__main__ import http_intake
from bench.intake import intake
from bench.latency.__main__ import latency
from bench.reuse import reuse
from bench.scale.__main__ import scale
from bench.search_quality.__main__ import search_quality
from bench.training_input.__main__ import training_input


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (backfill, "--catalogue"),
        (events_to_search, "--listings"),
        (hanging, "--photos-count"),
        (http_intake, "--connections"),
        (intake, "--photos-each"),
        (latency, "--photos-per-s"),
        (scale, "--end-to-end"),
        (flags, "--same"),
        (reuse, "--copies"),
        (search_quality, "--spam-words"),
        (training_input, "--turn-s"),
    ],
)
def test_a_benchmark_says_what_it_takes(command: Callable[..., None], option: str) -> None:
    app = typer.Typer()
    app.command()(command)
    asked = CliRunner().invoke(app, ["--help"])
    assert asked.exit_code == 0
    assert option in asked.output
