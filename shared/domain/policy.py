"""The tags that a marketplace restricts, found in what photos show and sellers write (pure)."""

from collections.abc import Collection

from shared.domain.spelling import words


class Policy:
    """Restricted tags by their words."""

    def __init__(self, restricted: Collection[str]) -> None:
        """A name without any letter or digit restricts nothing."""
        self._names = {key: name for name in sorted(restricted) if (key := words(name))}
        self._longest = max(map(len, self._names), default=0)

    @property
    def names(self) -> list[str]:
        """The restricted tags."""
        return [*self._names.values()]

    def of_tag(self, tag: str) -> str | None:
        """The restricted tag that a tag is."""
        return self._names.get(words(tag))

    def within(self, text: str) -> list[str]:
        """The restricted tags whose words stand in a text, one after the other."""
        said = words(text)
        return [
            name
            for start in range(len(said))
            for end in range(start + 1, min(start + self._longest, len(said)) + 1)
            if (name := self._names.get(said[start:end]))
        ]
