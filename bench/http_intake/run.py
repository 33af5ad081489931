"""One run: events over HTTP on a fresh database, and what became of every one of them."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import psycopg2

from bench.http_intake.kills import Kills
from bench.http_intake.ledger import Ledger, audit
from bench.http_intake.senders import Senders
from bench.percentiles import percentiles_ms
from bench.place import Place
from bench.running import Pipeline, rows
from bench.throughput.cpu import measuring
from bench.webhooks import IntakeProcess, Message, batch, event, one
from dev.fleet import Fleet
from shared.errors import SetupError


class Scene(StrEnum):
    """What runs beside the intake."""

    ALONE = "intake alone"
    ALL = "all at work"  #: relay and workers, which tag the listings' photos
    KILLED = "with kills"  #: the same, and intake and relay are killed


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sent, and how."""

    events: int  #: each of a listing of its own, with one photo
    batch: int  #: events of a request; a single one goes in structured mode
    connections: int
    kills: int  #: of intake, and as many of the relay, where there are any
    seed: int


@dataclass(frozen=True, slots=True)
class Run:
    """What one run found."""

    scene: Scene
    batch: int
    connections: int
    seconds: float  #: from the first request to the last 202
    tagged_s: float | None  #: from the first request to the last photo's tags
    answer_ms: Mapping[str, float]  #: of the requests that got 202, by percentile
    counts: Mapping[str, int]  #: events as the answers said: recorded, unchanged, rejected
    again: Mapping[str, int]  #: tries that had to be repeated, by what ended them
    kills: Mapping[str, int]
    cpu_us: Mapping[str, float]  #: an event; nothing where processes were killed
    ledger: Ledger

    @property
    def events_per_s(self) -> float:
        """Events a second, each acknowledged."""
        return self.ledger.sent / self.seconds

    @property
    def good(self) -> bool:
        """Nothing lost, nothing doubled, and each event told to be recorded once at most."""
        all_there = self.ledger.good and not self.counts.get("rejected")
        tagged = self.scene is Scene.ALONE or not self.ledger.untagged
        told = self.counts.get("recorded", 0) + self.counts.get("unchanged", 0)
        return all_there and tagged and told == self.ledger.sent


def measure(scene: Scene, plan: Plan, place: Place) -> Run:
    """Sends a plan's events to one intake and waits until all is settled.

    Raises:
        SetupError: something does not start, is refused for good or takes too long.
    """
    with ExitStack() as stack:
        urls = stack.enter_context(place.fresh())
        running: Pipeline | None = None
        if scene is Scene.ALONE:
            settings = {"TAGGER_LOG_FORMAT": "json", **place.settings}
            fleet = stack.enter_context(Fleet(urls, place.folder, settings))
        else:
            running = stack.enter_context(place.pipeline(urls))
            fleet = running.fleet
        connection = stack.enter_context(closing(psycopg2.connect(urls.database_url)))
        connection.autocommit = True
        intake = IntakeProcess(fleet)
        intake.start()
        intake.until_ready()
        sent, messages = prepared(plan, place.urls(plan.events))
        senders = Senders(intake, messages, connections=plan.connections, seed=plan.seed)
        kills = Kills(
            fleet,
            intake,
            lambda: senders.acknowledged,
            each=plan.kills,
            events=plan.events,
            seed=plan.seed,
        )
        pids = {"intake": fleet.pid("intake"), **place.servers.pids}
        began_at = time.time()
        with (
            measuring(pids, memory_of="intake") as usage,
            kills if scene is Scene.KILLED else nullcontext(),
        ):
            seconds = senders.run(place.limit_s)
        tagged_s = None
        # What was acknowledged is there from that moment on; what is lost would be waited for.
        if running is not None and not audit(connection, sent).lost:
            running.until_settled(plan.events, place.limit_s)
            [(last,)] = rows(
                connection, "SELECT extract(epoch FROM max(finished_at))::float FROM photo"
            )
            tagged_s = last - began_at
        ledger = audit(connection, sent)
        if scene is Scene.KILLED and sum(kills.done.values()) < 2 * plan.kills:
            raise SetupError(f"only {dict(kills.done)} were killed")
    return Run(
        scene=scene,
        batch=plan.batch,
        connections=plan.connections,
        seconds=seconds,
        tagged_s=tagged_s,
        answer_ms=percentiles_ms(senders.answer_s),
        counts=dict(senders.counts),
        again=dict(senders.again),
        kills=dict(kills.done),
        cpu_us={}
        if scene is Scene.KILLED
        else {name: cpu_s / plan.events * 1e6 for name, cpu_s in usage.cpu_s.items()},
        ledger=ledger,
    )


def prepared(plan: Plan, photos: Sequence[str]) -> tuple[dict[str, str], list[Message]]:
    """The events of a plan: listing -> event's id, and the messages that bring them."""
    at = datetime.now(UTC)
    sent = {f"listing-{number:07}": f"e-{number}" for number in range(plan.events)}
    events = [
        event(
            "created",
            listing,
            id_,
            at,
            {"title": f"Item {listing}", "seller_tags": ["bargain"], "photos": [photo]},
        )
        for (listing, id_), photo in zip(sent.items(), photos, strict=True)
    ]
    if plan.batch == 1:
        return sent, [one(event_) for event_ in events]
    return sent, [
        batch(f"msg_{start}", events[start : start + plan.batch])
        for start in range(0, len(events), plan.batch)
    ]
