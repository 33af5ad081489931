"""One process of `tagger flag`. Run by its supervisor: python -m trust.process PID"""

import sys

from shared import followers
from shared.settings import Settings
from trust.flagger import Flagger


def projection(settings: Settings) -> Flagger:
    """What these settings have flagged."""
    return Flagger(settings.restricted_tags, shadow=settings.flags_shadow)


def main(arguments: list[str]) -> int:
    """Works until SIGTERM; `arguments`: the supervisor's process id."""
    (supervisor,) = arguments
    return followers.work(int(supervisor), "flag", projection)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
