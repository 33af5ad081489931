"""What the queue says of a listing before it is opened."""

from dataclasses import replace

from sqlalchemy import Engine, text

from review.cards import flag_kinds, read_cards
from shared.settings import Settings
from tests.marketplace import DECISION, listing, register, rows
from tests.review.page import Page, flag


def test_a_card_has_the_listings_tags_and_each_kind_of_its_flags_once(
    engine: Engine, settings: Settings
) -> None:
    plain = listing(engine, settings, "plain", [0.9, 0.8])
    flagged = listing(engine, settings, "flagged", [0.9, 0.1])
    for kind, subject in (("spam", "a"), ("spam", "b"), ("reused_photo", "")):
        flag(engine, flagged, 0.9, kind=kind, subject=subject)
    with engine.connect() as connection:
        cards = read_cards(connection, [plain, flagged])
        assert flag_kinds(connection) == ["reused_photo", "spam"]
    assert cards.keys() == {plain, flagged}
    assert (cards[plain].kinds, cards[plain].tags) == ([], ["camera 0.90", "cable 0.80"])
    assert (cards[flagged].kinds, cards[flagged].tags) == (
        ["reused_photo", "spam"],
        ["camera 0.90"],
    )
    first = rows(engine, "SELECT id FROM photo WHERE listing_id = :id", id=plain)
    assert first == [(cards[plain].photo_id,)]


def test_kinds_of_flags_are_shown_as_words_and_tags_as_they_are(
    engine: Engine, settings: Settings, page: Page
) -> None:
    with engine.begin() as connection:
        register(connection, replace(DECISION, vocabulary=("game_boy", "cable")))
        connection.execute(text("UPDATE model SET status = 'champion'"))
    flag(engine, listing(engine, settings, "L1", [0.9, 0.1]), 0.9, kind="reused_photo")
    listing(engine, settings, "L2", [0.9, 0.1])
    shown = page.get("/").text
    assert ">reused photo</span>" in shown
    assert ">game_boy 0.90</span>" in shown
