"""Disjoint sets: which things belong together, from pairs that do (pure)."""

from typing import Generic, TypeVar

T = TypeVar("T", str, int)


class UnionFind(Generic[T]):
    """Disjoint sets with path halving (Tarjan and van Leeuwen, 1984).

    The smallest member of a set stands for it, so that neither the order of joins nor of rows
    changes a set's name.
    """

    def __init__(self) -> None:
        self._parent: dict[T, T] = {}

    def find(self, item: T) -> T:
        """The smallest member of the set that `item` is in; an unknown item is alone."""
        parent = self._parent
        parent.setdefault(item, item)
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    def join(self, one: T, other: T) -> None:
        """Make the sets of both one."""
        low, high = sorted((self.find(one), self.find(other)))
        self._parent[high] = low
