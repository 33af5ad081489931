"""Pictures cut short or damaged are refused before any decoder sees them."""

import io
import struct
import zlib

import pytest
from PIL import Image

from shared.errors import Undecodable
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
    frame = b"\xff\xc9\x00\x0b\x08\x00\x09\x00\x09\x01\xff\x11\x00"
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
