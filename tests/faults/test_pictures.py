"""Pictures that are none, lie, are damaged or odd: each ends with its code, or as its plain twin.

All of them are published at once, among good photos that must be tagged as on a calm day.
"""

import io
import random
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import Engine

from dev.fleet import Fleet
from dev.listings import PhotoFile
from dev.origin import Origin
from tests.faults.aftermath import Aftermath
from tests.marketplace import rows
from tests.settled import assert_quiet, publish

#: Scores may differ by so much where an encoding is lossy, or alpha is rounded.
_LOSSY = 0.02


def encode(picture: Image.Image, name: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, name, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, rows_: bytes, *, depth: int = 8) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    idat = zlib.compress(rows_)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", idat) + chunk(b"IEND")


def claiming(body: bytes, width: int, height: int) -> bytes:
    """A baseline JPEG whose header names another size."""
    at = body.index(b"\xff\xc0") + 5
    return body[:at] + struct.pack(">HH", height, width) + body[at + 4 :]


def flipped(body: bytes, start: int) -> bytes:
    """With one bit in a hundred bytes turned over, from `start` on."""
    damaged = bytearray(body)
    chosen = random.Random(7)
    for _ in range(max(1, len(body) // 100)):
        damaged[chosen.randrange(start, len(body))] ^= 1 << chosen.randrange(8)
    return bytes(damaged)


def bad_pictures(photo: Image.Image) -> dict[str, tuple[bytes, str]]:
    """By name, which begins with its row: a body and the code it must end with."""
    jpeg, plain = encode(photo, "JPEG", quality=90), encode(photo, "PNG")
    webp = encode(photo, "WEBP", lossless=True)
    tiny = Image.fromarray(np.arange(17 * 19 * 3, dtype=np.uint8).reshape(17, 19, 3))
    grey = encode(Image.new("L", (7000, 7000), 128), "JPEG", quality=90)
    assert len(grey) < 600_000
    scan = jpeg.rindex(b"\xff\xda")
    still = {"save_all": True, "append_images": [photo.rotate(90)]}
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><circle r="9"/></svg>'
    return {
        "I13-empty": (b"", "not_an_image"),
        "I13-zeros": (bytes(5000), "not_an_image"),
        "I13-page": (b"<!DOCTYPE html><title>404</title>", "not_an_image"),
        "I13-1x1": (encode(tiny.crop((0, 0, 1, 1)), "PNG"), "too_small"),
        "I13-999-elements": (encode(tiny, "PNG"), "too_small"),
        "I13-blank-white": (encode(Image.new("RGB", (300, 200), "white"), "JPEG"), "blank"),
        "I13-blank-clear": (encode(Image.new("RGBA", (300, 200)), "PNG"), "blank"),
        "I14-jpeg-60000": (claiming(jpeg, 60_000, 60_000), "too_many_pixels"),
        "I14-png-60000": (png(60_000, 60_000, bytes(1000)), "too_many_pixels"),
        "I14-png-2147483647": (png(2**31 - 1, 2**31 - 1, b"\0"), "too_many_pixels"),
        "I14-49-megapixels": (grey, "too_many_pixels"),
        "I15-jpeg-half": (jpeg[: len(jpeg) // 2], "undecodable"),
        "I15-png-half": (plain[: len(plain) // 2], "undecodable"),
        "I15-webp-half": (webp[: len(webp) // 2], "undecodable"),
        "I15-jpeg-without-end": (jpeg[:-2], "undecodable"),
        "I15-jpeg-header-flipped": (flipped(jpeg[:scan], 20) + jpeg[scan:], "undecodable"),
        "I15-png-flipped": (flipped(plain, 40), "undecodable"),
        "I15-webp-flipped": (flipped(webp, 26), "undecodable"),
        "I15-big-grey-jpeg": (claiming(grey[:20_000] + b"\xff\xd9", 6300, 6300), "undecodable"),
        "I15-big-grey-png": (png(6300, 6300, bytes(10**6)), "undecodable"),
        "I15-png-lacks-a-row": (png(100, 100, bytes(range(1, 101)) * 298), "undecodable"),
        "I16-gif": (encode(photo, "GIF"), "unsupported_format"),
        "I16-moving-webp": (encode(photo, "WEBP", **still), "unsupported_format"),
        "I16-svg": (svg, "unsupported_format"),
        "I16-tiff": (encode(photo, "TIFF"), "unsupported_format"),
        "I16-ppm": (encode(photo, "PPM"), "unsupported_format"),
        "I16-bmp": (encode(photo, "BMP"), "unsupported_format"),
        "I16-jpeg-2000": (encode(photo, "JPEG2000"), "unsupported_format"),
        "I16-arithmetic-jpeg": (jpeg.replace(b"\xff\xc0", b"\xff\xc9", 1), "unsupported_format"),
    }


def stored(photo: Image.Image, orientation: int) -> Image.Image:
    """As a camera stores it that was held so (EXIF 2.32, section 4.6.4)."""
    ways = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    return photo.transpose(ways[orientation]) if orientation in ways else photo


def exif(orientation: int) -> Image.Exif:
    data = Image.Exif()
    data[0x0112] = orientation
    return data


def odd_pictures(photo: Image.Image) -> dict[str, tuple[bytes, Image.Image, float]]:
    """By name: a body, its plain twin, and by how much their scores may differ."""
    grey, palette = photo.convert("L"), photo.quantize(64)
    clear = photo.convert("RGBA")
    across = np.linspace(100, 255, photo.width).astype(np.uint8)
    clear.putalpha(Image.fromarray(np.tile(across, (photo.height, 1))))
    white = Image.new("RGBA", photo.size, "white")
    white.alpha_composite(clear)
    deep = np.asarray(photo).astype(">u2") * 257
    lines = deep.astype(">u2").reshape(photo.height, -1).view(np.uint8)
    deep_rows = np.hstack([np.zeros((photo.height, 1), np.uint8), lines]).tobytes()
    plain = encode(photo, "PNG")
    bomb = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(7_900_000), 9))
    broken = b"ICC_PROFILE\0 this is none"
    best: dict[str, Any] = {"quality": 95, "subsampling": 0}
    found: dict[str, tuple[bytes, Image.Image, float]] = {
        "cmyk.jpg": (encode(photo.convert("CMYK"), "JPEG", **best), photo, _LOSSY),
        "grey.jpg": (encode(grey, "JPEG", quality=95), grey, _LOSSY),
        "grey.png": (encode(grey, "PNG"), grey, 0),
        "deep.png": (png(*photo.size, deep_rows, depth=16), photo, 0),
        "alpha.png": (encode(clear, "PNG"), white.convert("RGB"), _LOSSY),
        "alpha.webp": (encode(clear, "WEBP", lossless=True), white.convert("RGB"), _LOSSY),
        "palette.png": (encode(palette, "PNG"), palette.convert("RGB"), 0),
        "profile.jpg": (encode(photo, "JPEG", icc_profile=broken, **best), photo, _LOSSY),
        "profile.png": (encode(photo, "PNG", icc_profile=broken), photo, 0),
        "comments.png": (plain[:33] + bomb * 100 + plain[33:], photo, 0),
        "baseline.jpg": (encode(photo, "JPEG", **best), photo, _LOSSY),
        "progressive.jpg": (encode(photo, "JPEG", progressive=True, **best), photo, _LOSSY),
        "lossy.webp": (encode(photo, "WEBP", quality=95), photo, _LOSSY),
        "lossless.webp": (encode(photo, "WEBP", lossless=True), photo, 0),
    }
    for way in range(1, 9):
        turned = stored(photo, way)
        found[f"exif-{way}.jpg"] = (encode(turned, "JPEG", exif=exif(way), **best), photo, _LOSSY)
        found[f"exif-{way}.png"] = (encode(turned, "PNG", exif=exif(way)), photo, 0)
    return found


@pytest.fixture
def shop(photo_folder: Path, photos: list[PhotoFile], tmp_path: Path) -> Path:
    """A folder of good photos, under the paths that they have on a calm day."""
    folder = tmp_path / "shop"
    for photo in photos[:8]:
        target = folder / photo.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(photo_folder / photo.path, target)
    return folder


@pytest.fixture
def sample(photo_folder: Path, photos: list[PhotoFile]) -> Image.Image:
    """A photo that is decoded at a fraction of its size, cut to whole blocks of a JPEG."""
    with Image.open(photo_folder / photos[0].path) as picture:
        return picture.convert("RGB").resize((400, 400))


def peak_mb(fleet: Fleet) -> float:
    """The most memory that a process of the worker ever had (VmHWM), in MiB."""
    peaks: list[float] = []
    for process in psutil.Process(fleet.pid("worker")).children():
        status = Path(f"/proc/{process.pid}/status").read_text()
        peaks.append(int(status.partition("VmHWM:")[2].split()[0]) / 1024)
    return max(peaks)


def serve(
    fleet: Fleet, shop: Path, photos: list[PhotoFile], names: list[str], tmp_path: Path,
    check: Callable[[int], None],
) -> None:  # fmt: skip
    """Publishes the pictures of these names among good photos, and waits until all is settled."""
    with Origin(shop) as origin:
        fleet.environment["TAGGER_ALLOWED_PORTS"] = origin.url.rpartition(":")[2]
        many = [*photos[:4], *(PhotoFile(Path(name), name) for name in names), *photos[4:8]]
        fleet.start("relay", "relay")
        fleet.start("worker", "worker", "--processes", "1")
        check(publish(fleet, many, origin, tmp_path, copies=1))


@pytest.mark.row("I13", "I14", "I15", "I16")
def test_each_bad_picture_ends_with_its_code_and_costs_little_memory(
    engine: Engine,
    fleet: Fleet,
    aftermath: Aftermath,
    shop: Path,
    photos: list[PhotoFile],
    sample: Image.Image,
    tmp_path: Path,
) -> None:
    bad = bad_pictures(sample)
    # A JPEG has no checksums: what a decoder can make something of has no code.
    jpeg = encode(sample, "JPEG", quality=90)
    (shop / "scan-flipped").write_bytes(flipped(jpeg, jpeg.rindex(b"\xff\xda") + 20))
    for name, (body, _) in bad.items():
        (shop / name).write_bytes(body)
    peaks: list[float] = []

    def check(total: int) -> None:
        aftermath.check(total)
        peaks.append(peak_mb(fleet))

    serve(fleet, shop, photos, [*bad, "scan-flipped"], tmp_path, check)
    ends = {
        title: (code, attempt)
        for title, code, attempt in rows(
            engine,
            "SELECT title, error_code, attempt FROM photo JOIN listing ON listing.id = listing_id",
        )
    }
    # None is tried again: a picture does not get better.
    assert {name: ends[name] for name in bad} == {
        name: (code, 1) for name, (_, code) in bad.items()
    }
    assert [ends[photo.title] for photo in photos[:8]] == [(None, 1)] * 8
    assert fleet.exit_code("worker") is None
    # Its log is JSON to the last line, what native decoders print included.
    assert_quiet(fleet, "worker", "relay")
    assert "Corrupt JPEG data" in fleet.log("worker")
    assert peaks[0] < 220, "nothing that claims much was given room"


@pytest.mark.row("I17")
def test_odd_pictures_are_tagged_as_their_plain_twins(
    engine: Engine,
    fleet: Fleet,
    aftermath: Aftermath,
    shop: Path,
    photos: list[PhotoFile],
    sample: Image.Image,
    tmp_path: Path,
) -> None:
    odd = odd_pictures(sample)
    names: list[str] = []
    for name, (body, twin, _) in odd.items():
        (shop / name).write_bytes(body)
        (shop / f"{name}.twin.png").write_bytes(encode(twin.convert("RGB"), "PNG"))
        names += [name, f"{name}.twin.png"]
    serve(fleet, shop, photos, names, tmp_path, aftermath.check)
    seen: dict[str, tuple[NDArray[np.float32], list[str]]] = {
        title: (np.array(scores, np.float32), tags)
        for title, scores, tags in rows(
            engine,
            """SELECT title, scores, (SELECT coalesce(array_agg(tag.name ORDER BY tag.name), '{}')
                FROM photo_tag JOIN tag ON tag.id = tag_id WHERE photo_id = photo.id)
            FROM photo JOIN listing ON listing.id = listing_id WHERE status = 'tagged'""",
        )
    }
    differences = {
        name: float(np.abs(seen[name][0] - seen[f"{name}.twin.png"][0]).max()) for name in odd
    }
    too_far = {name: far for name, far in differences.items() if far > odd[name][2]}
    assert too_far == {}
    for name in odd:
        assert seen[name][1] == seen[f"{name}.twin.png"][1], name
        assert seen[name][1], "a photo without tags shows nothing"
