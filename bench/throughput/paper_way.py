"""The paper's way: ten processes download and shrink, one array of all photos, one `predict`.

`python -m bench.throughput.paper_way TAGS FILE` works on the URLs in FILE. As its section on
data wrangling and the notebooks have it: `urllib` with a connection a photo, a full decode,
`cv2.resize` as it comes, Keras as it comes. No queue and no database: it carries less than what
it is compared with. The network is untrained, which changes nothing about its speed.
"""

import multiprocessing
import sys
import urllib.request
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.throughput.child import Child, perform
from bench.throughput.contest import LIMIT_S, Measured, Stage
from bench.throughput.cpu import measuring

PROCESSES: Final = 10
SIDE: Final = 35
_TIMEOUT_S: Final = 60.0


def paper_way(stage: Stage, count: int) -> Measured:
    """From URLs in a list to scores in an array; processes and network are there before.

    Raises:
        SetupError: it ends early or takes more than 10 min.
    """
    urls = stage.folder / "urls.txt"
    urls.write_text("\n".join(stage.urls(count)))
    command = [
        *(sys.executable, "-m", "bench.throughput.paper_way"),
        *(str(stage.tags), str(urls.resolve())),
    ]
    with Child(
        command,
        log=stage.folder / "log",
        environment={**stage.environment, "TF_CPP_MIN_LOG_LEVEL": "3"},
        limit_s=LIMIT_S,
    ) as child:
        child.until_ready()
        roots = {"worker": child.pid, "origin": stage.origin.pid}
        with measuring(roots, memory_of="worker") as usage:
            child.work()
            scored = int(child.result()["scored"])
    return Measured.of(count, count - scored, usage.seconds, usage)


def fetch_and_shrink(url: str) -> NDArray[np.uint8] | None:
    """A photo as uint8 [35, 35, 3], BGR; None where anything goes wrong, as in the paper."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310  # our origin
            body = np.asarray(bytearray(answer.read()), np.uint8)
        picture = cv2.imdecode(body, cv2.IMREAD_COLOR)
        if picture is None:
            return None
        return cv2.resize(picture, (SIDE, SIDE)).astype(np.uint8, copy=False)
    except Exception:  # noqa: BLE001  # that is the paper's way
        return None


def _main(tags: int, urls: list[str]) -> None:
    # Forked before TensorFlow is there: a process with its threads does not survive forking.
    with multiprocessing.get_context("fork").Pool(PROCESSES) as pool:
        from worker.network.vanilla import vanilla_cnn  # noqa: PLC0415

        network: Any = vanilla_cnn(tags, SIDE, SIDE)
        network.predict(np.zeros((64, SIDE, SIDE, 3), np.uint8), verbose=0)  # built and traced

        def work() -> dict[str, Any]:
            found = pool.map(fetch_and_shrink, urls)
            pixels = np.array([photo for photo in found if photo is not None])
            return {"scored": len(network.predict(pixels, verbose=0))}

        perform(work)


if __name__ == "__main__":
    _main(int(sys.argv[1]), Path(sys.argv[2]).read_text().splitlines())
