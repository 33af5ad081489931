"""Rows of CSV are read whole or not at all."""

import csv
import io
import json
import tracemalloc
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer.catalogue import csv_lines
from shared.errors import SetupError
from tests.catalogues import AS_OF, fields_of, from_csv


def test_rows_that_are_none_are_rejected_alone_and_kept_as_they_stand() -> None:
    good, torn, wide, last = from_csv(
        b'listing_id,photos\nL1,\nL2,"a"b\nL3,a,b\nL4,\xff\n',
    )
    assert good.error is None
    assert [line.error and line.error.kind for line in (torn, wide)] == ["bad_csv", "bad_csv"]
    assert [line.raw for line in (torn, wide)] == [b'L2,"a"b', b"L3,a,b"]
    assert [line.source for line in (torn, wide)] == ["shop.csv:3", "shop.csv:4"]
    assert json.loads(last.raw)["photos"] == ["\udcff"], "which no event's text may hold"


_EVIL = "\nVICTIM,http://evil.test/1.jpg\n"


@pytest.mark.parametrize(
    "cell",
    [
        f'"{"a" * 1000}{_EVIL}"',
        f'"{"a" * 2002}""{_EVIL}"',
        f'"{"a" * 999}""{_EVIL}"',
        f'"{"a" * 1000}{_EVIL * 100}"',
        f'"{_EVIL * 100}"',
    ],
)
def test_what_a_cell_holds_is_never_read_as_rows_however_long_it_is(cell: str) -> None:
    long, after = from_csv(f"listing_id,photos\r\nL1,{cell}\r\nL2,\r\n", most=1000)
    assert long.error is not None
    assert "a row of" in long.error.detail
    assert long.length == len(f"L1,{cell}")
    assert len(long.raw) == 1001
    assert long.raw == f"L1,{cell}".encode()[:1001]
    assert (fields_of(after)["listing_id"], after.source) == (
        "L2",
        f"shop.csv:{3 + cell.count(chr(10))}",
    )


def test_a_row_without_quotes_that_is_too_long_is_skipped_to_its_end() -> None:
    long, after = from_csv(f"listing_id,photos\nL1,{'x' * 3000},VICTIM,\nL2,\n", most=1000)
    assert long.error is not None
    assert fields_of(after)["listing_id"] == "L2"


def test_a_row_of_many_cells_costs_no_more_than_a_row_may_have() -> None:
    class Endless(io.RawIOBase):
        lines = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            assert size == 1001
            self.lines += 1
            if self.lines == 1:
                return b"listing_id,photos\n"
            return b'"a\n' if self.lines == 2 else b'","xxxxxxxx\n' * (self.lines < 200_000)

    tracemalloc.start()
    [line] = csv_lines(Endless(), "shop.csv", 1000, AS_OF)  # pyright: ignore[reportArgumentType]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert line.error is not None
    assert "never ends" in line.error.detail
    assert peak < 1 << 20


_cell = st.text(alphabet='ab,"\r\n', max_size=30)


#: Python writes a lone \r without quotes where \n ends lines, and then reads it as an end itself.
_DIALECTS = [("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_MINIMAL)]


@settings(max_examples=300)
@given(st.lists(st.tuples(_cell, _cell), max_size=8), st.sampled_from(_DIALECTS))
def test_whatever_sellers_write_each_row_is_read_whole_or_rejected(
    written: list[tuple[str, str]], dialect: tuple[str, Literal[0, 1]]
) -> None:
    end, quoting = dialect
    most = 40
    held = io.StringIO(newline="")
    out = csv.writer(held, lineterminator=end, quoting=quoting)
    out.writerow(("listing_id", "photos", "title"))
    lengths: list[int] = []
    for number, (photo, title) in enumerate(written):
        before = held.tell()
        out.writerow((f"L{number}", f"p{photo}", title))
        lengths.append(held.tell() - before - len(end))
    lines = from_csv(held.getvalue(), most=most)
    assert [line.length for line in lines if line.error] == [n for n in lengths if n > most]
    for number, (length, line) in enumerate(zip(lengths, lines, strict=True)):
        if length <= most:
            assert fields_of(line)["listing_id"] == f"L{number}"
            assert fields_of(line).get("title", "") == written[number][1]


@settings(max_examples=500)
@given(st.text(alphabet='ab,"\n', max_size=40))
def test_rows_end_where_pythons_own_reader_ends_them(rest: str) -> None:
    try:
        read = [row for row in csv.reader(io.StringIO(rest, newline=""), strict=True) if row]
    except csv.Error:
        return
    lines = [line for line in from_csv(f"listing_id,photos\n{rest}") if line.raw.strip()]
    assert len(lines) == len(read)
    refused = [line.error is not None and line.error.kind == "bad_csv" for line in lines]
    assert refused == [len(row) != 2 for row in read]


def test_a_quote_that_never_ends_costs_no_more_than_a_row_may_have() -> None:
    [line] = from_csv("listing_id,photos\n" + 'L1,"' + "x\n" * 2000 + "L2,\n", most=1000)
    assert line.error is not None
    assert "never ends" in line.error.detail
    assert (len(line.raw), line.length) == (1001, 4008)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("listing_id,title", "photos"),
        ("", "listing_id and photos"),
        ("listing_id,photos,photos", "two columns"),
        ('"listing_id"s,photos', "header is no CSV"),
    ],
)
def test_a_header_that_is_broken_or_lacks_what_is_needed_ends_it_with_one_sentence(
    header: str, words: str
) -> None:
    with pytest.raises(SetupError, match=words):
        from_csv(f"{header}\nL1,\n")
