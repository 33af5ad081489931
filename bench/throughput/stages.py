"""The stages of the limit, bare: what is left of each when nothing is checked.

`python -m bench.throughput.stages JOB` works through them, each at a word of its own.
"""

import io
import json
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import cv2
import numpy as np
import psycopg2
import pycurl
from numpy.typing import NDArray

from bench.throughput.child import perform
from bench.throughput.rows import Batch, batches
from shared.errors import Undecodable
from worker.decode.excerpt import needed
from worker.decode.pixels import configure
from worker.decode.sniff import sniff
from worker.model.artifact import load
from worker.model.tagger import Tagger

_CONNECTIONS: Final = 64
_BATCH: Final = 64
_REDUCTIONS: Final = (
    (8, cv2.IMREAD_REDUCED_COLOR_8),
    (4, cv2.IMREAD_REDUCED_COLOR_4),
    (2, cv2.IMREAD_REDUCED_COLOR_2),
)


def _fetch(job: Mapping[str, Any]) -> Callable[[], int]:
    """Bodies into memory, by libcurl alone, over connections that are kept."""
    multi = pycurl.CurlMulti()
    spare: list[pycurl.Curl] = []
    for _ in range(_CONNECTIONS):
        curl = pycurl.Curl()
        curl.setopt(pycurl.BUFFERSIZE, 128 << 10)
        curl.setopt(pycurl.NOSIGNAL, 1)
        if job["trusted"]:
            curl.setopt(pycurl.CAINFO, job["trusted"])
        spare.append(curl)

    def work() -> int:
        waiting = list(reversed(cast("list[str]", job["urls"])))
        under_way = 0
        while waiting or under_way:
            while waiting and spare:
                curl = spare.pop()
                curl.setopt(pycurl.URL, waiting.pop())
                curl.setopt(pycurl.WRITEDATA, io.BytesIO())
                multi.add_handle(curl)
                under_way += 1
            multi.perform()
            _, ended, failed = multi.info_read()
            if failed:
                raise ConnectionError(failed[0][2])
            for curl in ended:
                multi.remove_handle(curl)
                spare.append(curl)
                under_way -= 1
            if not ended:
                multi.select(1.0)
        return len(job["urls"])

    return work


def _decode(job: Mapping[str, Any]) -> Callable[[], int]:
    """Pixels as the model takes them, at the cheapest scale that leaves twice its input."""
    configure()
    size = load(Path(job["model"])).manifest.input
    photos = [
        _needed(Path(file).read_bytes(), size.width, size.height) for file in job["files"][:_BATCH]
    ]

    def work() -> int:
        for place in range(int(job["counts"]["decode"])):
            body, flags = photos[place % len(photos)]
            picture = cv2.imdecode(body, flags)
            if picture is None:
                raise Undecodable("one of the photos to measure with")
            small = cv2.resize(picture, (size.width, size.height), interpolation=cv2.INTER_AREA)
            cv2.cvtColor(small, cv2.COLOR_BGR2RGB)
        return int(job["counts"]["decode"])

    return work


def _needed(body: bytes, width: int, height: int) -> tuple[NDArray[np.uint8], int]:
    """What the decoder must see of a photo, and the flags for its scale."""
    header = sniff(body)
    for reduction, flags in _REDUCTIONS if header.format == "jpeg" else ():
        if header.width // reduction >= 2 * width and header.height // reduction >= 2 * height:
            return np.frombuffer(needed(body, header, reduction), np.uint8), flags
    return np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR


def _infer(job: Mapping[str, Any]) -> Callable[[], int]:
    """Scores, batch by batch."""
    artifact = load(Path(job["model"]))
    tagger, size = Tagger(artifact), artifact.manifest.input
    rng = np.random.default_rng(0)
    pixels: NDArray[np.uint8] = rng.integers(0, 256, (_BATCH, size.height, size.width, 3), np.uint8)

    def work() -> int:
        calls = -(-int(job["counts"]["infer"]) // _BATCH)
        for _ in range(calls):
            tagger.scores(pixels)
        return calls * _BATCH

    return work


def _store(job: Mapping[str, Any]) -> Callable[[], int]:
    """This core's share of the rows that our run left."""
    connection = psycopg2.connect(job["database"])
    with connection, connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # no foreign keys, no triggers
    folder = Path(job["rows"])
    mine = range(int(job["core"]), batches(folder), int(job["cores"]))
    kept = [Batch(folder, number) for number in mine]

    def work() -> int:
        for batch in kept:
            batch.store(connection)
        return sum(batch.photos for batch in kept)

    return work


#: Each makes ready what its stage needs and returns the stage: it works, and says on how many
#: photos.
STAGES: Final[Mapping[str, Callable[[Mapping[str, Any]], Callable[[], int]]]] = {
    "fetch": _fetch,
    "decode": _decode,
    "infer": _infer,
    "store": _store,
}


def _timed(work: Callable[[], int]) -> dict[str, Any]:
    before = time.process_time()
    photos = work()
    return {"cpu_s": time.process_time() - before, "photos": photos}


def _main(job: Mapping[str, Any]) -> None:
    prepared = [prepare(job) for prepare in STAGES.values()]
    perform(*(partial(_timed, work) for work in prepared))


if __name__ == "__main__":
    file = Path(sys.argv[1])
    told = file.read_text()
    file.unlink()  # it held a password
    _main(json.loads(told))
