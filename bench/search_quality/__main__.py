"""`scripts/bench search_quality`: what photos' tags do for search when sellers say less or spam."""

import tempfile
from contextlib import ExitStack
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Annotated, Final, Literal

import typer
from rich.console import Console

from bench.command import main
from bench.findings import tell
from bench.running import settings_of
from bench.search_quality.market import SYSTEMS, Market
from bench.search_quality.run import Plan, measure
from bench.search_quality.sellers import SCENARIOS
from bench.search_quality.wanted import wanted
from bench.throughput.servers import Servers
from search.query import RANKING, Ranking
from shared.db.session import make_engine
from shared.errors import SetupError
from shared.settings import DEFAULT_MODEL
from worker.model.artifact import load

FOLDER: Final = Path(".tagger/bench/search_quality")
console = Console(width=180)


def search_quality(
    *,
    data: Annotated[Path, typer.Option(help="A labelled data set.")],
    model: Annotated[Path, typer.Option(help="Folder of the model artifact.")] = DEFAULT_MODEL,
    part: Annotated[
        Literal["train", "validation", "test"],
        typer.Option(help="Whose products are listed: choose on validation, judge on test."),
    ] = "test",
    seed: Annotated[int, typer.Option(min=0, help="Of the split, the draws, the resamples.")] = 0,
    minimum: Annotated[
        int, typer.Option(min=1, help="Products filed under a name that is looked for.")
    ] = 10,
    spam_words: Annotated[int, typer.Option(min=0, max=50, help="That a spammer adds.")] = 5,
    draws: Annotated[
        int, typer.Option(min=1, help="How often sellers' behaviour is drawn, where it is.")
    ] = 5,
    resamples: Annotated[int, typer.Option(min=1, help="For the intervals.")] = 2000,
    ranking: Annotated[
        str | None,
        typer.Option(
            help="Weights to try: photos' tags, title, seller's tags, related tags, --related; "
            "such as 1,0.7,0.3,0.1,0.2."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The most products.")] = None,
    out: Annotated[Path, typer.Option(help="Where JSON, tables and plot go.")] = FOLDER,
) -> None:
    """What a buyer finds of held-out products by sellers' words, by photos' tags, and by both.

    A real Postgres, the index and the queries of `tagger search`, and the model as it serves; a few
    minutes on two cores.
    """
    # Seconds to import, and whoever only asks for help should not wait.
    from bench.search_quality import plot, report  # noqa: PLC0415
    from bench.search_quality.products import products  # noqa: PLC0415
    from worker.decode import pixels  # noqa: PLC0415
    from worker.judging.provenance import model_facts  # noqa: PLC0415

    plan = Plan(draws=draws, spam_words=spam_words, seed=seed, ranking=ranking_of(ranking))
    pixels.configure()
    artifact = load(model)
    listed = products(data, artifact, part, seed, limit=limit)
    queries = wanted(listed.filed, artifact.vocabulary, listed.others, minimum)
    if not queries:
        raise SetupError(f"nothing to look for: no name has {minimum} products of this part")
    facts = {
        "model": model_facts(artifact),
        "data": listed.data,
        "products": len(listed.filed),
        "photos": sum(map(len, listed.scores.values())),
        "unreadable": listed.unreadable,
        "without_words": sum(not words for words in listed.filed.values()),
        "minimum": minimum,
        "spam_words": spam_words,
        "draws": draws,
        "ranking": asdict(plan.ranking),
        "scenarios": [asdict(scenario) for scenario in SCENARIOS],
        "systems": [asdict(system) for system in SYSTEMS],
    }
    console.print(
        f"{artifact.version}: {facts['photos']:,} photos of {facts['products']:,} products, "
        f"{facts['without_words']:,} of them filed nowhere; {listed.unreadable} unreadable photos. "
        f"{draws} draws from seed {seed}, {spam_words} words of spam. {plan.ranking}. "
        f"{listed.data['warning']}",
        markup=False,
    )
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="search-quality-")))
        servers = stack.enter_context(Servers(work))
        settings = settings_of(stack.enter_context(servers.fresh()))
        engine = make_engine(settings, role="bench")
        stack.callback(engine.dispose)
        market = Market(engine, settings, artifact, listed.scores)
        measured = measure(market, listed.filed, queries, plan, console.print)
    found = report.cells(measured, resamples=resamples, seed=seed)
    tables = report.sections(measured, found)
    tell(console, tables, report.as_json(measured, found, facts), out / "search_quality.json")
    page = "\n".join(table.markdown() for table in tables)
    (out / "search_quality.md").write_text(page)
    (out / "search_quality.png").write_bytes(plot.points(found))


def ranking_of(words: str | None) -> Ranking:
    """The weights that an option names; those of `tagger search` where there is none.

    Raises:
        SetupError: that is not five numbers in 0..1.
    """
    if words is None:
        return RANKING
    try:
        tags, title, seller_tags, related_tags, expanded = map(float, words.split(","))
    except ValueError:
        raise SetupError(f"--ranking {words}: it must be five numbers") from None
    weights = Ranking(tags, title, seller_tags, related_tags, expanded)
    if not all(0 <= weight <= 1 for weight in astuple(weights)):
        raise SetupError(f"--ranking {words}: they must be in 0..1")
    return weights


if __name__ == "__main__":
    main(search_quality)
