"""Where the photographer stands: a pinhole camera and how it frames an object."""

from dataclasses import dataclass

import numpy as np

from dev.studio.mesh import Floats, Model, floats, mapped


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """A pinhole: rows of `axes` are right, down and ahead; focal length in half heights."""

    place: Floats
    axes: Floats
    focal: float

    def project(self, points: Floats, width: int, height: int) -> tuple[Floats, Floats]:
        """Pixel positions [..., 2] and distances ahead [...]; NaN behind the camera."""
        seen = mapped(points - self.place, self.axes)
        ahead = np.where(seen[..., 2] > 0.05, seen[..., 2], np.nan).astype(np.float32)
        image = seen[..., :2] / ahead[..., None] * floats(self.focal * height / 2)
        return image + floats([width / 2, height / 2]), ahead

    def rays(self, width: int, height: int) -> Floats:
        """The direction each pixel looks in [height * width, 3], one long along `ahead`."""
        scale = self.focal * height / 2
        x = (np.arange(width, dtype=np.float32) + 0.5 - width / 2) / scale
        y = (np.arange(height, dtype=np.float32) + 0.5 - height / 2) / scale
        right, down, ahead = self.axes
        rays = x[None, :, None] * right + y[:, None, None] * down + ahead
        return rays.reshape(-1, 3).astype(np.float32)


def aim(
    model: Model,
    *,
    azimuth: float,
    elevation: float,
    roll: float,
    focal: float,
    aspect: float,
    fill: float,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Camera:
    """A camera that frames the model; angles in degrees, azimuth 0 looks along +y.

    `fill` is the share of the tighter image side that the model takes; `shift` moves it in the
    frame, in half heights.
    """
    turn, rise, tilt = np.radians([azimuth, elevation, roll])
    ahead = floats([np.sin(turn) * np.cos(rise), np.cos(turn) * np.cos(rise), -np.sin(rise)])
    level = floats([np.cos(turn), -np.sin(turn), 0])
    plumb = np.cross(ahead, level)
    right = level * np.cos(tilt) + plumb * np.sin(tilt)
    down = plumb * np.cos(tilt) - level * np.sin(tilt)
    axes = np.stack([right, down, ahead]).astype(np.float32)
    local = mapped(np.concatenate([part.vertices for part in model]), axes)
    eye = (local.min(0) + local.max(0)) / 2
    depth = eye[2]
    eye[2] -= focal * float(np.ptp(local, axis=0).max())
    for _ in range(8):  # the distance and the middle of the image depend on each other
        image = focal * (local[:, :2] - eye[:2]) / (local[:, 2:] - eye[2])
        low, high = image.min(0), image.max(0)
        spread = max(float(high[0] - low[0]) / (2 * aspect), float(high[1] - low[1]) / 2) / fill
        away = float(depth - eye[2])
        eye[:2] += (low + high) / 2 * away / focal
        eye[2] = min(depth - away * spread, float(local[:, 2].min()) - 0.3)
    eye[:2] -= floats(shift) * float(depth - eye[2]) / focal
    return Camera((eye @ axes).astype(np.float32), axes, focal)
