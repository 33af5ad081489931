"""The model artifact: a folder that is written at once, and believed only after checking."""

import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from shared.domain.related import RelatedTags
from shared.domain.spam import SpamJudge
from shared.errors import ArtifactError
from worker.model.manifest import (
    CARD,
    FORMAT,
    MANIFEST,
    MAX_FILE_BYTES,
    MAX_MANIFEST_BYTES,
    MODEL,
    RELATED,
    SPAM,
    FileEntry,
    InputSize,
    Manifest,
    Provenance,
    RelatedFile,
    RelatedSettings,
    SpamFile,
    version_of,
)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A checked artifact, all of it in memory: nothing of it is read from disk again."""

    manifest: Manifest
    model: bytes  #: the LiteRT flatbuffer, the very bytes whose hash was checked
    related: RelatedTags
    spam: SpamJudge | None = None

    @property
    def version(self) -> str:
        """Names the model in the tables, e.g. `vanilla-0123456789ab`."""
        return self.manifest.version

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The tags, in the order of the scores."""
        return tuple(self.manifest.vocabulary)

    @property
    def thresholds(self) -> NDArray[np.float32]:
        """float32 `[tags]`, in the order of the vocabulary."""
        return np.array(self.manifest.thresholds, np.float32)


@dataclass(frozen=True, slots=True)
class Draft:
    """All that an artifact is made of."""

    name: str
    model: bytes
    input: InputSize
    preprocessing: str
    vocabulary: Sequence[str]
    thresholds: Sequence[float]
    parents: Mapping[str, str]
    related_names: Sequence[str]
    related_matrix: NDArray[np.float32]
    metrics: Mapping[str, Any]
    provenance: Provenance
    related: RelatedSettings = field(default_factory=RelatedSettings)
    spam: SpamJudge | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))


def load(folder: Path) -> Artifact:
    """Reads and checks the artifact in `folder`.

    Each file is read once, by a descriptor that follows no link, and what was hashed is what is
    used. The hashes tell damage and mix-ups; they do not tell who wrote the manifest.

    Raises:
        ArtifactError: says which file or which entry is refused, and why.
    """
    manifest = _manifest(_read(folder, MANIFEST, MAX_MANIFEST_BYTES))
    contents = {name: _read_checked(folder, name, entry) for name, entry in manifest.files.items()}
    return Artifact(
        manifest,
        contents[MODEL],
        _related(contents[RELATED], manifest),
        _spam(contents[SPAM], manifest) if SPAM in contents else None,
    )


def write(folder: Path, draft: Draft, card: str) -> Artifact:
    """Writes an artifact so that `folder` is, at every moment, absent, the old or the new one.

    Args:
        folder: where it goes; an artifact that lies there is replaced.
        draft: what goes in.
        card: the text of `MODEL_CARD.md`; it is for people and not among the hashed files.

    Raises:
        ArtifactError: the draft would be refused by `load`, or the disk does not take it.
    """
    related = {
        "names": list(draft.related_names),
        # Six digits are plenty for a similarity and keep the file small.
        "matrix": [[round(float(cell), 6) for cell in row] for row in draft.related_matrix],
    }
    contents = {
        MODEL: draft.model,
        RELATED: json.dumps(related, separators=(",", ":")).encode(),
        CARD: card.encode(),
    }
    if draft.spam is not None:
        contents[SPAM] = _spam_content(draft.spam)
    return _write(folder, contents, _entries(draft))


def write_spam(folder: Path, judge: SpamJudge) -> Artifact:
    """Gives the artifact in `folder` another judge of spam; all else stays as it is.

    Raises:
        ArtifactError: there is no sound artifact, or the disk does not take it.
    """
    manifest = load(folder).manifest
    contents = {name: _read_checked(folder, name, its) for name, its in manifest.files.items()}
    contents[CARD] = read_plain(folder, CARD, MAX_FILE_BYTES) or b""
    contents[SPAM] = _spam_content(judge)
    return _write(folder, contents, manifest.model_dump(mode="json"))


