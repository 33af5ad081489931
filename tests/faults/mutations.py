"""Guards that are taken out one by one, to see that a row of the scorecard turns red."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.rounds import ROOT

#: Longer than any single test here may take.
_LIMIT_S = 400.0


@dataclass(frozen=True, slots=True)
class Mutation:
    """A guard taken out: in `file`, `old` (which stands there once) becomes `new`."""

    row: str
    name: str
    file: str
    old: str
    new: str
    test: str  #: the one that must turn red

    def apply(self, tree: Path) -> None:
        """Takes the guard out in a copy of the project.

        Raises:
            ValueError: the guard is not there, or the code is none without it.
        """
        path = tree / self.file
        source = path.read_text()
        if source.count(self.old) != 1:
            raise ValueError(f"{self.file} holds it {source.count(self.old)} times")
        mutated = source.replace(self.old, self.new)
        if path.suffix == ".py":
            compile(mutated, str(path), "exec")
        path.write_text(mutated)


def check(mutation: Mutation, tree: Path) -> str:
    """What its test says without the guard: red (as it must), or what else."""
    original = (tree / mutation.file).read_text()
    try:
        mutation.apply(tree)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", mutation.test, "-x", "-q"),
                *("-m", "long or not long", "-p", "no:cacheprovider"),
            ],
            cwd=tree,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
    except ValueError as error:
        return f"BROKEN: {error}"
    except subprocess.TimeoutExpired:
        return "red (it never ends)"
    finally:
        (tree / mutation.file).write_text(original)
    words = done.stdout.strip().splitlines()[-1:] or [""]
    if done.returncode == 1:
        return "red"
    return f"STILL GREEN: {words[0]}" if done.returncode == 0 else f"BROKEN: {words[0]}"


def copy_project(folder: Path) -> None:
    """Copies what git knows or would take into a folder."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split(b"\0")):
        source = ROOT / os.fsdecode(name)
        if source.is_file():
            target = folder / os.fsdecode(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def chosen(rows: Sequence[str]) -> list[Mutation]:
    """All mutations, or those of these rows."""
    return [mutation for mutation in MUTATIONS if not rows or mutation.row in rows]


_HTTP = "tests/faults/test_http_intake.py::"

MUTATIONS: list[Mutation] = [
    Mutation(
        "F1",
        "taking back what a lost worker held",
        "shared/db/photos.py",
        "(status = 'queued' OR status = 'working' AND NOT {_HOPELESS})",
        "status = 'queued'",
        "tests/faults/test_worker.py::"
        "test_a_worker_group_that_is_killed_again_and_again_loses_nothing[5-21]",
    ),
    Mutation(
        "F2",
        "ending the leases of a process that was seen to die",
        "worker/app.py",
        "    retrying(lambda: _take_back(engine, holder), for_s=_PATIENCE_S)\n",
        "",
        "tests/faults/test_worker.py::"
        "test_what_a_killed_process_held_is_tried_again_before_its_lease_ends",
    ),
    Mutation(
        "F3",
        "letting suspects travel alone",
        "shared/db/photos.py",
        "OR expired.status = 'working' AND crashes + 2 >= :max_crashes",
        "",
        "tests/faults/test_poison.py::test_only_the_poisoned_photo_fails",
    ),
    Mutation(
        "F4",
        "the limit on memory",
        "worker/memory.py",
        "if resident > self._max_bytes:",
        "if resident < 0:",
        "tests/faults/test_poison.py::test_a_photo_that_eats_memory_fails_alone",
    ),
    Mutation(
        "F5",
        "leaving downloads when asked to stop",
        "worker/fetch/loop.py",
        "if now > self._leave_at():",
        "if now < 0:",
        "tests/faults/test_worker.py::"
        "test_a_worker_that_waits_for_hosts_that_hang_stops_in_time_and_gives_their_photos_back",
    ),
    Mutation(
        "F6",
        "fencing",
        "shared/db/photos.py",
        " AND photo.token = new.token AND photo.status = 'working'",
        "",
        "tests/faults/test_worker.py::test_a_worker_that_comes_back_after_its_lease_writes_nothing",
    ),
    Mutation(
        "F21",
        "taking up a checkpoint",
        "worker/training/fit.py",
        "epoch = state.restore()",
        "epoch = None",
        "tests/faults/test_training.py::"
        "test_a_training_that_was_killed_goes_on_from_its_checkpoint_and_tagging_beside_it",
    ),
    Mutation(
        "F14",
        "hanging up on a silent server",
        "shared/db/deadline.py",
        "if now - since > self._limit_s:",
        "if False:",
        "tests/faults/test_postgres.py::test_while_postgres_is_frozen_nothing_waits_for_ever",
    ),
    Mutation(
        "F15",
        "waiting for a connection at the start",
        "worker/app.py",
        "retrying(lambda: _first(engine, store, settings), for_s=_PATIENCE_S)",
        "_first(engine, store, settings)",
        "tests/faults/test_postgres.py::"
        "test_while_postgres_has_no_connection_to_spare_all_wait_for_one",
    ),
    Mutation(
        "F22",
        "Postgres' own keep-alives",
        "shared/db/session.py",
        'server_side |= {f"tcp_{name}": value for name, value in _KEEPALIVES.items()}',
        "",
        "tests/faults/test_hosts_cut_off.py::"
        "test_a_host_that_is_cut_off_loses_nothing_and_comes_back",
    ),
    Mutation(
        "I22",
        "the signature",
        "producer/http/endpoint.py",
        "            verify(seal, body, self._keys)\n",
        "",
        _HTTP + "test_what_is_unsigned_or_wrongly_signed_is_refused",
    ),
    Mutation(
        "I22",
        "the signature's time",
        "producer/http/endpoint.py",
        "            check_time(seal, now, self._settings.webhook_tolerance_s)\n",
        "",
        _HTTP + "test_an_old_request_that_is_sent_again_is_refused",
    ),
    Mutation(
        "I22",
        "one content under each message id",
        "producer/http/recorder.py",
        "submission.delivery.webhook_id in taken\n",
        "True\n",
        _HTTP + "test_a_message_id_that_is_sent_again_with_other_content_is_refused",
    ),
    Mutation(
        "I22",
        "counting a body's bytes",
        "producer/http/uploads.py",
        "if len(body) + len(chunk) > most:",
        "if False:",
        _HTTP + "test_bodies_of_100_megabytes_are_refused_in_bounded_memory",
    ),
    Mutation(
        "I22",
        "media types",
        "producer/http/cloudevents.py",
        'if b"ce-specversion" not in counts:',
        "if False:",
        _HTTP + "test_other_media_types_and_unknown_events_are_refused",
    ),
    Mutation(
        "I22",
        "requests at once",
        "producer/http/uploads.py",
        "if not self._requests.acquire(blocking=False):",
        "if False:",
        _HTTP + "test_too_many_requests_at_once_are_asked_to_come_back",
    ),
    Mutation(
        "I22",
        "the deadline of headers",
        "producer/http/connection.py",
        "self.settings.header_deadline_s, self.transport.abort",
        "1e6, self.transport.abort",
        _HTTP + "test_clients_that_drip_headers_or_bodies_are_cut_off_and_hold_nobody_up",
    ),
    Mutation(
        "I22",
        "the deadline of bodies",
        "producer/http/uploads.py",
        "async with asyncio.timeout(deadline_s):",
        "async with asyncio.timeout(None):",
        _HTTP + "test_clients_that_drip_headers_or_bodies_are_cut_off_and_hold_nobody_up",
    ),
    Mutation(
        "I22",
        "open connections",
        "producer/http/connection.py",
        "if len(self.connections) > self.settings.max_connections:",
        "if False:",
        _HTTP + "test_more_connections_than_allowed_are_closed_at_once",
    ),
]
