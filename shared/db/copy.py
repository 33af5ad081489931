"""Rows of numbers into a table by COPY, which costs a third of what an INSERT of them does."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import cast

import psycopg2
import psycopg2.extensions
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError


def copy_numbers(
    connection: Connection,
    table: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[int | float | None]],
) -> None:
    """Appends rows, in the connection's transaction.

    Numbers alone: COPY's formats treat some strings as more than data.

    Args:
        connection: the transaction.
        table: one of our own.
        columns: names, in the order of the rows' values.
        rows: values; None is NULL.

    Raises:
        DBAPIError: as for a statement: the rows are not taken, or the server is away.
    """
    content = io.StringIO()
    csv.writer(content, lineterminator="\n").writerows(rows)
    if not content.tell():
        return
    content.seek(0)
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT csv)"
    driver = cast("psycopg2.extensions.connection", connection.connection.dbapi_connection)
    with driver.cursor() as cursor:
        try:
            cursor.copy_expert(statement, content)
        except psycopg2.Error as error:
            # As SQLAlchemy does for statements that go through it.
            if driver.closed:
                connection.invalidate(error)
            raise DBAPIError.instance(statement, None, error, psycopg2.Error) from error
