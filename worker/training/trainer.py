"""What every training has: its photos, its folder of work, and a way to fit a network."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import hashlib
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np
from numpy.typing import NDArray

from shared.errors import SetupError
from worker.dataset.store import pixel_store
from worker.training.balance import draw_shares
from worker.training.cluster import Cluster, precision
from worker.training.examples import Examples, PhotoExamples
from worker.training.fit import Fitted, Progress, fit
from worker.training.losses import Loss
from worker.training.prepare import Limits, Prepared, Rows
from worker.training.recipes import Recipe
from worker.training.schedule import Schedule

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Files:
    """What a recipe may need besides the photos."""

    work: Path  #: folder for pixels, features and checkpoints
    backbone: Path | None = None  #: a headless Keras file
    weights: Path | None = None  #: of the paper's ImageNet networks
    backbone_sha256: str | None = None  #: what the backbone's hash must be

    def backbone_file(self) -> Path:
        """The headless Keras file.

        Raises:
            SetupError: none was named.
        """
        if self.backbone is None:
            raise SetupError(
                "the recipe starts from a pre-trained network: name a headless Keras file with "
                "--backbone"
            )
        return self.backbone


@dataclass(frozen=True, slots=True)
class Learned:
    """A trained network, in float32 whatever it was fitted in."""

    network: keras.Model  #: float32 `[n, side, side, 3]` in 0..255 -> float32 `[n, tags]`
    fitted: Fitted
    described: Mapping[str, Any]  #: what went in besides recipe and photos


@dataclass(frozen=True, slots=True)
class Trainer:
    """Fits networks on one prepared data set."""

    prepared: Prepared  #: its pixels have the size that the served network takes
    files: Files
    seed: int  #: decides the first weights, the order and the augmentation
    limits: Limits  #: those that the photos were prepared with
    cluster: Cluster  #: this process and those that train with it
    on_progress: Callable[[str, Progress | None], None]  #: told the stage, and its epochs

    def fit(
        self,
        network: keras.Model,
        judged: keras.Model,
        loss: Loss,
        train: Examples,
        validation: Examples,
        *,
        stage: str,
        recipe: Recipe,
        schedule: Schedule,
    ) -> Fitted:
        """Fits a network that was built by `in_scope`; see `worker.training.fit.fit`.

        A checkpoint is known by data set, recipe and stage: trainings that share a folder of work
        do not take each other's away, and a teacher is taught once.
        """
        fingerprint = self._fingerprint(recipe)
        name = hashlib.sha256(fingerprint.encode()).hexdigest()[:12]
        return fit(
            network,
            judged,
            loss,
            train,
            validation,
            schedule=schedule,
            seed=self.seed,
            cluster=self.cluster,
            checkpoint=self.files.work / f"{recipe.name}-{stage}-{name}.npz",
            fingerprint=fingerprint,
            on_progress=lambda progress: self.on_progress(stage, progress),
        )

    def in_scope(self, build: Callable[[], T]) -> T:
        """Builds what is to be fitted, as the cluster and its hardware want it."""
        with self.cluster.strategy.scope(), policy(precision()):
            return build()

    def photos(
        self,
        pixels: NDArray[np.uint8],
        truth: NDArray[np.float32],
        rows: Rows,
        shares: NDArray[np.float64] | None = None,
    ) -> PhotoExamples:
        """These rows out of pixels and truth of all photos."""
        return PhotoExamples(pixels, truth[rows], rows, shares)

    def shares(self, recipe: Recipe) -> NDArray[np.float64] | None:
        """How likely each training photo is to be drawn."""
        if not recipe.balanced:
            return None
        return draw_shares(self.prepared.photos(self.prepared.train))

    def pixels(self, side: int) -> NDArray[np.uint8]:
        """All photos at another size; uint8 `[photos, side, side, 3]`, a mapped file."""
        _, pixels = self.cluster.in_turn(
            lambda: pixel_store(
                self.prepared.dataset,
                self.files.work,
                height=side,
                width=side,
                max_photo_pixels=self.limits.max_photo_pixels,
                min_photo_elements=self.limits.min_photo_elements,
            )
        )
        return pixels

    def _fingerprint(self, recipe: Recipe) -> str:
        left_out = sorted(
            {photo.set_name for photo in self.prepared.photos(self.prepared.left_out)}
        )
        about = [self.prepared.sha256, asdict(recipe), left_out, self.seed]
        return repr([*about, self.prepared.tags])


@contextmanager
def policy(name: str) -> Generator[None]:
    """Keras' dtype policy for what is built meanwhile."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
