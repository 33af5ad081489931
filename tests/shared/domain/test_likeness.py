"""Copies of a photo share a key, whatever bits differ."""

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.likeness import BITS, CUTOFF, keys

_HASHES = st.integers(0, 2**BITS - 1)


@given(_HASHES, st.sets(st.integers(0, BITS - 1), max_size=CUTOFF))
def test_hashes_within_the_cutoff_share_a_key(phash: int, flipped: set[int]) -> None:
    copy = phash
    for bit in flipped:
        copy ^= 1 << bit
    assert {*keys(phash)} & {*keys(copy)}


@given(_HASHES)
def test_keys_are_distinct_and_fit_an_integer_of_postgres(phash: int) -> None:
    its = keys(phash)
    assert len({*its}) == 15
    assert 0 <= min(its) <= max(its) < 2**31


@given(_HASHES)
def test_a_hash_has_the_same_keys_with_and_without_a_sign(phash: int) -> None:
    signed = phash if phash < 1 << 63 else phash - (1 << 64)
    assert keys(signed) == keys(phash)


@given(_HASHES)
def test_opposite_hashes_share_no_key(phash: int) -> None:
    assert not {*keys(phash)} & {*keys(phash ^ (2**BITS - 1))}
