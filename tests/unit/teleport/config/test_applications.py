import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.config.applications import (
    parse_app_name,
    parse_app_uri,
    parse_header,
    parse_jwt_claims,
    parse_redirect_host,
    split_templates,
)
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


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("X-Team: blue", ("X-Team", "blue")),
        ("Authorization:Bearer {{internal.jwt}}", ("Authorization", "Bearer {{internal.jwt}}")),
        ("X-Empty:", ("X-Empty", "")),
        ("Host: a.internal", ("Host", "a.internal")),
    ],
)
def test_a_header_is_read(text: str, header: tuple[str, str]) -> None:
    assert parse_header(text) == header


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("X-Team", "not a header"),
        (": x", "not a header"),
        ("X Team: x", "not a header"),
        ("X-Team: \u00e9", "not a header"),
        ("X-Team: a\r\nX-Evil: b", "not a header"),
        ("X-Team : x", "not a header"),
        ("Content-Length: 0", "cannot be set"),
        ("transfer-encoding: chunked", "cannot be set"),
        ("X-Forwarded-For: x", "cannot be set"),
        ("Teleport-Jwt-Assertion: x", "cannot be set"),
        ("X-Team: {{external.team", "not closed"),
        ("X-Team: {{internal.roles}}", r"unknown template \{\{internal.roles\}\}"),
        ("X-Team: {{}}", "unknown template"),
        ("X-Team: {{email}}", "unknown template"),
        ("X-Team: {{regexp.replace(external.team)}}", "unknown template"),
    ],
)
def test_what_is_no_header_of_ones_own_is_refused(text: str, reason: str) -> None:
    with pytest.raises(BadParameter, match=reason):
        parse_header(text)


def test_templates_are_split_from_what_is_around_them() -> None:
    assert split_templates("a{{external.b}}c{{ internal.jwt }}") == (
        ("a", "external.b"),
        ("c", "internal.jwt"),
        ("", ""),
    )
    assert split_templates('{{external["team.name"]}}') == (("", "external.team.name"), ("", ""))
    assert split_templates("") == (("", ""),)


@pytest.mark.parametrize("host", ["app.internal", "App.Internal:8080", "10.0.0.1", "[2001:db8::1]:80"])
def test_a_host_of_redirects_is_read(host: str) -> None:
    assert parse_redirect_host(host) == host.lower()


@pytest.mark.parametrize("host", ["", "http://a", "a/b", "a b", "a:b", "*"])
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(BadParameter):
        parse_redirect_host(host)


def test_what_an_application_is_told_is_one_of_four() -> None:
    assert [parse_jwt_claims(text) for text in ("roles-and-traits", "roles", "traits", "none")]
    with pytest.raises(BadParameter, match="roles-and-traits, roles, traits, none"):
        parse_jwt_claims("all")
