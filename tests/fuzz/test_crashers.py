"""What once crashed a fuzzer's target, and what was made to, does so no more."""

import base64
import itertools
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

_CRASHERS = Path(__file__).parent / "crashers"
_ROOT = Path(__file__).resolve().parents[2]
_PNG = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


_numbers = itertools.count()


def queued(body: bytes, **changes: object) -> bytes:
    whole: dict[str, object] = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"task": "tag_photos", "id": "1"},
        # A tag that another message has would free that one's prefetch slot.
        "properties": {"delivery_tag": f"evil-{next(_numbers)}", "body_encoding": "base64"},
    }
    return json.dumps(whole | changes).encode()


_ROWS = zlib.compress(bytes(3 * 40 + 1) * 40)
_NO_COLOURS = zlib.compress((b"\0" + b"\xff" * 700) * 700)

EVIL: dict[str, list[bytes]] = {
    "photo": [
        b"\xff\xd8\xff" + b"\xff" * 60_000,
        b"\xff\xd8\xff" + b"\xec\x00\x02\xff" * 15_000,
        _PNG + header(40, 40) + chunk(b"IDAT", _ROWS) + header(60_000, 60_000) + chunk(b"IEND"),
        _PNG + header(40, 40) + header(60_000, 60_000) + chunk(b"IDAT", _ROWS) + chunk(b"IEND"),
        _PNG + header(40, 40, 16, 6) + chunk(b"tRNS", bytes(6)) + chunk(b"IDAT", _ROWS),
        _PNG + header(700, 700, 8, 3) + chunk(b"IDAT", _NO_COLOURS) + chunk(b"IEND"),
        _PNG + header(40, 40) + chunk(b"acTL", b"\xff" * 8) + chunk(b"fcTL", b"\xff" * 26)
        + chunk(b"IDAT", _ROWS) + chunk(b"fdAT", b"\xff" * 50) + chunk(b"IEND"),
        b"RIFF\xff\xff\xff\xffWEBPVP8X\x0a\0\0\0\x10\0\0\0\x27\0\0\x27\0\0VP8L\xff\xff\xff\xff\x2f",
        b"RIFF\x1e\0\0\0WEBPVP8L\x11\0\0\0\x2f" + b"\xff" * 16,
    ],
    "event": [
        b"[" * 60_000,
        b'{"type":' * 6_000,
        b'{"type": "listing.created", "occurred_at": ' + b"9" * 5_000 + b"}",
        b'{"type": ["listing.created"], "event_id": {}}',
        b'{"type": "listing.deleted", "event_id": "\\ud800", "listing_id": "a"}',
        b"\xff\xfe{\0}\0",
    ],
    "message": [
        b'{"v": 1, "ids": [1e400, -0.0, true, null, {}]}',
        b'{"v": ' + b"1" * 4_000 + b', "ids": [1]}',
        b'{"v": 1.0, "ids": [1], "": ""}',
    ],
    "entry": [
        b"",
        b"[" * 60_000,
        b'{"properties":' * 6_000,
        b"[]",
        b'"properties"',
        queued(b""),
        queued(b"{"),
        queued(b"[" * 20_000),
        queued(b"{", headers={"task": "no.such.task", "id": "1"}),
        queued(b"{", headers={"task": "no.such.task"}),
        queued(b"[" * 20_000, headers={"task": "no.such.task"}),
        queued(b"[[], {}, {}]", headers="task"),
        queued(b"[[], {}, {}]", headers={"task": ["tag_photos"], "id": {}}),
        queued(b"[[], {}, {}]", headers={"task": "tag_photos", "id": "1", "eta": "never"}),
        queued(b"[[], {}, {}]", headers={"task": "tag_photos", "id": "1", "expires": []}),
        queued(b"[[], {}, {}]", **{"content-encoding": "no-such-encoding"}),
        queued(b"[[], {}, {}]", **{"content-type": "application/x-python-serialize"}),
        queued(b"[[], {}, {}]", properties={"delivery_tag": [], "body_encoding": "base64"}),
        queued(b"[[], {}, {}]", properties={"delivery_tag": 1, "delivery_info": 7}),
        queued(b"no zlib", headers={"task": "tag_photos", "id": "1", "compression": "zlib"}),
    ],
}  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_stands_what_once_crashed_it_and_what_was_made_to(
    target: str, tmp_path: Path
) -> None:
    # Several times: an entry that keeps its prefetch slot shows when none is left.
    for number, body in enumerate(EVIL[target] * 3):
        (tmp_path / f"evil-{number:02}").write_bytes(body)
    files = [*sorted(tmp_path.iterdir()), *sorted((_CRASHERS / target).glob("*"))]
    # In a process of its own: a native decoder that crashes takes its process along.
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.replay", target, *map(str, files)],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, (done.stdout.splitlines()[-1:], done.stderr[-3000:])
    assert sum(line in map(str, files) for line in done.stdout.splitlines()) == len(files)
