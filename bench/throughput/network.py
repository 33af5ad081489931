"""The network that everybody runs: the paper's vanilla CNN, exported as we serve it.

`python -m bench.throughput.network FOLDER PHOTO...` writes an artifact. The weights are random,
which changes nothing about speed; the thresholds are put where a photo gets about two tags, so
that as much is stored as with a trained one.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import numpy as np

from bench.throughput.paper_way import SIDE
from shared.errors import SetupError
from shared.settings import DEFAULT_MODEL, PhotoLimits
from worker.decode.pixels import PREPROCESSING, to_pixels
from worker.model.artifact import Draft, load, write
from worker.model.manifest import InputSize
from worker.model.tagger import Tagger

_TAGS_PER_PHOTO: Final = 2
_SAMPLE: Final = 64
_EXPORT_S: Final = 300.0
_CARD: Final = "# A vanilla CNN with random weights, for measuring speed\n"


def exported(folder: Path, photos: list[Path]) -> Path:
    """The folder of an artifact made with these photos, in a process of its own.

    TensorFlow stays out of the process that measures.

    Raises:
        SetupError: it cannot be made.
    """
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bench.throughput.network", str(folder.resolve())),
            *(str(photo.resolve()) for photo in photos[:_SAMPLE]),
        ],
        cwd=Path(__file__).resolve().parent.parent.parent,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=_EXPORT_S,
        check=False,
    )
    if done.returncode:
        raise SetupError(f"the network cannot be exported: {done.stderr[-1000:]}")
    return folder


def _main(folder: Path, photos: list[Path]) -> None:
    import keras  # noqa: PLC0415  # seconds, and only here

    from worker.network.vanilla import vanilla_cnn  # noqa: PLC0415
    from worker.training.export import to_litert  # noqa: PLC0415

    shipped = load(DEFAULT_MODEL)
    limits = PhotoLimits(_env_file=None)  # pyright: ignore[reportCallIssue]
    pixels = np.stack(
        [
            to_pixels(
                photo.read_bytes(),
                width=SIDE,
                height=SIDE,
                max_photo_pixels=limits.max_photo_pixels,
                min_photo_elements=limits.min_photo_elements,
            )
            for photo in photos
        ]
    )
    tags = len(shipped.vocabulary)
    keras.utils.set_random_seed(0)  # pyright: ignore[reportUnknownMemberType]
    model = to_litert(vanilla_cnn(tags, SIDE, SIDE), "int8_mixed", pixels)
    scores = Tagger.of_model(model, height=SIDE, width=SIDE, tags=tags).scores(pixels)
    share = max(0.0, 1 - _TAGS_PER_PHOTO / tags)
    write(
        folder,
        Draft(
            name="random_vanilla",
            model=model,
            input=InputSize(height=SIDE, width=SIDE),
            preprocessing=PREPROCESSING,
            vocabulary=shipped.vocabulary,
            thresholds=[float(value) for value in np.quantile(scores, share, axis=0)],
            parents=shipped.manifest.parents,
            related_names=shipped.related.names,
            related_matrix=shipped.related.matrix,
            metrics={},
            provenance=shipped.manifest.provenance,
            related=shipped.manifest.related,
        ),
        _CARD,
    )


if __name__ == "__main__":
    _main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
