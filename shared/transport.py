"""Kombu's Redis transport, where an entry that cannot be read costs itself and nothing more.

Kombu lets an entry of a queue that is no message end the worker, and puts some of them back
for the next one. Rows are the truth here: what cannot be read is logged and dropped.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeArgument=false
# Kombu carries no types.

from collections.abc import Callable
from queue import Empty
from typing import Any

import structlog
from kombu.transport import redis

log = structlog.get_logger()


class Channel(redis.Channel):
    """Drops what it cannot read."""

    def basic_consume(self, *args: Any, callback: Callable[[Any], Any], **kwargs: Any) -> Any:
        def guarded(message: Any) -> None:
            try:
                callback(message)
            except Exception as error:
                if self._is_brokers(error):
                    raise
                # It holds a prefetch slot by now, and would hold it for ever.
                if not message.acknowledged:
                    message.reject()
                log.error("message.unreadable", error=type(error).__name__)  # noqa: TRY400

        return super().basic_consume(*args, callback=guarded, **kwargs)

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)
        except Exception as error:
            if self._is_brokers(error):
                raise
            log.error("message.unreadable", error=type(error).__name__)  # noqa: TRY400
            return True

    def _is_brokers(self, error: Exception) -> bool:
        """Whether an error is about the connection; an entry's may be of any other kind."""
        known = (*self.connection_errors, *self.connection.channel_errors, Empty)
        # Kombu counts a key that is missing among the connection's errors.
        return isinstance(error, known) and not isinstance(error, KeyError)


class Transport(redis.Transport):
    """The transport that `broker_transport` names."""

    Channel = Channel
