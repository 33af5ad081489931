"""A judge of keyword spam whose weights were chosen by hand."""

import numpy as np

from shared.domain.spam import SpamJudge

#: Knows three names; the network has a tag for cameras and one for cables. Cameras and bags go
#: together, cables with neither.
JUDGE = SpamJudge(
    names=("camera", "cable", "bag"),
    pairs=np.zeros((0, 2), np.intp),
    weights=np.array([[4, 0], [0, 4], [1, 0]], np.float32),
    biases=np.array([0, 0, -1], np.float32),
    shares=np.array([0.3, 0.3, 0.1], np.float32),
    apart=np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.bool_),
    implied=np.array([[1, 0], [0, 1], [0, 0]], np.bool_),
    evidence=0.5,
    calibration=(-2.0, -1.2, 1.0),
    cutoff=0.8,
)
