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


def check(mutation: Mutation, tree: Path) -> str:
    """What its test says without the guard: red (as it must), or what else."""
    original = (tree / mutation.file).read_text()
    try:
        mutation.apply(tree)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", mutation.test, "-x", "-q"),
                *("-m", "long or not long", "-p", "no:cacheprovider"),
            ],
            cwd=tree,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
    except ValueError as error:
        return f"BROKEN: {error}"
    except subprocess.TimeoutExpired:
        return "red (it never ends)"
    finally:
        (tree / mutation.file).write_text(original)
    words = done.stdout.strip().splitlines()[-1:] or [""]
    if done.returncode == 1:
        return "red"
    return f"STILL GREEN: {words[0]}" if done.returncode == 0 else f"BROKEN: {words[0]}"


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
