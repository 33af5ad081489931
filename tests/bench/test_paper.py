"""The paper's numbers, from a small data set to the written table."""

import json
from pathlib import Path

from bench.paper import paper
from tests.worker.training.shapes import write_shapes


def test_it_writes_every_table_and_products_leak_by_the_papers_split_only(tmp_path: Path) -> None:
    write_shapes(tmp_path, 120)
    paper(data=tmp_path, out=tmp_path / "out", seeds=2)
    sections = json.loads((tmp_path / "out/paper.json").read_text())["sections"]
    rows = {section["title"]: section["rows"] for section in sections}
    assert rows["Photos without tags"][0] == {
        "photos of": "all photos",
        "photos": 120,
        "without tags": 40,
        "always empty scores": 40 / 120,
    }
    leaks = {row["split by"]: row["product in training"] for row in rows["What leaks"]}
    # No product of these has two photos, so nothing leaks by any split.
    assert leaks["product"] == leaks["product and look"] == 0
    page = (tmp_path / "out/paper.md").read_text()
    assert all(f"## {title}\n" in page for title in rows)
