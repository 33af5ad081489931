"""Which triangle does a pixel see: a z-buffer that rasterises triangles in batches."""

import numpy as np
import numpy.typing as npt

from dev.studio.mesh import Floats, Ints

Doubles = npt.NDArray[np.float64]

_BATCH = 1_500_000  # pixels tested at once: enough to hide numpy's overhead, small in memory


def weight_planes(corners: Floats) -> Doubles:
    """Barycentric weights as planes over the image: [m, 3 weights, (x, y, 1)].

    `corners` are [m, 3, 2] in pixels. A degenerate triangle gets NaN and is never inside.
    """
    x, y = corners[..., 0].astype(np.float64), corners[..., 1].astype(np.float64)
    second, third = [1, 2, 0], [2, 0, 1]
    planes = np.stack(
        [
            y[:, second] - y[:, third],
            x[:, third] - x[:, second],
            x[:, second] * y[:, third] - x[:, third] * y[:, second],
        ],
        -1,
    )
    area = planes[..., 2].sum(1)
    area[np.abs(area) < 1e-9] = np.nan
    return planes / area[:, None, None]


def rasterise(
    corners: Floats, nearness: Floats, planes: Doubles, width: int, height: int
) -> tuple[Floats, Ints]:
    """Nearness and triangle seen at each pixel, flat [height * width]; -inf and -1 where none.

    `nearness` [m, 3] must be linear over the image (1 / distance under perspective) and grow
    towards the viewer.
    """
    seen = np.full(height * width, -np.inf, np.float32)
    triangle = np.full(height * width, -1, np.int64)
    # NaN corners (behind the camera) compare false and drop out with the degenerate ones.
    low = np.nan_to_num(np.floor(corners.min(1) - 0.5), nan=0)
    high = np.nan_to_num(np.ceil(corners.max(1) - 0.5) + 1, nan=0)
    low = np.clip(low, 0, [width, height]).astype(np.int64)
    high = np.clip(high, 0, [width, height]).astype(np.int64)
    size = high - low
    usable = (size > 0).all(1) & np.isfinite(planes[:, 0, 2])
    ids = np.flatnonzero(usable)
    slots = 1 << np.ceil(np.log2(np.maximum(size[ids], 1))).astype(np.int64)
    depth = np.einsum("mij,mi->mj", planes, np.where(np.isfinite(nearness), nearness, 0))
    for wide, tall in np.unique(slots, axis=0):
        alike = ids[(slots == [wide, tall]).all(1)]
        step = max(1, _BATCH // int(wide * tall))
        for start in range(0, len(alike), step):
            batch = alike[start : start + step]
            x: Ints = low[batch, 0, None] + np.arange(int(wide))
            y: Ints = low[batch, 1, None] + np.arange(int(tall))
            inside = (x < high[batch, 0, None])[:, None, :] & (y < high[batch, 1, None])[:, :, None]
            for corner in range(3):
                inside &= _over(planes[batch, corner], x, y) >= 0
            member, row, column = np.nonzero(inside)
            if not len(member):
                continue
            near = _over(depth[batch], x, y)[member, row, column].astype(np.float32)
            pixel = y[member, row] * width + x[member, column]
            np.maximum.at(seen, pixel, near)
            best = near >= seen[pixel]
            triangle[pixel[best]] = batch[member[best]]
    return seen, triangle


def _over(plane: Doubles, x: Ints, y: Ints) -> Doubles:
    """Planes [n, 3] at the pixel centres x [n, w], y [n, h]: [n, h, w]."""
    across = plane[:, 0, None] * (x + 0.5)
    down = plane[:, 1, None] * (y + 0.5) + plane[:, 2, None]
    return across[:, None, :] + down[:, :, None]
