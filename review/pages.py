"""HTML out of templates, every value escaped; and the two files that go with it."""

import hashlib
from html import escape
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from shared.cli import printable

_FOLDER: Final = Path(__file__).resolve().parent
_TYPES: Final = {
    "review.css": "text/css; charset=utf-8",
    "review.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_STATIC: Final = {name: (_FOLDER / "static" / name).read_bytes() for name in _TYPES}
_STAMPS: Final = {
    name: hashlib.sha256(content).hexdigest()[:12] for name, content in _STATIC.items()
}
_YEAR_S: Final = 365 * 86_400


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _address(name: str) -> str:
    """Where a static file is: another one after each change, so that it can be kept."""
    return f"/static/{name}?{_STAMPS[name]}"


def _words(name: str) -> str:
    """The kind of a flag, as people write it."""
    return name.replace("_", " ")


_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(_FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.globals["static"] = _address  # pyright: ignore[reportArgumentType]  # any value may be
# What turns text around would let a title pass for something else.
_TEMPLATES.filters.update(percent=_percent, words=_words, plain=printable)


def page(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page."""
    return HTMLResponse(_TEMPLATES.get_template(template).render(**values), status)


def message(status: int, title: str, said: str) -> HTMLResponse:
    """A page that says one thing."""
    return page("message.html", status, title=title, said=said, session=None)


def static(name: str) -> Response | None:
    """One of the files; None for any other name."""
    if name not in _STATIC:
        return None
    cached = {"cache-control": f"public, max-age={_YEAR_S}, immutable"}
    return Response(_STATIC[name], media_type=_TYPES[name], headers=cached)


def missing_photo(code: str, said: str, *, small: bool, status: int = 404) -> Response:
    """A picture that says why there is no photo. As an `<img>` it is shown whatever the status."""
    words = "" if small else f'<text x="50%" y="58%" font-size="15">{escape(said)}</text>'
    size = (160, 160) if small else (640, 400)
    drawn = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}">'
        '<rect width="100%" height="100%" fill="#e7e9ee"/>'
        '<g fill="#3a4252" font-family="sans-serif" text-anchor="middle">'
        f'<text x="50%" y="48%" font-size="{13 if small else 20}">{escape(code)}</text>{words}'
        "</g></svg>"
    )
    return Response(drawn, status, media_type="image/svg+xml")
