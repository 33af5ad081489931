"""What was asked for lately stays."""

from review.lru import Lru


def test_what_was_asked_for_the_longest_ago_is_forgotten() -> None:
    cache: Lru[str, int] = Lru(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert cache.get("b") is None
    assert (cache.get("a"), cache.get("c")) == (1, 3)


def test_a_value_that_is_put_again_is_replaced_and_takes_no_more_room() -> None:
    cache: Lru[str, int] = Lru(2)
    for value in range(3):
        cache.put("a", value)
    cache.put("b", 7)
    assert (cache.get("a"), cache.get("b")) == (2, 7)
