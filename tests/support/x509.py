"""Builders for certificates and requests, honest and hostile, and assertions that say what a certificate is."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from teleport.pki.authority import IssuedCertificate, TlsSigner, create_tls_authority
from teleport.pki.keys import PrivateKey, generate_private_key
from teleport.pki.templates import BotTemplate, HostTemplate, Template, UserTemplate
from teleport.resources.authority import TlsKeyPair
from teleport.resources.role import SystemRole

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
YEAR = timedelta(days=365)
CLUSTER = "example.com"
HOST_ID = "8b6d2f6e-4f0c-4a52-9b8c-0d8a8c0f3f11"
OTHER_HOST_ID = "00000000-4f0c-4a52-9b8c-0d8a8c0f3f11"
CLUSTER_OID = "1.3.9999.1.7"
SYSTEM_ROLE_OID = "1.3.9999.2.11"


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA for tests and its signer."""

    pair: TlsKeyPair
    signer: TlsSigner

    @property
    def pem(self) -> str:
        return self.pair.certificate

    def issue(self, template: Template, key: PrivateKey | None = None) -> IssuedCertificate:
        return self.signer.sign(template, (key or generate_private_key()).public_key())

    def issue_der(self, template: Template, key: PrivateKey | None = None) -> bytes:
        return pem_to_der(self.issue(template, key).pem)


def build_authority(
    cluster_name: str = CLUSTER, *, not_before: datetime = NOW - HOUR, not_after: datetime = NOW + 10 * YEAR
) -> Authority:
    pair = create_tls_authority(cluster_name, not_before=not_before, not_after=not_after)
    return Authority(pair, TlsSigner(pair))


def build_host_template(
    role: SystemRole = SystemRole.NODE,
    *,
    cluster_name: str = CLUSTER,
    host_id: str = HOST_ID,
    system_roles: Sequence[SystemRole] = (),
    dns_names: Sequence[str] = (),
    ip_addresses: Sequence[str] = (),
    not_before: datetime = NOW,
    not_after: datetime = NOW + YEAR,
    pod_uid: str = "",
) -> HostTemplate:
    return HostTemplate(
        cluster_name=cluster_name,
        host_id=host_id,
        role=role,
        system_roles=tuple(system_roles),
        dns_names=tuple(dns_names),
        ip_addresses=tuple(ip_addresses),
        not_before=not_before,
        not_after=not_after,
        pod_uid=pod_uid,
    )


def build_user_template(user: str = "alice", roles: Sequence[str] = ("editor",)) -> UserTemplate:
    return UserTemplate(
        cluster_name=CLUSTER, user=user, roles=tuple(roles), not_before=NOW, not_after=NOW + timedelta(hours=12)
    )


def build_bot_template(bot_name: str = "robot", instance_id: str = "instance-1") -> BotTemplate:
    return BotTemplate(
        cluster_name=CLUSTER, bot_name=bot_name, instance_id=instance_id, not_before=NOW, not_after=NOW + HOUR
    )


def pem_to_der(pem: str) -> bytes:
    return x509.load_pem_x509_certificate(pem.encode()).public_bytes(serialization.Encoding.DER)


