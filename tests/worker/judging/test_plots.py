"""Plots are PNG files, whatever the tags are called and however many there are."""

import struct
import warnings
from typing import Any

import numpy as np
import pytest

from worker.judging import plots
from worker.judging.mistakes import Mistake

NAMES = ["$x_{", "a" * 200, "充電器", "tab\ttag", r"\frac{", "plain"]


def _size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return int(width), int(height)


def _by_tag(names: list[str]) -> dict[str, dict[str, Any]]:
    return {
        name: {"photos": 3, "precision": None, "recall": 0.5, "average_precision": 0.5}
        for name in names
    }


@pytest.fixture(autouse=True)
def quiet() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_tags_of_any_name_are_drawn() -> None:
    random = np.random.default_rng(0)
    scores, truth = random.random((9, 6)).astype(np.float32), np.ones((9, 6), bool)
    _size(plots.pr_curves(scores, truth, NAMES, _by_tag(NAMES)))
    _size(plots.tags_plot(_by_tag(NAMES)))
    named = tuple((name, 0.5) for name in NAMES)
    mistake = Mistake(row=0, loss=1.0, wrong=named, missed=named, right=())
    _size(plots.contact_sheet([mistake], np.zeros((1, 20, 20, 3), np.uint8)))


def test_a_large_vocabulary_makes_no_endless_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"tag {number}" for number in range(500)]
    assert max(_size(plots.tags_plot(_by_tag(names)))) < 4000
    monkeypatch.setattr(plots, "MAX_CURVES", 4)
    scores = np.random.default_rng(0).random((5, 500)).astype(np.float32)
    many = _size(plots.pr_curves(scores, scores > 0.1, names, _by_tag(names)))
    few = names[:4]
    assert many == _size(plots.pr_curves(scores[:, :4], scores[:, :4] > 0, few, _by_tag(few)))


def test_nothing_to_draw_is_drawn_too() -> None:
    nothing = np.zeros((3, 1), bool)
    empty = {"a": {"photos": 0, "precision": None, "recall": None, "average_precision": None}}
    _size(plots.pr_curves(np.zeros((3, 1), np.float32), nothing, ["a"], empty))
    _size(plots.tags_plot(empty))
    _size(plots.contact_sheet([], np.zeros((0, 20, 20, 3), np.uint8)))
