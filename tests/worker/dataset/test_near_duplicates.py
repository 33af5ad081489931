"""Photos whose hashes are near are grouped; nothing else is, and no pair is missed."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import DatasetError
from worker.dataset import near_duplicates
from worker.dataset.near_duplicates import CUTOFF, group, near_pairs


def _flip(value: int, *bits: int) -> int:
    for bit in bits:
        value ^= 1 << bit
    return value


@given(
    st.lists(st.integers(0, 2**64 - 1), max_size=12),
    st.lists(st.sets(st.integers(0, 63), max_size=9), max_size=12),
    st.integers(0, 9),
)
def test_every_near_pair_is_found_and_no_other(
    values: list[int], flips: list[set[int]], cutoff: int
) -> None:
    values += [_flip(value, *bits) for value, bits in zip(values, flips, strict=False)]
    hashes = np.array(sorted(set(values)), np.uint64)
    expected = {
        (one, other)
        for other in range(len(hashes))
        for one in range(other)
        if (int(hashes[one]) ^ int(hashes[other])).bit_count() <= cutoff
    }
    found = {tuple(sorted(pair)) for pair in near_pairs(hashes, cutoff)}
    assert found == expected


def test_a_large_bucket_is_compared_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_duplicates, "_BLOCK_PAIRS", 64)
    hashes = np.arange(100, dtype=np.uint64)  # one bucket of the upper bands
    expected = sum((a ^ b).bit_count() <= 2 for a in range(100) for b in range(a))
    assert len(set(near_pairs(hashes, 2))) == expected


def test_groups_are_chains_named_by_their_first_photo() -> None:
    step = CUTOFF
    one = 0x5A5A_1234_9876_F00D
    two = _flip(one, *range(step))
    three = _flip(two, *range(20, 20 + step))
    photos = ["c", "b", "a", "copy of a", "alone"]
    hashes = [three, two, one, one, _flip(one, *range(30, 60))]
    assert group(photos, hashes) == dict.fromkeys(["a", "b", "c", "copy of a"], "a")


def test_one_bit_more_than_the_cutoff_is_another_photo() -> None:
    assert group(["a", "b"], [0, _flip(0, *range(CUTOFF + 1))]) == {}
    assert group(["a", "b"], [0, _flip(0, *range(CUTOFF))]) == {"a": "a", "b": "a"}


def test_blank_photos_belong_to_nobody() -> None:
    assert group(["a", "b", "c"], [None, None, 7]) == {}
    assert group([], []) == {}


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    near_duplicates.write(tmp_path, {"a": "a", "b": "a"})
    assert near_duplicates.read(tmp_path) == {"a": "a", "b": "a"}


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"groups": {"a": 7}}', b"[]"])
def test_a_missing_or_damaged_file_is_one_clear_error(
    tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / near_duplicates.FILE).write_bytes(content)
    with pytest.raises(DatasetError, match=near_duplicates.FILE):
        near_duplicates.read(tmp_path)