def assert_is_ca(pem: str, cluster_name: str) -> None:
    """The certificate is that of a CA for leaves of this cluster, and signed by itself."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    certificate.verify_directly_issued_by(certificate)
    assert _attributes(certificate, NameOID.COMMON_NAME) == [cluster_name]
    assert _attributes(certificate, NameOID.ORGANIZATION_NAME) == [cluster_name]
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert usage.value.crl_sign
    assert not usage.value.digital_signature
    key_id = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert key_id == x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())


def assert_is_host_certificate(
    pem: str,
    *,
    issuer: str,
    role: SystemRole,
    host_id: str = HOST_ID,
    cluster_name: str = CLUSTER,
    system_roles: Sequence[SystemRole] = (),
    dns_names: Sequence[str] = (),
    ip_addresses: Sequence[str] = (),
) -> None:
    """The certificate is a leaf of the issuer, and states this host, these names and nothing else."""
    certificate = _assert_is_leaf(pem, issuer)
    assert _attributes(certificate, NameOID.COMMON_NAME) == [f"{host_id}.{cluster_name}"]
    assert _attributes(certificate, NameOID.ORGANIZATION_NAME) == [role.value]
    assert _attributes(certificate, x509.ObjectIdentifier(CLUSTER_OID)) == [cluster_name]
    assert _attributes(certificate, x509.ObjectIdentifier(SYSTEM_ROLE_OID)) == [str(role) for role in system_roles]
    assert len(list(certificate.subject)) == 3 + len(system_roles)
    assert _usages(certificate) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert _names(certificate) == (list(dns_names), list(ip_addresses))


def assert_is_user_certificate(pem: str, *, issuer: str, user: str, roles: Sequence[str]) -> None:
    """The certificate is a leaf of the issuer, and states this user and these roles; it is good for no server."""
    certificate = _assert_is_leaf(pem, issuer)
    assert _attributes(certificate, NameOID.COMMON_NAME) == [user]
    assert _attributes(certificate, NameOID.ORGANIZATION_NAME) == list(roles)
    assert _attributes(certificate, x509.ObjectIdentifier(CLUSTER_OID)) == [CLUSTER]
    assert _usages(certificate) == {ExtendedKeyUsageOID.CLIENT_AUTH}
    assert _names(certificate) == ([], [])


def _assert_is_leaf(pem: str, issuer_pem: str) -> x509.Certificate:
    certificate = x509.load_pem_x509_certificate(pem.encode())
    issuer = x509.load_pem_x509_certificate(issuer_pem.encode())
    certificate.verify_directly_issued_by(issuer)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert not constraints.value.ca
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    key_id = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == key_id
    assert certificate.not_valid_after_utc <= issuer.not_valid_after_utc
    return certificate


def _attributes(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> list[str | bytes]:
    return [attribute.value for attribute in certificate.subject.get_attributes_for_oid(oid)]


def _usages(certificate: x509.Certificate) -> set[x509.ObjectIdentifier]:
    return set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def _names(certificate: x509.Certificate) -> tuple[list[str], list[str]]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [], []
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    return names.get_values_for_type(x509.DNSName), addresses


@dataclass(frozen=True, slots=True)
class HostileLeaf:
    """A leaf that the project's signer would never make; every field starts out as an honest host's."""

    subject: Sequence[tuple[str, str]] = (
        ("2.5.4.10", "Node"),
        ("2.5.4.3", f"{HOST_ID}.{CLUSTER}"),
        (CLUSTER_OID, CLUSTER),
    )
    ca: bool = False
    usages: Sequence[x509.ObjectIdentifier] = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
    names: Sequence[x509.GeneralName] = ()
    further: Sequence[x509.ExtensionType] = field(default_factory=tuple)

    def sign(self, issuer: TlsKeyPair, key: PrivateKey | None = None) -> bytes:
        """Return the leaf in DER, signed with the issuer's key."""
        certificate = x509.load_pem_x509_certificate(issuer.certificate.encode())
        ca_key = serialization.load_pem_private_key(issuer.private_key.encode(), None)
        assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
        attributes = [x509.NameAttribute(x509.ObjectIdentifier(oid), value) for oid, value in self.subject]
        usage = x509.KeyUsage(True, False, False, False, False, self.ca, False, False, False)
        key_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(attributes))
            .issuer_name(certificate.subject)
            .public_key((key or generate_private_key()).public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW)
            .not_valid_after(NOW + YEAR)
            .add_extension(x509.BasicConstraints(ca=self.ca, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(key_id, critical=False)
        )
        if self.usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(self.usages), critical=False)
        if self.names:
            builder = builder.add_extension(x509.SubjectAlternativeName(self.names), critical=False)
        for extension in self.further:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def build_hostile_csr(
    key: PrivateKey,
    *,
    names: Sequence[x509.GeneralName] = (),
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    hash_algorithm: hashes.SHA256 | hashes.SHA224 | None = None,
) -> str:
    """Return a request that is signed as it should be, and asks for what it should not."""
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, "auth"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Auth")]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    signed = builder.sign(key, hash_algorithm or hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def build_unsigned_csr(spki: bytes) -> str:
    """Return a request for any key, well formed or not, whose signature is garbage."""
    info = encode_der(0x30, encode_der(0x02, b"\x00") + encode_der(0x30, b"") + spki + encode_der(0xA0, b""))
    algorithm = encode_der(0x30, bytes.fromhex("06082a8648ce3d040302"))
    signature = encode_der(0x03, b"\x00" + encode_der(0x30, encode_der(0x02, b"\x01") * 2))
    return der_to_pem(encode_der(0x30, info + algorithm + signature), "CERTIFICATE REQUEST")


def build_rsa_spki(modulus: int, exponent: int) -> bytes:
    numbers = encode_der(0x30, _encode_int(modulus) + _encode_int(exponent))
    return encode_der(
        0x30, encode_der(0x30, bytes.fromhex("06092a864886f70d0101010500")) + encode_der(0x03, b"\x00" + numbers)
    )


def build_ec_spki(curve_oid: bytes, point: bytes) -> bytes:
    algorithm = bytes.fromhex("06072a8648ce3d0201") + encode_der(0x06, curve_oid)
    return encode_der(0x30, encode_der(0x30, algorithm) + encode_der(0x03, b"\x00" + point))


def build_ed25519_spki(point: bytes) -> bytes:
    return encode_der(0x30, encode_der(0x30, bytes.fromhex("06032b6570")) + encode_der(0x03, b"\x00" + point))


def _encode_int(number: int) -> bytes:
    return encode_der(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def encode_der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big") + content


def der_to_pem(der: bytes, label: str) -> str:
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN {label}-----\n{body}-----END {label}-----\n"
