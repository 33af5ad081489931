"""Shards are plain WebDataset tars, whole or not there, and read back without trust."""

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import DatasetError
from worker.dataset.shards import FOLDER, ShardWriter, samples, shard_paths

ONE, TWO = "0" * 16, "1" * 16


def _shard(folder: Path) -> Path:
    path = folder / FOLDER / "000000.tar"
    path.parent.mkdir(exist_ok=True)
    writer = ShardWriter(path)
    writer.add(ONE, "jpg", b"a photo" * 100, b'{"photo": 1}')
    writer.add(TWO, "webp", b"", b'{"photo": 2}')
    writer.finish()
    return path


def _tar(folder: Path, *members: tuple[str, bytes], **changes: object) -> Path:
    path = folder / "hostile.tar"
    with tarfile.open(path, "w") as tar:
        for name, body in members:
            info = tarfile.TarInfo(name)
            info.size = len(body)
            for attribute, value in changes.items():
                setattr(info, attribute, value)
            tar.addfile(info, io.BytesIO(body))
    return path


def test_a_plain_tar_reader_finds_photo_and_row_side_by_side(tmp_path: Path) -> None:
    with tarfile.open(_shard(tmp_path)) as tar:
        assert tar.getnames() == [f"{ONE}.jpg", f"{ONE}.json", f"{TWO}.webp", f"{TWO}.json"]
        first = tar.extractfile(f"{ONE}.jpg")
        assert first is not None
        assert first.read() == b"a photo" * 100


def test_photos_are_read_from_where_they_lie(tmp_path: Path) -> None:
    read = list(samples(_shard(tmp_path)))
    assert [(member.name, member.read(), row) for member, row in read] == [
        (f"{ONE}.jpg", b"a photo" * 100, b'{"photo": 1}'),
        (f"{TWO}.webp", b"", b'{"photo": 2}'),
    ]


def test_equal_photos_make_equal_shards(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    assert _shard(tmp_path).read_bytes() == _shard(tmp_path / "again").read_bytes()


def test_an_abandoned_shard_leaves_nothing(tmp_path: Path) -> None:
    path = _shard(tmp_path)
    path.unlink()
    writer = ShardWriter(path)
    writer.add(ONE, "jpg", b"a photo", b"{}")
    assert shard_paths(tmp_path) == []
    writer.abandon()
    assert list(path.parent.iterdir()) == []


def test_a_shard_without_photos_is_an_empty_tar(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path / "000000.tar")
    writer.finish()
    writer.abandon()
    assert list(samples(tmp_path / "000000.tar")) == []


@pytest.mark.parametrize(
    ("members", "changes"),
    [
        ([("../../etc/cron.d/x.jpg", b"x")], {}),
        ([("/etc/passwd", b"x")], {}),
        ([("photo.jpg", b"x")], {}),
        ([(f"{ONE}.exe", b"x")], {}),
        ([(f"{ONE}.jpg", b"")], {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}),
        ([(f"{ONE}.jpg", b"")], {"type": tarfile.LNKTYPE, "linkname": f"{TWO}.jpg"}),
        ([(f"{ONE}.jpg", b"")], {"type": tarfile.DIRTYPE}),
        ([(f"{ONE}.jpg", b"x")], {"pax_headers": {"comment": "x" * 10_000}}),
        ([(f"{ONE}.jpg", b"x")], {}),
        ([(f"{ONE}.json", b"{}")], {}),
        ([(f"{ONE}.jpg", b"x"), (f"{TWO}.json", b"{}")], {}),
        ([(f"{ONE}.jpg", b"x"), (f"{TWO}.jpg", b"x"), (f"{TWO}.json", b"{}")], {}),
        ([(f"{ONE}.jpg", b"x"), (f"{ONE}.json", b" " * ((1 << 20) + 1))], {}),
    ],
)
def test_what_is_not_a_shard_of_ours_is_refused(
    tmp_path: Path, members: list[tuple[str, bytes]], changes: dict[str, object]
) -> None:
    with pytest.raises(DatasetError, match=r"hostile\.tar"):
        list(samples(_tar(tmp_path, *members, **changes)))


@pytest.mark.parametrize(
    "size", [b"77777777777\0", b"-0000000001\0", b"\xff" * 12, b"\x80" + b"\x7f" * 11]
)
def test_a_size_that_reaches_past_the_end_is_refused(tmp_path: Path, size: bytes) -> None:
    path = _shard(tmp_path)
    content = bytearray(path.read_bytes())
    content[124:136] = size
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"000000\.tar"):
        list(samples(path))


def test_a_missing_shard_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="No such file"):
        list(samples(tmp_path / "000000.tar"))


def test_a_photo_in_a_shard_that_became_shorter_is_an_error(tmp_path: Path) -> None:
    path = _shard(tmp_path)
    member = next(samples(path))[0]
    os.truncate(path, 700)
    with pytest.raises(OSError, match="ends early"):
        member.read()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(position=st.integers(0, 4000), value=st.integers(0, 255), length=st.integers(0, 10_240))
def test_damage_is_refused_or_harmless_but_never_a_crash(
    tmp_path: Path, position: int, value: int, length: int
) -> None:
    path = _shard(tmp_path)
    content = bytearray(path.read_bytes())
    content[position] = value
    path.write_bytes(content[:length])
    try:
        for member, _ in samples(path):
            member.read()
    except DatasetError:
        pass
