"""Where the servers are: in a variable or in a file, and never with a password that is none."""

import os
from pathlib import Path

import pytest

from shared.errors import SetupError
from shared.servers import MAX_FILE_BYTES, given_secret, refuse_known_password

_URL = "postgresql://tagger:hush@db.example.com/tagger"


def test_a_url_stands_in_its_variable_or_in_the_file_of_its_variable(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"\n  {_URL}\r\n")
    assert given_secret({"DATABASE_URL": _URL}, "DATABASE_URL") == _URL
    assert given_secret({"DATABASE_URL_FILE": str(tmp_path / "url")}, "DATABASE_URL") == _URL
    assert given_secret({"DATABASE_URL_FILE": str(tmp_path / "url")}, "REDIS_URL") is None


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(_URL)
    file = str(tmp_path / "url")
    assert given_secret({"DATABASE_URL": "", "DATABASE_URL_FILE": ""}, "DATABASE_URL") is None
    assert given_secret({"DATABASE_URL": "", "DATABASE_URL_FILE": file}, "DATABASE_URL") == _URL
    assert given_secret({"DATABASE_URL": _URL, "DATABASE_URL_FILE": ""}, "DATABASE_URL") == _URL


def test_both_are_one_too_many(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(_URL)
    environment = {"DATABASE_URL": _URL, "DATABASE_URL_FILE": str(tmp_path / "url")}
    with pytest.raises(SetupError, match="DATABASE_URL and DATABASE_URL_FILE") as caught:
        given_secret(environment, "DATABASE_URL")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "empty"),
        (b" \r\n\t", "empty"),
        (b"hush" * MAX_FILE_BYTES, "more than 16384 bytes"),
        (b"hush\xff", "UTF-8"),
        (b"# hush\nhush", "more than one line"),
    ],
)
def test_a_file_that_holds_no_url_is_named_by_its_variable_and_not_quoted(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    (tmp_path / "url").write_bytes(content)
    with pytest.raises(SetupError, match=f"REDIS_URL_FILE.*{complaint}") as caught:
        given_secret({"REDIS_URL_FILE": str(tmp_path / "url")}, "REDIS_URL")
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_largest_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "url").write_bytes(b"x" * MAX_FILE_BYTES)
    environment = {"REDIS_URL_FILE": str(tmp_path / "url")}
    assert given_secret(environment, "REDIS_URL") == "x" * MAX_FILE_BYTES


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # nobody writes to it
    for path, complaint in [
        (tmp_path / "pipe", "no plain file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "nothing", "No such file"),
        (_URL, "No such file"),  # the URL itself, in the wrong variable
        ("x" * 10_000, "too long"),
    ]:
        with pytest.raises(SetupError, match=f"DATABASE_URL_FILE.*{complaint}") as caught:
            given_secret({"DATABASE_URL_FILE": str(path)}, "DATABASE_URL")
        assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://tagger:@db.example.com/tagger",  # $PASSWORD was not set
        "postgresql://tagger:@127.0.0.1/tagger",
        "postgresql://tagger@db.example.com/tagger?password=",
        "redis://:@valkey/0",
        "postgresql://postgres:postgres@db/tagger",
        "postgresql://shop:shop@db/tagger",
        "postgresql://tagger:Change%4de@db/tagger",
        "postgresql://tagger@db/tagger?password=secret",
        "postgresql://tagger:secret@/tagger?host=db.example.com",
        "redis://:foobared@10.0.0.7/0",
        "rediss://default:password@[2001:db8::1]:6380/0",
    ],
)
def test_a_password_that_is_none_stops_a_command(url: str) -> None:
    with pytest.raises(SetupError, match="REDIS_URL") as caught:
        refuse_known_password("REDIS_URL", url)
    assert "db" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        _URL,
        "postgresql://tagger@db.example.com/tagger",  # a certificate, or a .pgpass
        "postgresql:///tagger",  # the user of the operating system, over a Unix socket
        "postgresql://db.example.com/tagger?sslmode=verify-full&sslcert=/run/client.crt",
        "redis://valkey:6379/0",  # a network of its own
        "postgresql://postgres:postgres@127.0.0.1:5432/test",  # a developer's own machine
        "postgresql://postgres:postgres@localhost/test",
        "postgresql://postgres:postgres@/test?host=/run/postgresql",
        "redis://:redis@[::1]/0",
        "postgresql://[half/tagger",  # no URL: told by whoever connects to it
    ],
)
def test_a_password_of_its_own_or_none_at_all_is_right(url: str) -> None:
    refuse_known_password("DATABASE_URL", url)
