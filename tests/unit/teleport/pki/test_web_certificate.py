from datetime import UTC, datetime, timedelta

import pytest

from support.tls_certificates import ThrowawayAuthority
from teleport.errors import BadParameter
from teleport.pki.web_certificate import WebCertificate, create_self_signed, read_web_certificate

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("proxy.example.com", "*.apps.example.com", "192.0.2.7", "::1")


def create(*names: str) -> WebCertificate:
    return create_self_signed(names or NAMES, not_before=NOW, not_after=NOW + timedelta(days=365))


def test_a_certificate_made_here_states_its_names_and_its_time() -> None:
    made = create()
    assert (made.names, made.not_before, made.not_after) == (NAMES, NOW, NOW + timedelta(days=365))
    assert read_web_certificate(made.chain_pem, made.key_pem) == made


def test_a_name_longer_than_a_common_name_is_kept_among_the_names() -> None:
    name = ".".join(["a" * 60] * 4)
    assert create(name).names == (name,)


def test_of_a_chain_the_first_certificate_counts() -> None:
    authority = ThrowawayAuthority.create()
    leaf = authority.issue("Proxy.Example.com")
    read = read_web_certificate(leaf.certificate_pem + authority.certificate_pem, leaf.key_pem)
    assert read.names == ("proxy.example.com",)
    assert read_web_certificate(authority.certificate_pem, "").names == ()


@pytest.mark.parametrize("name", ["proxy.example.com", "grafana.apps.example.com", "192.0.2.7"])
def test_a_name_is_covered_as_it_stands_or_by_a_star(name: str) -> None:
    assert create().covers(name)


@pytest.mark.parametrize(
    "name", ["", "example.com", "x.proxy.example.com", "apps.example.com", "a.b.apps.example.com", "com"]
)
def test_a_star_stands_for_one_label(name: str) -> None:
    assert not create().covers(name)


@pytest.mark.parametrize(
    "text", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(BadParameter, match="certificate"):
        read_web_certificate(text, "")


def test_the_key_is_not_shown() -> None:
    assert "PRIVATE" not in repr(create())
