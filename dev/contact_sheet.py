"""A contact sheet: every photo with its tags, as one HTML file that stands by itself."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from PIL import Image, ImageOps

_SIDE = 220  # pixels

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>
body {{ font: 14px/1.4 system-ui, sans-serif; margin: 24px; background: #fafafa; color: #222 }}
h1 {{ font-size: 20px; margin: 0 0 4px }}
.facts {{ color: #666; margin: 0 0 20px }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 14px }}
figure {{ margin: 0; background: #fff; border: 1px solid #ddd; border-radius: 6px; padding: 8px }}
figure img {{ width: 100%; height: 190px; object-fit: contain }}
b {{ display: block; margin: 6px 0 4px; overflow-wrap: anywhere }}
.tag {{ display: inline-block; border-radius: 9px; padding: 0 8px; margin: 0 4px 4px 0;
  background: #dbeafe }}
.related {{ background: none; border: 1px dashed #9ca3af; color: #555 }}
.none, .error {{ color: #b45309 }}
</style></head><body>
<h1>{title}</h1><p class="facts">{facts}</p>
<main>
{figures}
</main></body></html>
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One photo of the sheet."""

    file: Path
    title: str
    tags: Sequence[tuple[str, float]]
    related: Sequence[tuple[str, float]]
    error: str | None


def write_sheet(file: Path, title: str, facts: str, entries: Sequence[Entry]) -> None:
    """Writes the sheet of all entries to `file`."""
    figures = "\n".join(_figure(entry) for entry in entries)
    page = _PAGE.format(title=escape(title), facts=escape(facts), figures=figures)
    file.write_text(page, encoding="utf-8")


def _figure(entry: Entry) -> str:
    if entry.error:
        words = f'<span class="error">{escape(entry.error)}</span>'
    else:
        words = "".join(_word(tag, score, "tag") for tag, score in entry.tags)
        words = words or '<span class="none">no tag</span> '
        words += "".join(_word(tag, score, "tag related") for tag, score in entry.related)
    return (
        f'<figure><img src="{_thumbnail(entry.file)}" alt="" loading="lazy">'
        f"<b>{escape(entry.title)}</b>{words}</figure>"
    )


def _word(tag: str, score: float, style: str) -> str:
    return f'<span class="{style}">{escape(tag)} {score:.2f}</span>'


def _thumbnail(file: Path) -> str:
    """The photo as a small data URL; empty where it cannot be read."""
    try:
        with Image.open(file) as photo:
            photo.draft("RGB", (_SIDE, _SIDE))
            upright = ImageOps.exif_transpose(photo).convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return ""
    upright.thumbnail((_SIDE, _SIDE))
    encoded = io.BytesIO()
    upright.save(encoded, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(encoded.getvalue()).decode()
