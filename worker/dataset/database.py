"""A database that lives as long as one command, in bounded memory."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from shared.errors import DatasetError
from worker.dataset.utf8 import in_utf8


@contextmanager
def database(folder: Path, memory_mb: int, threads: int) -> Generator[DuckDBPyConnection]:
    """A DuckDB whose rows go to `folder` where they outgrow the memory.

    Raises:
        DatasetError: the memory does not suffice, the disk is full, or the folder's name is not
            UTF-8.
    """
    spilled_to = in_utf8(folder)
    folder.mkdir()
    config: dict[str, Any] = {
        "memory_limit": f"{memory_mb}MB",
        "temp_directory": spilled_to,
        "threads": threads,
        "preserve_insertion_order": False,
        "allocator_flush_threshold": "16MB",
        # Nothing is fetched or loaded from elsewhere, whatever a file says.
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    try:
        # In memory, and spilling: a database file would be written twice and synced each time,
        # for rows that nobody needs when this process is gone.
        with duckdb.connect(config=config) as connection:
            connection.execute("SET enable_progress_bar = false")
            # Columns of Python texts are taken as texts, not looked through for their type.
            connection.execute("SET pandas_analyze_sample = 0")
            yield connection
    except duckdb.OutOfMemoryException as error:
        if "max_temp_directory_size" in str(error):
            raise DatasetError(f"the disk of {folder} is full") from None
        raise DatasetError(f"{memory_mb} MB are not enough; raise --memory-mb") from None
    except duckdb.Error as error:
        raise DatasetError(str(error).splitlines()[0]) from None


def one_row(connection: DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """The first row of an answer; nothing where it has none."""
    return connection.execute(query).fetchone() or ()
