"""Connections that send messages, each again and again until it is taken, as webhook senders do.

The Standard Webhooks specification has senders try again with growing pauses and some chance in
them, under the same id, and heed Retry-After. Theirs grow to hours; these stay below a second.
"""

import http.client
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from bench.webhooks import Client, IntakeProcess, Message
from shared.errors import SetupError

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 0.8
#: Refusals that ask for another try.
_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})


class Senders:
    """Sends each message once at least, and on until its 202.

    Attributes:
        acknowledged: events that were answered with 202 so far.
        counts: of these: `recorded` and `unchanged`, as the answers said; `rejected`.
        again: tries that were not the last of their message, by what ended them.
        answer_s: of each 202, seconds from its request.
    """

    def __init__(
        self, intake: IntakeProcess, messages: Sequence[Message], *, connections: int, seed: int
    ) -> None:
        """Sends nothing yet.

        Args:
            intake: where they go.
            messages: in about this order.
            connections: at once.
            seed: of the pauses between tries.
        """
        self._intake = intake
        self._left = deque(messages)
        self._connections = connections
        self._seed = seed
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.acknowledged = 0
        self.counts: Counter[str] = Counter()
        self.again: Counter[str] = Counter()
        self.answer_s: list[float] = []

    def run(self, limit_s: float) -> float:
        """Sends all of them; returns the seconds from the first request to the last 202.

        Raises:
            SetupError: a message is refused for good, or some are left after `limit_s`.
        """
        began = time.monotonic()
        with ThreadPoolExecutor(self._connections) as pool:
            try:
                works = [
                    pool.submit(self._send, number, began + limit_s)
                    for number in range(self._connections)
                ]
                for work in works:
                    work.result()
            finally:
                self._stop.set()
        return time.monotonic() - began

    def _send(self, number: int, until: float) -> None:
        chance = random.Random(f"{self._seed} {number}")  # noqa: S311  # spreads load, no secret
        client = Client(self._intake)
        try:
            while not self._stop.is_set():
                try:
                    message = self._left.popleft()
                except IndexError:
                    return
                self._deliver(client, message, chance, until)
        finally:
            client.close()

    def _deliver(
        self, client: Client, message: Message, chance: random.Random, until: float
    ) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stop.is_set():
            asked_s = None
            began = time.monotonic()
            try:
                answer = client.post(message)
            except (OSError, http.client.HTTPException):
                why = "no answer"
            else:
                if answer.status == http.client.ACCEPTED:
                    self._note(message, answer.counts, time.monotonic() - began)
                    return
                why, asked_s = f"HTTP {answer.status}", answer.retry_after_s
                if answer.status not in _AGAIN:
                    raise SetupError(f"{message.id}: {why}: {answer.body.decode()[:500]}")
            if time.monotonic() > until:
                raise SetupError(f"{message.id} is not taken: {why}")
            with self._lock:
                self.again[why] += 1
            self._stop.wait(pause_s * chance.uniform(0.5, 1.5) if asked_s is None else asked_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _note(self, message: Message, said: dict[str, int], seconds: float) -> None:
        with self._lock:
            self.acknowledged += message.events
            self.counts["recorded"] += said["recorded"]
            self.counts["unchanged"] += said["unchanged"]
            self.counts["rejected"] += message.events - said["recorded"] - said["unchanged"]
            self.answer_s.append(seconds)
