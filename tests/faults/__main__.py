"""All rows of the scorecard, several times, or their guards taken out one by one."""

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue
from typing import Annotated

import typer

from tests.conftest import render_photos
from tests.faults import mutations, rounds, table
from tests.faults.conftest import seed
from tests.faults.guards import AREAS, GUARDS
from tests.faults.scorecard import FAULTS, INPUTS, ROWS


def main(
    rows: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Such as F7 or I12, with --mutations {', '.join(AREAS)} too; all if none."
        ),
    ] = None,
    repeat: Annotated[int, typer.Option("--rounds", min=1, help="How many times.")] = 1,
    mutate: Annotated[
        bool, typer.Option("--mutations", help="Take guards out and see their rows turn red.")
    ] = False,
    jobs: Annotated[
        int, typer.Option(min=1, help="So many guards at a time: a red test mostly waits.")
    ] = 1,
    docs: Annotated[
        Path | None, typer.Option(help="Put the table into this document, between its marks.")
    ] = None,
) -> None:
    """Show the scorecard's rows on real processes. FAULTS_SEED sets the seed of all choices."""
    chosen = [row.upper() for row in rows or []]
    if unknown := {*chosen} - {*ROWS, *(AREAS if mutate else ())}:
        raise typer.BadParameter(f"no row is called {', '.join(sorted(unknown))}")
    sys.exit(_mutate(chosen, jobs) if mutate else _show(chosen, repeat, docs))


def _show(chosen: list[str], repeat: int, docs: Path | None) -> int:
    print(f"seed: {seed()}", flush=True)  # noqa: T201
    shown: list[dict[str, rounds.Shown]] = []
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        for number in range(1, repeat + 1):
            print(f"round {number} of {repeat}", flush=True)  # noqa: T201
            shown.append(rounds.run(Path(folder) / f"{number}.xml", chosen))
    of_all = [row for row in ROWS if not chosen or row in chosen]
    print(table.markdown(shown, of_all))  # noqa: T201
    if docs is not None:
        parts = [
            table.markdown(shown, [row for row in of_all if row in kind])
            for kind in (FAULTS, INPUTS)
        ]
        docs.write_text(table.insert(docs.read_text(), "\n".join(parts)))
    red = [row for row in of_all if table.verdicts(shown, row) != f"{repeat} x green"]
    print(f"not green: {', '.join(red)}" if red else f"{len(of_all)} rows green")  # noqa: T201
    return 1 if red else 0


def _mutate(chosen: list[str], jobs: int) -> int:
    failed = 0
    with (
        tempfile.TemporaryDirectory(prefix="mutations-") as folder,
        ThreadPoolExecutor(jobs) as pool,
    ):
        photos = Path(folder) / "photos"
        render_photos(photos)
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(jobs):
            trees.put(Path(folder) / f"{number}")
            mutations.copy_project(Path(folder) / f"{number}")

        def check(mutation: mutations.Mutation) -> tuple[mutations.Mutation, str]:
            tree = trees.get()
            try:
                return mutation, mutations.check(mutation, tree, photos)
            finally:
                trees.put(tree)

        guards = [guard for guard in GUARDS if not chosen or guard.row in chosen]
        for done in as_completed([pool.submit(check, guard) for guard in guards]):
            mutation, verdict = done.result()
            failed += not verdict.startswith("red")
            print(f"{mutation.row:7} {mutation.name}: {verdict}", flush=True)  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    typer.run(main)
