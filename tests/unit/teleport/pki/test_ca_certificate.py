import pytest

from support.tls_certificates import ThrowawayAuthority
from support.x509 import CLUSTER, build_authority, build_host_template, pem_to_der
from teleport.errors import BadParameter, TrustError
from teleport.pki.ca_certificate import parse_ca_certificate
from teleport.pki.certificate import parse_certificate

AUTHORITY = build_authority()


def test_a_ca_certificate_names_its_cluster() -> None:
    assert parse_ca_certificate(AUTHORITY.pem).cluster_name == CLUSTER


def test_a_leaf_is_no_ca_certificate() -> None:
    with pytest.raises(BadParameter):
        parse_ca_certificate(AUTHORITY.issue(build_host_template()).pem)


def test_a_ca_of_another_shape_is_refused() -> None:
    with pytest.raises(BadParameter):
        parse_ca_certificate(ThrowawayAuthority.create().certificate_pem)


def test_a_ca_certificate_that_was_changed_is_refused() -> None:
    changed = AUTHORITY.pem.replace(AUTHORITY.pem.splitlines()[-2], "A" * len(AUTHORITY.pem.splitlines()[-2]))
    with pytest.raises(BadParameter):
        parse_ca_certificate(changed)


def test_it_knows_its_own_leaves() -> None:
    leaf, _ = parse_certificate(AUTHORITY.issue_der(build_host_template()))
    AUTHORITY.signer.issuer.check_signed(leaf)


def test_it_refuses_leaves_of_a_ca_of_the_same_name() -> None:
    leaf, _ = parse_certificate(pem_to_der(build_authority().issue(build_host_template()).pem))
    with pytest.raises(TrustError, match="not signed by"):
        AUTHORITY.signer.issuer.check_signed(leaf)
