from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from support.x509 import (
    CLUSTER,
    CLUSTER_OID,
    HOST_ID,
    NOW,
    SYSTEM_ROLE_OID,
    YEAR,
    HostileLeaf,
    build_authority,
    build_bot_template,
    build_host_template,
    build_user_template,
)
from teleport.errors import AccessDenied, BadParameter
from teleport.pki import leaf as leaf_module
from teleport.pki.leaf import LeafKind, TrustSet, certificate_fingerprint, parse_leaf
from teleport.resources.role import SystemRole

AUTHORITY = build_authority()
NODE = AUTHORITY.issue_der(build_host_template())
SECOND = timedelta(seconds=1)
USER_TYPE = "1.3.9999.1.20"


def test_a_host_is_recognized() -> None:
    leaf = parse_leaf(NODE)
    assert (leaf.kind, leaf.name, leaf.roles, leaf.system_roles) == (LeafKind.HOST, HOST_ID, ("Node",), ())
    assert leaf.common_name == f"{HOST_ID}.{CLUSTER}"
    assert leaf.cluster_name == CLUSTER
    assert leaf.fingerprint == certificate_fingerprint(NODE)
    assert (leaf.not_before, leaf.not_after) == (NOW, NOW + YEAR)


def test_an_instance_is_recognized_with_its_services() -> None:
    services = (SystemRole.NODE, SystemRole.KUBE)
    leaf = parse_leaf(AUTHORITY.issue_der(build_host_template(SystemRole.INSTANCE, system_roles=services)))
    assert (leaf.roles, leaf.system_roles) == (("Instance",), services)


def test_a_user_is_recognized() -> None:
    leaf = parse_leaf(AUTHORITY.issue_der(build_user_template("alice", ("editor", "access"))))
    assert (leaf.kind, leaf.name, leaf.roles) == (LeafKind.USER, "alice", ("editor", "access"))


def test_a_bot_is_recognized() -> None:
    leaf = parse_leaf(AUTHORITY.issue_der(build_bot_template("robot", "i-1")))
    assert (leaf.kind, leaf.name, leaf.instance_id) == (LeafKind.BOT, "robot", "i-1")


@pytest.mark.parametrize("pod_uid", ["", "6b1f3f0e-3c1e-4a5c-9d58-3d7f6a1a2b3c"])
def test_the_pod_to_which_an_identity_is_bound_is_read_back(pod_uid: str) -> None:
    for template in (build_host_template(SystemRole.NODE), build_bot_template("robot", "i-1")):
        assert parse_leaf(AUTHORITY.issue_der(replace(template, pod_uid=pod_uid))).pod_uid == pod_uid


def test_a_user_who_is_called_like_a_host_stays_a_user() -> None:
    leaf = parse_leaf(AUTHORITY.issue_der(build_user_template(f"{HOST_ID}.{CLUSTER}", ("Auth",))))
    assert leaf.kind is LeafKind.USER


def test_a_user_who_is_called_like_a_bot_stays_a_user() -> None:
    assert parse_leaf(AUTHORITY.issue_der(build_user_template("bot-robot", ("bot-robot",)))).kind is LeafKind.USER


@pytest.mark.parametrize(
    "leaf",
    [
        HostileLeaf(subject=[("2.5.4.3", "x")]),
        HostileLeaf(subject=[("2.5.4.10", "Node"), ("2.5.4.3", HOST_ID), (CLUSTER_OID, CLUSTER)]),
        HostileLeaf(subject=[*HostileLeaf().subject, (CLUSTER_OID, "other")]),
        HostileLeaf(subject=[*HostileLeaf().subject, ("2.5.4.10", "Auth")]),
        HostileLeaf(subject=[*HostileLeaf().subject, (SYSTEM_ROLE_OID, "Auth")]),
        HostileLeaf(subject=[*HostileLeaf().subject, ("2.5.4.11", "unit")]),
        HostileLeaf(subject=[("2.5.4.10", "node"), *HostileLeaf().subject[1:]]),
        HostileLeaf(subject=[("2.5.4.10", "Bot"), *HostileLeaf().subject[1:]]),
        HostileLeaf(subject=[*HostileLeaf().subject, (USER_TYPE, "local")]),
        HostileLeaf(usages=(ExtendedKeyUsageOID.CLIENT_AUTH,)),
        HostileLeaf(ca=True),
        HostileLeaf(names=(x509.UniformResourceIdentifier("spiffe://x/y"),)),
    ],
    ids=[
        "no cluster",
        "no cluster in the name",
        "two clusters",
        "two roles",
        "services on a service",
        "unit",
        "role in lower case",
        "bot",
        "user mark on a server",
        "host without server usage",
        "ca",
        "uri",
    ],
)
def test_anything_that_we_would_not_sign_is_denied(leaf: HostileLeaf) -> None:
    with pytest.raises(AccessDenied, match="not an identity"):
        parse_leaf(leaf.sign(AUTHORITY.pair))


