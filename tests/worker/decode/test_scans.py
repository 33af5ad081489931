"""The scans of a JPEG are found where a decoder finds them, and no bytes lead astray."""

import io
import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from shared.errors import DecodeError, Undecodable
from worker.decode.scans import (
    MAX_SCANS,
    Component,
    check_scans,
    components,
    frame_kind,
    has_several_scans,
    scans,
)
from worker.decode.sniff import sniff

PHOTO = Image.fromarray(
    np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
).resize((160, 120))


def encode(**options: object) -> bytes:
    file = io.BytesIO()
    PHOTO.save(file, "JPEG", quality=90, **options)
    return file.getvalue()


BASELINE = encode()
PROGRESSIVE = encode(progressive=True)
RESTARTS = encode(progressive=True, restart_marker_blocks=3)

#: What libjpeg sends of a colour photo, scan by scan (its `jpeg_simple_progression`).
SENT = [
    ((1, 2, 3), 0, 0, 0, 1),
    ((1,), 1, 5, 0, 2),
    ((3,), 1, 63, 0, 1),
    ((2,), 1, 63, 0, 1),
    ((1,), 6, 63, 0, 2),
    ((1,), 1, 63, 2, 1),
    ((1, 2, 3), 0, 0, 1, 0),
    ((3,), 1, 63, 1, 0),
    ((2,), 1, 63, 1, 0),
    ((1,), 1, 63, 1, 0),
]


def sent(body: bytes) -> list[tuple[object, ...]]:
    return [scan[:5] for scan in scans(body)]


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def sos(ids: bytes, first: int = 0, last: int = 0, bits: int = 0, data: bytes = b"\x2a") -> bytes:
    chosen = b"".join(bytes([id_, 0]) for id_ in ids)
    return segment(0xDA, bytes([len(ids)]) + chosen + bytes([first, last, bits])) + data


def sof(marker: int, *parts: tuple[int, int, int]) -> bytes:
    listed = b"".join(map(bytes, parts))
    return segment(marker, struct.pack(">BHHB", 8, 400, 600, len(parts)) + listed)


THREE = ((1, 0x22, 0), (2, 0x11, 1), (3, 0x11, 1))


