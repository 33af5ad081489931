"""A data set's photos come from a real origin into shards, whatever happens on the way."""

import fcntl
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shared.errors import DatasetError, SetupError
from shared.settings import PhotoLimits
from tests.origins import Behaviour, Origin, answer
from tests.waiting import wait_until
from tests.worker.dataset.prepared import parquet_row, write_parquet
from worker.dataset import fetch_shard
from worker.dataset.download import Progress, download
from worker.dataset.labelled import read_dataset
from worker.dataset.ledger import Summary

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as running:
        yield running


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    monkeypatch.setattr(fetch_shard, "_BACKOFF_BASE_S", 0.01)


def _picture(seed: int, *, size: tuple[int, int] = (64, 48), format_: str = "JPEG") -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(coarse).resize(size).save(stream, format_)
    return stream.getvalue()


def _photo(origin: Origin, number: int, **changes: object) -> dict[str, Any]:
    """A row whose photo the origin has."""
    url = origin.serve(f"/{number}.jpg", answer(200, _picture(number)))
    return parquet_row(url, **changes)


def _limits(origin: Origin) -> PhotoLimits:
    return PhotoLimits(allow_private_hosts=True, allowed_ports=frozenset({origin.port}))


def _download(folder: Path, origin: Origin, **options: Any) -> Summary:
    options.setdefault("shard_photos", 4)
    return download(folder, _limits(origin), **options)


def _requests(origin: Origin) -> Counter[str]:
    return Counter(head.split(b" ")[1].decode() for head in origin.requests)


def _failures(folder: Path) -> dict[str, str]:
    """Code by URL's path, out of the files beside the shards."""
    records = [json.loads(path.read_text()) for path in (folder / "shards").glob("[0-9]*.json")]
    failed = [failure for record in records for failure in record["failed"]]
    return {"/" + failure["url"].rpartition("/")[2]: failure["code"] for failure in failed}


def test_every_photo_is_in_a_shard_or_stands_with_its_code(origin: Origin, tmp_path: Path) -> None:
    rows = [_photo(origin, number) for number in range(8)]
    page = answer(200, b"<html>sorry</html>", headers={"Content-Type": "text/html"})
    cut = answer(200, _picture(99)[:-300])
    rows += [
        parquet_row(origin.url("/gone.jpg")),
        parquet_row(origin.serve("/page.jpg", page)),
        parquet_row(origin.serve("/cut.jpg", cut)),
        parquet_row("ftp://127.0.0.1/ftp.jpg"),
        parquet_row(origin.url("/nobody.jpg"), product=""),
    ]
    summary = _download(write_parquet(tmp_path, rows), origin)
    expected = {
        "/gone.jpg": "not_found",
        "/page.jpg": "not_an_image",
        "/cut.jpg": "undecodable",
        "/ftp.jpg": "bad_url",
        "/nobody.jpg": "bad_row",
    }
    assert _failures(tmp_path) == expected
    assert summary.failed == dict.fromkeys(sorted(expected.values()), 1)
    assert (summary.stored, summary.shards, summary.last_run.photos) == (8, 4, 13)
    assert Summary.model_validate_json((tmp_path / "download.json").read_bytes()) == summary
    assert _requests(origin)["/nobody.jpg"] == 0

    dataset = read_dataset(tmp_path)
    assert {dataset.body(photo) for photo in dataset.photos} == {_picture(n) for n in range(8)}
    assert dataset.rejected == summary.failed
    assert {photo.product for photo in dataset.photos} == {row["product"] for row in rows[:8]}
    assert dataset.photos[0].tags == ["shapes"]


def test_a_shard_is_readable_by_plain_tarfile_in_the_order_of_the_rows(
    origin: Origin, tmp_path: Path
) -> None:
    for seed, format_ in enumerate(("PNG", "WEBP", "JPEG")):
        origin.serve(f"/{seed}.jpg", answer(200, _picture(seed, format_=format_)))
    rows = [
        parquet_row(origin.url(f"/{seed}.jpg"), photo_id=str(seed) * 16, source="user")
        for seed in range(3)
    ]
    _download(write_parquet(tmp_path, rows), origin)
    with tarfile.open(tmp_path / "shards/000000.tar") as tar:
        assert [name[15:] for name in tar.getnames()] == [
            *("0.png", "0.json", "1.webp", "1.json", "2.jpg", "2.json")
        ]
        file = tar.extractfile("2" * 16 + ".json")
        assert file is not None
        row = json.load(file)
    assert row.pop("content_sha256") != row.pop("phash")
    assert row == {
        "photo": "2" * 16 + ".jpg",
        "product": rows[2]["product"],
        "tags": ["shapes"],
        "paths": [["Electronics", "Shapes"]],
        "source": "user",
        "set": "drawn",
        "width": 64,
        "height": 48,
        "url": origin.url("/2.jpg"),
    }


