"""What preparing a data set kept and dropped, and the dirt it met; as Markdown and JSON."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from shared.errors import DatasetError

#: kind of dirt -> (what it is, what became of it)
KINDS: Mapping[str, tuple[str, str]] = {
    "blank_line": ("lines without text", "dropped"),
    "line_too_long": ("lines longer than are read", "dropped"),
    "not_utf8": ("lines that are not UTF-8", "dropped"),
    "broken_line": ("lines that do not parse", "dropped"),
    "not_an_object": ("lines that are no object", "dropped"),
    "no_product": ("rows without a product", "dropped"),
    "bad_product": ("rows whose product is no word of 1 to 200 characters", "dropped"),
    "cut_short": ("compressed files that end too early", "read to the cut"),
    "damaged_compression": ("compressed files that are damaged", "read to the damage"),
    "duplicate_row": ("rows that say the same of the same product", "dropped"),
    "repeated_product": ("rows that say something else of a known product", "merged"),
    "unknown_product": ("reviews of products that the metadata does not have", "dropped"),
    "empty_category": ("products without a category", "taken as untagged"),
    "stringified_category": ("category lists printed as text", "repaired"),
    "category_as_text": ("categories that are a text", "read as paths"),
    "unreadable_category": ("categories that cannot be read", "read as empty"),
    "wrong_type_in_category": ("category lists with something that is no text", "part dropped"),
    "html_in_category": ("categories with HTML elements", "repaired"),
    "html_entity_in_category": ("categories with HTML entities", "repaired"),
    "repeated_segment": ("category paths that repeat a segment at once", "repaired"),
    "joined_paths": ("category lists that hold several paths", "taken apart"),
    "segment_too_long": ("category segments longer than 200 characters", "dropped"),
    "stringified_images": ("image lists printed as text", "repaired"),
    "not_text": ("image entries that hold no URL", "dropped"),
    "bad_url": ("URLs that no photo can be fetched from", "dropped"),
    "not_jpg": ("URLs whose path does not end in .jpg or .jpeg", "dropped"),
    "video_thumbnail": ("thumbnails of videos", "dropped"),
    "duplicate_url": ("a product's URLs that it has already", "dropped"),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step's balance: what came in and was added is what was kept and dropped."""

    name: str
    unit: str
    came_in: int
    kept: int
    dropped: dict[str, int] = field(default_factory=dict[str, int])
    added: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def balanced(self) -> bool:
        """Whether nothing was lost or made up."""
        return self.came_in + sum(self.added.values()) == self.kept + sum(self.dropped.values())

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """Name, what came in, what was kept and why the rest was not, for a table's row."""
        reasons = [f"{count:,} {reason}" for reason, count in self.dropped.items()]
        reasons += [f"+{count:,} {reason}" for reason, count in self.added.items()]
        name = f"{self.name} ({self.unit})"
        return name, f"{self.came_in:,}", f"{self.kept:,}", ", ".join(reasons)


@dataclass(slots=True)
class Dirt:
    """How often a kind of dirt was met, and the first example."""

    count: int = 0
    example: str = ""


@dataclass(slots=True)
class Findings:
    """Steps and dirt of one preparation, filled as it goes."""

    steps: list[Step] = field(default_factory=list[Step])
    dirt: dict[str, Dirt] = field(default_factory=dict[str, Dirt])

    def met(self, kind: str, count: int, example: str) -> None:
        """Counts dirt; keeps the example that came first."""
        found = self.dirt.setdefault(kind, Dirt())
        found.count += count
        found.example = found.example or _plain(example)

    def step(
        self,
        name: str,
        unit: str,
        *,
        came_in: int,
        kept: int,
        dropped: Mapping[str, int],
        added: Mapping[str, int] | None = None,
    ) -> None:
        """Writes a step down.

        Raises:
            DatasetError: its sums do not agree, so something was dropped silently.
        """
        step = Step(name, unit, came_in, kept, _some(dropped), _some(added or {}))
        if not step.balanced:
            raise DatasetError(f"the counts of a step do not add up: {step}")
        self.steps.append(step)

    def as_json(self) -> dict[str, Any]:
        """The findings for `report.json`."""
        return {
            "steps": [asdict(step) for step in self.steps],
            "dirt": {
                kind: {"count": found.count, "became": KINDS[kind][1], "example": found.example}
                for kind, found in sorted(self.dirt.items())
            },
        }

    def as_markdown(self) -> Iterable[str]:
        """The lines of the report's two tables."""
        yield from ("| step | in | kept | dropped |", "|---|--:|--:|---|")
        for step in self.steps:
            cells = (cell.replace("|", "\\|") for cell in step.cells)
            yield f"| {' | '.join(cells)} |"
        yield from ("", "| dirt | count | became | example |", "|---|--:|---|---|")
        for kind, found in sorted(self.dirt.items()):
            meaning, outcome = KINDS[kind]
            shown = found.example.replace("|", "\\|").replace("`", "'")
            yield f"| `{kind}`: {meaning} | {found.count:,} | {outcome} | `{shown}` |"


def _some(counts: Mapping[str, int]) -> dict[str, int]:
    return {reason: count for reason, count in sorted(counts.items()) if count}


def _plain(example: str) -> str:
    """An example as one line without control characters, short enough for a table."""
    words = "".join(char if char.isprintable() else " " for char in example).split()
    text = " ".join(words)
    return text if len(text) <= 160 else f"{text[:159]}…"