def _write(folder: Path, contents: dict[str, bytes], manifest: dict[str, Any]) -> Artifact:
    """Writes these files and a manifest, in which the hashes are theirs."""
    manifest["files"] = {
        name: {"sha256": hashlib.sha256(contents[name]).hexdigest(), "bytes": len(contents[name])}
        for name in (MODEL, RELATED, SPAM)
        if name in contents
    }
    contents[MANIFEST] = (json.dumps(manifest, indent=2) + "\n").encode()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            for name, content in contents.items():
                _write_durably(unfinished / name, content)
            unfinished.chmod(0o755)
            artifact = load(unfinished)
            _put_in_place(unfinished, folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        raise ArtifactError(f"{folder}: {error.strerror or error}") from None
    return artifact


def _spam_content(judge: SpamJudge) -> bytes:
    return json.dumps(judge.to_json(), separators=(",", ":")).encode()


def _entries(draft: Draft) -> dict[str, Any]:
    """The manifest, without its files."""
    return {
        "format": FORMAT,
        "name": draft.name,
        "version": version_of(draft.name, hashlib.sha256(draft.model).hexdigest()),
        "created_at": draft.created_at.isoformat(timespec="seconds"),
        "preprocessing": draft.preprocessing,
        "input": draft.input.model_dump(),
        "vocabulary": list(draft.vocabulary),
        "thresholds": list(draft.thresholds),
        "parents": dict(draft.parents),
        "related": draft.related.model_dump(),
        "metrics": dict(draft.metrics),
        "provenance": draft.provenance.model_dump(),
    }


def _manifest(content: bytes) -> Manifest:
    try:
        found = _json(content)
        # Metrics and recipe go to Postgres as they are: no infinity, no half of a surrogate pair.
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
        return Manifest.model_validate(found)
    except ValidationError as error:
        raise ArtifactError(f"{MANIFEST}: {_in_words(error)}") from None
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{MANIFEST}: not JSON: {error}") from None


def _related(content: bytes, manifest: Manifest) -> RelatedTags:
    try:
        related = RelatedFile.model_validate(_json(content))
        # Rows of unequal length are a ValueError here, a wrong shape is one below.
        matrix = np.array(related.matrix, np.float32)
        settings = manifest.related
        found = RelatedTags(
            related.names,
            matrix,
            settings.cutoff,
            settings.limit,
            normalised=settings.normalised,
        )
    except ValidationError as error:
        raise ArtifactError(f"{RELATED}: {_in_words(error)}") from None
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{RELATED}: {error}") from None
    if not set(found.names) & {tag.lower() for tag in manifest.vocabulary}:
        raise ArtifactError(f"{RELATED}: knows no tag of the vocabulary")
    return found


def _spam(content: bytes, manifest: Manifest) -> SpamJudge:
    try:
        found = SpamFile.model_validate(_json(content))
        return SpamJudge.from_json(found.model_dump(), len(manifest.vocabulary))
    except ValidationError as error:
        raise ArtifactError(f"{SPAM}: {_in_words(error)}") from None
    except (OverflowError, RecursionError, ValueError) as error:
        raise ArtifactError(f"{SPAM}: {error}") from None


def _read_checked(folder: Path, name: str, entry: FileEntry) -> bytes:
    content = _read(folder, name, MAX_FILE_BYTES)
    if len(content) != entry.bytes:
        raise ArtifactError(f"{name}: {len(content)} bytes, the manifest says {entry.bytes}")
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise ArtifactError(f"{name}: its hash is not the manifest's")
    return content


def read_plain(folder: Path, name: str, max_bytes: int) -> bytes | None:
    """The bytes of a plain file in a folder, by a descriptor that follows no link.

    Args:
        folder: the folder; it may itself be reached by a link.
        name: of the file.
        max_bytes: as many as there may be.

    Returns:
        All of them; None where there is no such file.

    Raises:
        ArtifactError: it is a link, a pipe or another thing that is no file, or too large.
    """
    try:
        # NONBLOCK, or a named pipe would hold the worker for ever.
        descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:  # noqa: PTH123  # a descriptor, not a path
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ArtifactError(f"{name}: not a plain file")
            content = file.read(max_bytes + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArtifactError(f"{folder / name}: {error.strerror}") from None
    if len(content) > max_bytes:
        raise ArtifactError(f"{name}: more than {max_bytes} bytes")
    return content


def _read(folder: Path, name: str, max_bytes: int) -> bytes:
    content = read_plain(folder, name, max_bytes)
    if content is None:
        raise ArtifactError(f"{folder / name}: No such file or directory")
    return content


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _put_in_place(unfinished: Path, folder: Path) -> None:
    if not folder.exists():
        unfinished.rename(folder)
        return
    # A folder cannot be renamed over a full one, so the old one steps aside first.
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
    folder.rename(aside / folder.name)
    try:
        unfinished.rename(folder)
    except OSError:
        (aside / folder.name).rename(folder)
        aside.rmdir()
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _in_words(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(step) for step in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])


def _json(content: bytes) -> object:
    if rb"\u0000" in content:  # no other way leads to it in JSON
        raise ValueError("it has a NUL character, which Postgres takes in no text")
    return json.loads(content, parse_constant=_no_constant)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")
