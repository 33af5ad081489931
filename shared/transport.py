"""Kombu's Redis transport, for messages that may be lost: rows are the truth.

Kombu copies each message that a worker holds to Valkey and deletes the copy when it is done,
so that it comes again if the worker dies. Here the row's lease sees to that, sooner. Without
copies, a worker only ever pops: a Valkey that is away, frozen or full cannot make it stumble at
the end of a batch, and no prefetch slot is lost with a write that failed.

Kombu also lets an entry of a queue that is no message end the worker, and puts some of them
back for the next one. What cannot be read is logged and dropped here.
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
    """Keeps no books in Valkey, and drops what it cannot read."""

    #: No copies of messages in work; prefetch slots are counted in this process alone.
    ack_emulation = False
    #: What a closed channel still held is rung for again by the relay, if it needs to be.
    do_restore = False

    def _queue_bind(self, *args: Any, **kwargs: Any) -> None:
        """Writes nothing: messages name their queue, and no exchange is ever looked up."""

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
