"""The worker's tasks: a few lines each, from a message to the code that does the work."""

from collections.abc import Callable

from celery import Celery

from shared.domain.message import TAG_PHOTOS


def add_task(app: Celery, name: str, work: Callable[[list[int]], None]) -> None:
    """Gives the application a task that hands its message's row ids to `work`.

    `shared.transport` has checked them: nothing else comes out of a queue.
    """

    def task(*, ids: list[int], **_: object) -> None:
        work(ids)

    app.task(task, name=name, typing=False)  # pyright: ignore[reportUnknownMemberType]


def add_tagging(app: Celery, tag: Callable[[list[int]], None]) -> None:
    """`tag_photos(ids)`: tags the photos of these rows."""
    add_task(app, TAG_PHOTOS, tag)
