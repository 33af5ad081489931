"""One process of `tagger index`. Run by its supervisor: python -m search.process PID URL NAME"""

import sys

from search.opensearch import OpenSearchIndex
from search.postgres import PostgresIndex
from shared import followers
from shared.db.follow import Projection
from shared.errors import SetupError
from shared.settings import Settings

#: Of an index in a cluster that nobody named.
DEFAULT_NAME = "listings"


def projection(settings: Settings, to: str, name: str) -> Projection:
    """The index that is meant.

    Args:
        settings: may hold the URL of a cluster, too.
        to: the URL of a cluster; '' where none was given.
        name: of the index there; '' where none was given.

    Raises:
        SetupError: these do not fit each other, or see `OpenSearchIndex`.
    """
    given = settings.index_url.get_secret_value() if settings.index_url else ""
    if to and given:
        raise SetupError("--to and TAGGER_INDEX_URL are both given; only one can be meant")
    if to or given:
        return OpenSearchIndex(to or given, name or DEFAULT_NAME, ca_file=settings.index_ca_file)
    if name:
        raise SetupError("--name is for an index at --to or TAGGER_INDEX_URL, and neither is given")
    return PostgresIndex(settings.search_language)


def main(arguments: list[str]) -> int:
    """Works until SIGTERM; `arguments`: the supervisor's process id, and see `projection`."""
    supervisor, to, name = arguments
    return followers.work(int(supervisor), "index", lambda settings: projection(settings, to, name))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
