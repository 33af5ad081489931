"""A photo, settings to fetch it by, and a host that asks to be left alone."""

from shared.settings import Settings
from worker.fetch.breaker import Breaker

PHOTO = b"\xff\xd8 a photo \xff\xd9" * 100


def make_settings(*ports: int, **changes: object) -> Settings:
    """Of a process that may fetch from these ports of this machine."""
    values: dict[str, object] = {
        "DATABASE_URL": "postgresql://unused",
        "REDIS_URL": "redis://unused",
        "allow_private_hosts": True,
        "allowed_ports": frozenset({80, 443, *ports}),
        "max_photo_bytes": 1 << 20,
        **changes,
    }
    return Settings(_env_file=None, **values)  # pyright: ignore[reportCallIssue, reportArgumentType]


def leave_alone(breaker: Breaker, now: float, seconds: float) -> bool:
    """The host of five photos, or two, wants to be asked again after so long."""
    times = 2 if breaker.stranger else 5
    opened = [breaker.fail(now, began_at=now, named_s=seconds) for _ in range(times)]
    return opened[-1]
