import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.kube.errors import BadAnswer
from teleport.kube.openid import fetch_key_set, read_jwks_uri

ISSUER = "https://issuer.example.com/cluster"
HTTPS = ("https",)


def render(**document: object) -> bytes:
    return json.dumps({"issuer": ISSUER, "jwks_uri": "https://keys.example.com/jwks"} | document).encode()


def test_the_document_says_where_the_keys_are() -> None:
    assert read_jwks_uri(render(), ISSUER, HTTPS) == "https://keys.example.com/jwks"


@pytest.mark.parametrize(
    "issuer", [ISSUER + "/", ISSUER.upper(), "https://issuer.example.com", [ISSUER], None, "", ISSUER + " "]
)
def test_hostile_07_another_issuer_is_refused(issuer: object) -> None:
    with pytest.raises(BadAnswer) as refusal:
        read_jwks_uri(render(issuer=issuer), ISSUER, HTTPS)
    assert "another issuer" in refusal.value.detail


@pytest.mark.parametrize(
    "uri",
    [
        "http://keys.example.com/jwks",
        "file:///etc/passwd",
        "ftp://keys.example.com/",
        "//keys.example.com/jwks",
        "/jwks",
        "https:///jwks",
        "https://user@keys.example.com/jwks",
        "https://[::1/jwks",
        "",
        7,
        None,
    ],
)
def test_hostile_03_keys_that_are_not_on_https_are_not_fetched(uri: object) -> None:
    with pytest.raises(BadAnswer):
        read_jwks_uri(render(jwks_uri=uri), ISSUER, HTTPS)


@pytest.mark.parametrize("issuer", ["http://localhost:1", "file:///etc", "localhost", ""])
async def test_an_issuer_that_is_not_on_https_is_not_asked(issuer: str) -> None:
    with pytest.raises(BadAnswer) as refusal:
        await fetch_key_set(issuer)
    assert "https" in refusal.value.detail


def test_http_is_for_tests() -> None:
    uri = "http://localhost:80/jwks"
    assert read_jwks_uri(render(jwks_uri=uri), ISSUER, ("https", "http")) == uri


@pytest.mark.parametrize("document", [b"", b"<html>", b"[]", b"null", b"[" * 100_000, b"\xff", b"{}"])
def test_hostile_22_what_is_no_document_is_refused(document: bytes) -> None:
    with pytest.raises(BadAnswer):
        read_jwks_uri(document, ISSUER, HTTPS)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_and_nothing_else_happens(document: bytes) -> None:
    with pytest.raises(BadAnswer):
        read_jwks_uri(document, ISSUER, HTTPS)
