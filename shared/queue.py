"""The queue: Celery on Valkey, configured so that losing it loses nothing."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# Celery and kombu carry no types; this module is where they meet ours.

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from celery import Celery
from kombu.exceptions import OperationalError
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared.domain.message import TAG_PHOTOS, TRAIN, photos_message, training_message
from shared.domain.photo import TRAINING_QUEUE, Lane
from shared.errors import SetupError
from shared.settings import Settings

#: What sending may raise when the broker is away.
BrokerError = (OperationalError, RedisError, OSError)


#: The path of a Redis URL: which of the server's databases.
_NUMBER = re.compile(r"(/[0-9]*)?")


def make_app(settings: Settings) -> Celery:
    """A Celery application; makes no connection."""
    broker = settings.redis_url.get_secret_value()
    check_url("REDIS_URL", broker)
    app = Celery("listing-tagger", broker=broker, set_as_current=False)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        # The rows are the result; a result backend would only double the work.
        task_ignore_result=True,
        # A message holds its prefetch slot until its batch is done.
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        task_default_queue=Lane.TAGGING,
        task_create_missing_queues=True,
        worker_hijack_root_logger=False,
        # Whoever can write to Valkey could stop workers otherwise; signals do that here.
        worker_enable_remote_control=False,
        broker_transport="shared.transport:Transport",
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=settings.connect_timeout_s,
        broker_transport_options={
            "socket_timeout": settings.redis_socket_timeout_s,
            "socket_connect_timeout": settings.connect_timeout_s,
            "socket_keepalive": True,
            "health_check_interval": 5,
            # In the order they are named: a worker looks at backfill when tagging is empty.
            "queue_order_strategy": "priority",
        },
        # A send that fails is the relay's to repeat, row by row; it must not hang.
        task_publish_retry=False,
    )
    return app


def check_url(variable: str, url: str) -> None:
    """Looks whether a URL is one of a Redis server.

    Raises:
        SetupError: it is not. Names the variable, and not a word of the URL: it holds a password.
    """
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("redis", "rediss") and bool(parts.hostname)
        # What comes after the host may be the rest of a password with a / in it.
        known = known and not parts.fragment and bool(_NUMBER.fullmatch(parts.path))
        port_is_a_number = parts.port is None or parts.port > 0
    except ValueError:
        known = port_is_a_number = False
    if not (known and port_is_a_number):
        raise SetupError(
            f"{variable} must be redis://[:password@]host[:port][/number] or rediss://...; "
            "special characters of a password are written as %XX"
        )


class Doorbell:
    """Sends messages that name rows, and sees how many wait."""

    def __init__(self, app: Celery, settings: Settings) -> None:
        self._app = app
        self._connection = app.connection_for_write()  # connects when it is first used
        self._client = Redis.from_url(
            settings.redis_url.get_secret_value(),
            socket_timeout=settings.redis_socket_timeout_s,
            socket_connect_timeout=settings.connect_timeout_s,
            socket_keepalive=True,
            # The relay repeats its round anyway; waiting here would only hide the trouble.
            retry=Retry(NoBackoff(), 0),
        )

    def ring_photos(self, lane: Lane, ids: Sequence[int]) -> None:
        """Asks a worker of this lane to look at these photos."""
        self._send(TAG_PHOTOS, photos_message(ids), lane)

    def ring_training(self, run_id: int) -> None:
        """Asks the training worker to look at this run."""
        self._send(TRAIN, training_message(run_id), TRAINING_QUEUE)

    def depth(self, queue: str) -> int:
        """How many messages wait in a queue, those in workers' hands not counted."""
        return self._client.llen(queue)

    def hang_up(self) -> None:
        """Closes every connection; the next call opens others."""
        self._client.close()
        self._connection.release()
        self._connection = self._app.connection_for_write()

    def _send(self, task: str, message: dict[str, object], queue: str) -> None:
        self._app.send_task(task, kwargs=message, queue=queue, connection=self._connection)
