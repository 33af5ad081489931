"""The schemas say what the code does, and the documents in docs/ are today's."""

# pyright: reportUnknownMemberType=false

import base64
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from producer import contract
from producer.contract import Kind
from producer.events import Limits
from producer.intake import limits
from producer.parsing import parse
from shared.errors import EventError
from shared.settings import Settings
from tests.marketplace import NOON, event
from tests.sender import envelope

_DOCS = Path(__file__).resolve().parents[2] / "docs" / "schemas"
_LIMITS = Limits(max_event_bytes=1 << 20, max_photos=3, max_seller_tags=2)


def _default_limits() -> Limits:
    fields = Settings.model_fields
    return limits(
        Settings.model_construct(
            **{name: field.default for name, field in fields.items()},
        )
    )


@pytest.mark.parametrize("kind", [*Kind])
def test_the_documents_in_docs_are_what_the_code_makes(kind: Kind) -> None:
    held = (_DOCS / f"{kind}.json").read_text()
    assert held == contract.document(kind, _default_limits()) + "\n", (
        f"tagger events schema {kind} > docs/schemas/{kind}.json"
    )


@pytest.mark.parametrize("schema", [contract.event_schema, contract.cloudevent_schema])
def test_the_schemas_are_schemas(schema: Any) -> None:
    Draft202012Validator.check_schema(schema(_LIMITS))


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    whole = contract.asyncapi(_LIMITS)
    references = re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(whole))
    assert len(references) > 5
    for reference in references:
        place: Any = whole
        for part in reference.split("/"):
            place = place[part]


# Python takes $ for an end before the last line end too, which no other dialect does.
_text = st.text(max_size=6).filter(lambda text: not text.endswith("\n"))
_words = _text | st.sampled_from(["", " ", "\0", "x" * 201, "listing.deleted"])
_value = st.none() | st.integers() | _words | st.lists(_words | st.integers(), max_size=4)
_times = st.just(NOON.isoformat())


def _takes(read: Any) -> bool:
    try:
        parse(json.dumps(read).encode(), _LIMITS, NOON)
    except EventError:
        return False
    return True


def _changed(whole: dict[str, Any], changes: dict[str, Any], dropped: set[str]) -> dict[str, Any]:
    return {name: value for name, value in (whole | changes).items() if name not in dropped}


@settings(max_examples=400)
@given(
    st.sampled_from(["listing.created", "listing.updated", "listing.deleted"]),
    st.dictionaries(
        st.sampled_from(
            [
                "event_id",
                "listing_id",
                "title",
                "seller_tags",
                "photos",
                "type",
                "specversion",
            ]
        ),
        _value,
        max_size=2,
    ),
    st.sets(st.sampled_from(["event_id", "type", "occurred_at", "photos", "title"]), max_size=1),
)
def test_an_event_is_taken_if_and_only_if_its_schema_says_so(
    kind: str, changes: dict[str, Any], dropped: set[str]
) -> None:
    whole = _changed(event(type=kind), changes, dropped)
    valid = Draft202012Validator(contract.event_schema(_LIMITS)).is_valid(whole)
    assert valid == _takes(whole), whole


def _encoded(data: object) -> str:
    return base64.b64encode(json.dumps(data).encode()).decode()


#: Where there is a subject, this must be it: that, and what bytes say, is beyond a schema.
_listing_ids = st.none() | st.integers() | st.sampled_from(["L1", "", " ", "x" * 201])
_DATA: dict[str, Any] = {"listing_id": "L1", "photos": []}
_changes: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("id", "source", "specversion", "type"), _value),
        "subject": st.none() | st.integers() | st.sampled_from(["L1", "", " ", "\x1c", "x" * 201]),
        "data": st.none() | st.integers() | st.just(_DATA),
        "data_base64": st.none() | st.integers() | st.sampled_from(["%", "x", "e30=e30="]),
        "datacontenttype": _value
        | st.sampled_from(["application/json", "Text/JSON ;x", "a+json", "text/plain", "json;"]),
    },
)


@settings(max_examples=800)
@given(
    st.sampled_from(["listing.created", "listing.updated", "listing.deleted"]),
    st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("title", "seller_tags", "photos"), _value),
            "listing_id": _listing_ids,
        },
    ),
    _changes,
    st.sets(st.sampled_from(["id", "source", "time", "subject", "data"]), max_size=1),
)
def test_a_cloudevent_is_taken_if_and_only_if_its_schema_says_so(
    kind: str, in_data: dict[str, Any], changes: dict[str, Any], dropped: set[str]
) -> None:
    whole = envelope(type=kind)
    whole["data"] |= in_data
    whole = _changed(whole, changes, dropped)
    assert _valid(whole) == _takes(whole), whole


@given(
    st.sampled_from(["listing.created", "listing.updated", "listing.deleted"]),
    st.sampled_from([{}, {"data": None}, {"data": {}}, {"subject": None}]),
)
def test_data_may_come_as_bytes(kind: str, changes: dict[str, Any]) -> None:
    whole = envelope(type=kind)
    data = whole.pop("data") | {"listing_id": "L1"}
    whole |= {"data_base64": _encoded(data)} | changes
    assert _valid(whole) == _takes(whole) == (changes != {"data": {}}), whole


def _valid(whole: dict[str, Any]) -> bool:
    return Draft202012Validator(contract.cloudevent_schema(_LIMITS)).is_valid(whole)


def test_what_is_white_space_is_the_same_in_every_dialect() -> None:
    schema = contract.event_schema(_LIMITS)["properties"]["listing_id"]
    validator = Draft202012Validator(schema)
    for code in range(1, sys.maxunicode + 1):
        if chr(code).isspace():
            assert not validator.is_valid(chr(code)), hex(code)
    assert "\\s" not in json.dumps(contract.cloudevent_schema(_LIMITS))
    assert all(validator.is_valid(text) for text in ("\u200b", "\ufeff", "\x1b", "a b"))
