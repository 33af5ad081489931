"""Waiting for photos, and saying where they stand when that takes too long."""

from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from bench.running import Pipeline, as_settings, published, unsettled
from bench.scale.backlog import fill
from bench.throughput.servers import Servers
from dev.fleet import Fleet
from shared.errors import SetupError


def test_photos_that_do_not_settle_in_time_are_an_error_that_tells_where_they_stand(
    bench_servers: Servers, tmp_path: Path
) -> None:
    with bench_servers.fresh() as urls, closing(psycopg2.connect(urls.database_url)) as connection:
        connection.autocommit = True
        running = Pipeline(Fleet(urls, tmp_path), connection)
        running.until_settled(0, limit_s=0)
        with pytest.raises(SetupError, match="0 photos of 1"):
            running.until_settled(1, limit_s=0.1)
        fill(connection, 3, "http://127.0.0.1:9", 1)
        assert (published(connection), unsettled(connection)) == (0, {"pending": 3})
        with pytest.raises(SetupError, match="'pending': 3"):
            running.until_settled(3, limit_s=0.1)


def test_settings_are_taken_apart_and_what_is_none_is_named() -> None:
    assert as_settings(["TAGGER_A=1", "TAGGER_B_C=x=y"]) == {"TAGGER_A": "1", "TAGGER_B_C": "x=y"}
    with pytest.raises(SetupError, match="A=1 is not"):
        as_settings(["A=1"])
