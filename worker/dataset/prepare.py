"""A marketplace's catalogue and reviews to labelled photo rows, out of core on DuckDB."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from duckdb import DuckDBPyConnection

from shared.domain.vocabulary import STOP_TAGS
from shared.errors import DatasetError
from worker.dataset.database import database, one_row
from worker.dataset.findings import Findings
from worker.dataset.formats import Role, Source, detect
from worker.dataset.loading import ROWS_PER_FILE, Loader
from worker.dataset.photo_urls import list_photos
from worker.dataset.products import choose_tags, merge_rows
from worker.dataset.sampling import Sampling, sample_photos
from worker.dataset.staging import staged
from worker.dataset.utf8 import in_utf8
from worker.dataset.vocabulary_file import read_vocabulary, write_vocabulary
from worker.dataset.voted import Voted

PHOTOS, VOCABULARY, REPORT = "photos.parquet", "vocabulary.json", "report.json"
MAX_SET_CHARACTERS = 200
_DATABASE = "database"
_ROW_GROUP_ROWS = 50_000

# Photos drawn again (with replacement) are rows of their own, so that ids stay distinct.
_ROWS = """
SELECT left(sha256(concat_ws(chr(10), product, url, nullif(draw, 0))), 16) AS photo_id, url,
    product, CASE source WHEN 0 THEN 'catalogue' ELSE 'user' END AS source,
    source_set.name AS set, tags, paths, position, content_sha256
FROM sampled JOIN product USING (product_id) JOIN labelled_category USING (category_id)
    JOIN source_set ON source_set.file_number = file_of(row_number)
    LEFT JOIN voted_photo USING (product, url)
ORDER BY photo_id
"""

# Labels are of the bytes that were voted on; the download takes no others.
_VOTED_PHOTOS = """
CREATE TABLE voted_photo (product VARCHAR, url VARCHAR, content_sha256 VARCHAR)
"""
_READ_VOTED_PHOTOS = """
INSERT INTO voted_photo
SELECT trim(product), unnest(user_urls), unnest(content_sha256) FROM read_json(
    $file, format = 'newline_delimited', columns = {
        product: 'VARCHAR', user_urls: 'VARCHAR[]', content_sha256: 'VARCHAR[]'})
"""

_PREFER_VOTED = """
DELETE FROM catalogue_row WHERE file_of(row_number) <> $voted
    AND product IN (SELECT product FROM catalogue_row WHERE file_of(row_number) = $voted)
"""


@dataclass(frozen=True, slots=True)
class PrepareRequest:
    """What to read, and the steps' parameters; the paper's are the defaults."""

    out: Path
    metadata: tuple[Path, ...] = ()
    reviews: tuple[Path, ...] = ()
    products: tuple[Path, ...] = ()
    voted: Voted | None = None  #: these replace what the other files say of their products
    set_name: str | None = None  #: by default the stem of a product's metadata file
    vocabulary: Path | None = None
    minimum_share: float = 0.05
    stop_tags: frozenset[str] = STOP_TAGS
    sampling: Sampling = field(default_factory=lambda: Sampling(5, 2, 2, seed=0))
    memory_mb: int = 400
    threads: int = field(default_factory=lambda: min(os.cpu_count() or 1, 4))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a preparation is."""

    stage: str
    done_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """What came out."""

    photos: int
    products: int
    tags: dict[str, int]  #: tag -> distinct products that carry it
    findings: Findings


def prepare(
    request: PrepareRequest, on_progress: Callable[[Progress], None] = lambda _: None
) -> Prepared:
    """Makes the folder `request.out` with photos, vocabulary and report.

    Memory is bounded by `request.memory_mb` and some 300 MB; what does not fit goes to a
    temporary file beside the folder.

    Args:
        request: what to do.
        on_progress: told about every block of input and every step.

    Returns:
        The counts that stand in the report.

    Raises:
        DatasetError: an input has no known form, nothing usable is in it, the folder is in use,
            or memory or disk do not suffice.
    """
    fixed = None if request.vocabulary is None else read_vocabulary(request.vocabulary)
    sources = _sources(request)
    with (
        staged(request.out) as work,
        database(work / _DATABASE, request.memory_mb, request.threads) as connection,
    ):
        run = _Run(request, connection, sources, on_progress)
        run.load()
        voted = run.prefer_voted()
        faithful = request.sampling.paper_faithful
        run.say("merging rows")
        products = merge_rows(
            connection, run.findings, fixed=fixed, paper_faithful=faithful, located=run.located
        )
        if not products:
            raise DatasetError("no usable row in the metadata")
        run.say("choosing tags")
        tags = choose_tags(
            connection,
            run.findings,
            fixed=fixed,
            share=request.minimum_share,
            stop_tags=request.stop_tags,
            products=products,
        )
        run.say("filtering URLs")
        list_photos(
            connection, run.findings, paper_faithful=faithful, voted=voted, located=run.located
        )
        run.say("sampling photos")
        sample_photos(connection, run.findings, request.sampling)
        run.say("writing photos")
        prepared = Prepared(run.write(work / PHOTOS), products, tags, run.findings)
        write_vocabulary(work / VOCABULARY, tags, products, fixed.aliases if fixed else {})
        _write_report(work, request, sources, prepared)
        connection.close()
        shutil.rmtree(work / _DATABASE)
    return prepared


