"""Kombu's Redis transport, for messages that may be lost and are not believed: rows are the truth.

Kombu copies each message that a worker holds to Valkey and deletes the copy when it is done,
so that it comes again if the worker dies. Here the row's lease sees to that, sooner. Without
copies, a worker only ever pops: a Valkey that is away, frozen or full cannot make it stumble at
the end of a batch, and no prefetch slot is lost with a write that failed.

Kombu and Celery also do much of what a message asks for: they unpickle and unpack its body, hold
it until a date, send further messages after it, and run tasks of Celery's own. Whoever writes to
Valkey could ask. Here a message is read before they see it, and written anew with its row ids
alone; what is no message of ours is logged and dropped.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeArgument=false
# Kombu carries no types.

import base64
import json
import uuid
from typing import Any, ClassVar

import structlog
from kombu.transport import redis

from shared.domain.message import MAX_ENTRY_BYTES, parse_ids, photos_message, task_of
from shared.errors import MessageError

log = structlog.get_logger()

#: What reading raises: bytes that are no JSON, JSON that is no message, or is nested too deeply.
_UNREADABLE = (ValueError, TypeError, KeyError, RecursionError)


class Channel(redis.Channel):
    """Keeps no books in Valkey, and reads the entries of its queues before Kombu does."""

    #: No copies of messages in work; prefetch slots are counted in this process alone.
    ack_emulation = False
    #: What a closed channel still held is rung for again by the relay, if it needs to be.
    do_restore = False

    #: What all channels of this process took out of queues, messages or not.
    entries_taken: ClassVar[int] = 0

    def _queue_bind(self, *args: Any, **kwargs: Any) -> None:
        """Writes nothing: messages name their queue, and no exchange is ever looked up."""

    def _create_client(self, *args: Any, **kwargs: Any) -> Any:
        client = super()._create_client(*args, **kwargs)
        # https://redis.readthedocs.io/en/stable/connections.html#redis.Redis.set_response_callback
        client.set_response_callback("BRPOP", self._taken)
        return client

    def _taken(self, reply: Any, **_: Any) -> Any:
        """What BRPOP gave, made harmless; None, as if it had waited in vain, for what is none."""
        if not reply:
            return None
        Channel.entries_taken += 1
        key, entry = reply
        # The key of a queue with priorities has one at its end.
        queue = key.decode().rsplit(self.sep, 1)[0]
        try:
            return key, renewed(entry, queue)
        except MessageError as error:
            log.error("message.rejected", queue=queue, reason=str(error))  # noqa: TRY400
            return None


class Transport(redis.Transport):
    """The transport that `broker_transport` names."""

    Channel = Channel


def renewed(entry: bytes, queue: str) -> bytes:
    """The entry of a queue, with the same ids and nothing else of what it said.

    Raises:
        MessageError: it is no message of this queue.
    """
    if len(entry) > MAX_ENTRY_BYTES:
        raise MessageError(f"{len(entry)} bytes, at most {MAX_ENTRY_BYTES}")
    try:
        message = json.loads(entry)
        name = message["headers"]["task"]
        args, kwargs, embedded = json.loads(base64.b64decode(message["body"], validate=True))
        v, ids = kwargs.pop("v", None), kwargs.pop("ids", None)
        more = (args, kwargs, any(embedded.values()))
    except (*_UNREADABLE, AttributeError) as error:
        raise MessageError(f"it cannot be read: {type(error).__name__}") from None
    if name != task_of(queue):
        raise MessageError(f"its task is not {task_of(queue)}")
    return _written(parse_ids(v, ids, *more), queue)


def _written(ids: list[int], queue: str) -> bytes:
    body = json.dumps([[], photos_message(ids), {}]).encode()
    id_ = str(uuid.uuid4())
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"lang": "py", "task": task_of(queue), "id": id_, "root_id": id_},
            "properties": {
                "correlation_id": id_,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "delivery_tag": str(uuid.uuid4()),
                "body_encoding": "base64",
                "priority": 0,
            },
        }
    ).encode()
