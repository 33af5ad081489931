"""What is wrong with a catalogue is counted by kind, as the command that a person runs."""

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest

from dev.fleet import Fleet
from tests.worker.dataset.catalogues import photo_url, product, write_lines

_OPTIONS = ("--min-catalogue", "1", "--minimum-share", "0")


def _report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text())


def _dirt(folder: Path) -> dict[str, int]:
    return {kind: found["count"] for kind, found in _report(folder)["dirt"].items()}


#: Lines of a catalogue, and how each is counted.
_DIRTY: dict[str, tuple[str, set[str]]] = {
    "broken": ('{"asin": "B1", "category": ["Toys"', {"broken_line"}),
    "nested": ("[" * 100_000, {"broken_line"}),
    "no object": ("[]", {"not_an_object"}),
    "nothing": (" ", {"blank_line"}),
    "no product": ('{"category": ["Toys"]}', {"no_product"}),
    "a NUL": ('{"asin": "B\\u0000"}', {"bad_product"}),
    "orders to a terminal": (
        json.dumps(product("\x1b[2J", ["\x1b[31m", "\x9b"])),
        {"bad_product"},
    ),
    "a printed list": (
        json.dumps(product("P1", "['Electronics', 'Mice']")),
        {"stringified_category"},
    ),
    "HTML": (
        json.dumps(product("P2", ["<span>Electronics</span>", "Mice &amp; Rats"])),
        {"html_in_category", "html_entity_in_category"},
    ),
    "code": ('{"asin": "P3", "category": "__import__(\'os\').system(\'touch pwned\')"}', set()),
    "no category": ('{"asin": "P4"}', {"empty_category"}),
    "a file": (json.dumps(product("P5", urls=["file:///etc/passwd"])), {"bad_url"}),
    "a video": (json.dumps(product("P6", urls=["https://m.example/x.mp4"])), {"not_jpg"}),
    "the same row": (json.dumps(product("A")), {"duplicate_row"}),
}


@pytest.mark.row("I21")
def test_each_kind_of_dirt_is_counted_and_the_rest_is_kept(fleet: Fleet, tmp_path: Path) -> None:
    write_lines(
        tmp_path / "meta.json.gz",
        [product("A"), *(line for line, _ in _DIRTY.values()), product("Z")],
    )
    done = fleet.run("dataset", "prepare", "--metadata", "meta.json.gz", "--out", "out", *_OPTIONS)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    found = _dirt(tmp_path / "out")
    expected: dict[str, int] = {}
    for _, kinds in _DIRTY.values():
        for kind in kinds:
            expected[kind] = expected.get(kind, 0) + 1
    assert {kind: found.get(kind, 0) for kind in expected} == expected
    printed = done.stdout + (tmp_path / "out" / "report.md").read_bytes()
    assert not {"\x1b", "\x9b", "\0"} & set(printed.decode())
    assert not (tmp_path / "pwned").exists()
    for step in _report(tmp_path / "out")["steps"]:
        came_in = step["came_in"] + sum(step["added"].values())
        assert came_in == step["kept"] + sum(step["dropped"].values()), step


@pytest.mark.row("I21")
def test_a_file_cut_short_or_damaged_is_read_as_far_as_it_goes(
    fleet: Fleet, tmp_path: Path
) -> None:
    draw = random.Random(1)  # squeezed by half at best: several megabytes stay
    rows = (product(f"P{n}") | {"text": draw.randbytes(1000).hex()} for n in range(3000))
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    whole = gzip.compress(content)
    (tmp_path / "cut.json.gz").write_bytes(whole[:-200])
    damaged = bytearray(whole)
    damaged[len(damaged) * 9 // 10] ^= 0xFF
    (tmp_path / "damaged.json.gz").write_bytes(damaged)
    done = fleet.run(
        *("dataset", "prepare", "--metadata", "cut.json.gz", "--metadata", "damaged.json.gz"),
        *("--out", "out", *_OPTIONS),
    )
    assert done.returncode == 0, done.stderr
    found = _dirt(tmp_path / "out")
    assert (found["cut_short"], found["damaged_compression"]) == (1, 1)


@pytest.mark.row("I21")
@pytest.mark.parametrize(
    ("content", "said", "reported"),
    [
        (b"", b"bad_dataset: ", False),
        (gzip.compress(b"")[:5], b"bad_dataset: ", False),
        (b"\x00" * 1000, b"bad_dataset: ", False),
        (b"<html>404</html>\n", b"bad_dataset: ", False),
        (
            json.dumps(product("A", urls=["ftp://a.example/x.jpg"])).encode(),
            b"no photo is left: the table above and out/report.md say which step dropped them",
            True,
        ),
    ],
    ids=["nothing", "a gzip's first bytes", "zeros", "a web page", "URLs of another kind"],
)
def test_a_catalogue_that_leaves_nothing_is_one_clear_sentence_and_no_success(
    fleet: Fleet, tmp_path: Path, *, content: bytes, said: bytes, reported: bool
) -> None:
    (tmp_path / "meta.json").write_bytes(content)
    done = fleet.run("dataset", "prepare", "--metadata", "meta.json", "--out", "out", *_OPTIONS)
    assert done.returncode == 1, done.stdout
    assert said in done.stderr
    assert done.stderr.count(b"\n") == 1, done.stderr
    assert (tmp_path / "out" / "report.md").exists() == reported
    if reported:
        assert _dirt(tmp_path / "out") == {"bad_url": 1}


@pytest.mark.row("I21")
def test_photos_that_cannot_be_fetched_stand_with_their_codes(fleet: Fleet, tmp_path: Path) -> None:
    fleet.environment["TAGGER_ALLOW_PRIVATE_HOSTS"] = "false"
    urls = ["http://127.0.0.1/a.jpg", "http://[::1]/b.jpg", "http://169.254.169.254/c.jpg"]
    write_lines(tmp_path / "meta.json", [product("A", urls=[*urls, photo_url("gone") + "\x00"])])
    for name, value in (("ALLOWED_PORTS", "80"), ("FETCH_DEADLINE_S", "1")):
        fleet.environment[f"TAGGER_{name}"] = value
    done = fleet.run("dataset", "prepare", "--metadata", "meta.json", "--out", "out", *_OPTIONS)
    assert done.returncode == 0, done.stderr
    assert _dirt(tmp_path / "out")["bad_url"] == 1
    done = fleet.run("dataset", "download", "out")
    assert done.returncode == 3, done.stderr
    assert b"Traceback" not in done.stderr
    told = json.loads((tmp_path / "out" / "download.json").read_text())
    assert told["failed"] == {"blocked_address": len(urls)}
