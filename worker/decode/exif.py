"""Which way up a photo is, read from its EXIF data (pure)."""

from typing import Final, Literal

UPRIGHT: Final = 1

_ORIENTATION: Final = 0x0112  # EXIF 2.32, section 4.6.4
_SHORT: Final = 3
#: Cameras write some dozens.
_MAX_ENTRIES: Final = 512


def orientation(tiff: bytes) -> int:
    """The orientation, 1 to 8, out of EXIF data that begins with its TIFF header.

    Damaged or missing data reads as 1, upright: a photo is not worse for it.
    """
    orders: dict[bytes, Literal["little", "big"]] = {b"II*\0": "little", b"MM\0*": "big"}
    order = orders.get(tiff[:4])
    if order is None:
        return UPRIGHT
    directory = int.from_bytes(tiff[4:8], order)
    entries = int.from_bytes(tiff[directory : directory + 2], order)
    first = directory + 2
    last = first + 12 * min(entries, _MAX_ENTRIES)
    for at in range(first, min(last, len(tiff) - 11), 12):
        tag, kind = (int.from_bytes(tiff[at + i : at + i + 2], order) for i in (0, 2))
        if tag == _ORIENTATION:
            value = int.from_bytes(tiff[at + 8 : at + 10], order)
            return value if kind == _SHORT and 1 <= value <= 8 else UPRIGHT
    return UPRIGHT
