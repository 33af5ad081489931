"""Small catalogues in the published forms, and what preparing them gives."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import duckdb

from worker.dataset.prepare import PrepareRequest, Sampling, prepare

EVERYTHING = Sampling(catalogue=100, user=100, min_catalogue=0, seed=0)


def photo_url(name: str) -> str:
    return f"https://images.example/I/{name}.jpg"


def product(asin: str, category: object = None, urls: object = None) -> dict[str, Any]:
    """A row of metadata as published in 2018."""
    return {
        "asin": asin,
        "category": ["Electronics", "Headphones"] if category is None else category,
        "imageURL": [photo_url(asin)] if urls is None else urls,
    }


def write_lines(path: Path, rows: Iterable[dict[str, Any] | str]) -> Path:
    """Writes rows as JSON lines, texts as they are; gzip where the name says so."""
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    content = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


class Run:
    """What one preparation wrote."""

    def __init__(
        self,
        folder: Path,
        metadata: Iterable[dict[str, Any] | str] | Path | None = None,
        reviews: Iterable[dict[str, Any] | str] | Path | None = None,
        products: Path | None = None,
        **parameters: Any,
    ) -> None:
        parameters = {"sampling": EVERYTHING, "minimum_share": 0.0, "threads": 2, **parameters}
        if reviews is not None and not isinstance(reviews, Path):
            reviews = write_lines(folder / "reviews.json.gz", reviews)
        if metadata is not None and not isinstance(metadata, Path):
            metadata = write_lines(folder / "meta_Things.json.gz", metadata)
        self.out = folder / "out"
        prepare(
            PrepareRequest(
                out=self.out,
                metadata=() if metadata is None else (metadata,),
                reviews=() if reviews is None else (reviews,),
                products=() if products is None else (products,),
                **parameters,
            )
        )
        parquet = duckdb.read_parquet(str(self.out / "photos.parquet"))
        self.types = [str(kind) for kind in parquet.types]
        self.rows = [dict(zip(parquet.columns, row, strict=True)) for row in parquet.fetchall()]
        self.report = _json(self.out / "report.json")
        self.vocabulary = _json(self.out / "vocabulary.json")

    @property
    def dirt(self) -> dict[str, int]:
        return {kind: found["count"] for kind, found in self.report["dirt"].items()}

    @property
    def urls(self) -> list[str]:
        return sorted(row["url"] for row in self.rows)

    def tags_of(self, asin: str) -> list[str]:
        [tags] = {tuple(row["tags"]) for row in self.rows if row["product"] == asin}
        return list(tags)

    def paths_of(self, asin: str) -> list[list[str]]:
        return next(row["paths"] for row in self.rows if row["product"] == asin)

    def step(self, name: str) -> dict[str, Any]:
        return next(step for step in self.report["steps"] if step["name"] == name)


def _json(path: Path) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(path.read_text()))
