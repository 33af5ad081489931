"""Celery's consumer, with short pauses between reconnects, and few words about them."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeArgument=false
# Celery carries no types.

from typing import Any

import structlog
from celery.worker import consumer
from celery.worker.state import maybe_shutdown

log = structlog.get_logger()

#: Celery waits up to half a minute between two tries.
_LONGEST_PAUSE_S = 2


class Consumer(consumer.Consumer):
    """Takes messages from Valkey, whenever it is there."""

    _away = False

    def ensure_connected(self, conn: Any) -> Any:
        """Connects, however long it takes; SIGTERM ends it."""

        def note(error: Exception, _pause_s: float) -> None:
            self._note_away(error)

        conn.ensure_connection(
            note,
            interval_start=1,
            interval_step=1,
            interval_max=_LONGEST_PAUSE_S,
            callback=maybe_shutdown,
        )
        self.first_connection_attempt = False
        if self._away:
            log.info("worker.valkey_back")
        self._away = False
        return conn

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        self._note_away(exc)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        self._note_away(exc)
        super().on_connection_error_after_connected(exc)

    def _note_away(self, error: Exception) -> None:
        if not self._away:
            log.warning("worker.valkey_away", reason=str(error) or type(error).__name__)
        self._away = True