def test_what_fails_for_now_is_tried_again_and_not_for_ever(origin: Origin, tmp_path: Path) -> None:
    good, tries = answer(200, _picture(1)), Counter[str]()

    def at_the_third_time(origin: Origin, connection: Any) -> bool:
        tries["/late.jpg"] += 1
        behaviour: Behaviour = good if tries["/late.jpg"] == 3 else answer(503)
        return behaviour(origin, connection)

    rows = [
        parquet_row(origin.serve("/late.jpg", at_the_third_time)),
        parquet_row(origin.serve("/never.jpg", answer(503, headers={"Retry-After": "0"}))),
        parquet_row(origin.serve("/gone.jpg", answer(410))),
    ]
    summary = _download(write_parquet(tmp_path, rows), origin, attempts=3)
    assert summary.stored == 1
    assert _failures(tmp_path) == {"/never.jpg": "origin_unavailable", "/gone.jpg": "not_found"}
    assert _requests(origin) == {"/late.jpg": 3, "/never.jpg": 3, "/gone.jpg": 1}


def test_large_photos_are_stored_shrunk_and_small_ones_as_they_came(
    origin: Origin, tmp_path: Path
) -> None:
    large = _picture(1, size=(400, 300), format_="PNG")
    rows = [_photo(origin, 0), parquet_row(origin.serve("/large.png", answer(200, large)))]
    summary = _download(write_parquet(tmp_path, rows), origin, side=100)
    dataset = read_dataset(tmp_path)
    sizes = {
        Image.open(io.BytesIO(dataset.body(photo))).size: photo.photo[-3:]
        for photo in dataset.photos
    }
    assert sizes == {(64, 48): "jpg", (100, 75): "jpg"}
    assert summary.stored_bytes < summary.fetched_bytes == len(large) + len(_picture(0))


def test_near_duplicates_are_grouped_across_products(origin: Origin, tmp_path: Path) -> None:
    rows = [_photo(origin, number) for number in range(6)]
    bigger = answer(200, _picture(3, size=(128, 96)))
    rows.append(parquet_row(origin.serve("/copy.jpg", bigger), product="somebody else's"))
    summary = _download(write_parquet(tmp_path, rows), origin)
    dataset = read_dataset(tmp_path)
    alike = {photo.product for photo in dataset.photos if photo.photo in dataset.near_duplicates}
    assert alike == {rows[3]["product"], "somebody else's"}
    assert len(set(dataset.near_duplicates.values())) == 1
    assert summary.near_duplicates.across_products == 1


def test_progress_ends_with_every_photo_counted(origin: Origin, tmp_path: Path) -> None:
    rows = [_photo(origin, number) for number in range(9)]
    rows.append(parquet_row(origin.url("/gone.jpg")))
    seen: list[tuple[int, int, int]] = []

    def note(progress: Progress) -> None:
        seen.append((progress.stored, progress.failed["not_found"], progress.resumed))

    _download(write_parquet(tmp_path, rows), origin, on_progress=note)
    assert seen[-1] == (9, 1, 0)
    assert seen == sorted(seen)
    _download(tmp_path, origin, on_progress=note)
    assert seen[-1] == (9, 1, 10)


def test_a_finished_download_fetches_nothing_when_repeated(origin: Origin, tmp_path: Path) -> None:
    rows = [_photo(origin, number) for number in range(9)]
    first = _download(write_parquet(tmp_path, rows), origin)
    before = {path: path.read_bytes() for path in (tmp_path / "shards").glob("*.tar")}
    again = _download(tmp_path, origin)
    assert _requests(origin).total() == 9
    assert (again.stored, again.last_run.photos) == (first.stored, 0)
    assert {path: path.read_bytes() for path in (tmp_path / "shards").glob("*.tar")} == before


