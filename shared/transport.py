"""Kombu's Redis transport, where an entry that cannot be read costs itself and nothing more.

Kombu lets an entry of a queue that is no message end the worker, and puts some of them back
for the next one. Rows are the truth here: what cannot be read is logged and dropped.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeArgument=false
# Kombu carries no types.

from collections.abc import Callable
from typing import Any

import structlog
from kombu.transport import redis

log = structlog.get_logger()

#: What bytes that are no JSON, JSON that is no message, and headers without sense raise.
_UNREADABLE = (ValueError, TypeError, KeyError)


class Channel(redis.Channel):
    """Drops what it cannot read."""

    def basic_consume(self, *args: Any, callback: Callable[[Any], Any], **kwargs: Any) -> Any:
        def guarded(message: Any) -> None:
            try:
                callback(message)
            except _UNREADABLE as error:
                # It holds a prefetch slot by now, and would hold it for ever.
                if not message.acknowledged:
                    message.reject()
                log.error("message.unreadable", error=type(error).__name__)  # noqa: TRY400

        return super().basic_consume(*args, callback=guarded, **kwargs)

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)
        except _UNREADABLE as error:
            log.error("message.unreadable", error=type(error).__name__)  # noqa: TRY400
            return True


class Transport(redis.Transport):
    """The transport that `broker_transport` names."""

    Channel = Channel
