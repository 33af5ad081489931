"""Whoever writes to the queue makes workers do nothing but look at rows that are due anyway."""

# pyright: reportUnknownMemberType=false

import base64
import bz2
import json
import pickle
import uuid
import zlib
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from dev.fleet import Fleet
from dev.listings import PhotoFile
from dev.origin import Origin
from shared.domain.photo import Lane
from shared.queue import make_app
from shared.settings import Settings
from tests.faults.aftermath import Aftermath
from tests.settled import publish
from tests.waiting import wait_until

_NOBODY = 10**12
_IDS: dict[str, Any] = {"v": 1, "ids": [_NOBODY]}
_SIGNATURE: dict[str, Any] = {
    "task": "tag_photos",
    "args": [],
    "kwargs": _IDS,
    "options": {"queue": "loot"},
    "subtask_type": None,
    "immutable": True,
}


class _Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self._file,))


def _body(kwargs: object, args: object = (), **embed: object) -> str:
    return base64.b64encode(json.dumps([args, kwargs, embed]).encode()).decode()


def _entry(kwargs: object = None, **changes: Any) -> bytes:
    """A message as the relay sends it; what is given otherwise says what is forged."""
    id_ = str(uuid.uuid4())
    properties = {
        "correlation_id": id_,
        "reply_to": str(uuid.uuid4()),
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": "tagging"},
        "priority": 0,
        "body_encoding": "base64",
        "delivery_tag": str(uuid.uuid4()),
    }
    headers = {"lang": "py", "task": "tag_photos", "id": id_, "root_id": id_, "retries": 0}
    return json.dumps(
        {
            "body": changes.get("body", _body(_IDS if kwargs is None else kwargs)),
            "content-encoding": changes.get("encoding", "utf-8"),
            "content-type": changes.get("type", "application/json"),
            "headers": headers | changes.get("headers", {}),
            "properties": properties | changes.get("properties", {}),
        }
    ).encode()


def _refused(tmp_path: Path) -> dict[str, bytes]:
    """Entries that are no message of ours."""
    pickled = pickle.dumps(_Bomb(tmp_path / "pwned"))
    packed = base64.b64encode(pickled).decode()
    plain = json.dumps([[], _IDS, {}]).encode()
    as_pickle = {"type": "application/x-python-serialize", "encoding": "binary"}
    return {
        "no JSON": b"garbage",
        "no UTF-8": b"\xff\xfe\x00",
        "empty": b"",
        "a bare pickle": pickled,
        "a text": b'"x"',
        "a list": b"[]",
        "null": b"null",
        "an empty object": b"{}",
        "a pickled body": _entry(body=packed, **as_pickle),
        "a pickled body called JSON": _entry(body=packed),
        "a pickled body under a task's old protocol": _entry(
            body=packed, **as_pickle, headers={"task": None}
        ),
        "YAML": _entry(
            body=base64.b64encode(b"!!python/object/apply:os.getpid []").decode(),
            type="application/x-yaml",
        ),
        "a body that is no base64": _entry(body="!"),
        "a body that is no text": _entry(body=7),
        "no body": _entry(body=None),
        "a body of the wrong shape": _entry(body=base64.b64encode(b"{}").decode()),
        "a wrong version": _entry({"v": 2, "ids": [1]}),
        "a version that is true": _entry({"v": True, "ids": [1]}),
        "no version": _entry({"ids": [1]}),
        "nothing": _entry({}),
        "ids as a text": _entry({"v": 1, "ids": "1"}),
        "no ids": _entry({"v": 1, "ids": []}),
        "a negative id": _entry({"v": 1, "ids": [-1]}),
        "a huge id": _entry({"v": 1, "ids": [10**30]}),
        "an id with a fraction": _entry({"v": 1, "ids": [1.0]}),
        "an id that is true": _entry({"v": 1, "ids": [True]}),
        "an id in an id": _entry({"v": 1, "ids": [[1]]}),
        "10,000 ids": _entry({"v": 1, "ids": list(range(1, 10_001))}),
        "an id of 10,000 digits": _entry(
            body=base64.b64encode(b'[[], {"v": 1, "ids": [' + b"9" * 10_000 + b"]}, {}]").decode()
        ),
        "arguments besides": _entry(body=_body(_IDS, ["/etc/passwd"])),
        "named arguments besides": _entry({**_IDS, "url": "file:///etc/passwd"}),
        "arguments that are no list": _entry(body=_body(_IDS, 7)),
        "named arguments that are a list": _entry(body=_body([1])),
        "an unknown task": _entry(headers={"task": "os.system"}),
        "the training worker's task": _entry(headers={"task": "train"}),
        "a task that is a list": _entry(headers={"task": ["tag_photos"]}),
        "Celery's own map": _entry(
            headers={"task": "celery.map"},
            body=_body({"task": _SIGNATURE, "it": [[1]]}),
        ),
        "Celery's own chord": _entry(
            headers={"task": "celery.chord_unlock"},
            body=_body({"group_id": "g", "callback": _SIGNATURE, "result": []}),
        ),
        "Celery's own group": _entry(
            headers={"task": "celery.group"},
            body=_body({"tasks": [_SIGNATURE], "result": [], "group_id": "g"}),
        ),
        "headers that are a list": _entry()[:-1] + b', "headers": []}',
        "callbacks": _entry(body=_body(_IDS, callbacks=[_SIGNATURE])),
        "a chord and a chain": _entry(body=_body(_IDS, chord=_SIGNATURE, chain=[_SIGNATURE])),
        "error callbacks": _entry(body=_body({"v": 9}, errbacks=[_SIGNATURE])),
        "a body squeezed by zlib": _entry(
            body=base64.b64encode(zlib.compress(plain)).decode(),
            headers={"compression": "application/x-gzip"},
        ),
        "a bomb of 500 MB squeezed by bzip2": _entry(
            body=base64.b64encode(bz2.compress(bytes(1 << 20)) * 500).decode(),
            headers={"compression": "application/x-bz2"},
        ),
        "a codec that unpacks": _entry(
            body=base64.b64encode(zlib.compress(bytes(1 << 24))).decode(),
            type="application/data",
            encoding="zlib",
        ),
        "10 MB": _entry(headers={"argsrepr": "x" * (10 << 20)}),
        "10 MB of blanks": b" " * (10 << 20),
        "JSON nested deeply": b"[" * 100_000 + b"]" * 100_000,
        "a body nested deeply": _entry(
            body=base64.b64encode(b"[" * 20_000 + b"]" * 20_000).decode()
        ),
    }


