import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.config.applications import parse_app_name, parse_app_uri
from teleport.errors import BadParameter


def test_a_name_has_63_characters_and_not_64() -> None:
    assert parse_app_name("a" * 63)
    with pytest.raises(BadParameter):
        parse_app_name("a" * 64)


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a.b", "a_b", "a b", "$(id)", "a\n"])
def test_what_cannot_be_a_dns_label_is_no_name(name: str) -> None:
    with pytest.raises(BadParameter):
        parse_app_name(name)


@pytest.mark.parametrize("uri", ["http://localhost:8080", "https://10.0.0.1/x?y=z", "tcp://[::1]:5432"])
def test_an_address_of_an_application_is_read(uri: str) -> None:
    assert parse_app_uri(uri) == uri


@pytest.mark.parametrize(
    "uri", ["", "localhost:8080", "http://", "ftp://a", "http://a:99999", "http://a b", "http://["]
)
def test_what_is_no_address_is_refused(uri: str) -> None:
    with pytest.raises(BadParameter):
        parse_app_uri(uri)


@settings(deadline=None)
@given(st.text(max_size=100))
def test_the_parser_refuses_and_never_breaks(text: str) -> None:
    with contextlib.suppress(BadParameter):
        parse_app_uri("http://" + text)
