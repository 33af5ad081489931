"""A PNG without the parts that its pixels do not need (pure)."""

from typing import Final

from shared.errors import Undecodable
from worker.decode.containers import PNG_START, png_chunks

#: What its pixels are made of. libpng inflates comments and profiles on its way: a file of 7 MB
#: kept it busy for half a minute. Animation is left out, too, and with it a decoder's code for it.
_NEEDED: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
#: Bit 5 of a kind's first letter: whoever does not know the chunk may pass over it (PNG, 5.4).
_ANCILLARY: Final = 0x20


def bare(body: bytes) -> bytes:
    """A PNG's chunks that make its pixels, and no others.

    Raises:
        Undecodable: it ends early, or needs a chunk that no decoder here knows.
    """
    pieces = [PNG_START]
    for kind, start, end in png_chunks(body):
        if kind in _NEEDED:
            pieces.append(body[start - 8 : end + 4])
        elif not kind[0] & _ANCILLARY:
            raise Undecodable("needs a chunk that is not known")
    return b"".join(pieces)