def _taken() -> dict[str, bytes]:
    """Messages that ask Celery for more: no more than the ids counts, and those nobody has."""
    year = "2100-01-01T00:00:00+00:00"
    return {
        "an unknown id": _entry(),
        "the last id there can be": _entry({"v": 1, "ids": [2**63 - 1]}),
        "the same id 256 times": _entry({"v": 1, "ids": [_NOBODY] * 256}),
        "to be done in 2100": _entry(headers={"eta": year}),
        "expired": _entry(headers={"expires": "2000-01-01T00:00:00+00:00"}),
        "times that are none": _entry(headers={"eta": "soon", "expires": {}}),
        "odd retries and limits": _entry(headers={"retries": "x", "timelimit": [0.001, "y"]}),
        "groups and stamps": _entry(
            headers={
                "group": "g",
                "group_index": [],
                "chord": "c",
                "stamps": {"a": ["b"]},
                "stamped_headers": ["a"],
                "replaced_task_nesting": "x",
                "ignore_result": False,
            }
        ),
        "a name to show": _entry(headers={"shadow": "\x1b[2J", "argsrepr": "x" * 10_000}),
        "somebody to answer": _entry(properties={"reply_to": "loot", "correlation_id": []}),
        "another queue to go back to": _entry(
            properties={"delivery_info": {"exchange": "x", "routing_key": "loot"}}
        ),
        "a tag that is a list": _entry(properties={"delivery_tag": []}),
        "a tag used before": _entry(properties={"delivery_tag": "same"}),
        "a tag used before, again": _entry(properties={"delivery_tag": "same"}),
        "a priority that is a text": _entry(properties={"priority": "high"}),
        "properties that are none": _entry()[:-1] + b', "properties": 7}',
        "an id that is an object": _entry(headers={"id": {}, "root_id": []}),
    }


def _logged(fleet: Fleet) -> list[str]:
    whole_lines, _, _ = fleet.log("worker").rpartition("\n")
    return [
        line
        for line in whole_lines.splitlines()
        if json.loads(line)["level"] not in ("debug", "info")
    ]


@pytest.mark.row("I18")
def test_entries_that_are_no_messages_are_dropped_and_logged_once(
    settings: Settings,
    fleet: Fleet,
    aftermath: Aftermath,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
) -> None:
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", "--processes", "1")
    wait_until(lambda: fleet.log("worker").count("worker.ready") == len(Lane))
    with Redis.from_url(settings.redis_url.get_secret_value()) as valkey:
        total = publish(fleet, photos, origin, tmp_path, copies=3)
        for name, entry in _refused(tmp_path).items():
            before = len(_logged(fleet))
            valkey.lpush("tagging", entry)
            wait_until(
                lambda before=before: len(_logged(fleet)) > before,
                otherwise=lambda name=name: name,
            )
            [line] = _logged(fleet)[before:]
            assert json.loads(line)["event"] == "message.rejected", (name, line)
            assert len(line) < 1000, name
        aftermath.check(total)
        wait_until(lambda: valkey.llen("tagging") == 0)
        assert not valkey.exists("loot")
    assert fleet.stop() == {"relay": 0, "worker": 0}
    assert len(_logged(fleet)) == len(_refused(tmp_path)), "once each"
    assert "Traceback" not in fleet.log("worker")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.row("I18")
def test_a_message_that_asks_for_more_gets_no_more_than_a_look_at_its_rows(
    settings: Settings,
    fleet: Fleet,
    aftermath: Aftermath,
    photos: list[PhotoFile],
    origin: Origin,
    tmp_path: Path,
) -> None:
    fleet.start("relay", "relay")
    fleet.start("worker", "worker", "--processes", "1")
    with Redis.from_url(settings.redis_url.get_secret_value()) as valkey:
        for name, entry in _taken().items():
            valkey.lpush("tagging", entry)
            wait_until(lambda: valkey.llen("tagging") == 0, otherwise=lambda name=name: name)
        total = publish(fleet, photos, origin, tmp_path, copies=3)
        aftermath.check(total)
        assert not valkey.exists("loot")
    assert fleet.stop() == {"relay": 0, "worker": 0}
    assert _logged(fleet) == []
    assert "loot" not in fleet.log("worker")


def test_what_the_relay_sends_is_what_these_tests_forge(settings: Settings) -> None:
    make_app(settings).send_task("tag_photos", kwargs=_IDS, queue="tagging")
    with Redis.from_url(settings.redis_url.get_secret_value()) as valkey:
        sent = json.loads(valkey.rpop("tagging"))  # pyright: ignore[reportArgumentType]
    forged = json.loads(_entry())
    assert sent.keys() == forged.keys()
    assert sent["properties"].keys() == forged["properties"].keys()
    assert json.loads(base64.b64decode(sent["body"]))[:2] == [[], _IDS]
