"""Lines come whole, numbered and bounded, however the bytes of the file are cut into blocks."""

import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import DatasetError
from worker.dataset.lines import Block, read_blocks


def _read(path: Path, block_bytes: int = 64, max_line_bytes: int = 50) -> Block:
    blocks = list(read_blocks(path, block_bytes=block_bytes, max_line_bytes=max_line_bytes))
    whole = Block(fault=blocks[-1].fault)
    for block in blocks:
        whole.numbers += block.numbers
        whole.texts += block.texts
        whole.blank += block.blank
        whole.rejected += block.rejected
    return whole


@given(lines=st.lists(st.sampled_from(["", " ", "a", "é" * 20, "x" * 49, "y" * 51, "z" * 500])))
def test_every_line_is_handed_on_or_counted(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    path = tmp_path_factory.mktemp("lines") / "file"
    path.write_text("".join(f"{line}\n" for line in lines))
    read = _read(path)
    kept = [(n, line) for n, line in enumerate(lines, 1) if line.strip() and len(line) <= 50]
    assert list(zip(read.numbers, read.texts, strict=True)) == kept
    assert read.blank == sum(not line.strip() for line in lines)
    assert [(n, kind) for n, kind, _ in read.rejected] == [
        (n, "line_too_long") for n, line in enumerate(lines, 1) if len(line) > 50
    ]


def test_a_line_of_many_blocks_is_counted_once_and_the_next_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a\n" + b"x" * (5 << 20) + b"\nb")
    read = _read(path, block_bytes=1 << 20, max_line_bytes=1 << 10)
    assert (read.numbers, read.texts) == ([1, 3], ["a", "b"])
    assert read.rejected == [(2, "line_too_long", "x" * 120)]


def test_gzip_is_told_by_its_bytes_and_may_have_several_members(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes(gzip.compress(b"a\nb") + gzip.compress(b"c\n") + b"\0" * 10)
    assert _read(path).texts == ["a", "bc"]


def test_what_expands_without_bound_is_read_in_bounded_blocks(tmp_path: Path) -> None:
    content = io.BytesIO()
    with gzip.open(content, "wb") as stream:
        for _ in range(40):
            stream.write(b"0" * (1 << 20))
    path = tmp_path / "bomb.gz"
    path.write_bytes(content.getvalue())
    read = _read(path, block_bytes=1 << 20, max_line_bytes=1 << 20)
    assert read.texts == []
    assert [kind for _, kind, _ in read.rejected] == ["line_too_long"]


def test_a_byte_order_mark_belongs_to_no_line(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n")
    assert _read(path).texts == ["a", "\ufeffb"]


def test_line_separators_inside_a_text_end_no_line(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("a\u2028b\x0cc\x1dd\r\ne", encoding="utf-8", newline="")
    assert _read(path).texts == ["a\u2028b\x0cc\x1dd\r", "e"]


def test_progress_adds_up_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"line\n" * 1_000_000)
    seen: list[int] = []
    for _ in read_blocks(path, advance=seen.append):
        pass
    assert sum(seen) == path.stat().st_size
    assert len(seen) > 1


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_is_refused_with_what_to_do(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "file"
    path.write_bytes("\ufeffproduct\tcategories\n".encode(encoding))
    with pytest.raises(DatasetError, match="is UTF-16; save it as UTF-8"):
        list(read_blocks(path))
