"""The worker's tasks: a few lines each, from a message to the code that does the work."""

from collections.abc import Callable

import structlog
from celery import Celery

from shared.domain.message import TAG_PHOTOS, parse_ids
from shared.errors import MessageError

log = structlog.get_logger()


def add_task(app: Celery, name: str, work: Callable[[list[int]], None]) -> None:
    """Gives the application a task that hands its message's row ids to `work`."""

    def task(*rest: object, v: object = None, ids: object = None, **extra: object) -> None:
        try:
            checked = parse_ids(v, ids, rest, extra)
        except MessageError as error:
            log.error("message.rejected", task=name, reason=str(error))  # noqa: TRY400
            return
        work(checked)

    app.task(task, name=name, typing=False)  # pyright: ignore[reportUnknownMemberType]


def add_tagging(app: Celery, tag: Callable[[list[int]], None]) -> None:
    """`tag_photos(ids)`: tags the photos of these rows."""
    add_task(app, TAG_PHOTOS, tag)
