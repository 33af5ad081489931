"""Pictures cut short or damaged are refused before any decoder sees them."""

import io
import struct
import time
import zlib

import pytest
from PIL import Image

from shared.errors import Undecodable
from worker.decode.excerpt import needed
from worker.decode.scans import scans
from worker.decode.sniff import sniff
from worker.decode.whole import check_whole


def encode(name: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((120, 90), 60).convert("RGB").save(file, name, **options)
    return file.getvalue()


FILES = {
    "jpeg": encode("JPEG"),
    "progressive": encode("JPEG", progressive=True),
    "png": encode("PNG"),
    "webp": encode("WEBP"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_whole_picture_passes_with_and_without_trailing_bytes(name: str) -> None:
    for body in (FILES[name], FILES[name] + b"trailing"):
        check_whole(body, sniff(body))


@pytest.mark.parametrize("name", FILES)
def test_a_picture_that_ends_early_is_told_by_its_end(name: str) -> None:
    body = FILES[name]
    header = sniff(body)
    for cut in (len(body) // 2, len(body) - 100, len(body) - 2):
        with pytest.raises(Undecodable, match="ends early"):
            check_whole(body[:cut], header)


def test_a_progressive_picture_is_not_whole_with_only_its_first_scans() -> None:
    body = FILES["progressive"]
    header = sniff(body)
    for scan in list(scans(body))[:-1]:
        for cut in (scan.start, (scan.start + scan.end) // 2, scan.end):
            with pytest.raises(Undecodable, match="ends early"):
                check_whole(body[:cut], header)


def test_an_end_before_the_data_of_the_scan_is_not_the_end_of_the_picture() -> None:
    thumbnail = b"\xff\xe1\x00\x06" + b"\xff\xd9" * 2
    component = b"\xff\xda\x00\x08\x01\xff\xd9\x00\x3f\x00"
    frame = b"\xff\xc0\x00\x0b\x08\x00\x09\x00\x09\x01\xff\x11\x00"
    for cut in (
        FILES["jpeg"][:2] + thumbnail + FILES["jpeg"][2:-2],
        b"\xff\xd8" + frame + component + bytes(99),
    ):
        with pytest.raises(Undecodable, match="ends early"):
            check_whole(cut, sniff(cut))


def test_a_jpegs_bytes_must_be_enough_for_its_blocks() -> None:
    body = FILES["jpeg"]
    at = body.index(b"\xff\xc0") + 5
    for height, enough in ((900, True), (60_000, False)):
        claim = body[:at] + struct.pack(">H", height) + body[at + 2 :]
        if enough:
            check_whole(claim, sniff(claim))
        else:
            with pytest.raises(Undecodable, match="more pixels"):
                check_whole(claim, sniff(claim))


def test_a_wrong_checksum_in_any_chunk_of_a_png_is_damage() -> None:
    note = b"tEXtComment\0hi"
    spare = struct.pack(">I", len(note) - 4) + note + struct.pack(">I", zlib.crc32(note))
    body = FILES["png"][:33] + spare + FILES["png"][33:]
    check_whole(body, sniff(body))
    for at in (20, 44, len(body) // 2):  # in IHDR, in a comment, in IDAT
        damaged = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        with pytest.raises(Undecodable, match="checksum"):
            check_whole(damaged, sniff(body))


def _png(side: int, raw: bytes, *, pieces: int = 1) -> bytes:
    """A PNG that claims `side` x `side` RGB pixels, and holds `raw`, deflated."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    packed = zlib.compress(raw, 9)
    size = -(-len(packed) // pieces)
    body = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    for at in range(0, len(packed), size):
        body += chunk(b"IDAT", packed[at : at + size])
    return body + chunk(b"IEND", b"")


@pytest.mark.parametrize("pieces", [1, 7])
def test_a_png_that_inflates_to_more_than_its_pixels_is_refused_soon(pieces: int) -> None:
    honest = _png(100, (b"\0" + bytes(300)) * 100, pieces=pieces)
    check_whole(honest, sniff(honest))
    bomb = _png(100, bytes(200 << 20), pieces=pieces)
    started = time.process_time()
    with pytest.raises(Undecodable, match="more than its pixels"):
        check_whole(bomb, sniff(bomb))
    assert time.process_time() - started < 0.05, "it does not inflate all of it"


ADAM7 = (
    "16462646", "77777777", "56565656", "77777777",
    "36463646", "77777777", "56565656", "77777777",
)  # fmt: skip


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(
    ("colour", "depth"),
    [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (3, 1), (3, 8), (4, 16), (6, 8)],
)
@pytest.mark.parametrize("size", [(1, 1), (3, 9), (13, 5), (64, 21)])
def test_a_png_must_hold_all_of_its_pixels(
    size: tuple[int, int], colour: int, depth: int, interlaced: bool
) -> None:
    width, height = size
    raw = 0
    # The pass that each pixel of a square of eight comes in, as the specification draws it.
    for turn in "1234567":
        for row in range(height):
            places = [ADAM7[row % 8][column % 8] for column in range(width)]
            pixels = places.count(turn) if interlaced else width * (turn == "1")
            bits = pixels * depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
            raw += 1 + -(-bits // 8) if pixels else 0
    for missing, whole in ((0, True), (1, False)):
        data = zlib.compress(bytes(raw - missing))
        header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
        body = b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part))
            for kind, part in ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
        )
        if whole:
            check_whole(body, sniff(body))
        else:
            with pytest.raises(Undecodable, match="less than its pixels"):
                check_whole(body, sniff(body))


def test_a_png_that_lacks_its_last_row_never_shows_what_was_in_memory() -> None:
    rows = (b"\0" + bytes(range(1, 151)) * 2) * 100
    check_whole(body := _png(100, rows), sniff(body))
    with pytest.raises(Undecodable, match="less than its pixels"):
        check_whole(body := _png(100, rows[:-301]), sniff(body))


@pytest.mark.parametrize(("at", "value"), [(24, 3), (25, 5), (28, 2)])
def test_a_png_of_a_depth_colour_or_interlacing_that_is_none_is_undecodable(
    at: int, value: int
) -> None:
    body = FILES["png"]
    body = body[:at] + bytes([value]) + body[at + 1 :]
    body = body[:29] + struct.pack(">I", zlib.crc32(body[12:29])) + body[33:]
    with pytest.raises(Undecodable, match="makes no sense"):
        check_whole(body, sniff(body))


def test_a_png_whose_data_cannot_be_inflated_is_damage() -> None:
    broken = _png(100, bytes(3000)).replace(zlib.compress(bytes(3000), 9)[:2], b"\x78\x00", 1)
    at = broken.index(b"IDAT")
    length = int.from_bytes(broken[at - 4 : at])
    checked = broken[at : at + 4 + length]
    broken = (
        broken[: at + 4 + length]
        + struct.pack(">I", zlib.crc32(checked))
        + broken[at + 8 + length :]
    )
    with pytest.raises(Undecodable, match="inflated"):
        check_whole(broken, sniff(broken))


def test_scans_hidden_in_a_reserved_segment_are_refused_with_it() -> None:
    # With restarts, libjpeg looks for scans inside a segment that it does not know.
    body = FILES["progressive"]
    hidden = b"\xff\x02" + struct.pack(">H", 2 + 100) + bytes(100)
    for at in (2, body.index(b"\xff\xda")):
        with pytest.raises(Undecodable, match="reserved"):
            sniff(body[:at] + hidden + body[at:])
    first = next(iter(scans(body)))
    after = body[: first.end] + hidden + body[first.end :]
    with pytest.raises(Undecodable, match="reserved"):
        needed(after, sniff(after), 8)
