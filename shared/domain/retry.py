"""When a photo that failed for now is tried again, and when no more."""

import random
from dataclasses import dataclass

from shared.errors import PhotoError, RetryAfter


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with equal jitter, bounded in attempts.

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    max_attempts: int
    base_s: float
    max_s: float

    def delay_s(self, error: PhotoError, attempt: int) -> float | None:
        """Seconds until the next try, or None when `error` is final.

        Args:
            error: what went wrong.
            attempt: how many tries there were, this one included (1, 2, ...).
        """
        if not error.retryable or attempt >= self.max_attempts:
            return None
        ceiling = min(self.max_s, self.base_s * 2 ** (attempt - 1))
        delay = random.uniform(ceiling / 2, ceiling)  # noqa: S311  # spreads load, no secret
        if isinstance(error, RetryAfter) and error.retry_after_s is not None:
            # The origin named a time: earlier is rude, and all at that instant is too.
            return error.retry_after_s + delay / 10
        return delay
