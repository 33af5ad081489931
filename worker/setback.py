"""What an error means for a photo's row: whether it comes again, when, and at what cost (pure)."""

from typing import Final

from shared.db.photos import Claim, Settled
from shared.domain.photo import Lane, Status
from shared.domain.retry import RetryPolicy
from shared.errors import HostResting, Overdue, PhotoError, TooSlow
from shared.settings import Settings

#: Of the time that its host has been in trouble, a photo stays away for so much more: where it
#: took long, nobody minds that it takes a little longer, and the rows are seldom moved.
_LONGER: Final = 0.1


class Setback:
    """By the settings of one process."""

    def __init__(self, settings: Settings) -> None:
        self._retry = RetryPolicy(
            settings.max_attempts, settings.backoff_base_s, settings.backoff_max_s
        )
        self._patience_s = settings.host_patience_s
        self._stranger_patience_s = settings.stranger_patience_s
        self._max_rest_s = settings.retry_after_max_s

    def settle(self, claim: Claim, error: PhotoError, *, alone: bool = False) -> Settled:
        """The new state of a claimed photo that ended with `error`.

        What nobody has tried costs no attempt, and neither does a host that rests, until the
        photo has waited for it too long.
        """
        delay_s = self._retry.delay_s(error, claim.attempt)
        lane, attempt = claim.lane, claim.attempt
        if isinstance(error, TooSlow) and lane is not Lane.SLOW and delay_s is not None:
            lane, delay_s = Lane.SLOW, 0
        if isinstance(error, Overdue):
            attempt, delay_s = attempt - 1, error.again_s
        code = error.code
        if isinstance(error, HostResting):
            patience_s = self._stranger_patience_s if error.stranger else self._patience_s
            if claim.resting_s < patience_s:
                longer_s = min(_LONGER * claim.resting_s, self._max_rest_s)
                attempt, delay_s = attempt - 1, max(error.retry_after_s or 0, longer_s)
            elif delay_s is None:
                code = error.cause  # who asks why it failed wants to know what the host did
        return Settled(
            id=claim.id,
            token=claim.token,
            status=Status.FAILED if delay_s is None else Status.PENDING,
            lane=lane,
            attempt=attempt,
            due_in_s=delay_s or 0,
            alone=alone,
            error_code=code,
            error_detail=error.detail[:500].replace("\0", ""),
        )
