import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.errors import BadParameter, TooLarge
from teleport.pki.pem import CERTIFICATE, parse_pem, render_pem


@given(st.binary(min_size=1, max_size=500))
def test_what_is_written_is_read_back(der: bytes) -> None:
    assert parse_pem(render_pem(der, CERTIFICATE), CERTIFICATE, what="certificate") == der


def test_another_label_is_refused() -> None:
    with pytest.raises(BadParameter, match="certificate must be exactly one PEM block"):
        parse_pem(render_pem(b"x", "PRIVATE KEY"), CERTIFICATE, what="certificate")


def test_misplaced_padding_is_refused() -> None:
    with pytest.raises(BadParameter, match="base64"):
        parse_pem("-----BEGIN CERTIFICATE-----\nA=AA\n-----END CERTIFICATE-----\n", CERTIFICATE, what="certificate")


def test_the_limit_is_exact() -> None:
    pem = render_pem(b"x" * 300, CERTIFICATE)
    assert parse_pem(pem, CERTIFICATE, what="certificate", limit=len(pem)) == b"x" * 300
    with pytest.raises(TooLarge):
        parse_pem(pem, CERTIFICATE, what="certificate", limit=len(pem) - 1)
