"""What a soak runs on: servers, an origin, two relays and two groups of workers."""

import random
from dataclasses import dataclass

from dev.fleet import Fleet
from dev.origin import Origin
from dev.services import Services

#: These are killed and stopped; the others live from the beginning to the end.
WORKER, RELAY = "worker", "relay"
STEADY_WORKER, STEADY_RELAY = "steady-worker", "steady-relay"


@dataclass(frozen=True, slots=True)
class World:
    """All that can break, and where the choice of what does comes from."""

    fleet: Fleet
    services: Services
    origin: Origin
    random: random.Random
    processes: int  #: tagging workers of each group

    def start_worker(self, name: str = WORKER) -> None:
        """Starts a group of workers."""
        self.fleet.start(name, "worker", "--processes", str(self.processes))

    def start_relay(self, name: str = RELAY) -> None:
        """Starts a relay."""
        self.fleet.start(name, "relay")
