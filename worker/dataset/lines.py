"""The lines of a catalogue's file, plain or gzip, in blocks of bounded size."""

import codecs
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from shared.errors import DatasetError

#: Published metadata has lines of some 100 KB (descriptions); nothing longer is kept in memory.
MAX_LINE_BYTES = 4 << 20
BLOCK_BYTES = 4 << 20
_READ_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(slots=True)
class Block:
    """Some lines of a file, and what was wrong with those that are not among them."""

    numbers: list[int] = field(default_factory=list[int])  #: of `texts`, from 1
    texts: list[str] = field(default_factory=list[str])
    blank: int = 0
    rejected: list[tuple[int, str, str]] = field(default_factory=list[tuple[int, str, str]])
    """Line number, kind (`line_too_long`, `not_utf8`, `broken_line`) and how it begins."""
    fault: str = ""  #: `cut_short` or `damaged_compression`: the file ends here against its will

    def reject(self, number: int, kind: str, raw: bytes) -> None:
        """Counts a line that is not handed on."""
        self.rejected.append((number, kind, raw[:120].decode(errors="backslashreplace")))


def read_blocks(
    path: Path,
    *,
    block_bytes: int = BLOCK_BYTES,
    max_line_bytes: int = MAX_LINE_BYTES,
    advance: Callable[[int], None] = lambda _: None,
) -> Iterator[Block]:
    """The file's lines without their ends; gzip is told by its first bytes, not by its name.

    Args:
        path: UTF-8 text.
        block_bytes: about how much text a block has.
        max_line_bytes: a longer line is counted, not kept.
        advance: told how many bytes of the file were read since it was last told.

    Raises:
        DatasetError: the file cannot be opened or read, or is UTF-16.
    """
    try:
        with path.open("rb") as stream:
            if stream.read(2) in _UTF16:
                # What spreadsheets call Unicode text; each of its lines would be counted as dirt.
                raise DatasetError(f"{path} is UTF-16; save it as UTF-8")
            yield from _Splitter(block_bytes, max_line_bytes).blocks(_content(stream, advance))
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from None


def _content(stream: BinaryIO, advance: Callable[[int], None]) -> Iterator[bytes | str]:
    """The bytes of the file, uncompressed; a text instead of bytes is a fault, and the last."""
    stream.seek(0)
    head = stream.read(len(_GZIP_MAGIC))
    stream.seek(0)
    if head != _GZIP_MAGIC:
        while data := stream.read(_READ_BYTES):
            advance(len(data))
            yield data
        return
    member = zlib.decompressobj(wbits=31)
    while data := stream.read(_READ_BYTES):
        advance(len(data))
        while data:
            if member.eof:
                # gzip files may have several members, and zeros behind the last.
                data = data.lstrip(b"\0")
                if not data:
                    break
                member = zlib.decompressobj(wbits=31)
            try:
                yield member.decompress(data, _READ_BYTES)
            except zlib.error:
                yield "damaged_compression"
                return
            data = member.unused_data if member.eof else member.unconsumed_tail
    # What a full output buffer left inside is still to come.
    while not member.eof and (rest := member.decompress(b"", _READ_BYTES)):
        yield rest
    if not member.eof:
        yield "cut_short"


class _Splitter:
    """Takes bytes apart into lines; holds at most a block and a line."""

    def __init__(self, block_bytes: int, max_line_bytes: int) -> None:
        self._block_bytes = block_bytes
        self._max_line_bytes = max_line_bytes
        self._number = 0
        self._overlong = b""  #: how the line begins whose rest is skipped

    def blocks(self, content: Iterator[bytes | str]) -> Iterator[Block]:
        pieces: list[bytes] = []
        size, fault = 0, ""
        for data in content:
            if isinstance(data, str):
                fault = data
                break
            pieces.append(data)
            size += len(data)
            if size >= self._block_bytes:
                whole, end, rest = b"".join(pieces).rpartition(b"\n")
                block = Block()
                if end:
                    self._split(whole, block)
                if len(rest) > self._max_line_bytes:
                    self._overlong = self._overlong or rest[:120]
                    rest = b""
                pieces, size = [rest], len(rest)
                yield block
        block = Block(fault=fault)
        last = b"".join(pieces)
        if last or self._overlong:
            self._split(last.removesuffix(b"\n"), block)
        yield block

    def _split(self, whole: bytes, block: Block) -> None:
        if self._number == 0:
            whole = whole.removeprefix(codecs.BOM_UTF8)
        lines: list[str] | list[bytes]
        try:
            lines = whole.decode().split("\n")
        except UnicodeDecodeError:
            lines = whole.split(b"\n")
        for line in lines:
            self._number += 1
            if self._overlong:
                block.reject(self._number, "line_too_long", self._overlong)
                self._overlong = b""
            elif not line or line.isspace():
                block.blank += 1
            elif len(line) > self._max_line_bytes:
                raw = line if isinstance(line, bytes) else line[:120].encode()
                block.reject(self._number, "line_too_long", raw)
            else:
                self._keep(line, block)

    def _keep(self, line: str | bytes, block: Block) -> None:
        if isinstance(line, bytes):
            try:
                line = line.decode()
            except UnicodeDecodeError:
                block.reject(self._number, "not_utf8", line)
                return
        block.numbers.append(self._number)
        block.texts.append(line)
