"""A decoder gets the scans that count at its scale, and makes the same pixels of them."""

import io
import struct
from contextlib import suppress

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from shared.errors import DecodeError, Undecodable
from worker.decode.excerpt import needed
from worker.decode.pixels import (
    BGR_BILINEAR,
    RGB_AREA,
    configure,
    decode,
    reduction,
    shrink,
    to_pixels,
)
from worker.decode.scans import MAX_SCANS, scans
from worker.decode.sniff import Header, sniff

Pixels = NDArray[np.uint8]
SIDE = 48  #: pixels of the input that photos are decoded for


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> None:  # pyright: ignore[reportUnusedFunction]
    configure()


def photo(side: int) -> Pixels:
    """Coarse and fine structure, edges and grain: all frequencies that a photo has."""
    rng = np.random.default_rng(side)
    canvas = np.full((side, side, 3), 128, np.float32)
    for cells, reach in ((4, 50), (12, 25), (48, 15)):
        coarse = rng.standard_normal((cells, cells, 3), np.float32)
        canvas += reach * cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    for _ in range(8):
        left, top, width, height = rng.integers(side // 12, side // 2, 4)
        canvas[top : top + height, left : left + width] += rng.uniform(-60, 60, 3)
    canvas += 5 * rng.standard_normal((side, side, 1), np.float32)
    return np.clip(canvas, 0, 255).astype(np.uint8)


#: Photos that are decoded at 1/4 and at 1/8 for 48 pixels.
PHOTOS = {4: photo(500), 8: photo(803)}


def encode(picture: Pixels, mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    settings = {"quality": 85, "progressive": True, **options}
    Image.fromarray(picture).convert(mode).save(file, "JPEG", **settings)
    return file.getvalue()


KINDS: dict[str, tuple[str, dict[str, object]]] = {
    "4:2:0": ("RGB", {}),
    "4:2:2": ("RGB", {"subsampling": "4:2:2"}),
    "4:4:4": ("RGB", {"subsampling": "4:4:4"}),
    "grey": ("L", {}),
    "cmyk": ("CMYK", {}),
    "restarts": ("RGB", {"restart_marker_rows": 1}),
    "metadata": ("RGB", {"icc_profile": bytes(90_000), "comment": b"\xff\xda\xff\xd9"}),
}


def pixels(body: bytes, header: Header, scale: int) -> Pixels:
    return shrink(decode(body, header, scale), header, width=SIDE, height=SIDE)


def difference(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(int) - other).mean())


# The same pixels, of fewer bytes


@pytest.mark.parametrize("scale", [4, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_the_first_scans_make_nearly_the_pixels_of_all_scans(kind: str, scale: int) -> None:
    mode, options = KINDS[kind]
    body = encode(PHOTOS[scale], mode, **options)
    header = sniff(body)
    assert reduction(header, width=SIDE, height=SIDE) == scale
    excerpt = needed(body, header, scale)
    first, all_scans = pixels(excerpt, header, scale), pixels(body, header, scale)
    # 1/8 leaves out low bits of the colours' coefficients only, 1/4 those of the luma's, too.
    assert difference(first, all_scans) < {4: 0.8, 8: 0.4}[scale]
    assert difference(first, all_scans) < difference(first, pixels(body, header, 1))
    assert len(excerpt) - 90_000 * (kind == "metadata") < len(body) * {4: 0.4, 8: 0.25}[scale]


@pytest.mark.parametrize("kind", ["4:2:2", "4:4:4", "grey", "cmyk"])
def test_an_eighth_is_exact_where_each_block_is_one_pixel(kind: str) -> None:
    mode, options = KINDS[kind]
    body = encode(PHOTOS[8], mode, **options)
    header = sniff(body)
    excerpt = needed(body, header, 8)
    assert np.array_equal(decode(excerpt, header, 8), decode(body, header, 8))


@pytest.mark.parametrize("scale", [4, 8])
def test_libjpeg_makes_up_no_coefficient_that_is_not_there(scale: int) -> None:
    body = encode(PHOTOS[scale], "L")
    header = sniff(body)
    excerpt = needed(body, header, scale)
    at = body.index(b"\xff\xdb") + 4 + 1 + 3
    assert body[at] != excerpt[at] == 0
    smoothed = excerpt[:at] + body[at : at + 1] + excerpt[at + 1 :]
    assert not np.array_equal(decode(smoothed, header, scale), decode(excerpt, header, scale))
    # What is set to 0 for it is not used at these scales, but it is at the others.
    whole = body[:at] + b"\0" + body[at + 1 :]
    assert np.array_equal(decode(whole, header, scale), decode(body, header, scale))
    assert not np.array_equal(decode(whole, header, 2), decode(body, header, 2))


def test_the_pixels_of_service_are_those_of_the_first_scans() -> None:
    for scale, picture in PHOTOS.items():
        body = encode(picture)
        header = sniff(body)
        served = to_pixels(
            body, width=SIDE, height=SIDE, max_photo_pixels=10**6, min_photo_elements=0
        )
        assert np.array_equal(served, pixels(needed(body, header, scale), header, scale))
        assert not np.array_equal(served, pixels(body, header, scale))


# Which scans


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def sos(ids: tuple[int, ...], first: int, last: int, high: int, low: int) -> bytes:
    chosen = b"".join(bytes([id_, 0]) for id_ in ids)
    return segment(0xDA, bytes([len(ids)]) + chosen + bytes([first, last, high << 4 | low])) + b"*"


def jpeg(
    *sent: bytes,
    parts: tuple[tuple[int, int, int], ...] = ((1, 0x22, 0), (2, 0x11, 1), (3, 0x11, 1)),
    frame: int = 0xC2,
    tables: bytes = b"",
) -> bytes:
    listed = b"".join(map(bytes, parts))
    head = segment(frame, struct.pack(">BHHB", 8, 400, 600, len(parts)) + listed)
    return b"\xff\xd8" + tables + head + b"".join(sent) + b"\xff\xd9"


def kept(body: bytes, scale: int) -> list[int] | None:
    """The places of the scans that are kept; None for the whole file."""
    excerpt = needed(body, sniff(body), scale)
    if excerpt is body:
        return None
    all_scans = [scan[:5] for scan in scans(body)]
    return [all_scans.index(scan[:5]) for scan in scans(excerpt)]


DC = sos((1, 2, 3), 0, 0, 0, 1)
DC_BIT = sos((1, 2, 3), 0, 0, 1, 0)
LOW = (sos((1,), 1, 5, 0, 2), sos((3,), 1, 63, 0, 1), sos((2,), 1, 63, 0, 1))
HIGH = sos((1,), 6, 63, 0, 2)
REFINED = (sos((1,), 1, 63, 2, 1), sos((3,), 1, 63, 1, 0), sos((2,), 1, 63, 1, 0))
LIBJPEG = (DC, *LOW, HIGH, REFINED[0], DC_BIT, *REFINED[1:], sos((1,), 1, 63, 1, 0))

MOZJPEG = (
    sos((1, 2, 3), 0, 0, 0, 0),
    sos((1,), 1, 63, 0, 2),
    sos((1,), 1, 63, 2, 1),
    sos((1,), 1, 63, 1, 0),
    sos((2,), 1, 8, 0, 0),
    sos((2,), 9, 63, 0, 0),
    sos((3,), 1, 8, 0, 0),
    sos((3,), 9, 63, 0, 0),
)
ALONE = tuple(sos((id_,), 0, 0, 0, 0) for id_ in (1, 2, 3))


@pytest.mark.parametrize(
    ("sent", "scale", "places"),
    [
        (LIBJPEG, 8, [0, 2, 3, 6]),
        (LIBJPEG, 4, [0, 1, 2, 3, 6]),
        (MOZJPEG, 8, [0, 4, 6]),
        (MOZJPEG, 4, [0, 1, 4, 5, 6, 7]),
        ((*ALONE, *LOW), 8, [0, 1, 2, 4, 5]),
        ((*ALONE, *LOW), 4, [0, 1, 2, 3, 4, 5]),
    ],
    ids=[f"{name} 1/{n}" for name in ("libjpeg", "mozjpeg", "DC alone") for n in (8, 4)],
)
def test_the_scans_that_show_at_a_scale_are_kept(
    sent: tuple[bytes, ...], scale: int, places: list[int]
) -> None:
    assert kept(jpeg(*sent), scale) == places


@pytest.mark.parametrize(
    ("parts", "sent", "scale", "places"),
    [
        (((1, 0x11, 0),), (sos((1,), 0, 0, 0, 0), sos((1,), 1, 63, 0, 0)), 8, [0]),
        (((1, 0x11, 0),), (sos((1,), 0, 0, 0, 0), sos((1,), 1, 63, 0, 0)), 4, [0, 1]),
        (((1, 0x11, 0), (2, 0x11, 1), (3, 0x11, 1)), LIBJPEG, 8, [0, 6]),
        # Half as wide or half as high only: its blocks stay square, and so become one pixel.
        (((1, 0x21, 0), (2, 0x11, 1), (3, 0x11, 1)), LIBJPEG, 8, [0, 6]),
        (((1, 0x12, 0), (2, 0x11, 1), (3, 0x11, 1)), LIBJPEG, 8, [0, 6]),
        (((1, 0x42, 0), (2, 0x11, 1), (3, 0x11, 1)), LIBJPEG, 8, [0, 2, 3, 6]),
    ],
)
def test_a_component_of_fewer_samples_needs_more_of_its_frequencies(
    parts: tuple[tuple[int, int, int], ...],
    sent: tuple[bytes, ...],
    scale: int,
    places: list[int],
) -> None:
    assert kept(jpeg(*sent, parts=parts), scale) == places


TABLE = segment(0xC4, bytes([0x10, 1, *bytes(15), 0]))
RESTART = segment(0xDD, b"\0\4")


def test_the_tables_between_scans_stay_up_to_the_last_scan_that_counts() -> None:
    sent = [part for scan in LIBJPEG for part in (TABLE, scan)]
    sent.insert(3, RESTART)
    excerpt = needed(body := jpeg(*sent), sniff(body), 8)
    assert excerpt.count(TABLE) == 7
    assert excerpt.count(RESTART) == 1
    assert excerpt.endswith(DC_BIT + b"\xff\xd9")


EIGHT = bytes(range(1, 65))
SIXTEEN = b"".join(struct.pack(">H", 300 + step) for step in EIGHT)


@pytest.mark.parametrize(
    ("tables", "shared", "scale", "changed"),
    [
        (b"\0" + EIGHT + b"\1" + EIGHT, False, 4, [1 + 3]),
        (b"\1" + EIGHT + b"\0" + EIGHT, False, 4, [65 + 1 + 3]),
        (b"\x10" + SIXTEEN + b"\1" + EIGHT, False, 4, [1 + 6, 1 + 7]),
        (b"\0" + EIGHT + b"\1" + EIGHT, False, 8, [1 + 3, 65 + 1 + 3]),
        (b"\0" + EIGHT, True, 4, []),  # the colours, at 4x4 pixels a block, use all of the table
        (b"\0" + EIGHT[:3], False, 4, []),  # cut short
    ],
)
def test_only_a_quantiser_without_use_is_set_to_zero(
    tables: bytes, shared: bool, scale: int, changed: list[int]
) -> None:
    colours = 0 if shared else 1
    parts = ((1, 0x22, 0), (2, 0x11, colours), (3, 0x11, colours))
    body = jpeg(*LIBJPEG, tables=segment(0xDB, tables), parts=parts)
    excerpt = needed(body, sniff(body), scale)
    start = body.index(b"\xff\xdb") + 4
    head = next(scans(body)).start
    assert [at - start for at in range(head) if excerpt[at] != body[at]] == changed
    assert not any(excerpt[start + at] for at in changed)


# The whole file


@pytest.mark.parametrize("scale", [1, 2])
def test_at_full_and_half_size_the_whole_file_is_needed(scale: int) -> None:
    assert kept(jpeg(*LIBJPEG), scale) is None


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_other_files_are_needed_whole(name: str) -> None:
    file = io.BytesIO()
    Image.fromarray(PHOTOS[4]).save(file, name)
    body = file.getvalue()
    assert needed(body, sniff(body), 8) is body


def test_the_bytes_of_other_formats_are_not_taken_for_scans() -> None:
    body = b"RIFF" + b"\xff" * 4 + b"WEBP" + b"\xff\xda" * 2 * MAX_SCANS
    assert needed(body, Header("webp", 9, 9, has_alpha=False, orientation=1), 8) is body


@pytest.mark.parametrize(
    "sent",
    [
        (DC, *LOW, HIGH, *REFINED),
        (DC, *LOW[:2], DC_BIT),
        (sos((1, 2), 0, 0, 0, 1), *LOW, sos((1, 2), 0, 0, 1, 0)),
        (*LOW, DC, DC_BIT),
        (DC, *LOW, HIGH, LOW[1], DC_BIT),
        (DC, sos((1,), 3, 5, 0, 2), *LOW, DC_BIT),
        (DC, sos((2,), 1, 1, 0, 1), sos((2,), 4, 63, 0, 1), LOW[0], LOW[1], DC_BIT),
        (DC, sos((1,), 1, 5, 0, 3), *LOW[1:], DC_BIT),
        (DC, sos((1,), 1, 64, 0, 2), *LOW[1:], DC_BIT),
        (DC, sos((2,), 1, 0, 0, 1), *LOW, DC_BIT),
        (sos((1, 2, 3), 0, 63, 0, 1), *LOW, DC_BIT),
        (DC, sos((1, 2, 3), 1, 63, 0, 0), DC_BIT),
        (DC, sos((1, 2, 3), 6, 63, 0, 0), *LOW, DC_BIT),
        (DC, DC, *LOW, DC_BIT),
        (sos((1, 2, 3), 0, 0, 0, 2), *LOW, DC_BIT),
        (sos((1, 2, 3), 0, 0, 0, 2), *LOW, sos((1, 2, 3), 0, 0, 2, 0)),
        (DC_BIT, DC, *LOW, DC_BIT),
        (DC, sos((7,), 1, 63, 0, 0), *LOW, DC_BIT),
    ],
    ids=[
        "DC not refined", "a colour missing", "its DC missing", "AC before DC",
        "a band sent twice", "a band with a gap", "a colour's band with a gap",
        "too coarse", "beyond the last", "back to front", "DC with AC", "AC of three",
        "high AC of three", "DC twice", "a refinement missing", "a refinement of two bits",
        "refined before", "of a stranger",
    ],
)  # fmt: skip
def test_an_odd_order_of_scans_is_left_to_the_decoder(sent: tuple[bytes, ...]) -> None:
    assert kept(jpeg(*sent), 4) is None


@pytest.mark.parametrize("frame", [0xC0, 0xC1])
def test_other_frames_of_several_scans_are_left_to_the_decoder(frame: int) -> None:
    alone = (*ALONE, *LOW)
    assert kept(jpeg(*alone, frame=frame), 8) is None


# What is refused


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
@pytest.mark.parametrize("frame", [0xC0, 0xC2])
def test_more_scans_than_an_encoder_sends_reach_no_decoder(frame: int, scale: int) -> None:
    empty = sos((1,), 1, 63, 0, 0)
    body = jpeg(sos((1, 2, 3), 0, 0, 0, 1) if frame != 0xC0 else ALONE[0], frame=frame)
    bomb = body[:-2] + empty * 5 * MAX_SCANS + DC_BIT + b"\xff\xd9"
    with pytest.raises(Undecodable, match="more scans"):
        needed(bomb, sniff(bomb), scale)


@pytest.mark.parametrize("preprocessing", [RGB_AREA, BGR_BILINEAR])
def test_more_scans_than_an_encoder_sends_are_refused_in_service(preprocessing: str) -> None:
    body = encode(photo(40))
    bomb = body[:-2] + sos((1,), 1, 63, 1, 0) * MAX_SCANS + body[-2:]
    with pytest.raises(Undecodable, match="more scans"):
        to_pixels(
            bomb,
            width=SIDE,
            height=SIDE,
            max_photo_pixels=10**6,
            min_photo_elements=0,
            preprocessing=preprocessing,
        )


@pytest.mark.parametrize("scale", [4, 8])
def test_a_progressive_photo_cut_short_is_undecodable_though_its_first_scans_are_there(
    scale: int,
) -> None:
    body = encode(PHOTOS[scale])
    complete = len(needed(body, sniff(body), scale))
    for cut in (complete, len(body) // 2, len(body) * 9 // 10, len(body) - 2, len(body) - 1):
        with pytest.raises(Undecodable, match="ends early"):
            to_pixels(
                body[:cut], width=SIDE, height=SIDE, max_photo_pixels=10**6, min_photo_elements=0
            )


FUZZED = [encode(photo(400)[:, :388], quality=60), encode(photo(400), "L", quality=30)]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(FUZZED),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(1, 255)), min_size=1, max_size=8),
    st.booleans(),
)
def test_no_damage_to_a_progressive_photo_raises_anything_but_a_decode_error(
    body: bytes, flips: list[tuple[int, int]], early: bool
) -> None:
    damaged = bytearray(body)
    for at, bits in flips:
        damaged[at % (700 if early else len(damaged))] ^= bits
    with suppress(DecodeError):
        found = to_pixels(
            bytes(damaged), width=40, height=40, max_photo_pixels=10**6, min_photo_elements=0
        )
        assert found.shape == (40, 40, 3)
