"""Filings for tests."""

from worker.judging.filings import Filing


def filed(product: str, *segments: str, tags: tuple[str, ...] = (), rows: int = 1) -> Filing:
    """A product with one category path."""
    return Filing(product, tags, (segments,) if segments else (), rows)