@pytest.mark.parametrize("change", ["rows", "side", "shard_photos"])
def test_a_folder_never_mixes_two_downloads(origin: Origin, tmp_path: Path, change: str) -> None:
    rows = [_photo(origin, number) for number in range(5)]
    _download(write_parquet(tmp_path, rows), origin)
    options: dict[str, int] = {}
    if change == "rows":
        write_parquet(tmp_path, rows[:-1])
        with pytest.raises(DatasetError, match="not the one that was downloaded"):
            read_dataset(tmp_path)
    else:
        options[change] = 50
    with pytest.raises(DatasetError, match="begun otherwise"):
        _download(tmp_path, origin, **options)
    assert _requests(origin).total() == 5


def test_once_its_shards_are_removed_a_folder_can_be_downloaded_otherwise(
    origin: Origin, tmp_path: Path
) -> None:
    _download(write_parquet(tmp_path, [_photo(origin, 0)]), origin)
    shutil.rmtree(tmp_path / "shards")
    write_parquet(tmp_path, [_photo(origin, 1), parquet_row("broken")])

    def give_up(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _download(tmp_path, origin, on_progress=give_up)
    with pytest.raises(DatasetError, match="not finished"):
        read_dataset(tmp_path)
    _download(tmp_path, origin)
    assert read_dataset(tmp_path).rejected == {"bad_url": 1}


def test_a_folder_is_downloaded_by_one_at_a_time(origin: Origin, tmp_path: Path) -> None:
    write_parquet(tmp_path, [_photo(origin, 0)])
    _download(tmp_path, origin)
    with (tmp_path / "shards/.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(SetupError, match="another download"):
            _download(tmp_path, origin)


def test_a_data_set_without_rows_or_without_a_file_is_refused(
    origin: Origin, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match="is not there; `tagger dataset prepare` makes it"):
        _download(tmp_path, origin)
    with pytest.raises(DatasetError, match="has no rows"):
        _download(write_parquet(tmp_path, []), origin)


def test_a_full_disk_ends_it_with_one_clear_error_and_it_goes_on_later(
    origin: Origin, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "PNG")
    url = origin.serve("/noise.png", answer(200, stream.getvalue()))
    write_parquet(tmp_path, [parquet_row(f"{url}?{number}") for number in range(8)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(DatasetError, match=r"00000\d\.tar: File too large"):
            _download(tmp_path, origin)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list((tmp_path / "shards").glob("*.tar*"))
    with pytest.raises(DatasetError, match="not finished"):
        read_dataset(tmp_path)
    assert _download(tmp_path, origin).stored == 8


@pytest.mark.parametrize(
    ("good", "bad"),
    [(b'"phash"', b'"phAsh"'), (b'"phash": "', b'"phash": "z'), (b'{"photo"', b'["photo"')],
)
def test_a_damaged_row_in_a_finished_shard_is_one_clear_error(
    origin: Origin, tmp_path: Path, good: bytes, bad: bytes
) -> None:
    write_parquet(tmp_path, [_photo(origin, 0)])
    _download(tmp_path, origin)
    shard = tmp_path / "shards/000000.tar"
    content = shard.read_bytes()
    at = content.index(good)
    shard.write_bytes(content[:at] + bad + content[at + len(bad) :])
    with pytest.raises(DatasetError, match=r"000000\.tar: .* remove the shard"):
        _download(tmp_path, origin)
    shard.unlink()
    assert _download(tmp_path, origin).stored == 1


def test_more_shards_than_could_be_counted_are_refused(origin: Origin, tmp_path: Path) -> None:
    write_parquet(tmp_path, [_photo(origin, 0)])
    _download(tmp_path, origin)
    summary = tmp_path / "download.json"
    summary.write_text(summary.read_text().replace('"shards": 1,', f'"shards": {10**15},'))
    with pytest.raises(DatasetError, match="there should be 1000000000000000 shards"):
        read_dataset(tmp_path)


def test_a_damaged_record_is_told_with_its_field(origin: Origin, tmp_path: Path) -> None:
    write_parquet(tmp_path, [_photo(origin, 0)])
    _download(tmp_path, origin)
    (tmp_path / "shards/000000.json").write_text("{}")
    with pytest.raises(DatasetError, match=r"000000\.json: stored: Field required"):
        _download(tmp_path, origin)


@pytest.mark.parametrize("damage", ["missing", "extra", "damaged", "row of another"])
def test_a_shard_that_is_missing_foreign_or_damaged_is_refused(
    origin: Origin, tmp_path: Path, damage: str
) -> None:
    write_parquet(tmp_path, [_photo(origin, number) for number in range(12)])
    _download(tmp_path, origin)
    shard = tmp_path / "shards/000001.tar"
    if damage == "missing":
        shard.unlink()
    elif damage == "extra":
        (tmp_path / "shards/000003.tar").write_bytes(shard.read_bytes())
    elif damage == "damaged":
        os.truncate(shard, 5000)
    else:
        content = shard.read_bytes()
        at = content.index(b'{"photo": "') + len(b'{"photo": "')
        shard.write_bytes(content[:at] + b"0" * 16 + content[at + 16 :])
        assert read_dataset(tmp_path).rejected == {"bad_row": 1}
        return
    with pytest.raises(DatasetError, match="shards"):
        read_dataset(tmp_path)


def test_a_folder_that_holds_two_data_sets_is_refused(origin: Origin, tmp_path: Path) -> None:
    _download(write_parquet(tmp_path, [_photo(origin, 0)]), origin)
    (tmp_path / "labels.jsonl.gz").write_bytes(b"")
    with pytest.raises(DatasetError, match="two data sets"):
        read_dataset(tmp_path)


def _command(folder: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "tagger", "dataset", "download", str(folder)),
        "--shard-photos",
        "4",
    ]


def _environment(origin: Origin) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TAGGER_")}
    kept.pop("DATABASE_URL", None)
    kept.pop("REDIS_URL", None)
    ours = {"TAGGER_ALLOW_PRIVATE_HOSTS": "true", "TAGGER_ALLOWED_PORTS": str(origin.port)}
    return {**kept, **ours, "PYTHONPATH": str(REPOSITORY)}


def test_killed_and_started_again_it_fetches_no_photo_of_a_finished_shard_twice(
    origin: Origin, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    rows = [_photo(origin, number) for number in range(61)]
    rows.sort(key=lambda row: row["photo_id"])
    paths_by_id = {row["photo_id"]: "/" + row["url"].rpartition("/")[2] for row in rows}
    held = list(paths_by_id.values())[20:40]
    killed = threading.Event()

    def once_it_was_killed(origin: Origin, connection: Any) -> bool:
        killed.wait(20)
        return answer(200, _picture(0))(origin, connection)

    for path in held[1:]:
        origin.serve(path, once_it_was_killed)
    origin.serve(held[0], answer(404))
    write_parquet(folder, rows)
    # In a folder without servers' addresses, because none are needed.
    with subprocess.Popen(
        _command(folder),
        cwd=tmp_path,
        env=_environment(origin),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        wait_until(lambda: len(list(folder.glob("shards/*.tar"))) >= 3)
        process.send_signal(signal.SIGKILL)
    killed.set()
    finished = sorted(folder.glob("shards/*.tar"))
    assert 3 <= len(finished) < 16
    assert process.returncode == -signal.SIGKILL
    with pytest.raises(DatasetError, match="not finished"):
        read_dataset(folder)

    again = subprocess.run(
        _command(folder),
        cwd=tmp_path,
        env=_environment(origin),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert again.returncode == 3, again.stderr
    assert "1 failed, by name in" in again.stdout
    assert "remove a .tar there, and its photos are tried again" in again.stdout
    assert "Traceback" not in again.stderr
    requests = _requests(origin)
    for shard in finished:
        with tarfile.open(shard) as tar:
            for name in tar.getnames():
                assert requests[paths_by_id[name[:16]]] == 1
    assert len(read_dataset(folder).photos) == 60
    assert not list(folder.glob("shards/*.unfinished"))


def test_without_duckdb_it_says_what_to_install(tmp_path: Path) -> None:
    program = "import sys; sys.modules['duckdb'] = None; import tagger; tagger.main()"
    ended = subprocess.run(
        [sys.executable, "-c", program, "dataset", "download", str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 1
    assert "duckdb is missing: install the extra `train`" in ended.stderr
    assert "Traceback" not in ended.stderr
