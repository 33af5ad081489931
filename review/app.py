"""The review page as an ASGI application: its routes, and who may take them."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DataError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from review import pages
from review.auth import Auth
from review.forms import read_form
from review.middleware import SecurityMiddleware
from review.photo_threads import PhotoThreads
from review.queue_position import QueuePosition, read_id, read_word
from review.reviewers import Session
from review.views import Views
from shared.db.session import DATABASE_ERRORS, in_words
from shared.errors import Busy
from shared.settings import Settings

log = structlog.get_logger()

#: Connections to Postgres.
CONNECTIONS: Final = 8

Shown = Callable[[Request, Session], Response]
Done = Callable[[dict[str, str], Session], Response]


def make_app(settings: Settings, engine: Engine, origins: frozenset[str]) -> ASGIApp:
    """The application; it closes its connections to photos' hosts with its lifespan.

    Args:
        settings: all limits.
        engine: with `CONNECTIONS`.
        origins: that browsers see it under.
    """
    views = Views(engine, settings)
    auth = Auth(engine, settings, secure=all(one.startswith("https:") for one in origins))
    photo_threads = PhotoThreads()

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        yield
        photo_threads.close()
        views.close()

    app = Starlette(
        routes=_Routes(settings, auth, views, photo_threads).all(),
        exception_handlers={
            HTTPException: _refused,
            **dict.fromkeys(DATABASE_ERRORS, _away),
            DataError: _odd,
            Busy: _busy,
            Exception: _unexpected,
        },
        lifespan=lifespan,
    )
    return SecurityMiddleware(app, origins)


class _Routes:
    """Which path leads where, and who may take it."""

    def __init__(
        self, settings: Settings, auth: Auth, views: Views, photo_threads: PhotoThreads
    ) -> None:
        self._deadline_s = settings.body_deadline_s
        self._auth = auth
        self._views = views
        self._photo_threads = photo_threads

    def all(self) -> list[Route]:
        """Every route; everything but the way in is for those who are signed in."""
        views, auth = self._views, self._auth
        return [
            self._shown("/", lambda asked, session: views.queue(_position(asked), session)),
            self._shown(
                "/listing/{id}",
                lambda asked, session: views.listing(
                    _id(asked), _position(asked), session, asked.query_params
                ),
            ),
            self._shown("/next", lambda asked, session: views.next(_position(asked), session)),
            self._shown("/previous", lambda asked, _: views.previous(_position(asked))),
            self._shown(
                "/photo/{id}",
                lambda asked, _: views.photo(
                    _id(asked), small=asked.query_params.get("size") == "small"
                ),
                picture=True,
            ),
            self._shown(
                "/saliency/{id}",
                lambda asked, _: views.saliency(_id(asked), asked.query_params.get("tag", "")),
                picture=True,
            ),
            self._shown(
                "/precision",
                lambda asked, session: views.precision(
                    read_word(asked.query_params.get("model", "")), session
                ),
            ),
            self._done("/vote", views.vote),
            self._done("/undo", views.undo),
            self._done("/sign-out", auth.sign_out),
            Route("/sign-in", self._show_sign_in, methods=["GET"]),
            Route("/sign-in", self._sign_in, methods=["POST"]),
            Route("/static/{name}", _static, methods=["GET"]),
            Route("/healthz", _healthz, methods=["GET"]),
        ]

    def _shown(self, path: str, show: Shown, *, picture: bool = False) -> Route:
        """A page, or a picture; pictures, and where a model looked, wait for photos' hosts."""

        async def answer(request: Request) -> Response:
            cookie = request.cookies.get(self._auth.cookie)
            session = await run_in_threadpool(self._auth.session, cookie)
            if session is None:
                if picture:
                    raise HTTPException(401, "Sign in first.")
                return RedirectResponse("/sign-in", 303)
            if not picture and not request.query_params.get("where"):
                return await run_in_threadpool(show, request, session)
            try:
                return await self._photo_threads.run(partial(show, request, session))
            except Busy as busy:
                if not picture:
                    raise
                small = request.query_params.get("size") == "small"
                return pages.missing_photo(busy.code, str(busy), small=small, status=503)

        return Route(path, answer, methods=["GET"])

    def _done(self, path: str, do: Done) -> Route:
        """Something that changes something, for those who mean it."""

        async def answer(request: Request) -> Response:
            form = await read_form(request, self._deadline_s)
            cookie = request.cookies.get(self._auth.cookie)
            return await run_in_threadpool(self._do, do, form, cookie)

        return Route(path, answer, methods=["POST"])

    def _do(self, do: Done, form: dict[str, str], cookie: str | None) -> Response:
        session = self._auth.session(cookie)
        if session is None:
            return RedirectResponse("/sign-in", 303)
        self._auth.check(session, form)
        return do(form, session)

    async def _show_sign_in(self, _request: Request) -> Response:
        return self._auth.page()

    async def _sign_in(self, request: Request) -> Response:
        form = await read_form(request, self._deadline_s)
        return await run_in_threadpool(self._auth.sign_in, form)


def _position(request: Request) -> QueuePosition:
    return QueuePosition.of(request.query_params)


def _id(request: Request) -> int:
    id_ = read_id(request.path_params["id"])
    if id_ is None:
        raise HTTPException(404)
    return id_


async def _static(request: Request) -> Response:
    found = pages.static(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    return found


async def _healthz(_request: Request) -> Response:
    return Response("alive", media_type="text/plain")


_TITLES: Final = {
    401: "Signed out",
    403: "Not from here",
    404: "Nothing is here",
    405: "Not in that way",
}


def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for it
    title = _TITLES.get(error.status_code, "That did not work")
    said = error.detail if error.status_code not in {404, 405} else "The queue is a good start."
    answer = pages.message(error.status_code, title, said)
    answer.headers.update(error.headers or {})
    return answer


def _away(_request: Request, error: Any) -> Response:
    log.warning("review.database_away", reason=in_words(error))
    return pages.message(503, "Postgres is away", "Nothing is lost. Try again in a moment.")


def _odd(_request: Request, error: Any) -> Response:
    log.warning("review.odd_request", reason=in_words(error))
    return pages.message(400, "That did not work", "Nothing can be asked like that.")


def _busy(_request: Request, error: Exception) -> Response:
    return pages.message(503, "Not now", str(error))


def _unexpected(_request: Request, _error: Exception) -> Response:
    # Starlette raises it again afterwards, so that the server logs it.
    return pages.message(500, "Something went wrong", "The server's log says what.")
