"""A field is declared in one line, and written, read and described by it."""

from typing import NamedTuple

import jsonschema
import pytest

from corebox.bundle.fields import (
    ADDRESS,
    NUMBER,
    TEXT,
    Annotated,
    MisfitError,
    array,
    choice,
    read,
    record,
    schema_of,
    sparse,
    to_json,
)


class Sky(NamedTuple):
    """What the tests add a field to."""

    clouds: Annotated[int, NUMBER, "Eighths of the sky."]
    kind: Annotated[str, choice(("cirrus", "cumulus")), "The most frequent."]


class Weather(NamedTuple):
    """All kinds of fields."""

    sky: Annotated[Sky, record(Sky), "The sky."]
    station: Annotated[int | None, ADDRESS.called("at"), "Where it was seen."]
    days: Annotated[tuple[str, ...], array(TEXT, 2), "On which days."]
    wind: Annotated[str | None, sparse(TEXT), "Absent if there was none."] = None
    more: Annotated[int, NUMBER, "Added later."] = 7


WEATHER = Weather(Sky(3, "cirrus"), 0xAB, ("Monday",))
JSON = {"sky": {"clouds": 3, "kind": "cirrus"}, "at": "0xab", "days": ["Monday"], "more": 7}


def test_a_declared_field_is_written_and_read_and_described() -> None:
    assert to_json(WEATHER) == JSON
    assert read(Weather, JSON) == WEATHER
    schema = schema_of(Weather)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(JSON, schema)
    assert schema["required"] == ["at", "days", "sky"]


def test_one_line_is_all_that_a_new_field_needs() -> None:
    class More(NamedTuple):
        clouds: Annotated[int, NUMBER, "Eighths of the sky."]
        kind: Annotated[str, choice(("cirrus", "cumulus")), "The most frequent."]
        height: Annotated[int | None, NUMBER, "Of the lowest clouds, in metres."] = None

    assert to_json(More(1, "cirrus", 500)) == {"clouds": 1, "kind": "cirrus", "height": 500}
    assert read(More, {"clouds": 1, "kind": "cirrus", "height": 500}).height == 500
    assert read(More, to_json(Sky(1, "cirrus"))) == More(1, "cirrus")  # what was written before
    described = schema_of(More)["properties"]["height"]  # type: ignore[index]
    assert described == {"description": "Of the lowest clouds, in metres.", "type": ["integer", "null"], "minimum": 0}
    with pytest.raises(MisfitError, match="height is -1"):
        read(More, {"clouds": 1, "kind": "cirrus", "height": -1})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sky": {"clouds": -1, "kind": "cirrus"}}, ": sky: clouds is -1"),
        ({"sky": {"clouds": 1}}, ": sky lacks kind"),
        ({"sky": []}, ": sky is not an object"),
        ({"at": "ab"}, ": at is 'ab'"),
        ({"days": ["a", "b", "c"]}, ": days is ['a', 'b', 'c']"),
        ({"more": None}, ": more is None"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(changed: dict[str, object], message: str) -> None:
    with pytest.raises(MisfitError) as caught:
        read(Weather, {**JSON, **changed})
    assert str(caught.value) == message
