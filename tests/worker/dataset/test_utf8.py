"""Names that no report can hold are refused by name."""

import os
from pathlib import Path

import pytest

from shared.errors import DatasetError
from worker.dataset.utf8 import in_utf8


def test_a_name_in_utf8_is_itself() -> None:
    assert in_utf8("Möbel") == "Möbel"
    assert in_utf8(Path("a/b")) == "a/b"


def test_other_bytes_are_refused_and_shown() -> None:
    with pytest.raises(DatasetError, match=r"'M\\udcf6bel' is not UTF-8"):
        in_utf8(Path(os.fsdecode(b"M\xf6bel")))
