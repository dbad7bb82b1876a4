import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from support.x509 import (
    CLUSTER,
    NOW,
    YEAR,
    Authority,
    assert_is_ca,
    assert_is_host_certificate,
    assert_is_user_certificate,
    build_authority,
    build_bot_template,
    build_host_template,
    build_user_template,
)
from teleport.errors import BadParameter
from teleport.pki.authority import (
    TlsSigner,
    create_jwt_authority,
    create_ssh_authority,
    create_tls_authority,
    generate_serial,
)
from teleport.pki.keys import generate_private_key, private_key_to_pem
from teleport.pki.ssh import SshSigner
from teleport.resources.authority import TlsKeyPair
from teleport.resources.role import SystemRole

HOST_CA = build_authority()
CLUSTER_NAMES = ("*.teleport.cluster.local", "teleport.cluster.local")


def test_a_new_authority_is_a_ca_and_nothing_else() -> None:
    assert_is_ca(HOST_CA.pem, CLUSTER)


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 254])
def test_a_cluster_that_cannot_be_named_gets_no_authority(name: str) -> None:
    with pytest.raises(BadParameter, match="cluster name"):
        create_tls_authority(name, not_before=NOW, not_after=NOW + YEAR)


def test_the_private_key_does_not_show_in_a_signer() -> None:
    assert "PRIVATE" not in repr(vars(HOST_CA.signer))


def test_an_ssh_authority_can_sign() -> None:
    SshSigner(create_ssh_authority())


def test_a_jwt_authority_is_a_pair_on_p256() -> None:
    pair = create_jwt_authority()
    private_key = load_pem_private_key(pair.private_key.encode(), None)
    assert isinstance(private_key, ec.EllipticCurvePrivateKey)
    assert load_pem_public_key(pair.public_key.encode()) == private_key.public_key()
    assert private_key.curve.name == "secp256r1"


@pytest.mark.parametrize("role", [role for role in SystemRole if role not in (SystemRole.BOT, SystemRole.INSTANCE)])
def test_a_host_certificate_states_its_role(role: SystemRole) -> None:
    issued = HOST_CA.issue(build_host_template(role))
    assert_is_host_certificate(issued.pem, issuer=HOST_CA.pem, role=role)


def test_an_instance_certificate_lists_the_services() -> None:
    services = (SystemRole.NODE, SystemRole.APP)
    issued = HOST_CA.issue(build_host_template(SystemRole.INSTANCE, system_roles=services))
    assert_is_host_certificate(issued.pem, issuer=HOST_CA.pem, role=SystemRole.INSTANCE, system_roles=services)


def test_names_and_addresses_are_stated_exactly() -> None:
    addresses = ("10.0.0.1", "2001:db8::1")
    issued = HOST_CA.issue(build_host_template(SystemRole.AUTH, dns_names=CLUSTER_NAMES, ip_addresses=addresses))
    assert_is_host_certificate(
        issued.pem, issuer=HOST_CA.pem, role=SystemRole.AUTH, dns_names=CLUSTER_NAMES, ip_addresses=addresses
    )


def test_a_user_certificate_is_good_for_clients_only() -> None:
    issued = HOST_CA.issue(build_user_template("alice", ("editor", "access")))
    assert_is_user_certificate(issued.pem, issuer=HOST_CA.pem, user="alice", roles=("editor", "access"))


def test_a_bot_certificate_is_good_for_clients_only() -> None:
    issued = HOST_CA.issue(build_bot_template("robot"))
    assert_is_user_certificate(issued.pem, issuer=HOST_CA.pem, user="bot-robot", roles=("bot-robot",))


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
    ],
    ids=["P-384", "Ed25519", "RSA-2048"],
)
def test_every_key_on_the_list_can_be_certified(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey,
) -> None:
    issued = HOST_CA.signer.sign(build_host_template(), key.public_key())
    assert_is_host_certificate(issued.pem, issuer=HOST_CA.pem, role=SystemRole.NODE)


def test_hostile_37_a_certificate_ends_with_its_ca() -> None:
    end = NOW + YEAR
    authority = build_authority(not_after=end)
    before, after = end - timedelta(seconds=1), end + timedelta(seconds=1)
    assert authority.issue(build_host_template(not_after=before)).not_after == before
    assert authority.issue(build_host_template(not_after=after)).not_after == end


