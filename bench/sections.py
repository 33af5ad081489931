"""A benchmark's findings: tables with a heading and a sentence, printed, as Markdown, as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Section:
    """One table."""

    title: str
    note: str  #: what the figures are, and what they are not
    head: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def show(self, console: Console) -> None:
        """Prints it."""
        table = Table(*self.head)
        for row in self.rows:
            table.add_row(*map(_cell, row))
        console.print(f"\n{self.title}", style="bold", markup=False, highlight=False)
        console.print(self.note, markup=False, highlight=False)
        console.print(table)

    def markdown(self) -> str:
        """As Markdown, with a heading of the second level."""
        lines = [
            f"## {self.title}",
            "",
            self.note,
            "",
            f"| {' | '.join(self.head)} |",
            f"|{'---|' * len(self.head)}",
            *(f"| {' | '.join(map(_escaped, row))} |" for row in self.rows),
        ]
        return "\n".join(lines) + "\n"

    def as_json(self) -> dict[str, Any]:
        """As JSON can hold it: a row is an object by column."""
        rows = [dict(zip(self.head, row, strict=True)) for row in self.rows]
        return {"title": self.title, "note": self.note, "rows": rows}


def _escaped(value: Any) -> str:
    return _cell(value).replace("|", "\\|")


def _cell(value: Any) -> str:
    match value:
        case None:
            return "-"
        case float():
            return f"{value:.4f}"
        case int():
            return f"{value:,}"
        case _:
            return str(value)
