"""Where registered models are kept: a folder of artifacts, each under its version and hash.

What goes in is copied from a folder or fetched from a URL, checked, and put in place at once;
what comes out is checked again against the hash that was registered. A model's URL is an
operator's word, not a seller's, so it may name a private host and any port.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError
from sqlalchemy import Row

from shared.errors import ArtifactError, FetchError, NotFound
from shared.settings import Settings
from worker.fetch.download import Downloader
from worker.model import artifact
from worker.model.artifact import Artifact
from worker.model.manifest import (
    CARD,
    MANIFEST,
    MAX_FILE_BYTES,
    MAX_MANIFEST_BYTES,
    MODEL,
    RELATED,
    Manifest,
)

_WHAT_IS_TAKEN = (
    f"a model is a folder, or the URL of one, with {MANIFEST}, {MODEL} and {RELATED}, no archive"
)

#: The bytes of a file by its name, at most so many; None where there is no such file.
Reader = Callable[[str, int], bytes | None]


@dataclass(frozen=True, slots=True)
class Kept:
    """An artifact in the store, and what its model's row says of it."""

    artifact: Artifact
    location: str  #: a folder or a URL; where a machine without it finds it
    manifest_sha256: str


class ModelStore:
    """The store of this machine, or the one that all machines share."""

    def __init__(self, settings: Settings) -> None:
        """Makes nothing yet."""
        self._folder = settings.model_store.resolve()
        self._settings = settings

    def keep(self, source: str | Path) -> Kept:
        """Takes an artifact in.

        Args:
            source: a folder; or a file://, http:// or https:// URL of one, whose files lie
                below it under their names. No archive.

        Raises:
            ArtifactError: it is refused, cannot be read or fetched, or the disk is full.
        """
        folder = _folder_of(str(source))
        if folder is not None:
            if folder.exists() and not folder.is_dir():
                raise ArtifactError(f"{folder} is no folder; {_WHAT_IS_TAKEN}")
            artifact.load(folder)  # in its own words, before anything is copied
            kept, sha256 = self._take(_from_folder(folder), str(folder), None)
            return Kept(artifact.load(kept), str(kept), sha256)
        url = str(source).rstrip("/")
        kept, sha256 = self._fetch(url, None)
        return Kept(artifact.load(kept), url, sha256)

    @staticmethod
    def in_place(folder: Path) -> Kept:
        """An artifact that stays where it is, for a machine whose store takes none.

        Raises:
            ArtifactError: it is refused.
        """
        content = _check_manifest(_from_folder(folder), str(folder), None)
        sha256 = hashlib.sha256(content).hexdigest()
        return Kept(artifact.load(folder), str(folder.resolve()), sha256)

    def open_registered(self, row: Row[Any]) -> Artifact:
        """The artifact of a model's row.

        Raises:
            ArtifactError: it is nowhere, or not what was registered.
        """
        if row.location is None:
            raise ArtifactError(
                f"nobody said where {row.version} lies: `tagger model add` its folder or URL"
            )
        try:
            return self.open(row.version, row.location, row.manifest_sha256)
        except ArtifactError as error:
            raise ArtifactError(
                f"{row.version}: {error.detail}; `tagger model add` its folder or URL again"
            ) from None

    def open(self, version: str, location: str, manifest_sha256: str) -> Artifact:
        """The artifact of a registered model: from the store, or from where it lies.

        Raises:
            ArtifactError: it is not there, or not what was registered.
        """
        place = self._place(version, manifest_sha256)
        if not _holds(place, manifest_sha256):
            folder = _folder_of(location)
            if folder is None:
                place, _ = self._fetch(location, manifest_sha256)
            else:
                place = folder
                _check_manifest(_from_folder(folder), str(folder), manifest_sha256)
        found = artifact.load(place)
        if found.version != version:
            raise ArtifactError(f"{place} holds {found.version}, not {version}")
        return found

    def _place(self, version: str, manifest_sha256: str) -> Path:
        # The version names the weights alone; two manifests may differ in thresholds.
        return self._folder / f"{version}.{manifest_sha256[:12]}"

    def _fetch(self, url: str, expected_sha256: str | None) -> tuple[Path, str]:
        port = _port_of(url)
        limits = self._settings.model_copy(
            update={
                "max_photo_bytes": MAX_FILE_BYTES,
                "allow_private_hosts": True,
                "allowed_hosts": frozenset[str](),
                "denied_hosts": frozenset[str](),
                "respect_robots_tag": False,
                "allowed_ports": self._settings.allowed_ports | {port},
            }
        )
        downloader = Downloader(limits)

        def read(name: str, max_bytes: int) -> bytes | None:
            deadline_s = self._settings.model_fetch_deadline_s
            [answer] = downloader.fetch([f"{url}/{name}"], deadline_s=deadline_s)
            if isinstance(answer, NotFound):
                return None
            if isinstance(answer, FetchError):
                raise ArtifactError(f"{name} of the model's URL: {answer.code}, {answer.detail}")
            if len(answer.body) > max_bytes:
                raise ArtifactError(f"{name}: more than {max_bytes} bytes")
            return answer.body

        try:
            return self._take(read, "the model's URL", expected_sha256)
        finally:
            downloader.close()

    def _take(self, read: Reader, where: str, expected_sha256: str | None) -> tuple[Path, str]:
        """Copies, checks and puts in place; returns the folder and its manifest's hash."""
        content = _check_manifest(read, where, expected_sha256)
        sha256 = hashlib.sha256(content).hexdigest()
        try:
            manifest = Manifest.model_validate_json(content)
        except ValidationError as error:
            raise ArtifactError(f"{MANIFEST}: {error.errors()[0]['msg']}") from None
        place = self._place(manifest.version, sha256)
        if _holds(place, sha256):
            return place, sha256
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            unfinished = Path(tempfile.mkdtemp(prefix=".incoming.", dir=self._folder))
            try:
                (unfinished / MANIFEST).write_bytes(content)
                for name in (*manifest.files, CARD):
                    body = read(name, MAX_FILE_BYTES)
                    if body is not None:  # a file that counts is missed by the check below
                        _write_durably(unfinished / name, body)
                unfinished.chmod(0o755)
                artifact.load(unfinished)
                _put_in_place(unfinished, place, sha256)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
        except OSError as error:
            raise ArtifactError(f"{self._folder}: {error.strerror or error}") from None
        return place, sha256


