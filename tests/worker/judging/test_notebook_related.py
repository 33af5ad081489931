# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false
"""The paper's wrong names are reproduced, and told from the right ones."""

from math import sqrt

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics.pairwise import cosine_similarity

from shared.domain.related import RelatedTags
from tests.worker.judging.filed import filed
from worker.dataset.catalogue import related_of
from worker.judging.notebook_related import NotebookRelated, notebook_related, notebook_tokens

# Hubs go with cables, lenses with cameras; in order of first sight hubs come first.
CATALOGUE = [
    filed("1", "Electronics", "Hubs", "Cables"),
    filed("2", "Electronics", "Hubs", "Cables"),
    filed("3", "Electronics", "Lenses", "Cameras"),
    filed("4", "Electronics", "Cameras"),
]


def test_columns_are_sorted_but_printed_in_order_of_first_sight() -> None:
    notebook = notebook_related(CATALOGUE, 0)
    assert notebook.columns == ("cables", "cameras", "hubs", "lenses")
    assert notebook.printed == ("hubs", "cables", "lenses", "cameras")
    assert notebook.misnamed == [
        ("hubs", "cables"),
        ("cables", "cameras"),
        ("lenses", "hubs"),
        ("cameras", "lenses"),
    ]


def test_it_recommends_by_wrong_names_what_the_sorted_columns_name_rightly() -> None:
    """Column `cables`, printed as hubs, goes with column `hubs`, which is printed as lenses."""
    notebook = notebook_related(CATALOGUE, 0)
    # Fully alike counts as the tag itself, so a product apart makes the pair a little less so.
    apart = notebook_related([*CATALOGUE, filed("5", "Cables")], 0)
    assert notebook.recommend(["hubs"]) == []
    assert apart.recommend(["hubs"]) == [("lenses", pytest.approx(2 / sqrt(6)), "hubs")]
    names, matrix = related_of([*CATALOGUE, filed("5", "Cables")], 0)
    right = RelatedTags(names, matrix).recommend(["hubs"])
    assert right == [("cables", pytest.approx(2 / sqrt(6)))]


def test_names_and_counts_are_those_of_scikit_learn_used_as_in_the_notebook() -> None:
    filings = [
        *CATALOGUE,
        filed("5", "Cables", "Adapters", "Cables"),
        filed("6", "Bags, Cases & Co"),
    ]
    texts = [str(list(filing.paths[0])) for filing in filings]
    vectorizer = CountVectorizer(
        tokenizer=_tokens,
        token_pattern=None,
        stop_words=["electronics"],
    )
    counts = vectorizer.fit_transform(texts)
    notebook = notebook_related(filings, 0)
    assert list(notebook.printed) == list(vectorizer.vocabulary_.keys())
    assert list(notebook.columns) == list(vectorizer.get_feature_names_out())
    assert notebook.matrix == pytest.approx(
        cosine_similarity(np.transpose(counts.toarray())), abs=1e-6
    )


def test_a_segment_falls_apart_at_a_comma_and_the_stop_tag_is_left_out() -> None:
    tokens = notebook_tokens(["Electronics", "Bags, Cases & Sleeves"])
    assert tokens == ["bags", "cases & sleeves"]


def test_a_photo_is_a_row() -> None:
    often = notebook_related([filed("1", "A", "B", rows=3), filed("2", "A")], 0)
    apart = notebook_related([*[filed("1", "A", "B")] * 3, filed("2", "A")], 0)
    assert often.matrix == pytest.approx(apart.matrix)
    assert often.matrix[0, 1] == pytest.approx(3 / sqrt(3 * 4))


def test_the_share_is_one_of_products() -> None:
    filings = [filed("1", "Rare", rows=99), *(filed(str(n), "Common") for n in range(2, 5))]
    assert notebook_related(filings, 0.5).columns == ("common",)


def test_a_label_that_no_segment_spells_out_is_a_tag_too() -> None:
    assert notebook_related([filed("1", "A", tags=("a", "b"))], 0).columns == ("a", "b")


def test_given_tags_recommend_each_other() -> None:
    matrix = np.array([[1, 0.5], [0.5, 1]], np.float32)
    notebook = NotebookRelated(("a", "b"), ("a", "b"), matrix)
    assert notebook.recommend(["a", "b", "unknown"]) == [("a", 0.5, "a"), ("b", 0.5, "b")]


def test_a_sum_must_be_greater_than_the_cutoff() -> None:
    matrix = np.array([[1, 0.19, 0.21], [0.19, 1, 0], [0.21, 0, 1]], np.float32)
    notebook = NotebookRelated(("a", "b", "c"), ("a", "b", "c"), matrix)
    assert [name for name, _, _ in notebook.recommend(["a"])] == ["c"]


def _tokens(text: str) -> list[str]:
    return text.replace("[", "").replace("]", "").replace("'", "").split(", ")
