"""How often a photo is drawn, so that what carries no tag is learned too."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from worker.dataset.labelled import LabelledPhoto

#: A photo without tags is drawn as often as this many others, as long as ...
UNTAGGED: Final = 3.0
#: ... such photos are at most this share of the draws.
MAX_UNTAGGED_SHARE: Final = 1 / 3


def draw_shares(photos: Sequence[LabelledPhoto]) -> NDArray[np.float64]:
    """The chance of each photo to be the one that is drawn; `[photos]`, adding up to 1.

    Who collects photos for tags collects few without. A network that hardly sees any learns to tag
    whatever it is shown; one that sees little else forgets the tags.
    """
    untagged = np.array([not photo.tags for photo in photos])
    shares = np.full(len(photos), 1 / len(photos))
    before = float(untagged.mean())
    if 0.0 < before < MAX_UNTAGGED_SHARE:
        after = min(UNTAGGED * before / (UNTAGGED * before + 1 - before), MAX_UNTAGGED_SHARE)
        shares[untagged] *= after / before
        shares[~untagged] *= (1 - after) / (1 - before)
    return shares


def with_untagged(truth: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Rows of `[n, tags]`: each once, those without tags again until they are as many as others.

    Where thresholds are chosen, data sets hold too few of them: most of what a marketplace shows is
    nothing that a model knows.
    """
    untagged = np.flatnonzero(~truth.any(axis=1))
    missing = len(truth) - 2 * len(untagged)
    if not len(untagged) or missing <= 0:
        return np.arange(len(truth))
    # Evenly out of all, because a data set's rows come set by set.
    again = np.linspace(0, len(untagged), missing, endpoint=False).astype(np.int64)
    return np.concatenate([np.arange(len(truth)), untagged[again]])
