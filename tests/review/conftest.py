"""Review pages, and a reviewer who may use them."""

from collections.abc import Generator
from contextlib import ExitStack

import pytest
import requests
from sqlalchemy import Engine

from review import reviewers
from shared.settings import Settings
from tests.review.page import NAME, Page, Serve, running


@pytest.fixture
def serve(settings: Settings, engine: Engine) -> Generator[Serve]:
    """Starts a page with changed settings; its reviewer is made, and not signed in."""
    with engine.begin() as connection:
        password = reviewers.add(connection, NAME)
    with ExitStack() as stack:

        def start(**changes: object) -> Page:
            url = stack.enter_context(running(settings.model_copy(update=changes)))
            return Page(url, password, stack.enter_context(requests.Session()))

        yield start


@pytest.fixture
def page(serve: Serve) -> Page:
    """A page whose reviewer is signed in."""
    return serve().sign_in()
