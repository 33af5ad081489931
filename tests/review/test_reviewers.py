"""Reviewers are made and removed by commands; passwords are strong, and stored as hashes."""

import threading

import pytest
from sqlalchemy import Engine

from dev.fleet import Fleet
from review import reviewers
from review.passwords import fits, hashed, new_password
from shared.errors import SetupError
from tests.marketplace import rows


def test_a_password_fits_its_own_hash_alone() -> None:
    password = new_password()
    assert len(password) == 29
    assert new_password() != password
    stored = hashed(password)
    assert password.encode() not in stored
    assert fits(password, stored)
    for other in ("", password[:-1], password.upper(), "\ud800"):
        assert not fits(other, stored)
    assert not fits(password, None)
    assert not fits("", None)


def test_the_command_prints_a_password_that_lets_in_until_the_reviewer_is_removed(
    fleet: Fleet, engine: Engine
) -> None:
    added = fleet.run("review", "add", "kim")
    assert added.returncode == 0, added.stderr
    password = added.stdout.decode().strip()
    assert fits(password, rows(engine, "SELECT password_sha256 FROM reviewer")[0][0])
    again = fleet.run("review", "add", "kim")
    assert again.returncode == 1
    assert b"kim is a reviewer already" in again.stderr
    assert fleet.run("review", "remove", "kim").returncode == 0
    assert rows(engine, "SELECT password_sha256 FROM reviewer") == [(None,)]
    assert fleet.run("review", "remove", "kim").returncode == 1
    assert fleet.run("review", "add", "kim").stdout.decode().strip() != password
    assert rows(engine, "SELECT count(*) FROM reviewer") == [(1,)]


@pytest.mark.parametrize("name", ["", " ", "a b", "-x", "a" * 65, "é", "a\n", "<b>"])
def test_a_name_is_a_plain_word(engine: Engine, name: str) -> None:
    with engine.begin() as connection, pytest.raises(SetupError):
        reviewers.add(connection, name)


def test_who_signs_in_while_being_removed_is_signed_out_and_stays_so(engine: Engine) -> None:
    with engine.begin() as connection:
        password = reviewers.add(connection, "kim")

    def remove() -> None:
        with engine.begin() as connection:
            reviewers.remove(connection, "kim")

    removing = threading.Thread(target=remove)
    with engine.begin() as connection:
        session = reviewers.sign_in(connection, "kim", password, for_s=1000)
        assert session is not None
        removing.start()
        removing.join(0.5)
        assert removing.is_alive()
    removing.join(60)
    with engine.begin() as connection:
        reviewers.add(connection, "kim")
        assert reviewers.session_of(connection, session.token) is None
