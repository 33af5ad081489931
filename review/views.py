"""What a signed-in reviewer sees and does: the queue, a listing, its photos, votes, precision."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Engine
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from review import pages
from review.cards import flag_kinds, read_cards
from review.listing import PENDING, Listing, Photo, read_listing, read_photo
from review.photos import LARGE, SMALL, PhotoProxy
from review.precision import precisions
from review.queue import following, preceding
from review.queue_position import QueuePosition, read_id
from review.reasons import sentence, sentence_of
from review.reviewers import Session
from review.saliency import Saliency, SaliencyMaps
from review.thresholds import thresholds
from shared.db import models, votes
from shared.db.decisions import Decisions
from shared.db.votes import TAG, Verdict
from shared.errors import ModelUnknown, PhotoError
from shared.settings import Settings

#: Listings on a page of the queue.
_PAGE: Final = 24
#: Models to choose from, the newest ones.
_VERSIONS: Final = 50
#: Pictures of ours may be shown again by the same browser for so long.
_PICTURE_S: Final = 300


class Views:
    """Answers to those who are signed in. Any thread may call it."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        """Fetches and loads nothing yet."""
        self._engine = engine
        self._decisions = Decisions()
        self._photos = PhotoProxy(settings)
        self._saliency = SaliencyMaps(engine, settings, self._photos)

    def close(self) -> None:
        """Closes the connections to photos' hosts."""
        self._photos.close()

    def queue(self, position: QueuePosition, session: Session) -> Response:
        """A page of listings that wait for a vote."""
        with self._engine.connect() as connection:
            keys = following(
                connection, position, session.reviewer_id, self._decisions, limit=_PAGE + 1
            )
            cards = read_cards(connection, [key.listing_id for key in keys[:_PAGE]])
            tags = thresholds(connection, self._decisions)
            kinds = flag_kinds(connection)
        return pages.page(
            "queue.html",
            session=session,
            position=position,
            kinds=kinds,
            tags=[*tags],
            rows=[
                (key, position.at(key), cards[key.listing_id])
                for key in keys[:_PAGE]
                if key.listing_id in cards
            ],
            more=position.at(keys[_PAGE - 1]) if len(keys) > _PAGE else None,
        )

    def next(self, position: QueuePosition, session: Session) -> Response:
        """On to the next listing that waits."""
        with self._engine.connect() as connection:
            found = following(connection, position, session.reviewer_id, self._decisions, limit=1)
        if not found:
            return RedirectResponse(f"/{position.at(None).query()}", 303)
        return RedirectResponse(
            f"/listing/{found[0].listing_id}{position.at(found[0]).query()}", 303
        )

    def previous(self, position: QueuePosition) -> Response:
        """Back to the listing before."""
        with self._engine.connect() as connection:
            found = preceding(connection, position, self._decisions)
        if found is None:
            return RedirectResponse(f"/{position.at(None).query()}", 303)
        return RedirectResponse(f"/listing/{found.listing_id}{position.at(found).query()}", 303)

    def listing(
        self, listing_id: int, position: QueuePosition, session: Session, asked: Mapping[str, str]
    ) -> Response:
        """One listing. `photo` in the query is the photo to show, `where` the tag to explain."""
        with self._engine.connect() as connection:
            listing = read_listing(connection, listing_id, session.reviewer_id, self._decisions)
        if listing is None:
            raise HTTPException(404)
        photo = _chosen(listing, asked.get("photo", ""))
        where = asked.get("where", "")
        saliency, unseen = self._looked(photo, where)
        return pages.page(
            "listing.html",
            session=session,
            position=position,
            listing=listing,
            photo=photo,
            gone=_gone(photo),
            where=where,
            saliency=saliency,
            unseen=unseen,
            undo=position.fields,
        )

    def _looked(self, photo: Photo | None, where: str) -> tuple[Saliency | None, str]:
        if not where or photo is None:
            return None, ""
        try:
            return self._saliency.look(photo.id, where), ""
        except PhotoError as error:
            return None, f"{error.code}: {sentence(error)}"

    def photo(self, photo_id: int, *, small: bool) -> Response:
        """A photo, or a picture of why there is none."""
        photo = self._photo(photo_id)
        if photo.missing:
            return pages.missing_photo(photo.missing, _why(photo), small=small)
        try:
            body = self._photos.jpeg(photo.url, SMALL if small else LARGE, photo.content_sha256)
        except PhotoError as error:
            return pages.missing_photo(error.code, sentence(error), small=small)
        return _picture(body)

    def saliency(self, photo_id: int, tag: str) -> Response:
        """A photo, dark where hiding it did nothing to the tag's score."""
        photo = self._photo(photo_id)
        try:
            heat = self._saliency.look(photo_id, tag).occlusion.heat
            body = self._photos.lit_up(photo.url, heat, LARGE)
        except PhotoError as error:
            return pages.missing_photo(error.code, sentence(error), small=False)
        return _picture(body)

    def precision(self, version: str, session: Session) -> Response:
        """What the votes say of each tag."""
        with self._engine.connect() as connection:
            try:
                rows = precisions(connection, version or None)
            except ModelUnknown:
                raise HTTPException(404) from None
            versions = models.newest_versions(connection, _VERSIONS)
            return pages.page(
                "precision.html",
                session=session,
                version=version,
                versions=versions,
                tags=[row for row in rows if row.kind == TAG],
                flags=[row for row in rows if row.kind != TAG],
            )

    def vote(self, form: dict[str, str], session: Session) -> Response:
        """Votes, and back to the listing, at its next subject."""
        listing_id, at = _number(form.get("listing")), _number(form.get("at", "0"))
        try:
            verdict = Verdict(form.get("verdict", ""))
        except ValueError:
            raise HTTPException(400, "A vote accepts or rejects.") from None
        try:
            shown = bytes.fromhex(form.get("shown", "")) or None
        except ValueError:
            raise HTTPException(400, "That is no hash.") from None
        kind, subject = form.get("subject_kind", ""), form.get("subject", "")
        if kind == TAG:
            subject = subject.strip()
        vote = votes.Vote(session.reviewer_id, listing_id, kind, subject, verdict, shown)
        with self._engine.begin() as connection:
            known = votes.cast(connection, vote)
        if not known:
            raise HTTPException(
                409,
                "The listing does not have that any more, its photos have changed since, or no tag"
                " is called so. Load it again.",
            )
        view = {name: form[name] for name in ("photo", "where") if form.get(name)}
        query = QueuePosition.of(form).query(**view)
        return RedirectResponse(f"/listing/{listing_id}{query}#s{at + 1}", 303)

    def undo(self, form: dict[str, str], session: Session) -> Response:
        """Takes the newest vote back, and shows its listing."""
        position = QueuePosition.of(form)
        with self._engine.begin() as connection:
            listing_id = votes.take_back(connection, session.reviewer_id)
        if listing_id is None:
            return RedirectResponse(f"/{position.at(None).query()}", 303)
        if position.key is None or position.key.listing_id != listing_id:
            position = position.at(None)
        return RedirectResponse(f"/listing/{listing_id}{position.query()}", 303)

    def _photo(self, photo_id: int) -> Photo:
        with self._engine.connect() as connection:
            photo = read_photo(connection, photo_id)
        if photo is None:
            raise HTTPException(404)
        return photo


def _chosen(listing: Listing, wanted: str) -> Photo | None:
    """The photo that is asked for; else the first that was tagged, or the first."""
    by_id = {str(photo.id): photo for photo in listing.photos}
    tagged = [photo for photo in listing.photos if not photo.missing]
    return by_id.get(wanted) or next(iter(tagged or listing.photos), None)


def _gone(photo: Photo | None) -> str:
    """Why a photo is not shown; empty where it is."""
    return f"{photo.missing}: {_why(photo)}" if photo and photo.missing else ""


def _why(photo: Photo) -> str:
    if photo.missing == PENDING:
        return "No worker has looked at it yet."
    return sentence_of(photo.missing)


def _number(text: str | None) -> int:
    number = read_id(text or "")
    if number is None:
        raise HTTPException(400, "That is no number.")
    return number


def _picture(body: bytes) -> Response:
    headers = {"cache-control": f"private, max-age={_PICTURE_S}"}
    return Response(body, media_type="image/jpeg", headers=headers)