def _folder_of(source: str) -> Path | None:
    """The folder that a source names; None for one that is fetched.

    Raises:
        ArtifactError: it is a URL of another kind.
    """
    scheme, found, _ = source.partition("://")
    if found and scheme.lower() in ("http", "https"):
        return None
    if found and scheme.lower() != "file":
        raise ArtifactError("a model comes from a folder, or from file://, http:// or https://")
    try:
        if not found:
            return Path(source).resolve()
        parts = urlsplit(source)
        if parts.netloc not in ("", "localhost"):
            raise ArtifactError(f"{source} names the host {parts.netloc}; write file:///folder")
        return Path(unquote(parts.path)).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a ring of links is a RuntimeError
        raise ArtifactError(f"{source!r} names no folder: {error}") from None


def _port_of(url: str) -> int:
    """The port of a model's URL: that it names, or its scheme's."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ArtifactError(f"the model's URL is none: {error}") from None
    if parts.query or parts.fragment:
        raise ArtifactError("the model's URL ends in a ? or #, so no file can lie below it")
    return port or (443 if parts.scheme.lower() == "https" else 80)


def _from_folder(folder: Path) -> Reader:
    def read(name: str, max_bytes: int) -> bytes | None:
        return artifact.read_plain(folder, name, max_bytes)

    return read


def _check_manifest(read: Reader, where: str, expected_sha256: str | None) -> bytes:
    content = read(MANIFEST, MAX_MANIFEST_BYTES)
    if content is None:
        raise ArtifactError(f"{where} has no {MANIFEST}; {_WHAT_IS_TAKEN}")
    if expected_sha256 not in (None, hashlib.sha256(content).hexdigest()):
        raise ArtifactError(f"{MANIFEST} is not the one that was registered")
    return content


def _holds(place: Path, manifest_sha256: str) -> bool:
    """Whether a folder holds this very artifact, undamaged."""
    try:
        _check_manifest(_from_folder(place), str(place), manifest_sha256)
        artifact.load(place)
    except ArtifactError:
        return False
    return True


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _put_in_place(unfinished: Path, place: Path, manifest_sha256: str) -> None:
    try:
        unfinished.rename(place)
    except OSError:
        if _holds(place, manifest_sha256):
            return  # another process was first, with the same
        # What lies there is damaged. It steps aside, for a folder cannot be renamed over it.
        aside = Path(tempfile.mkdtemp(prefix=".damaged.", dir=place.parent))
        with suppress(FileNotFoundError):
            place.rename(aside / place.name)
        shutil.rmtree(aside, ignore_errors=True)
        unfinished.rename(place)
