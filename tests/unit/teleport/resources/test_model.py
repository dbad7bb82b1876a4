from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from teleport.errors import BadParameter
from teleport.resources.model import (
    MAX_LABEL_LENGTH,
    MAX_LABELS,
    MAX_NAME_LENGTH,
    Metadata,
    Model,
    Time,
    check_labels,
    check_name,
    parse_model,
    render_time,
)


class Event(Model):
    """Something with a time and a secret."""

    when: Time
    secret: str = Field(default="", max_length=8)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31t12:00:00z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31 12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00.25+02:00", datetime(2026, 1, 31, 10, 0, 0, 250_000, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_as_rfc_3339_writes_it(text: str, moment: datetime) -> None:
    found = parse_model(Event, {"when": text}, "event").when
    assert (found, found.tzinfo) == (moment, UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-31",
        "2026-01-31T12:00:00",
        "12:00",
        "1767225600",
        "now",
        "",
        0,
        1e12,
        float("inf"),
        True,
        [],
        "2026-13-01T00:00:00Z",
    ],
)
def test_a_time_without_zone_or_notation_is_refused(value: object) -> None:
    with pytest.raises(BadParameter, match="event: when"):
        parse_model(Event, {"when": value}, "event")


def test_a_time_without_zone_is_refused_inside_as_well() -> None:
    with pytest.raises(ValidationError):
        Event(when=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_a_time_beyond_the_calendar_is_refused(text: str) -> None:
    with pytest.raises(BadParameter, match="outside the years"):
        parse_model(Event, {"when": text}, "event")


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_reads_back_as_it_was_written(moment: datetime) -> None:
    assert Event.model_validate_json(Event(when=moment).model_dump_json()).when == moment


def test_a_time_is_written_in_utc_without_an_empty_fraction() -> None:
    assert render_time(datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))) == "2026-01-01T00:00:00Z"
    assert render_time(datetime(2026, 1, 1, 0, 0, 0, 5, tzinfo=UTC)) == "2026-01-01T00:00:00.000005Z"


def test_an_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(BadParameter, match="event: colour: unknown field"):
        parse_model(Event, {"when": "2026-01-31T12:00:00Z", "colour": "blue"}, "event")


def test_a_refusal_never_repeats_the_value() -> None:
    with pytest.raises(BadParameter) as caught:
        parse_model(Event, {"when": "a-secret-in-the-wrong-place", "secret": "another-secret"}, "event")
    told = f"{caught.value.message} {caught.value.__cause__}"
    assert "a-secret-in-the-wrong-place" not in told
    assert "another-secret" not in told


def test_a_refusal_stays_short_whatever_came() -> None:
    with pytest.raises(BadParameter) as caught:
        parse_model(Event, {"k" * 10_000 + str(number): 1 for number in range(100)}, "event")
    assert len(caught.value.message) < 1000


def test_what_is_no_mapping_is_refused() -> None:
    with pytest.raises(BadParameter, match="document"):
        parse_model(Event, [1], "event")


def test_a_model_does_not_change() -> None:
    with pytest.raises(ValidationError):
        Metadata(name="a").name = "b"  # type: ignore[misc]


@pytest.mark.parametrize("name", ["a", "x" * MAX_NAME_LENGTH, "ünïcode", "a b", "a/b"])
def test_a_name_is_nearly_anything(name: str) -> None:
    check_name(name, "name")


@pytest.mark.parametrize("name", ["", "x" * (MAX_NAME_LENGTH + 1), "a\nb", "a\0", "\x1b[2J", "\x7f"])
def test_a_name_that_is_empty_endless_or_acts_is_refused(name: str) -> None:
    with pytest.raises(BadParameter, match=r"^the thing's name "):
        check_name(name, "the thing's name")


def test_labels_are_many_and_long_but_not_more() -> None:
    check_labels({f"k{number}": "v" * MAX_LABEL_LENGTH for number in range(MAX_LABELS)}, "labels")
    check_labels({"k": ["a", "b"]}, "labels")
    check_labels({"k": ""}, "labels")
    for labels in (
        {f"k{number}": "" for number in range(MAX_LABELS + 1)},
        {"k": "v" * (MAX_LABEL_LENGTH + 1)},
        {"k": ["v", "a\nb"]},
        {"": "v"},
        {"a\tb": "v"},
    ):
        with pytest.raises(BadParameter, match=r"^labels: "):
            check_labels(labels, "labels")
