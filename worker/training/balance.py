"""How often a photo is drawn, so that what there is little of is learned too."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from worker.dataset.labelled import LabelledPhoto

#: A photo's chance goes with its set's size to the power of minus this: 0 draws all photos
#: alike, 1 all sets.
LEVELLING: Final = 0.5
#: A photo without tags is drawn as often as this many others, as long as ...
UNTAGGED: Final = 3.0
#: ... photos without tags are at most this share of the draws.
MAX_UNTAGGED_SHARE: Final = 0.5


def draw_shares(photos: Sequence[LabelledPhoto]) -> NDArray[np.float64]:
    """The chance of each photo to be the one that is drawn; `[photos]`, adding up to 1.

    One large set would otherwise decide what its tags look like, and where most sets show nothing
    but tagged things a network learns to tag whatever it is shown.
    """
    sizes = Counter(photo.set_name for photo in photos)
    shares = np.array([sizes[photo.set_name] ** -LEVELLING for photo in photos], np.float64)
    shares /= shares.sum()
    untagged = np.array([not photo.tags for photo in photos])
    before = float(shares[untagged].sum())
    if 0.0 < before < MAX_UNTAGGED_SHARE:
        after = min(UNTAGGED * before / (UNTAGGED * before + 1 - before), MAX_UNTAGGED_SHARE)
        shares[untagged] *= after / before
        shares[~untagged] *= (1 - after) / (1 - before)
    return shares
