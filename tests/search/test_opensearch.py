"""Documents in a cluster, by the contract of its bulk API."""

import json
import ssl
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from bench.throughput.certificate import make_certificate
from dev.fleet import Fleet
from search.cluster import MAX_ANSWER_BYTES
from search.opensearch import OpenSearchIndex
from shared.db import search_feed
from shared.db.feed_cursors import rewind
from shared.db.follow import Entry, Follower, Progress
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


def _of_one(status: int, kind: str) -> bytes:
    error = {"type": kind, "reason": "because"}
    return json.dumps({"items": [{"index": {"status": status, "error": error}}]}).encode()


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
        (200, _of_one(403, "cluster_block_exception")),
        (200, _of_one(403, "security_exception")),
        (200, _of_one(400, "index_closed_exception")),
        (200, _of_one(404, "index_not_found_exception")),
        (400, b'{"error": {"type": "index_closed_exception"}}'),
        (403, b'{"error": {"type": "security_exception"}}'),
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
    assert rows(engine, "SELECT * FROM feed_refusal") == []


def test_what_is_never_taken_stands_there_with_its_reason_until_it_is(
    engine: Engine, settings: Settings, cluster: Cluster, follower: Follower
) -> None:
    wide = "\U0001f4f7" * 200  # 800 bytes: more than an id may have
    record(engine, settings, event(wide, event_id="e", photos=[]), event("b", photos=[]))
    follower.catch_up()
    assert {*cluster.documents("listings")} == {"b"}
    [(listing, reason)] = rows(engine, "SELECT listing_id, reason FROM feed_refusal")
    assert listing == wide
    assert "action_request_validation_exception" in reason


@pytest.mark.parametrize(
    "trouble",
    [
        (200, _of_one(400, "mapper_parsing_exception")),
        (200, _of_one(400, "illegal_argument_exception")),
        (413, b"too large"),
    ],
)
def test_what_a_document_itself_is_to_blame_for_does_not_stop_the_index(
    engine: Engine,
    settings: Settings,
    cluster: Cluster,
    follower: Follower,
    trouble: tuple[int, bytes],
) -> None:
    record(engine, settings, event("a", photos=[]))
    cluster.troubles.append(trouble)
    assert follower.catch_up() == Progress(entries=1, refused=1)
    assert rows(engine, "SELECT listing_id FROM feed_refusal") == [("a",)]
    record(engine, settings, event("a", minute=1, photos=[]))
    assert follower.catch_up() == Progress(entries=1)
    assert rows(engine, "SELECT listing_id FROM feed_refusal") == []


def test_where_large_requests_are_refused_documents_arrive_in_smaller_ones(
    engine: Engine, settings: Settings, cluster: Cluster, follower: Follower
) -> None:
    cluster.most_bytes = 8_000
    record(
        engine,
        settings,
        *(event(f"L{n}", title="t" * 400, photos=[]) for n in range(100)),
        event("giant", seller_tags=[f"{n:090}" for n in range(100)], photos=[]),
        event("last", photos=[]),
    )
    assert follower.catch_up() == Progress(entries=102, refused=1)
    assert len(cluster.documents("listings")) == 101
    [(listing, reason)] = rows(engine, "SELECT listing_id, reason FROM feed_refusal")
    assert (listing, reason.startswith("HTTP 413")) == ("giant", True)


def test_a_cluster_that_is_too_slow_for_many_documents_gets_fewer(
    engine: Engine, settings: Settings, cluster: Cluster
) -> None:
    index = OpenSearchIndex(cluster.url, "listings", deadline_s=1)
    follower = Follower(engine, index)
    follower.catch_up()
    record(engine, settings, *(event(f"L{n}", photos=[]) for n in range(4)))
    cluster.drips = True
    assert [follower.step() for _ in range(2)] == [Progress(again=True)] * 2
    with pytest.raises(IndexAway, match="timed out"):
        follower.step()
    cluster.drips = False
    assert follower.step() == Progress(entries=1)
    assert follower.catch_up() == Progress(entries=3)


