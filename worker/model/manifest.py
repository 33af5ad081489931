"""The manifest of a model artifact: its entries, and what they must be."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from shared.domain.related import CUTOFF, LIMIT, MINIMUM_SUPPORT, Measure
from shared.domain.spam import MAX_NAMES

FORMAT = 1
#: The ways of making pixels that this code has; `worker.decode.pixels` implements them.
KNOWN_PREPROCESSING = frozenset({"rgb-area-v1", "bgr-bilinear-v1"})
MANIFEST, MODEL, RELATED, CARD = "manifest.json", "model.tflite", "related.json", "MODEL_CARD.md"
#: The judge of keyword spam; a model without one doubts nobody.
SPAM = "spam.json"
MAX_FILE_BYTES = 64 << 20
MAX_MANIFEST_BYTES = 1 << 20

TagName = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^\S.*\S$|^\S$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$")]
Weight = Annotated[float, Field(ge=-1e6, le=1e6)]
Side = Annotated[int, Field(ge=8, le=1024)]


class Checked(BaseModel):
    """Takes no unknown entry, no text for a number and no number that is not finite."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class FileEntry(Checked):
    """What a file of the artifact must be."""

    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=1, le=MAX_FILE_BYTES)]


class InputSize(Checked):
    """The photo as the network takes it, in pixels."""

    height: Side
    width: Side


class RelatedSettings(Checked):
    """How related tags are recommended; the defaults are those of manifests that name less."""

    cutoff: Annotated[float, Field(ge=0)] = CUTOFF
    limit: Annotated[int, Field(ge=1, le=1000)] = LIMIT
    #: How the matrix was made; what recommends only reads it.
    measure: Measure = "cosine"
    minimum_support: Annotated[int, Field(ge=1)] = 1  #: products a pair of tags is seen on
    normalised: bool = False  #: the mean over the given tags, not the paper's sum


#: What a new model recommends by. The mean, because with a sum the paper's cutoff lets everything
#: through as soon as a listing has a few tags.
SERVED = RelatedSettings(normalised=True, minimum_support=MINIMUM_SUPPORT)


class Provenance(Checked):
    """What the model was made from, and how."""

    dataset_sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    photos: Annotated[int, Field(ge=1)]
    products: Annotated[int, Field(ge=1)]
    recipe: dict[str, Any]


class Manifest(Checked):
    """`manifest.json`: what the model is, what it takes and what its scores mean."""

    format: Literal[1]
    name: Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]{0,39}$")]
    version: Annotated[str, StringConstraints(max_length=60)]  #: name, -, 12 hex of the model file
    created_at: Annotated[AwareDatetime, Field(strict=False)]
    preprocessing: Annotated[str, StringConstraints(max_length=100)]
    input: InputSize
    vocabulary: Annotated[list[TagName], Field(min_length=1, max_length=10_000)]
    #: One a tag, in the order of the vocabulary: a tag is carried from this score on.
    thresholds: list[Annotated[float, Field(gt=0, le=1)]]
    parents: dict[TagName, TagName]  #: tag -> the tag above it; a root is absent
    related: RelatedSettings
    files: dict[FileName, FileEntry]
    metrics: dict[str, Any]
    provenance: Provenance

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        tags = {tag.lower() for tag in self.vocabulary}
        if len(tags) != len(self.vocabulary):
            raise ValueError("a tag is in the vocabulary twice")
        if len(self.thresholds) != len(self.vocabulary):
            raise ValueError(f"{len(self.vocabulary)} tags, {len(self.thresholds)} thresholds")
        if self.preprocessing not in KNOWN_PREPROCESSING:
            raise ValueError(f"preprocessing {self.preprocessing!r} is not known here")
        if set(self.files) - {SPAM} != {MODEL, RELATED}:
            raise ValueError(
                f"files are {sorted(self.files)}, not {MODEL} and {RELATED}, with or without {SPAM}"
            )
        if self.version != version_of(self.name, self.files[MODEL].sha256):
            raise ValueError("the version does not belong to the model file")
        if unknown := {*self.parents, *self.parents.values()} - set(self.vocabulary):
            raise ValueError(f"parents name tags outside the vocabulary: {sorted(unknown)[:3]}")
        if loop := _loop_in(self.parents):
            raise ValueError(f"tag {loop!r} is its own ancestor")
        return self


class RelatedFile(Checked):
    """`related.json`: the similarity matrix with the names of its rows and columns."""

    names: Annotated[list[TagName], Field(max_length=5000)]
    matrix: list[list[float]]


class SpamFile(Checked):
    """`spam.json`: what `SpamJudge` is made of; whether it fits together, that says."""

    names: Annotated[list[TagName], Field(max_length=MAX_NAMES)]
    pairs: list[Annotated[list[int], Field(min_length=2, max_length=2)]]
    weights: list[list[Weight]]
    biases: list[Weight]
    shares: list[Annotated[float, Field(ge=0, le=1)]]
    apart: list[list[int]]
    implied: list[list[int]]
    evidence: Annotated[float, Field(ge=0, le=1)]
    calibration: Annotated[list[Weight], Field(min_length=3, max_length=3)]
    cutoff: Annotated[float, Field(gt=0, le=1)]


def version_of(name: str, model_sha256: str) -> str:
    """The version of a model: its name and the beginning of its file's hash."""
    return f"{name}-{model_sha256[:12]}"


def _loop_in(parents: Mapping[str, str]) -> str | None:
    done: set[str] = set()  # each tag is climbed from once, however deep the hierarchy is
    for tag in parents:
        seen: set[str] = set()
        above: str | None = tag
        while above is not None and above not in done:
            if above in seen:
                return above
            seen.add(above)
            above = parents.get(above)
        done |= seen
    return None
