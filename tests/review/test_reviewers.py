"""Reviewers are made and removed by commands; passwords are strong, and stored as hashes."""

import pytest
from sqlalchemy import Engine

from dev.fleet import Fleet
from review import reviewers
from review.passwords import fits, hashed, new_password
from review.throttle import OF_A_NAME, OF_ALL, WINDOW_S, Throttle
from shared.errors import SetupError
from tests.marketplace import rows


def test_a_password_fits_its_own_hash_alone() -> None:
    password = new_password()
    assert len(password) == 29
    assert new_password() != password
    stored = hashed(password)
    assert password not in stored
    assert fits(password, stored)
    assert hashed(password) != stored
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
    assert fits(password, rows(engine, "SELECT password FROM reviewer")[0][0])
    again = fleet.run("review", "add", "kim")
    assert again.returncode == 1
    assert b"kim is a reviewer already" in again.stderr
    assert fleet.run("review", "remove", "kim").returncode == 0
    assert rows(engine, "SELECT password FROM reviewer") == [(None,)]
    assert fleet.run("review", "remove", "kim").returncode == 1
    assert fleet.run("review", "add", "kim").stdout.decode().strip() != password
    assert rows(engine, "SELECT count(*) FROM reviewer") == [(1,)]


@pytest.mark.parametrize("name", ["", " ", "a b", "-x", "a" * 65, "é", "a\n", "<b>"])
def test_a_name_is_a_plain_word(engine: Engine, name: str) -> None:
    with engine.begin() as connection, pytest.raises(SetupError):
        reviewers.add(connection, name)


def test_tries_are_counted_by_name_and_in_all_for_a_minute() -> None:
    throttle = Throttle()
    for second in range(OF_A_NAME):
        assert throttle.wait_s("kim", second) == 0
        throttle.failed("kim", second)
    assert throttle.wait_s("kim", 10) == pytest.approx(WINDOW_S - 10)
    assert throttle.wait_s("lou", 10) == 0
    for number in range(OF_ALL - OF_A_NAME):
        throttle.failed(f"n{number}", 20)
    assert throttle.wait_s("lou", 21) > 0
    assert throttle.wait_s("lou", 20 + WINDOW_S) == 0
    assert throttle.wait_s("kim", 20 + WINDOW_S) == 0


def test_the_right_password_takes_its_tries_back() -> None:
    throttle = Throttle()
    for _ in range(OF_A_NAME):
        throttle.failed("kim", 0)
    throttle.succeeded("kim")
    assert throttle.wait_s("kim", 1) == 0
