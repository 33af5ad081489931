"""Documents in a cluster, by the contract of its bulk API."""

import json
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from dev.fleet import Fleet
from search.opensearch import MAX_ANSWER_BYTES, OpenSearchIndex
from shared.db.follow import Entry, Follower, rewind
from shared.errors import IndexAway, SetupError
from shared.settings import Settings
from tests.marketplace import event, record, rows, tag_all
from tests.search.cluster import Cluster
from tests.waiting import wait_until


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """An empty one."""
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def follower(engine: Engine, cluster: Cluster) -> Follower:
    """Keeps the cluster's index up to date."""
    return Follower(engine, OpenSearchIndex(cluster.url, "listings"))


def test_creation_update_and_deletion_arrive_with_their_versions(
    engine: Engine, settings: Settings, cluster: Cluster, follower: Follower
) -> None:
    record(engine, settings, event("a"), event("b"))
    tag_all(engine)
    follower.catch_up()
    assert {*cluster.documents("listings")} == {"a", "b"}
    assert cluster.documents("listings")["a"]["tags"] == [{"tag": "camera", "score": 0.9}]
    assert cluster.mappings["listings"]["mappings"]["dynamic"] is False
    record(engine, settings, event("a", minute=1, title="new"))
    record(engine, settings, event("b", minute=1, type="listing.deleted"))
    follower.catch_up()
    assert {*cluster.documents("listings")} == {"a"}
    assert cluster.documents("listings")["a"]["title"] == "new"
    newest = dict(
        rows(engine, "SELECT listing_id, max(doc_version) FROM search_feed GROUP BY 1")  # pyright: ignore[reportArgumentType]
    )
    assert {id_: entry[0] for id_, entry in cluster.indices["listings"].items()} == newest


def test_all_of_it_again_changes_nothing(
    engine: Engine, settings: Settings, cluster: Cluster, follower: Follower
) -> None:
    record(engine, settings, event("a"), event("b"))
    tag_all(engine)
    record(engine, settings, event("b", minute=1, type="listing.deleted"))
    follower.catch_up()
    before = json.dumps(cluster.indices)
    with engine.begin() as connection:
        rewind(connection, f"{cluster.url.removeprefix('http://')}/listings")
    assert follower.catch_up().entries > 0
    assert json.dumps(cluster.indices) == before


@pytest.mark.parametrize(
    "trouble",
    [
        (503, b"{}"),
        (429, b"{}"),
        (302, b""),
        (200, b"not json"),
        (200, b'{"items": []}'),
        (200, b'{"items": [{"index": {"status": 429}}]}'),
        (200, b'{"items": [{"index": {"status": 503, "error": "late"}}]}'),
    ],
)
def test_what_is_not_taken_now_comes_again(
    engine: Engine,
    settings: Settings,
    cluster: Cluster,
    follower: Follower,
    trouble: tuple[int, bytes],
) -> None:
    follower.catch_up()
    record(engine, settings, event("a"))
    tag_all(engine)
    follower.step()
    cluster.indices["listings"].clear()
    record(engine, settings, event("a", minute=1, title="new"))
    cluster.troubles.append(trouble)
    with pytest.raises(IndexAway):
        follower.step()
    assert follower.step().entries == 1
    assert cluster.documents("listings")["a"]["title"] == "new"


def test_what_is_never_taken_stands_there_with_its_reason_until_it_is(
    engine: Engine, settings: Settings, cluster: Cluster, follower: Follower
) -> None:
    wide = "\U0001f4f7" * 200  # 800 bytes: more than an id may have
    record(engine, settings, event(wide, event_id="e", photos=[]), event("b", photos=[]))
    follower.catch_up()
    assert {*cluster.documents("listings")} == {"b"}
    [(listing, reason)] = rows(engine, "SELECT listing_id, reason FROM feed_refusal")
    assert listing == wide
    assert "illegal_argument_exception" in reason


def test_an_index_that_was_dropped_is_made_again_and_filled_from_then_on(
    engine: Engine, settings: Settings, fleet: Fleet, cluster: Cluster
) -> None:
    fleet.environment["TAGGER_INDEX_URL"] = cluster.url
    record(engine, settings, event("a", photos=[]))
    fleet.start("index", "index")
    wait_until(lambda: "a" in cluster.indices.get("listings", {}))
    del cluster.indices["listings"]
    record(engine, settings, event("b", photos=[]))
    wait_until(lambda: "b" in cluster.indices.get("listings", {}))
    assert fleet.stop("index") == {"index": 0}
    assert fleet.run("index", "--once", "--rebuild").returncode == 0
    assert {*cluster.documents("listings")} == {"a", "b"}


