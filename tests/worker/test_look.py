"""Which photos are decoded on the fetching thread, and which are left to their batch."""

import threading
import time
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pytest

from shared.errors import NotAnImage, Overdue
from shared.settings import PhotoLimits
from worker.decode.pixels import PREPROCESSING
from worker.fetch.call import Download
from worker.look import Look, Seen
from worker.served import ServedModel, Serving


def _picture(side: int, kind: str = ".jpg") -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    done, body = cv2.imencode(kind, noise)
    assert done
    return body.tobytes()


def _look(*, until_s: float = 60) -> Look:
    model = SimpleNamespace(input_width=35, input_height=35, preprocessing=PREPROCESSING)
    return Look(
        PhotoLimits(_env_file=None),  # pyright: ignore[reportCallIssue]
        Serving(cast("ServedModel", cast("Any", model))),
        [1],
        decoders=threading.Semaphore(1),
        until=time.monotonic() + until_s,
    )


def _download(body: bytes) -> Download:
    return Download(body, "http://example.com/p", 0.1, 0)


def test_a_small_jpeg_is_quick() -> None:
    seen = _look().quick(_download(_picture(200)))
    assert isinstance(seen, Seen)
    assert seen.pixels.shape == (35, 35, 3)
    assert (seen.width, seen.height) == (200, 200)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(_picture(2000), id="many pixels"),
        pytest.param(_picture(100) + bytes(1 << 20), id="many bytes"),
        pytest.param(_picture(20, ".png"), id="png"),
        pytest.param(_picture(20, ".webp"), id="webp"),
        pytest.param(b"GIF89a", id="no picture of ours"),
    ],
)
def test_what_may_take_longer_is_left_to_its_batch(body: bytes) -> None:
    assert _look().quick(_download(body)) is None


def test_what_is_left_is_decoded_or_refused_there() -> None:
    assert isinstance(_look().take(_download(_picture(2000))), Seen)
    assert isinstance(_look().take(_download(b"<html>")), NotAnImage)


def test_a_batch_whose_time_is_up_begins_no_large_photo() -> None:
    assert isinstance(_look(until_s=-1).take(_download(_picture(20))), Overdue)
