import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.declared import KUBERNETES, build_object, declare, find_problems
from teleport.errors import BadParameter
from teleport_operator.declaration import NEVER, ExpiryRule, ExpirySource
from teleport_operator.expiry import parse_moment

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SPELLING = "resources.teleport.dev/expires"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def note(metadata: object) -> dict[str, str]:
    """Return the annotation that `kubectl apply` leaves."""
    return {LAST_APPLIED: json.dumps({"metadata": metadata})}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-21T12:00:00Z", NOON),
        ("2026-11-21T13:00:00.25+01:00", NOON + timedelta(milliseconds=250)),
        ("2026-11-21 12:00:00 +0000 UTC", NOON),
        ("2026-11-21 12:00:00.000001 +0000 UTC m=+3600.100000001", NOON + timedelta(microseconds=1)),
        ("2026-11-21 13:30:00.123456789 +0130 +0130", NOON + timedelta(microseconds=123456)),
        ("2026-11-21 07:00:00 -0500 EST m=-0.5", NOON),
    ],
)
def test_a_moment_is_read_as_rfc_3339_or_as_go_prints_it(text: str, moment: datetime) -> None:
    assert parse_moment(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "1h",
        "2026-11-21",
        "1732190400",
        "2026-11-21T12:00:00",
        "2026-11-21 12:00:00",
        "2026-13-21T12:00:00Z",
        "2026-11-21 12:00:61 +0000 UTC",
        "2026-11-21 12:00:00 +9900 UTC",
        "0001-01-01 00:00:00 +2300 XXX",
        "2026-11-21 12:00:00 +0000 UTC and more",
    ],
)
def test_other_moments_are_refused(text: str) -> None:
    with pytest.raises(BadParameter, match="2026-01-31T12:00:00Z"):
        parse_moment(text)


@given(text=st.text(max_size=60) | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{5,20}.{1,20}", fullmatch=True))
def test_whatever_stands_for_a_moment_is_read_or_refused(text: str) -> None:
    with suppress(BadParameter):
        assert parse_moment(text).tzinfo is UTC


@given(moment=st.datetimes(timezones=st.just(UTC)))
def test_every_moment_that_go_prints_is_read(moment: datetime) -> None:
    assert parse_moment(f"{moment.isoformat(sep=' ').removesuffix('+00:00')} +0000 UTC m=+0.000000001") == moment


@pytest.mark.parametrize(
    ("spec", "annotations", "rule"),
    [
        pytest.param({"expires": "2026-11-21T12:00:00Z"}, {}, ExpiryRule(ExpirySource.EXPIRES, at=NOON), id="expires"),
        pytest.param({"ttl": "1h30m"}, {}, ExpiryRule(ExpirySource.TTL, ttl=timedelta(minutes=90)), id="ttl"),
        pytest.param(
            {}, {SPELLING: "2026-11-21T12:00:00Z"}, ExpiryRule(ExpirySource.ANNOTATION, at=NOON), id="annotation"
        ),
        pytest.param(
            {},
            note({"expires": "2026-11-21 12:00:00 +0000 UTC m=+3600.1"}),
            ExpiryRule(ExpirySource.METADATA, at=NOON),
            id="what kubectl noted",
        ),
        pytest.param({}, {}, ExpiryRule(ExpirySource.DEFAULT, ttl=timedelta(minutes=30)), id="nothing said"),
        pytest.param({"secret": {"rotateEvery": "1h"}}, {}, NEVER, id="rotation bounds each secret"),
        pytest.param(
            {"ttl": "1h"},
            note({"expires": "2026-11-21T12:00:00Z"}),
            ExpiryRule(ExpirySource.TTL, ttl=timedelta(hours=1)),
            id="the spec wins over what kubectl noted once",
        ),
        pytest.param(
            {}, {LAST_APPLIED: "no JSON"}, ExpiryRule(ExpirySource.DEFAULT, ttl=timedelta(minutes=30)), id="a bad note"
        ),
    ],
)
def test_the_rule_is_taken_from(spec: dict[str, Any], annotations: dict[str, str], rule: ExpiryRule) -> None:
    assert declare({"roles": ["Node"], **spec}, annotations=annotations).expiry == rule


def test_a_delegated_token_without_an_end_never_ends() -> None:
    assert declare(KUBERNETES).expiry == NEVER


@pytest.mark.parametrize(
    ("spec", "annotations", "path"),
    [
        pytest.param({"expires": "2026-11-21T12:00:00Z", "ttl": "1h"}, {}, "spec.ttl", id="both"),
        pytest.param(
            {"ttl": "1h"}, {SPELLING: "2026-11-21T12:00:00Z"}, f"metadata.annotations[{SPELLING}]", id="both spellings"
        ),
        pytest.param({}, {SPELLING: "in an hour"}, f"metadata.annotations[{SPELLING}]", id="a bad annotation"),
        pytest.param({}, note({"expires": "in an hour"}), "metadata.expires", id="a bad note"),
        pytest.param({}, note({"expires": 5}), "metadata.expires", id="a note of a number"),
    ],
)
def test_an_end_that_cannot_be_told_is_refused(spec: dict[str, Any], annotations: dict[str, str], path: str) -> None:
    problems = find_problems(build_object({"roles": ["Node"], **spec}, annotations=annotations))
    assert [problem.path for problem in problems] == [path]


@pytest.mark.parametrize("metadata", [None, [], "text", {"expires": None}, {}])
def test_a_note_without_an_end_says_nothing(metadata: object) -> None:
    assert declare(KUBERNETES, annotations=note(metadata)).expiry == NEVER


def test_what_kubectl_noted_is_told_where_it_is_used() -> None:
    declaration = declare(KUBERNETES, annotations=note({"expires": "2026-11-21T12:00:00Z"}))
    assert [note.reason for note in declaration.notes] == ["ExpiresFromMetadata"]


def test_a_relative_rule_is_anchored_where_it_was_first_seen() -> None:
    assert ExpiryRule(ExpirySource.TTL, ttl=timedelta(hours=1)).resolve(NOON) == NOON + timedelta(hours=1)
    assert ExpiryRule(ExpirySource.EXPIRES, at=NOON).resolve(NOON - timedelta(days=1)) == NOON
    assert NEVER.resolve(NOON) is None


def test_the_fingerprint_changes_with_the_rule_and_with_nothing_else() -> None:
    hour = declare({"roles": ["Node"], "ttl": "1h"})
    assert declare({"roles": ["App"], "ttl": "60m"}, generation=9).expiry.fingerprint == hour.expiry.fingerprint
    assert declare({"roles": ["Node"], "ttl": "2h"}).expiry.fingerprint != hour.expiry.fingerprint
    assert declare({"roles": ["Node"], "expires": "2026-11-21T12:00:00Z"}).expiry.fingerprint != hour.expiry.fingerprint
