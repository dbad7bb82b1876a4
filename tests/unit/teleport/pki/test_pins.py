import hashlib
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from support.x509 import (
    CLUSTER,
    NOW,
    YEAR,
    HostileLeaf,
    build_authority,
    build_host_template,
    build_user_template,
)
from teleport.errors import BadParameter, TrustError
from teleport.pki.pins import MAX_PINS, ca_pin, check_pins, verify_server_leaf
from teleport.resources.role import SystemRole

CA1, CA2 = build_authority(), build_authority()
PIN1, PIN2 = ca_pin(CA1.pem), ca_pin(CA2.pem)
NAMES = ("*.teleport.cluster.local", "teleport.cluster.local")
AUTH = CA1.issue_der(build_host_template(SystemRole.AUTH, dns_names=NAMES))


def test_a_pin_is_the_sha256_of_the_cas_public_key_info() -> None:
    key = x509.load_pem_x509_certificate(CA1.pem.encode()).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert f"sha256:{hashlib.sha256(spki).hexdigest()}" == PIN1


def test_a_leaf_has_no_pin() -> None:
    with pytest.raises(BadParameter):
        ca_pin(CA1.issue(build_host_template()).pem)


def test_a_matching_pin_passes() -> None:
    check_pins([PIN1], [CA1.pem])


def test_every_certificate_may_match_a_pin_of_its_own() -> None:
    check_pins([PIN2, PIN1], [CA1.pem, CA2.pem])


def test_a_pin_more_than_needed_is_fine() -> None:
    check_pins([PIN2, PIN1], [CA1.pem])


def test_every_certificate_must_match_a_pin() -> None:
    with pytest.raises(TrustError, match="tctl status"):
        check_pins([PIN1], [CA1.pem, CA2.pem])


def test_hostile_50_a_wrong_pin_names_rotation_as_a_cause() -> None:
    with pytest.raises(TrustError, match="rotated"):
        check_pins([PIN2], [CA1.pem])


@pytest.mark.parametrize(
    "pin",
    [
        "",
        ":",
        "sha256",
        "sha256:",
        "sha256:abc",
        "md5:abc",
        "SHA256:" + PIN1[7:],
        "sha256:" + PIN1[7:].upper(),
        PIN1 + "0",
        PIN1 + " ",
        PIN1 + ":x",
        PIN1[7:],
        PIN1 + "x" * 1000,
        " " + PIN1,
    ],
)
def test_a_malformed_pin_is_refused_even_where_another_one_matches(pin: str) -> None:
    with pytest.raises(BadParameter, match="CA pin"):
        check_pins([PIN1, pin], [CA1.pem])


def test_no_pin_is_no_consent() -> None:
    with pytest.raises(BadParameter, match="needed"):
        check_pins([], [CA1.pem])


def test_a_server_without_cas_is_not_trusted() -> None:
    with pytest.raises(TrustError, match="CA certificates"):
        check_pins([PIN1], [])


def test_pins_and_certificates_are_bounded() -> None:
    check_pins([PIN1] * MAX_PINS, [CA1.pem] * 64)
    with pytest.raises(BadParameter):
        check_pins([PIN1] * (MAX_PINS + 1), [CA1.pem])
    with pytest.raises(TrustError):
        check_pins([PIN1], [CA1.pem] * 65)


@given(st.lists(st.text(max_size=80), max_size=3), st.lists(st.text(max_size=200), max_size=3))
def test_any_texts_are_refused(pins: list[str], certificates: list[str]) -> None:
    with pytest.raises((BadParameter, TrustError)):
        check_pins(pins, certificates)


def _verify(
    leaf: bytes, *cas: str, now: datetime = NOW, cluster_name: str = CLUSTER, allow_proxy: bool = False
) -> None:
    verify_server_leaf(leaf, cas or (CA1.pem,), now=now, cluster_name=cluster_name, allow_proxy=allow_proxy)


def test_an_auth_server_is_trusted() -> None:
    _verify(AUTH)
    _verify(AUTH, CA2.pem, CA1.pem)


def test_a_proxy_is_trusted_only_where_that_is_asked_for() -> None:
    proxy = CA1.issue_der(build_host_template(SystemRole.PROXY, dns_names=NAMES))
    _verify(proxy, allow_proxy=True)
    with pytest.raises(TrustError, match="not that of an auth server"):
        _verify(proxy)


@pytest.mark.parametrize("role", [SystemRole.NODE, SystemRole.KUBE, SystemRole.ADMIN])
def test_another_role_is_not_trusted_whatever_its_names(role: SystemRole) -> None:
    with pytest.raises(TrustError, match="not that of an auth server"):
        _verify(CA1.issue_der(build_host_template(role, dns_names=NAMES)), allow_proxy=True)


def test_a_user_is_not_trusted_whatever_the_roles() -> None:
    with pytest.raises(TrustError, match="not that of an auth server"):
        _verify(CA1.issue_der(build_user_template("auth", ("Auth",))))


def test_an_auth_server_without_the_clusters_name_is_not_trusted() -> None:
    with pytest.raises(TrustError, match=r"teleport\.cluster\.local"):
        _verify(CA1.issue_der(build_host_template(SystemRole.AUTH, dns_names=("auth",))))


def test_an_auth_server_of_another_ca_is_not_trusted() -> None:
    with pytest.raises(TrustError, match="no trusted CA"):
        _verify(AUTH, CA2.pem)


def test_an_auth_server_of_another_cluster_than_it_says_is_not_trusted() -> None:
    with pytest.raises(TrustError, match="other"):
        _verify(AUTH, cluster_name="other")


@pytest.mark.parametrize("moment", [NOW - timedelta(seconds=1), NOW + YEAR + timedelta(seconds=1)])
def test_an_auth_server_outside_its_time_is_not_trusted(moment: datetime) -> None:
    with pytest.raises(TrustError):
        _verify(AUTH, now=moment)


def test_garbage_is_not_trusted() -> None:
    with pytest.raises(TrustError):
        _verify(b"garbage")
    with pytest.raises(TrustError):
        _verify(HostileLeaf(ca=True).sign(CA1.pair))
