"""Why a photo cannot be shown, in a sentence for the page (pure).

Without the details of an error, which may quote a seller's host.
"""

from collections.abc import Iterator

from shared.errors import PhotoError


def sentence(error: PhotoError) -> str:
    """What is wrong, in general."""
    return _first_line(type(error))


def sentence_of(code: str) -> str:
    """The same for an error of which only the code was kept."""
    return next((_first_line(kind) for kind in _kinds(PhotoError) if kind.code == code), code)


def _kinds(kind: type[PhotoError]) -> Iterator[type[PhotoError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)


def _first_line(kind: type[PhotoError]) -> str:
    return (kind.__doc__ or kind.code).strip().splitlines()[0]
