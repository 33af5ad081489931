"""Takes a guard out of a copy of the project, and looks whether its row turns red."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.faults.rounds import ROOT

#: Longer than any single test here may take.
_LIMIT_S = 400.0
_STOP_S = 60.0


@dataclass(frozen=True, slots=True)
class Mutation:
    """A guard taken out: in `file`, `old` (which stands there once) becomes `new`."""

    row: str
    name: str
    file: str
    old: str
    new: str
    test: str  #: the one that must turn red

    def apply(self, tree: Path) -> None:
        """Takes the guard out in a copy of the project.

        Raises:
            ValueError: the guard is not there, or the code is none without it.
        """
        path = tree / self.file
        source = path.read_text()
        if source.count(self.old) != 1:
            raise ValueError(f"{self.file} holds it {source.count(self.old)} times")
        mutated = source.replace(self.old, self.new)
        if path.suffix == ".py":
            compile(mutated, str(path), "exec")
        path.write_text(mutated)


def check(mutation: Mutation, tree: Path, photos: Path) -> str:
    """What its test says without the guard: red (as it must), or what else.

    Args:
        mutation: the guard.
        tree: a copy of the project, which nobody else uses meanwhile.
        photos: as `tests.conftest.render_photos` makes them.
    """
    original = (tree / mutation.file).read_text()
    try:
        mutation.apply(tree)
        returncode, said = _pytest(mutation.test, tree, photos)
    except ValueError as error:
        return f"BROKEN: {error}"
    except subprocess.TimeoutExpired:
        return "red (it never ends)"
    finally:
        (tree / mutation.file).write_text(original)
    words = said.strip().splitlines()[-1:] or [""]
    if returncode == 1:
        return "red"
    return f"STILL GREEN: {words[0]}" if returncode == 0 else f"BROKEN: {words[0]}"


def _pytest(test: str, tree: Path, photos: Path) -> tuple[int, str]:
    """Exit status and output; one that takes too long stops its servers before it is left."""
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "pytest", test, "-x", "-q"),
            *("-m", "long or not long", "-p", "no:cacheprovider"),
        ],
        cwd=tree,
        env={**os.environ, "TEST_PHOTOS": str(photos)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=_LIMIT_S)
        except BaseException:
            process.terminate()
            try:
                process.communicate(timeout=_STOP_S)
            finally:
                process.kill()
            raise
    return process.returncode, said


def copy_project(folder: Path) -> None:
    """Copies what git knows or would take into a folder."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split(b"\0")):
        source = ROOT / os.fsdecode(name)
        if source.is_file():
            target = folder / os.fsdecode(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
