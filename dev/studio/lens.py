"""From linear light to the file a seller uploads: lens, sensor, white balance, encoder."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from dev.studio.mesh import Floats, floats
from dev.studio.textures import Random

_TURNED_BACK = {
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}
_ORIENTATION_TAG = 0x0112


@dataclass(frozen=True, slots=True)
class Lens:
    """How good the camera is and how well it was held."""

    exposure: float = 1.0  #: factor on the light
    warmth: float = 0.0  #: -0.3 bluish .. 0.3 yellowish
    tint: float = 0.0  #: -0.1 greenish .. 0.1 pinkish
    vignette: float = 0.0  #: share of light lost in the corners
    uneven: float = 0.0  #: share of light lost from one side to the other
    blur: float = 0.0  #: radius in pixels of the finished photo
    noise: float = 0.0  #: standard deviation at mid grey, 0..1


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the photo is stored."""

    format: str = "JPEG"  #: JPEG, PNG or WEBP
    quality: int = 85
    progressive: bool = False
    orientation: int = 1  #: EXIF: 1 upright; 3, 6, 8 are stored turned and say so


def develop(light: Floats, lens: Lens, size: tuple[int, int], rng: Random) -> Image.Image:
    """An 8-bit sRGB photo of size (width, height) out of linear light [h, w, 3]."""
    height, width = light.shape[:2]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None, None]
    balance = floats(
        [1 + lens.warmth + lens.tint / 2, 1 - lens.tint, 1 - lens.warmth + lens.tint / 2]
    )
    fall = (1 - lens.vignette * (x * x + y * y) / 2) * (1 + lens.uneven * (x * 0.8 - y * 0.6) / 2)
    exposed = np.maximum(light * (lens.exposure * balance * fall), 0)
    # A shoulder instead of a hard clip: highlights keep their colour a little longer.
    toned = np.where(exposed > 0.8, 0.8 + 0.2 * np.tanh((exposed - 0.8) / 0.2), exposed)
    display = (np.clip(toned, 0, 1) ** floats(1 / 2.2) * 255 + 0.5).astype(np.uint8)
    photo = Image.fromarray(display).resize(
        size, Image.Resampling.BOX if _shrinks((width, height), size) else Image.Resampling.BICUBIC
    )
    if lens.blur:
        photo = photo.filter(ImageFilter.GaussianBlur(lens.blur))
    if lens.noise:
        photo = _grained(photo, lens.noise, rng)
    return photo


def _shrinks(before: tuple[int, int], after: tuple[int, int]) -> bool:
    return before[0] > 1.4 * after[0]


def _grained(photo: Image.Image, amount: float, rng: Random) -> Image.Image:
    """Sensor noise: mostly brightness, a little colour, stronger in the dark."""
    values = np.asarray(photo, np.float32) / floats(255)
    shape = values.shape[:2]
    grey = rng.standard_normal((*shape, 1), np.float32)
    colour = rng.standard_normal((*shape, 3), np.float32)
    strength = amount * (1.2 - 0.7 * values)
    noisy = values + strength * (0.8 * grey + 0.5 * colour)
    return Image.fromarray((np.clip(noisy, 0, 1) * 255 + 0.5).astype(np.uint8))


def encode(photo: Image.Image, encoding: Encoding) -> bytes:
    """The bytes of the stored file."""
    exif = Image.Exif()
    if encoding.orientation in _TURNED_BACK:
        photo = photo.transpose(_TURNED_BACK[encoding.orientation])
        exif[_ORIENTATION_TAG] = encoding.orientation
    out = io.BytesIO()
    if encoding.format == "PNG":
        photo.save(out, "PNG")
    elif encoding.format == "WEBP":
        photo.save(out, "WEBP", quality=encoding.quality)
    else:
        photo.save(
            out, "JPEG", quality=encoding.quality, progressive=encoding.progressive, exif=exif
        )
    return out.getvalue()
