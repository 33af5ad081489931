"""The states a photo goes through, and the lanes it may wait in."""

from enum import StrEnum


class Status(StrEnum):
    """Where a photo stands. `tagged` and `failed` are final."""

    PENDING = "pending"  #: Waits for its `due_at`; the relay will ring for it.
    QUEUED = "queued"  #: A message names it; the lease says until when that counts.
    WORKING = "working"  #: A worker holds it, by lease and fencing token.
    TAGGED = "tagged"  #: Its scores and tags are stored.
    FAILED = "failed"  #: It will not be tagged; `error_code` says why.


class Lane(StrEnum):
    """The queues photos travel in: separate queues, so that none waits for another."""

    TAGGING = "tagging"  #: New photos.
    SLOW = "slow"  #: Photos whose origin is slow, and photos whose worker died.
    BACKFILL = "backfill"  #: Back catalogues; their processes take what CPU new photos leave.


TRAINING_QUEUE = "training"