class _Run:
    """The parts of one preparation that need its files, its database and its progress."""

    def __init__(
        self,
        request: PrepareRequest,
        connection: DuckDBPyConnection,
        sources: list[tuple[Role, Source]],
        on_progress: Callable[[Progress], None],
    ) -> None:
        self.findings = Findings()
        self._request = request
        self._connection = connection
        self._sources = sources
        self._on_progress = on_progress
        self._done = 0
        self._total = sum(source.path.stat().st_size for _, source in sources)

    def load(self) -> None:
        """Reads all files, metadata first."""
        loader = Loader(self._connection, self.findings)
        self._connection.execute("CREATE TABLE source_set (file_number BIGINT, name VARCHAR)")
        for number, (role, source) in enumerate(self._sources):
            self._connection.execute(
                "INSERT INTO source_set VALUES (?, ?)",
                [number, _stem(source.path) if self._is_voted(source) else self._set(source)],
            )

            def advance(count: int, source: Source = source) -> None:
                self._done += count
                self.say(f"reading {source.path.name}")

            loader.load(source, number, reviews=role == "reviews", advance=advance)

    def prefer_voted(self) -> int | None:
        """Drops what other files say of products that votes decide; the number of their file."""
        voted = self._request.voted
        self._connection.execute(_VOTED_PHOTOS)
        if voted is None:
            return None
        self._connection.execute(_READ_VOTED_PHOTOS, {"file": str(voted.path)})
        self.findings.step(
            "listings with votes",
            "listings",
            came_in=voted.listings + sum(voted.left_out.values()),
            kept=voted.listings,
            dropped=voted.left_out,
        )
        [number] = [n for n, (_, source) in enumerate(self._sources) if self._is_voted(source)]
        [before] = one_row(self._connection, "SELECT count(*) FROM catalogue_row")
        self._connection.execute(_PREFER_VOTED, {"voted": number})
        [kept] = one_row(self._connection, "SELECT count(*) FROM catalogue_row")
        self.findings.step(
            "votes preferred",
            "rows",
            came_in=before,
            kept=kept,
            dropped={"of products that votes decide": before - kept},
        )
        return number

    def _is_voted(self, source: Source) -> bool:
        return self._request.voted is not None and source.path == self._request.voted.path

    def _set(self, source: Source) -> str:
        return self._request.set_name or _stem(source.path)

    def say(self, stage: str) -> None:
        """Tells how far it is."""
        self._on_progress(Progress(stage, self._done, self._total))

    def located(self, row_number: int) -> str:
        """The file and line of a row."""
        file_number, line = divmod(row_number, ROWS_PER_FILE)
        return f"{self._sources[file_number][1].path.name}:{line}"

    def write(self, path: Path) -> int:
        """Writes the photo rows, sorted by id, and returns how many there are."""
        # Without parameters, which would bring all rows into memory.
        rows = self._connection.sql(_ROWS)
        rows.write_parquet(str(path), compression="zstd", row_group_size=_ROW_GROUP_ROWS)
        counted = self._connection.execute("SELECT count(*) FROM read_parquet(?)", [str(path)])
        [written] = counted.fetchone() or (0,)
        [sampled] = one_row(self._connection, "SELECT count(*) FROM sampled")
        self.findings.step("written rows", "photos", came_in=sampled, kept=written, dropped={})
        return written


def _sources(request: PrepareRequest) -> list[tuple[Role, Source]]:
    roles: list[tuple[Role, tuple[Path, ...]]] = [
        ("metadata", request.metadata),
        ("products", request.products),
        ("products", () if request.voted is None else (request.voted.path,)),
        ("reviews", request.reviews),
    ]
    if not request.metadata and not request.products and request.voted is None:
        raise DatasetError(
            "neither metadata nor products were given: --metadata, --products or --votes"
        )
    if request.voted is not None and request.sampling.paper_faithful:
        raise DatasetError("the paper had no votes: --votes does without --paper-faithful")
    if len(in_utf8(request.set_name or "")) > MAX_SET_CHARACTERS:
        raise DatasetError(f"a set's name has at most {MAX_SET_CHARACTERS} characters")
    for _, paths in roles:
        for path in paths:
            in_utf8(path.name)  # it names the set, and each row in the report
    return [(role, detect(path, role)) for role, paths in roles for path in paths]


def _stem(path: Path) -> str:
    """The name without .json.gz."""
    return (path.name.split(".")[0] or path.name)[:MAX_SET_CHARACTERS]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _write_report(
    work: Path, request: PrepareRequest, sources: list[tuple[Role, Source]], prepared: Prepared
) -> None:
    sampling = request.sampling
    parameters = {
        "files": [
            {"file": source.path.name, "role": role, "form": source.form.name}
            for role, source in sources
        ],
        "vocabulary": None if request.vocabulary is None else request.vocabulary.name,
        "minimum_share": request.minimum_share,
        "stop_tags": sorted(request.stop_tags),
        "catalogue": sampling.catalogue,
        "user": sampling.user,
        "min_catalogue": sampling.min_catalogue,
        "seed": sampling.seed,
        "drop_empty_categories": sampling.drop_empty_categories,
        "paper_faithful": sampling.paper_faithful,
    }
    report = {
        "photos": prepared.photos,
        "products": prepared.products,
        "tags": prepared.tags,
        "parameters": parameters,
        **prepared.findings.as_json(),
    }
    (work / REPORT).write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", "utf-8")
    lines = [
        "# Prepared photos",
        "",
        f"{prepared.photos:,} photos, {prepared.products:,} products, {len(prepared.tags)} tags.",
        "",
        *prepared.findings.as_markdown(),
        *("", "| tag | products |", "|---|--:|"),
        *(f"| {_cell(tag)} | {count:,} |" for tag, count in sorted(prepared.tags.items())),
        *("", "```json", json.dumps(parameters, indent=1, ensure_ascii=False), "```", ""),
    ]
    (work / "report.md").write_text("\n".join(lines), "utf-8")
