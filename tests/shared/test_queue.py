"""The broker's URL: what is no URL is refused without a word of it."""

import pytest

from shared.errors import SetupError
from shared.queue import make_app
from shared.settings import Settings


def _settings(redis_url: str) -> Settings:
    return Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue]
        DATABASE_URL="postgresql://127.0.0.1/tagger",  # pyright: ignore[reportCallIssue]
        REDIS_URL=redis_url,  # pyright: ignore[reportCallIssue]
    )


@pytest.mark.parametrize(
    "url",
    [
        "amqp://:hush@valkey",
        "redis://:hush",
        "redis://:x@valkey:hush",
        "redis://tagger:1/hush@valkey",  # read as the host tagger, port 1
        "redis://tagger:1#hush@valkey",
        "redis://:x@valkey/hush",
        "redis://[hush",
    ],
)
def test_a_url_that_is_none_or_whose_password_is_not_encoded_is_refused(url: str) -> None:
    with pytest.raises(SetupError, match=r"REDIS_URL must be .*%XX") as caught:
        make_app(_settings(url))
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("rest", ["", "/", "/0", "/15", "/0?health_check_interval=5"])
def test_a_url_names_one_of_the_servers_databases_or_none(rest: str) -> None:
    url = f"rediss://tagger:a%2Fb%23c@valkey:6380{rest}"
    assert make_app(_settings(url)).conf.broker_url == url  # pyright: ignore[reportUnknownMemberType]
