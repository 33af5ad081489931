"""The two messages of the queue: row ids, and nothing else.

A message cannot carry a URL, a path or a choice, so a forged one can do no more than
ring for a row that is due anyway.
"""

from collections.abc import Sequence
from typing import Any, cast

from shared.domain.photo import TRAINING_QUEUE
from shared.errors import MessageError

VERSION = 1
TAG_PHOTOS = "tag_photos"
TRAIN = "train"
MAX_IDS = 256
#: Several times what `MAX_IDS` of the longest ids take.
MAX_ENTRY_BYTES = 64 << 10
_MAX_ID = 2**63 - 1


def task_of(queue: str) -> str:
    """The one task whose messages a queue holds."""
    return TRAIN if queue == TRAINING_QUEUE else TAG_PHOTOS


def photos_message(ids: Sequence[int]) -> dict[str, Any]:
    """The arguments of a `tag_photos` message."""
    return {"v": VERSION, "ids": list(ids)}


def training_message(run_id: int) -> dict[str, Any]:
    """The arguments of a `train` message."""
    return {"v": VERSION, "ids": [run_id]}


def parse_ids(v: object, ids: object, *more: object) -> list[int]:
    """The row ids of a message, checked.

    Args:
        v: its version.
        ids: its row ids.
        more: whatever else it carries; there must be nothing.

    Raises:
        MessageError: another version, not a list of ids, or too many of them.
    """
    if v != VERSION or isinstance(v, bool):
        raise MessageError(f"version is {str(v)[:20]!r}, this worker speaks {VERSION}")
    if any(more):
        raise MessageError("it carries more than a version and ids")
    items = cast("list[object]", ids) if isinstance(ids, list) else []
    if not 0 < len(items) <= MAX_IDS:
        raise MessageError(f"ids must be a list of 1 to {MAX_IDS} row ids")
    checked = [i for i in items if type(i) is int and 0 < i <= _MAX_ID]
    if len(checked) != len(items):
        raise MessageError("every id must be a positive 64-bit integer")
    return checked