def jpeg(*segments: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(segments) + b"\xff\xd9"


@pytest.mark.parametrize("body", [PROGRESSIVE, RESTARTS], ids=["plain", "restarts"])
def test_scans_tell_what_they_send_in_the_order_of_the_file(body: bytes) -> None:
    assert sent(body) == SENT


@pytest.mark.parametrize("body", [PROGRESSIVE, RESTARTS], ids=["plain", "restarts"])
def test_a_scan_reaches_from_its_marker_to_the_next_one(body: bytes) -> None:
    found = list(scans(body))
    assert [body[scan.start : scan.start + 2] for scan in found] == [b"\xff\xda"] * len(SENT)
    # Between two scans are Huffman tables or nothing, and after the last one is the end.
    starts = [*(scan.start for scan in found[1:]), len(body) - 2]
    for scan, start in zip(found, starts, strict=True):
        between = body[scan.end : start]
        assert not between or between.startswith(b"\xff\xc4")
        if between:
            assert len(between) == 2 + int.from_bytes(between[2:4])


def test_the_data_of_a_scan_may_hold_restarts_and_stuffed_bytes() -> None:
    first = next(scans(RESTARTS))
    assert RESTARTS.count(b"\xff\xd0", first.start, first.end) > 1
    body = jpeg(sof(0xC2, *THREE), sos(b"\1\2\3", data=b"\x12\xff\x00\xda\xff\xd7\x01\xff\x00"))
    (scan,) = scans(body)
    assert scan.end == len(body) - 2


def test_fill_bytes_before_any_marker_are_no_part_of_it() -> None:
    body, shift = PROGRESSIVE, 0
    for scan in list(scans(PROGRESSIVE)):
        body = body[: scan.end + shift] + b"\xff\xff" + body[scan.end + shift :]
        shift += 2
    assert sent(body) == SENT


def test_what_looks_like_a_scan_inside_a_comment_or_after_the_end_is_none() -> None:
    note = segment(0xFE, sos(b"\1") * 3 + b"\xff\xd9")
    at = next(scans(PROGRESSIVE)).end
    assert sent(PROGRESSIVE[:at] + note + PROGRESSIVE[at:] + sos(b"\1") * 9) == SENT


def test_a_file_cut_anywhere_after_its_header_is_undecodable() -> None:
    start = next(scans(PROGRESSIVE)).start
    for cut in range(start + 1, len(PROGRESSIVE), 7):
        with pytest.raises(Undecodable):
            list(scans(PROGRESSIVE[:cut]))


@pytest.mark.parametrize(
    "header",
    [
        segment(0xDA, b"\3\1\0\2\0\0\0\0"),  # three components, the ids of two
        segment(0xDA, b"\1\1\0\2\0\0\0\0"),  # one component, the ids of two
        segment(0xDA, b"\0\0\0\0"),  # none
        segment(0xDA, b""),
    ],
)
def test_a_scan_header_of_a_wrong_length_is_undecodable(header: bytes) -> None:
    with pytest.raises(Undecodable, match="not as long"):
        list(scans(jpeg(sof(0xC2, *THREE), sos(b"\1\2\3"), header, b"\x2a")))


def test_as_many_scans_as_an_encoder_may_send_pass_and_one_more_is_undecodable() -> None:
    most = jpeg(sof(0xC2, *THREE), sos(b"\1\2\3") * MAX_SCANS)
    assert len(list(scans(most))) == MAX_SCANS
    check_scans(most, sniff(most))
    more = jpeg(sof(0xC2, *THREE), sos(b"\1\2\3") * (MAX_SCANS + 1))
    with pytest.raises(Undecodable, match="more scans"):
        list(scans(more))
    with pytest.raises(Undecodable, match="more scans"):
        check_scans(more, sniff(more))


def test_forty_scans_that_cost_a_second_at_forty_megapixels_are_refused() -> None:
    body = jpeg(sof(0xC2, *THREE), sos(b"\1\2\3") * 40)
    with pytest.raises(Undecodable, match="more scans"):
        check_scans(body, sniff(body))


def test_a_picture_with_a_video_behind_it_has_no_more_scans_for_it() -> None:
    body = PROGRESSIVE + b"\xff\xda" * 1000
    check_scans(body, sniff(body))


def test_a_hundred_thousand_empty_scans_are_not_walked_to_the_end() -> None:
    found = scans(jpeg(sof(0xC2, *THREE), sos(b"\1\2\3") * 100_000))
    for _ in range(MAX_SCANS - 1):
        next(found)
    with pytest.raises(Undecodable, match="more scans"):
        list(found)


@pytest.mark.parametrize(
    ("body", "several"),
    [
        (BASELINE, False),
        (PROGRESSIVE, True),
        (jpeg(sof(0xC0, *THREE), sos(b"\1\2\3")), False),
        (jpeg(sof(0xC0, *THREE), sos(b"\1"), sos(b"\2"), sos(b"\3")), True),
        (jpeg(sof(0xC0, THREE[0]), sos(b"\1")), False),
        (jpeg(sof(0xC2, *THREE), sos(b"\1\2\3")), True),
    ],
    ids=["baseline", "progressive", "interleaved", "not interleaved", "grey", "one so far"],
)
def test_several_scans_are_told_from_one_by_the_headers_alone(body: bytes, several: bool) -> None:
    assert has_several_scans(body, sniff(body)) is several


def test_the_frame_tells_its_kind_and_its_components() -> None:
    header = sniff(PROGRESSIVE)
    assert frame_kind(PROGRESSIVE, header) == 0xC2
    assert components(PROGRESSIVE, header) == (
        Component(1, 2, 2, 0),
        Component(2, 1, 1, 1),
        Component(3, 1, 1, 1),
    )
    assert frame_kind(BASELINE, sniff(BASELINE)) == 0xC0


@pytest.mark.parametrize("factors", [0x01, 0x10, 0x51, 0x15])
def test_a_sampling_factor_that_no_frame_has_is_undecodable(factors: int) -> None:
    body = jpeg(sof(0xC2, (1, factors, 0)), sos(b"\1"))
    with pytest.raises(Undecodable, match="sampling"):
        components(body, sniff(body))


@pytest.mark.parametrize("count", [0, 2, 3])
def test_a_frame_header_of_a_wrong_length_is_undecodable(count: int) -> None:
    listed = bytes(3) if count else b""
    body = jpeg(segment(0xC2, struct.pack(">BHHB", 8, 40, 60, count) + listed), sos(b"\1\2\3"))
    with pytest.raises(Undecodable, match="not as long"):
        components(body, sniff(body))


def test_two_components_of_one_id_are_undecodable() -> None:
    body = jpeg(sof(0xC2, THREE[0], THREE[1], THREE[0]), sos(b"\1\2"))
    with pytest.raises(Undecodable, match="one id"):
        components(body, sniff(body))


@given(st.binary(max_size=300), st.integers(0, len(PROGRESSIVE)))
def test_no_bytes_raise_anything_but_undecodable(noise: bytes, at: int) -> None:
    for body in (b"\xff\xd8" + noise, PROGRESSIVE[:at] + noise + PROGRESSIVE[at:]):
        with suppress(Undecodable):
            for scan in scans(body):
                assert 0 < scan.start < scan.end <= len(body)
        with suppress(DecodeError):
            header = sniff(body)
            if header.format == "jpeg" and has_several_scans(body, header):
                components(body, header)