def test_a_ca_certificate_is_no_identity() -> None:
    with pytest.raises(AccessDenied):
        parse_leaf(x509.load_pem_x509_certificate(AUTHORITY.pem.encode()).public_bytes(Encoding.DER))


@given(st.integers(0, len(NODE) - 1), st.binary(max_size=8), st.integers(0, 8))
def test_a_mutated_certificate_is_denied_or_does_not_verify(place: int, put: bytes, cut: int) -> None:
    mutated = NODE[:place] + put + NODE[place + cut :]
    trust = TrustSet([AUTHORITY.pem])
    if mutated == NODE:
        trust.check_issued(mutated, NOW)
        return
    with pytest.raises(AccessDenied):
        trust.check_issued(mutated, NOW)


@given(st.binary(max_size=400))
def test_any_bytes_are_denied(der: bytes) -> None:
    with pytest.raises(AccessDenied):
        parse_leaf(der)


def test_a_leaf_of_a_trusted_ca_passes() -> None:
    trust = TrustSet([build_authority().pem, AUTHORITY.pem])
    trust.check_issued(NODE, NOW)
    trust.check_issued(NODE, NOW)


def test_hostile_42_a_leaf_of_another_cluster_is_denied() -> None:
    other = build_authority("other.example.com")
    with pytest.raises(AccessDenied, match="no trusted CA"):
        TrustSet([AUTHORITY.pem]).check_issued(
            other.issue_der(build_host_template(cluster_name="other.example.com")), NOW
        )


def test_hostile_42_a_leaf_that_names_another_cluster_than_its_ca_is_denied() -> None:
    foreign = AUTHORITY.issue_der(build_host_template(cluster_name="other.example.com"))
    with pytest.raises(AccessDenied, match=r"other\.example\.com"):
        TrustSet([AUTHORITY.pem]).check_issued(foreign, NOW)


def test_hostile_42_a_leaf_outside_its_time_is_denied_even_when_it_passed_before() -> None:
    trust = TrustSet([AUTHORITY.pem])
    trust.check_issued(NODE, NOW)
    trust.check_issued(NODE, NOW + YEAR)
    with pytest.raises(AccessDenied, match="expired"):
        trust.check_issued(NODE, NOW + YEAR + SECOND)
    with pytest.raises(AccessDenied, match="not valid yet"):
        trust.check_issued(NODE, NOW - SECOND)


def test_a_leaf_whose_ca_has_expired_is_denied() -> None:
    authority = build_authority(not_after=NOW + YEAR / 2)
    node = authority.issue_der(build_host_template())
    with pytest.raises(AccessDenied, match="expired"):
        TrustSet([authority.pem]).check_issued(node, NOW + YEAR / 2 + SECOND)


def test_a_leaf_under_a_leaf_is_denied() -> None:
    with pytest.raises(BadParameter):
        TrustSet([AUTHORITY.issue(build_host_template()).pem])


def test_a_trust_set_knows_its_issuers() -> None:
    trust = TrustSet([AUTHORITY.pem])
    assert trust.is_trusted_issuer(parse_leaf(NODE).issuer_key_id)
    assert not trust.is_trusted_issuer(parse_leaf(build_authority().issue_der(build_host_template())).issuer_key_id)


def test_a_trust_set_without_cas_denies_everybody() -> None:
    with pytest.raises(AccessDenied):
        TrustSet([]).check_issued(NODE, NOW)


def test_a_trust_set_remembers_a_bounded_number_of_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaf_module, "MAX_REMEMBERED", 3)
    trust = TrustSet([AUTHORITY.pem])
    leaves = [AUTHORITY.issue_der(build_host_template()) for _ in range(4)]
    for der in leaves:
        trust.check_issued(der, NOW)
    assert list(trust._remembered) == [certificate_fingerprint(der) for der in leaves[1:]]
    trust.check_issued(leaves[0], NOW)


def test_what_was_refused_is_not_remembered() -> None:
    trust = TrustSet([build_authority().pem])
    with pytest.raises(AccessDenied):
        trust.check_issued(NODE, NOW)
    assert not trust._remembered