def test_times_beyond_2049_are_written_in_the_longer_form() -> None:
    authority = build_authority(not_after=datetime(2060, 1, 1, tzinfo=UTC))
    end = datetime(2055, 5, 5, 5, 5, 5, tzinfo=UTC)
    issued = authority.issue(build_host_template(not_after=end))
    assert issued.not_after == end
    assert_is_host_certificate(issued.pem, issuer=authority.pem, role=SystemRole.NODE)


@pytest.mark.parametrize("life", [timedelta(0), -YEAR])
def test_hostile_43_a_certificate_without_a_life_is_refused(life: timedelta) -> None:
    with pytest.raises(BadParameter, match="would end before it begins"):
        HOST_CA.issue(build_host_template(not_after=NOW + life))


def test_an_expired_ca_signs_nothing() -> None:
    authority = build_authority(not_before=NOW - 2 * YEAR, not_after=NOW - YEAR)
    with pytest.raises(BadParameter, match="expired"):
        authority.issue(build_host_template())


def test_hostile_44_serial_numbers_are_random_positive_and_fit_twenty_bytes() -> None:
    serials = {generate_serial() for _ in range(1000)}
    assert len(serials) == 1000
    assert all(0 < serial < 2**159 for serial in serials)
    assert max(serials).bit_length() > 150


def test_the_serial_number_is_that_of_the_source() -> None:
    signer = TlsSigner(HOST_CA.pair, serial=lambda: 4711)
    assert signer.sign(build_host_template(), generate_private_key().public_key()).serial == 4711


def test_a_key_that_is_not_the_certificates_is_refused() -> None:
    with pytest.raises(BadParameter, match="does not belong"):
        TlsSigner(TlsKeyPair(certificate=HOST_CA.pem, private_key=private_key_to_pem(generate_private_key())))


def test_a_leaf_cannot_sign() -> None:
    key = generate_private_key()
    leaf = HOST_CA.issue(build_host_template(), key)
    with pytest.raises(BadParameter):
        TlsSigner(TlsKeyPair(certificate=leaf.pem, private_key=private_key_to_pem(key)))


def test_an_authority_without_its_private_key_cannot_sign() -> None:
    with pytest.raises(BadParameter):
        TlsSigner(TlsKeyPair(certificate=HOST_CA.pem))


@pytest.mark.parametrize("cluster_name", ["c", "teleport.eu-central-1.production.example.com", "x" * 253])
def test_openssl_accepts_both_ends_of_a_connection_however_long_the_clusters_name(
    cluster_name: str, tmp_path: Path
) -> None:
    authority = _present_authority(cluster_name)
    _handshake(authority, SystemRole.AUTH, CLUSTER_NAMES, tmp_path)


def test_openssl_refuses_an_agent_that_poses_as_auth(tmp_path: Path) -> None:
    authority = _present_authority(CLUSTER)
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(authority, SystemRole.NODE, ("node1",), tmp_path)


def _present_authority(cluster_name: str) -> Authority:
    now = datetime.now(UTC)
    return build_authority(cluster_name, not_before=now - YEAR, not_after=now + YEAR)


def _handshake(authority: Authority, role: SystemRole, names: tuple[str, ...], folder: Path) -> None:
    """Let a server of this role and an agent meet in memory; the agent looks for the name of an auth server."""
    server = _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), authority, role, names, folder)
    client = _load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), authority, SystemRole.NODE, (), folder)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname="teleport.cluster.local"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for end in [*ends, *ends]:
        with suppress(ssl.SSLWantReadError):
            end.do_handshake()
    assert all(end.getpeercert(binary_form=True) for end in ends)


def _load(
    context: ssl.SSLContext, authority: Authority, role: SystemRole, names: tuple[str, ...], folder: Path
) -> ssl.SSLContext:
    now = datetime.now(UTC)
    key = generate_private_key()
    template = build_host_template(
        role,
        cluster_name=authority.signer.issuer.cluster_name,
        dns_names=names,
        not_before=now - YEAR / 2,
        not_after=now + YEAR,
    )
    path = folder / "identity.pem"
    path.write_text(authority.issue(template, key).pem + private_key_to_pem(key))
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_verify_locations(cadata=authority.pem)
    context.load_cert_chain(path)
    return context
