from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.errors import BadParameter
from teleport.proxy.pages.forms import parse_form

FIELDS = frozenset({"user", "password"})
PRINTED = st.text(st.characters(exclude_categories=["Cc", "Cs"]))


@given(user=PRINTED, password=PRINTED)
def test_what_a_browser_encodes_arrives_as_it_was_typed(user: str, password: str) -> None:
    typed = {"user": user, "password": password}
    assert parse_form(urlencode(typed).encode(), FIELDS) == typed


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"user=alice",
        b"user=alice&password=x&admin=1",
        b"user=alice&password=x&user=bob",
        b"user=alice&password=x&user=alice",
        b"user=alice&password",
        b"user=alice&password=x&",
        b"user=alice;password=x",
        b"user=alice&password=%zz",
        b"user=alice&password=%4",
        b"user=alice&password=%ff%fe",
        b"user=alice&password=\xc3\xa9",
        b"user=alice&password=a b",
        b"user=alice&password=<b>",
        b"user=al%00ice&password=x",
        b"user=alice&password=x%0d%0aSet-Cookie:%20a=b",
        b'{"user": "alice", "password": "x"}',
    ],
)
def test_a_form_that_no_browser_sends_is_refused(body: bytes) -> None:
    with pytest.raises(BadParameter):
        parse_form(body, FIELDS)


@given(st.binary(max_size=200))
def test_no_body_does_more_than_to_be_refused(body: bytes) -> None:
    try:
        found = parse_form(body, FIELDS)
    except BadParameter:
        return
    assert found.keys() == FIELDS