def test_a_request_has_no_more_bytes_than_are_usually_taken(
    engine: Engine,
    settings: Settings,
    cluster: Cluster,
    follower: Follower,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shared.db.follow.MAX_BATCH_BYTES", 50_000)
    tags = [f"{n:090}" for n in range(100)]
    record(engine, settings, *(event(f"L{n}", seller_tags=tags, photos=[]) for n in range(12)))
    assert follower.catch_up().entries == 12
    assert len(cluster.sizes) == 3
    assert max(cluster.sizes) < 50_000


def test_tombstones_wait_for_an_index_that_begins_again_while_it_is_away(
    engine: Engine, settings: Settings, cluster: Cluster, follower: Follower
) -> None:
    record(engine, settings, event("gone", photos=[]), event("kept", photos=[]))
    follower.catch_up()
    record(engine, settings, event("gone", minute=1, type="listing.deleted"))
    with engine.begin() as connection:
        rewind(connection, f"{cluster.url.removeprefix('http://')}/listings")
    assert rows(engine, "SELECT position FROM feed_cursor") == [(0,)]
    new = Follower(engine, OpenSearchIndex(cluster.url, "another"))
    cluster.look = 503
    for away in (follower, new):
        with pytest.raises(IndexAway):
            away.step()
    cluster.look = None
    assert rows(engine, "SELECT position FROM feed_cursor") == [(0,), (0,)]
    with engine.begin() as connection:
        search_feed.compact(connection, after=0, keep=timedelta(0))
    follower.catch_up()
    assert {*cluster.documents("listings")} == {"kept"}


def test_beginning_again_shows_nothing_that_is_deleted_or_was_replaced(
    engine: Engine, settings: Settings, cluster: Cluster, follower: Follower
) -> None:
    for minute in range(3):
        record(engine, settings, event("a", minute=minute, title=f"{minute}", photos=[]))
    record(engine, settings, event("b", photos=[]))
    record(engine, settings, event("b", minute=1, type="listing.deleted"))
    follower.catch_up()
    assert cluster.taken == [("a", 3), ("b", 2)]


@pytest.mark.parametrize("makes_missing", [False, True])
def test_an_index_that_was_dropped_is_made_again_and_filled(
    engine: Engine, settings: Settings, fleet: Fleet, cluster: Cluster, makes_missing: bool
) -> None:
    cluster.makes_missing = makes_missing
    fleet.environment["TAGGER_INDEX_URL"] = cluster.url
    record(engine, settings, event("a", photos=[]))
    fleet.start("index", "index")
    wait_until(lambda: "a" in cluster.indices.get("listings", {}))
    del cluster.indices["listings"], cluster.mappings["listings"]
    record(engine, settings, event("b", photos=[]))
    wait_until(lambda: {*cluster.indices.get("listings", {})} == {"a", "b"})
    assert cluster.mappings["listings"]["mappings"]["dynamic"] is False
    assert fleet.stop("index") == {"index": 0}
    assert '"follower.begins_again"' in fleet.log("index")


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
        "http://u:12/hush@host:9200",
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
    with pytest.raises(IndexAway, match="timed out"):
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


@pytest.mark.parametrize("name", ["", "a/b", "*", "..", "_all", "a b", "a\n", "x" * 256])
def test_what_no_index_may_be_called_is_refused(name: str) -> None:
    with pytest.raises(SetupError, match="no index may be called"):
        OpenSearchIndex("http://127.0.0.1:9", name)


def test_an_address_of_version_6_is_one() -> None:
    assert OpenSearchIndex("http://[::1]:9200", "listings").name == "[::1]:9200/listings"


@pytest.mark.parametrize("status", [301, 400, 401, 403])
def test_what_never_worked_is_set_up_wrong_and_what_did_is_away(
    engine: Engine, settings: Settings, cluster: Cluster, follower: Follower, status: int
) -> None:
    cluster.look = status
    with pytest.raises(SetupError, match=f"/listings: HTTP {status}"):
        follower.step()
    cluster.look = None
    follower.catch_up()
    record(engine, settings, event("a", photos=[]))
    cluster.look = status
    with pytest.raises(IndexAway, match=f"HTTP {status}"):
        follower.step()


def test_a_cluster_is_trusted_by_the_authority_that_is_named(
    engine: Engine, settings: Settings, fleet: Fleet, cluster: Cluster, tmp_path: Path
) -> None:
    certificate = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.served)
    cluster.speak_tls(context)
    record(engine, settings, event("a", photos=[]))
    fleet.environment["TAGGER_INDEX_URL"] = cluster.url.replace("//", "//u:Wq7%40head@")
    refused = fleet.run("index", "--once")
    assert (refused.returncode, b"certificate" in refused.stderr) == (1, True), refused.stderr
    assert b"Wq7" not in refused.stderr
    fleet.environment["TAGGER_INDEX_CA_FILE"] = str(certificate.trusted)
    done = fleet.run("index", "--once")
    assert done.returncode == 0, done.stderr
    fleet.environment["TAGGER_INDEX_CA_FILE"] = str(tmp_path / "missing")
    missing = fleet.run("index", "--once")
    assert (missing.returncode, b"TAGGER_INDEX_CA_FILE" in missing.stderr) == (1, True)
