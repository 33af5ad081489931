"""Servers that all benchmarks are tried with."""

from collections.abc import Generator

import pytest

from bench.throughput.servers import Servers


@pytest.fixture(scope="session")
def bench_servers(tmp_path_factory: pytest.TempPathFactory) -> Generator[Servers]:
    """A Postgres and a Valkey; each measurement takes a fresh database there."""
    with Servers(tmp_path_factory.mktemp("bench-servers")) as servers:
        yield servers
