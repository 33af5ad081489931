"""Refusals are problem details, each with a code of its own that the documentation names."""

from pathlib import Path

import pytest

from producer.http import problems
from producer.http.problems import BAD_EVENT, EventRefused, Problem, RequestRefused
from shared.errors import EventError

_DOCS = Path(__file__).resolve().parents[3] / "docs" / "events.md"
_PROBLEMS = [value for value in vars(problems).values() if isinstance(value, Problem)]


def test_codes_are_unique() -> None:
    assert len(_PROBLEMS) > 10
    assert len({problem.code for problem in _PROBLEMS}) == len(_PROBLEMS)


@pytest.mark.parametrize("problem", _PROBLEMS, ids=lambda problem: problem.code)
def test_each_is_documented_under_its_status(problem: Problem) -> None:
    if problem is BAD_EVENT:
        return  # its code is that of the event's error
    [line] = [text for text in _DOCS.read_text().splitlines() if f"`{problem.code}`" in text][:1]
    assert str(problem.status) in line.split("|")[1]


@pytest.mark.parametrize("problem", _PROBLEMS, ids=lambda problem: problem.code)
def test_each_says_what_is_wrong_and_what_to_do(problem: Problem) -> None:
    document = RequestRefused(problem, "more").document()
    assert document["status"] == problem.status
    assert document["detail"] == "more"
    assert document["title"].endswith(".")
    assert document["way_out"].endswith(".")
    assert document["type"].endswith(problem.code)
    assert ("retry-after" in problem.headers) == (problem.status in (429, 503))


def test_an_event_that_is_refused_shows_the_code_of_a_rejected_line() -> None:
    document = EventRefused(EventError("bad_time", "no time zone")).document()
    assert (document["status"], document["code"]) == (422, "bad_time")
    assert document["detail"] == "no time zone"
