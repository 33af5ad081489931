"""The `tagger` command: mounts the commands of the packages, and words their failures."""

import re
import sys

import typer
from rich.console import Console
from sqlalchemy.exc import DBAPIError

from dev.cli import app as dev_commands
from producer import cli as producer_commands
from producer.events_cli import app as event_commands
from review.cli import app as review_commands
from search import cli as search_commands
from shared import cli as shared_commands
from shared.cli import printable
from shared.db.session import worded
from shared.errors import TaggerError
from trust import cli as trust_commands
from worker import cli as worker_commands
from worker.dataset.cli import app as dataset_commands
from worker.judging import cli as judging_commands
from worker.judging import related_cli as related_commands
from worker.model import cli as model_commands
from worker.model import rethreshold_cli as rethreshold_commands
from worker.training import spam_cli as spam_commands

app = typer.Typer(
    help="Listing photos in, tags for search out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(shared_commands.migrate)
app.command()(shared_commands.roles)
app.command()(producer_commands.produce)
app.add_typer(producer_commands.intake_commands, name="intake")
app.add_typer(event_commands, name="events")
app.command()(producer_commands.relay)
app.command()(worker_commands.worker)
app.command()(worker_commands.train)
app.command()(judging_commands.evaluate)
app.command()(related_commands.related)
app.command()(spam_commands.spam)
app.command()(rethreshold_commands.rethreshold)
app.command()(shared_commands.feed)
app.command()(shared_commands.compact_feed)
app.command()(search_commands.index)
app.command()(search_commands.search)
app.command()(trust_commands.flag)
app.add_typer(review_commands, name="review")
app.add_typer(dataset_commands, name="dataset")
app.add_typer(model_commands.app, name="model")
app.add_typer(dev_commands, name="dev")


def main() -> None:
    """Runs a command; a failure is one clear line and exit code 1, never a traceback."""
    try:
        app()
    except (TaggerError, DBAPIError) as error:
        _fail(printable(worded(error)))
    except UnicodeEncodeError:
        # Python makes halves of surrogate pairs of such bytes.
        if not re.search("[\ud800-\udfff]", " ".join(sys.argv)):
            raise
        _fail("An argument holds bytes that are not UTF-8.")


def _fail(sentence: str) -> None:
    console = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)
    console.print(sentence, style="red")
    sys.exit(1)


if __name__ == "__main__":
    main()
