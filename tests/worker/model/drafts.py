"""A small valid artifact for tests to write and then spoil."""

from typing import Any

import numpy as np

from worker.model.artifact import Draft
from worker.model.manifest import InputSize, Provenance

TAGS = ("cables", "headphones")


def draft(**changes: Any) -> Draft:
    """A draft with two tags; its model is only bytes, which the artifact does not look into."""
    entries: dict[str, Any] = {
        "name": "vanilla",
        "model": b"a LiteRT model, as far as the artifact is concerned",
        "input": InputSize(height=35, width=35),
        "preprocessing": "rgb-area-v1",
        "vocabulary": TAGS,
        "thresholds": [0.25, 0.5],
        "parents": {"headphones": "cables"},
        "related_names": ["cables", "headphones", "hubs"],
        "related_matrix": np.array([[1, 0.5, 0.1], [0.5, 1, 0], [0.1, 0, 1]], np.float32),
        "metrics": {"test": {"hamming": 0.5}},
        "provenance": Provenance(
            dataset_sha256="0" * 64, photos=10, products=9, recipe={"epochs": 1}
        ),
    }
    return Draft(**(entries | changes))
