"""Finding listings in the index that is in Postgres: words, filters, facets, related tags."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, text

from search.postgres import WEIGHTS
from shared.db import models
from shared.db.decisions import Decisions
from shared.domain.vocabulary import canonical

_FACETS: Final = 10


@dataclass(frozen=True, slots=True)
class Ranking:
    """How much a word counts by where it stands, in 0..1; docs/search.md tells how it is judged.

    Attributes:
        tags: read off photos.
        title: the seller's.
        seller_tags: the seller's.
        related_tags: that go with the photos' tags.
        expanded: times `tags`, for a tag that stands for the words.
    """

    tags: float = 1.0
    title: float = 0.7
    seller_tags: float = 0.3
    related_tags: float = 0.1
    expanded: float = 0.2


RANKING: Final = Ranking()


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for.

    Attributes:
        words: as typed: all must be there; "a phrase", a OR b, -not.
        tags: the listing's own tags must include all of these.
        without: and none of these.
        sources: where words are looked for; see `WEIGHTS`.
        expand: tags that stand for the words too, with a lower rank.
    """

    words: str = ""
    tags: Sequence[str] = ()
    without: Sequence[str] = ()
    sources: Collection[str] = tuple(WEIGHTS)
    expand: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """A listing that was found."""

    listing_id: str
    rank: float
    title: str
    tags: list[str]
    seller_tags: list[str]
    related_tags: list[str]


@dataclass(frozen=True, slots=True)
class Found:
    """An answer: the best hits, how many there are, and how tags are spread over all of them."""

    hits: list[Hit]
    total: int
    facets: dict[str, int] = field(default_factory=dict[str, int])


def search(
    connection: Connection,
    query: Query,
    language: str,
    *,
    limit: int = 10,
    ranking: Ranking = RANKING,
) -> Found:
    """The listings that fit best; the newest first where no word is looked for.

    Args:
        connection: where the index is.
        query: what is looked for.
        language: the one that the index was made with.
        limit: the most hits.
        ranking: what fits better than what.
    """
    expanded = " || ".join(
        f"phraseto_tsquery(CAST(:language AS regconfig), :expand{n})"
        for n in range(len(query.expand))
    )
    statement = _STATEMENT.format(expanded=expanded or "''::tsquery")
    answer = connection.execute(
        text(statement),
        {
            "words": query.words.replace("\0", " "),
            "language": language,
            "sources": [WEIGHTS[source] for source in query.sources],
            "tags": [*map(canonical, query.tags)],
            "without": [*map(canonical, query.without)],
            # From D to A, see `WEIGHTS`.
            "ranks": [ranking.related_tags, ranking.seller_tags, ranking.title, ranking.tags],
            "expanded": ranking.expanded,
            "limit": limit,
            "facets": _FACETS,
        }
        | {f"expand{n}": tag for n, tag in enumerate(query.expand)},
    ).one()
    return Found([Hit(**hit) for hit in answer.hits], answer.total, dict(answer.facets))


def related(connection: Connection, words: str, language: str) -> list[str]:
    """Tags that go with those that the words name, by the matrix of the model that serves."""
    champion = models.champion_id(connection)
    if champion is None:
        return []
    named = connection.execute(
        text("""
            SELECT name FROM tag
            WHERE to_tsvector(CAST(:language AS regconfig), :words)
                @@ phraseto_tsquery(CAST(:language AS regconfig), name)
        """),
        {"words": words.replace("\0", " "), "language": language},
    ).scalars()
    decision = Decisions().active(connection, [champion])[champion].decision
    return [tag for tag, _ in decision.related.recommend(named)]


#: The index finds candidates by all words of a document; those looked for elsewhere go then.
_STATEMENT: Final = """
    WITH query AS (
        SELECT websearch_to_tsquery(CAST(:language AS regconfig), :words) AS own,
            {expanded} AS expanded),
    matching AS MATERIALIZED (
        SELECT listing_id, title, tags, seller_tags, related_tags, occurred_at,
            CASE WHEN numnode(own) = 0 THEN 0 ELSE
                ts_rank(CAST(:ranks AS real[]), ts_filter(words, CAST(:sources AS "char"[])), own)
            END + CASE WHEN numnode(expanded) = 0 THEN 0 ELSE
                :expanded * ts_rank(CAST(:ranks AS real[]), ts_filter(words, '{{a}}'), expanded)
            END AS rank
        FROM search_document, query
        WHERE (numnode(own) = 0 OR words @@ (own || expanded) AND (
                ts_filter(words, CAST(:sources AS "char"[])) @@ own
                OR numnode(expanded) > 0 AND ts_filter(words, '{{a}}') @@ expanded))
            AND tags @> CAST(:tags AS text[]) AND NOT tags && CAST(:without AS text[])),
    best AS (
        SELECT listing_id, rank, title, tags, seller_tags, related_tags FROM matching
        ORDER BY rank DESC, occurred_at DESC, listing_id LIMIT :limit),
    facets AS (
        SELECT tag, count(*) AS listings FROM matching, unnest(tags) AS tag
        GROUP BY tag ORDER BY listings DESC, tag LIMIT :facets)
    SELECT (SELECT count(*) FROM matching) AS total,
        (SELECT coalesce(json_agg(best), '[]') FROM best) AS hits,
        (SELECT coalesce(json_agg(json_build_array(tag, listings)), '[]') FROM facets) AS facets
"""
