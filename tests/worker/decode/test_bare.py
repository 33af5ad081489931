"""A PNG's comments, profiles and animation reach no decoder; its pixels stay the same."""

import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from shared.errors import Undecodable
from worker.decode.bare import bare
from worker.decode.pixels import decode
from worker.decode.sniff import sniff

COARSE = np.random.default_rng(5).integers(0, 256, (6, 8, 3), dtype=np.uint8)
PHOTO = Image.fromarray(COARSE).resize((80, 60), Image.Resampling.BICUBIC)


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def encode(picture: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", **options)
    return file.getvalue()


def kinds(body: bytes) -> set[bytes]:
    found, at = set[bytes](), 8
    while at < len(body):
        found.add(body[at + 4 : at + 8])
        at += 12 + int.from_bytes(body[at : at + 4])
    return found


def with_chunks(body: bytes, *chunks: bytes) -> bytes:
    """The PNG with further chunks behind its header."""
    return body[:33] + b"".join(chunks) + body[33:]


def described() -> bytes:
    notes = PngInfo()
    notes.add_text("Comment", "hello", zip=True)
    notes.add_itxt("Title", "a camera", zip=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"pnginfo": notes, "exif": exif, "icc_profile": bytes(900), "dpi": (72, 72)}
    return with_chunks(encode(PHOTO, **options), chunk(b"gAMA", struct.pack(">I", 100_000)))


def test_only_what_makes_the_pixels_is_left() -> None:
    assert kinds(described()) > {b"zTXt", b"iTXt", b"eXIf", b"iCCP", b"pHYs", b"gAMA"}
    assert kinds(bare(described())) == {b"IHDR", b"IDAT", b"IEND"}
    clear = encode(PHOTO.quantize(16), transparency=bytes(range(16)))
    assert kinds(bare(clear)) == {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}


def test_a_plain_png_is_as_it_was() -> None:
    body = encode(PHOTO)
    assert bare(body + b"behind its end") == body


@pytest.mark.parametrize(
    "body",
    [
        described(),
        encode(PHOTO.convert("RGBA"), icc_profile=bytes(900)),
        encode(PHOTO.quantize(16), transparency=3, dpi=(72, 72)),
        encode(PHOTO, save_all=True, append_images=[Image.new("RGB", PHOTO.size)]),
    ],
    ids=["described", "rgba", "palette", "animated"],
)
def test_its_pixels_are_the_same_without_the_rest(body: bytes) -> None:
    with_all = Image.open(io.BytesIO(body)).convert("RGBA")
    white = Image.new("RGBA", with_all.size, "white")
    white.alpha_composite(with_all)
    expected = np.asarray(white.convert("RGB"))[:, :, ::-1].astype(int)
    assert np.abs(decode(body, sniff(body), 1) - expected).max() <= 1


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt"])
def test_comments_that_inflate_to_gigabytes_cost_no_time(kind: bytes) -> None:
    start = {b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0"}[kind]
    bomb = chunk(kind, start + zlib.compress(bytes(7_900_000), 9))
    body = with_chunks(encode(PHOTO), bomb * 200)
    started = time.process_time()
    decode(body, sniff(body), 1)
    assert time.process_time() - started < 1


def test_a_chunk_that_is_needed_and_not_known_makes_a_png_undecodable() -> None:
    with pytest.raises(Undecodable, match="not known"):
        bare(with_chunks(encode(PHOTO), chunk(b"NEWS")))
    bare(with_chunks(encode(PHOTO), chunk(b"neWS")))
