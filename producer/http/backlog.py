"""How many photos wait, looked at from time to time, and whether Postgres is there to tell."""

import threading
import time
from typing import Final

import structlog
from sqlalchemy import Engine, text

from producer.http import deliveries
from producer.http.recorder import replay_window_s
from shared.db import photos
from shared.db.session import DATABASE_ERRORS, in_words
from shared.domain.photo import Lane
from shared.settings import Settings

log = structlog.get_logger()

_LOOK_S: Final = 1.0
#: Counting a long backlog takes its time: at most this share of it is spent on that.
_SHARE: Final = 0.02
_PURGE_S: Final = 60.0
#: It came with the newest migration that this process needs.
_SCHEMA: Final = text("SELECT FROM webhook_delivery LIMIT 0")


class Backlog:
    """What the last look saw; requests never wait for one."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        """Looks at once, and then again and again until `close`.

        Args:
            engine: with a connection for it.
            settings: the limit, and how long a look may take.
        """
        self._engine = engine
        self._settings = settings
        self._stop = threading.Event()
        self._waiting = 0
        self._due_at = time.monotonic()
        self._trouble: str | None = "Postgres was not asked yet"
        self._thread = threading.Thread(target=self._watch, daemon=True, name="backlog")
        self._thread.start()

    @property
    def full(self) -> bool:
        """Whether more photos wait than may."""
        return self._waiting > self._settings.max_photos_waiting

    @property
    def trouble(self) -> str | None:
        """Why events cannot be recorded now; None where they can."""
        limit_s = self._settings.answer_deadline_s
        if self._trouble is None and time.monotonic() - self._due_at > limit_s:
            return f"Postgres has said nothing for {limit_s:g} s"
        return self._trouble

    def close(self) -> None:
        """Ends the looking."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        purged_at = float("-inf")
        pause_s = _LOOK_S
        while True:
            began = self._due_at = time.monotonic()
            try:
                self._look()
                pause_s = max(_LOOK_S, (time.monotonic() - began) / _SHARE)
                if began - purged_at > _PURGE_S:
                    purged_at = began
                    with self._engine.begin() as connection:
                        deliveries.purge(connection, replay_window_s(self._settings))
                self._tell(None)
            except Exception as error:  # noqa: BLE001  # without this thread it is never ready again
                self._tell(error)
                pause_s = _LOOK_S
            self._due_at = time.monotonic() + pause_s
            if self._stop.wait(pause_s):
                return

    def _look(self) -> None:
        most = self._settings.max_photos_waiting + 1
        with self._engine.connect() as connection:
            connection.execute(_SCHEMA)
            self._waiting = photos.count_waiting(connection, Lane.TAGGING, most=most)

    def _tell(self, error: Exception | None) -> None:
        foreseen = isinstance(error, DATABASE_ERRORS)
        trouble = in_words(error) if foreseen else error and f"unexpected: {type(error).__name__}"
        if trouble != self._trouble and trouble:
            log.warning("intake.not_ready", reason=trouble, exc_info=None if foreseen else error)
        self._trouble = trouble