def test_of_two_at_once_none_loses_or_repeats_anything(
    engine: Engine, settings: Settings, fleet: Fleet, cluster: Cluster
) -> None:
    fleet.environment["TAGGER_INDEX_URL"] = cluster.url
    for name in ("one", "two"):
        fleet.start(name, "index")
    for start in range(0, 2000, 500):
        record(engine, settings, *(event(f"L{n}", photos=[]) for n in range(start, start + 500)))
    wait_until(lambda: len(cluster.indices.get("listings", {})) == 2000)
    # Nobody dies in these, so nothing comes twice.
    assert sorted(cluster.taken) == sorted((f"L{n}", 1) for n in range(2000))
    fleet.kill("one")
    record(engine, settings, event("last", photos=[]))
    wait_until(lambda: "last" in cluster.indices["listings"])
    assert fleet.stop("two") == {"two": 0}


def test_its_password_goes_to_it_and_nowhere_else(
    engine: Engine, settings: Settings, fleet: Fleet, cluster: Cluster
) -> None:
    cluster.authorization = "Basic dTpXcTdAaGVhZA=="  # u:Wq7@head
    record(engine, settings, event("a", photos=[]))
    fleet.environment["TAGGER_INDEX_URL"] = cluster.url.replace("//", "//u:Wq7%40head@")
    done = fleet.run("index", "--once")
    assert done.returncode == 0, done.stderr
    assert b"Wq7" not in done.stdout + done.stderr
    assert rows(engine, "SELECT count(*) FROM feed_cursor WHERE name LIKE '%Wq7%'") == [(0,)]
    fleet.environment["TAGGER_INDEX_URL"] = cluster.url.replace("//", "//u:wrong@")
    refused = fleet.run("index", "--once", "--rebuild")
    assert refused.returncode == 1
    assert b"401" in refused.stderr


@pytest.mark.parametrize(
    "url",
    [
        "ftp://u:hush@host",
        "http://u:hush@",
        "u:hush",
        "http://u:hush@host?b",
        "http://u:hush@host:b:c",
        "http://u:hush@[host",
    ],
)
def test_what_is_no_url_of_a_cluster_is_refused_unquoted(url: str) -> None:
    with pytest.raises(SetupError, match=r"must be http\(s\)://") as raised:
        OpenSearchIndex(url, "listings")
    assert "hush" not in str(raised.value)


def _send(index: OpenSearchIndex) -> None:
    index.apply(None, [Entry("a", 1, {})])  # pyright: ignore[reportArgumentType]


def test_a_cluster_that_does_not_answer_is_away() -> None:
    with Cluster() as gone:
        url = gone.url
    with pytest.raises(IndexAway):
        _send(OpenSearchIndex(url, "listings"))


def test_a_cluster_whose_answer_drips_is_away(cluster: Cluster) -> None:
    cluster.drips = True
    with pytest.raises(IndexAway, match="Timeout"):
        _send(OpenSearchIndex(cluster.url, "listings", deadline_s=0.5))


def test_a_cluster_whose_answer_is_huge_is_away(cluster: Cluster) -> None:
    cluster.troubles.append((200, b" " * (MAX_ANSWER_BYTES + 1)))
    with pytest.raises(IndexAway, match="more than"):
        _send(OpenSearchIndex(cluster.url, "listings"))


def test_documents_go_nowhere_else(cluster: Cluster) -> None:
    with Cluster() as elsewhere:
        elsewhere.indices["listings"] = {}
        cluster.troubles.append((307, f"{elsewhere.url}/listings/_bulk".encode()))
        with pytest.raises(IndexAway, match="307"):
            _send(OpenSearchIndex(cluster.url, "listings"))
        assert elsewhere.taken == []


def test_once_says_by_its_exit_code_that_documents_were_refused(
    engine: Engine, settings: Settings, fleet: Fleet, cluster: Cluster
) -> None:
    record(
        engine, settings, event("\U0001f4f7" * 200, event_id="e", photos=[]), event("b", photos=[])
    )
    done = fleet.run("index", "--once", "--to", cluster.url, "--name", "shop")
    assert done.returncode == 3, done.stderr
    assert b"1 documents were refused" in done.stdout
    assert {*cluster.documents("shop")} == {"b"}
    assert fleet.run("index", "--once", "--to", cluster.url, "--name", "shop").returncode == 0


def test_a_name_without_a_cluster_is_refused(fleet: Fleet) -> None:
    done = fleet.run("index", "--once", "--name", "shop")
    assert (done.returncode, b"--name" in done.stderr) == (1, True)
