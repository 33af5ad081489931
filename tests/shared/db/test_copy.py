"""Numbers by COPY: as an INSERT of them, transactions and errors included."""

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from shared.db.copy import copy_numbers
from shared.db.retry import transient


@pytest.fixture
def table(engine: Engine) -> Engine:
    """An engine on a database with the table `numbers`."""
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE numbers (a bigint PRIMARY KEY, b real, c smallint)"))
    return engine


def _rows(engine: Engine) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text("SELECT * FROM numbers ORDER BY a"))]


def test_rows_arrive_as_they_were(table: Engine) -> None:
    rows = [(2**62, 0.1, -5), (-1, 1e-30, None), (0, float("inf"), 0)]
    with table.begin() as connection:
        copy_numbers(connection, "numbers", ("a", "b", "c"), iter(rows))
        copy_numbers(connection, "numbers", ("a", "b", "c"), [])
    assert _rows(table) == [
        (-1, pytest.approx(1e-30), None),
        (0, float("inf"), 0),
        (2**62, pytest.approx(0.1), -5),
    ]


def test_a_transaction_that_is_rolled_back_takes_them_along(table: Engine) -> None:
    with table.connect() as connection:
        copy_numbers(connection, "numbers", ("a", "b", "c"), [(1, 1, 1)])
        connection.rollback()
    assert _rows(table) == []


def test_rows_that_are_refused_are_the_statements_fault(table: Engine) -> None:
    with pytest.raises(DBAPIError) as refused, table.begin() as connection:
        copy_numbers(connection, "numbers", ("a", "b", "c"), [(1, 1, 1), (1, 2, 2)])
    assert not transient(refused.value)
    assert _rows(table) == []


def test_a_connection_that_breaks_is_not(table: Engine) -> None:
    with table.connect() as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with table.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        with pytest.raises(DBAPIError) as broken:
            copy_numbers(connection, "numbers", ("a", "b", "c"), [(1, 1, 1)])
    assert transient(broken.value)
    with table.begin() as connection:
        copy_numbers(connection, "numbers", ("a", "b", "c"), [(1, 1, 1)])
    assert len(_rows(table)) == 1
