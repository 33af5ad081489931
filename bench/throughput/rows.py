"""The rows that our run left behind, kept so that the limit can store the very same ones."""

import io
from pathlib import Path
from typing import Final

from psycopg2.extensions import connection as Connection  # noqa: N812  # a type's name

BATCH_PHOTOS: Final = 256
_MOST_BATCHES: Final = 40
#: Table -> its rows of listings with ids from one number to another.
_ROWS: Final = {
    "listing": "SELECT * FROM listing WHERE id BETWEEN %s AND %s",
    "photo": "SELECT * FROM photo WHERE listing_id BETWEEN %s AND %s",
    "photo_tag": """
        SELECT photo_tag.* FROM photo_tag JOIN photo ON photo.id = photo_id
        WHERE listing_id BETWEEN %s AND %s""",
    "listing_tag": "SELECT * FROM listing_tag WHERE listing_id BETWEEN %s AND %s",
    "related_tag": "SELECT * FROM related_tag WHERE listing_id BETWEEN %s AND %s",
    "search_feed": """
        SELECT search_feed.* FROM search_feed JOIN listing ON external_id = search_feed.listing_id
        WHERE listing.id BETWEEN %s AND %s""",
}


def keep(connection: Connection, folder: Path) -> None:
    """Writes the rows of up to 10,240 listings of one photo each, a file a batch and table."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(id), max(id) FROM listing")
        [(first, last)] = cursor.fetchall()
        starts = range(int(first), int(last) + 1, BATCH_PHOTOS)[:_MOST_BATCHES]
        for number, start in enumerate(starts):
            for table, query in _ROWS.items():
                chosen = cursor.mogrify(query, (start, start + BATCH_PHOTOS - 1)).decode()
                with (folder / f"{number:03}.{table}").open("w") as file:
                    cursor.copy_expert(f"COPY ({chosen}) TO STDOUT", file)


class Batch:
    """Rows of 256 photos, in memory."""

    def __init__(self, folder: Path, number: int) -> None:
        """Reads what `keep` wrote."""
        self._tables = {table: (folder / f"{number:03}.{table}").read_text() for table in _ROWS}
        self.photos = self._tables["photo"].count("\n")

    def store(self, connection: Connection) -> None:
        """Copies them in, in one transaction."""
        with connection, connection.cursor() as cursor:
            for table, rows in self._tables.items():
                cursor.copy_expert(f"COPY {table} FROM STDIN", io.StringIO(rows))


def batches(folder: Path) -> int:
    """How many batches were kept."""
    return len(list(folder.glob("*.photo")))
