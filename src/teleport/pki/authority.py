"""Certificate authorities: how their keys are made, and the signer that turns a template into a certificate."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID

from teleport.errors import BadParameter
from teleport.pki.ca_certificate import parse_ca_certificate
from teleport.pki.certificate import CLIENT, CLIENT_AND_SERVER, NO_CA, SIGNS_ONLY
from teleport.pki.keys import (
    PrivateKey,
    PublicKey,
    generate_private_key,
    generate_ssh_private_key,
    load_private_key,
    private_key_to_pem,
    public_key_der,
    ssh_private_key_to_pem,
    ssh_public_key_line,
)
from teleport.pki.pem import CERTIFICATE, render_pem
from teleport.pki.syntax import (
    ECDSA_WITH_SHA256,
    V3,
    AlgorithmIdentifier,
    Certificate,
    Extension,
    Name,
    TbsCertificate,
    Validity,
    build_name,
    build_time,
)
from teleport.pki.templates import COMMON_NAME, ORGANIZATION, Template, check_cluster_name
from teleport.resources.authority import JwtKeyPair, SshKeyPair, TlsKeyPair

SERIAL_BITS = 159
"""The most that always fit the 20 bytes of RFC 5280, 4.1.2.2, as a positive number."""

_ECDSA = ec.ECDSA(hashes.SHA256())
_ALGORITHM = AlgorithmIdentifier(algorithm=x509.ObjectIdentifier(ECDSA_WITH_SHA256), parameters=None)
_CERTIFIES_ONLY = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
).public_bytes()
_SIGNS_LEAVES_ONLY = x509.BasicConstraints(ca=True, path_length=0).public_bytes()


def generate_serial() -> int:
    """Return a random serial number; with so many bits two auth servers need not ask each other."""
    return secrets.randbits(SERIAL_BITS)


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A signed leaf, and what its receiver needs to know without reading it."""

    pem: str
    not_after: datetime
    serial: int


def create_tls_authority(cluster_name: str, *, not_before: datetime, not_after: datetime) -> TlsKeyPair:
    """Make a CA for TLS: a self-signed certificate on P-256 that may sign leaves and nothing below them.

    Raises:
        BadParameter: the name cannot be that of a cluster.
    """
    check_cluster_name(cluster_name)
    key = generate_private_key()
    name = build_name(((ORGANIZATION, cluster_name), (COMMON_NAME, cluster_name)))
    key_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).public_bytes()
    extensions = [
        _extension(ExtensionOID.BASIC_CONSTRAINTS, _SIGNS_LEAVES_ONLY, critical=True),
        _extension(ExtensionOID.KEY_USAGE, _CERTIFIES_ONLY, critical=True),
        _extension(ExtensionOID.SUBJECT_KEY_IDENTIFIER, key_id),
    ]
    der = _sign(
        key,
        serial=generate_serial(),
        issuer=name,
        subject=name,
        validity=Validity(not_before=build_time(not_before), not_after=build_time(not_after)),
        public_key=key.public_key(),
        extensions=extensions,
    )
    return TlsKeyPair(certificate=render_pem(der, CERTIFICATE), private_key=private_key_to_pem(key))


def create_ssh_authority() -> SshKeyPair:
    """Make a CA key for SSH: Ed25519."""
    key = generate_ssh_private_key()
    return SshKeyPair(public_key=ssh_public_key_line(key), private_key=ssh_private_key_to_pem(key))


def create_jwt_authority() -> JwtKeyPair:
    """Make a key that signs JSON web tokens: ECDSA on P-256."""
    key = generate_private_key()
    public_key = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
    return JwtKeyPair(public_key=public_key, private_key=private_key_to_pem(key))


class TlsSigner:
    """Signs leaves with one CA key; what all its certificates share is made once.

    Args:
        pair: the CA certificate and its private key.
        serial: where serial numbers come from.

    Raises:
        BadParameter: the certificate is no CA's, or the key is not the certificate's.
    """

    def __init__(self, pair: TlsKeyPair, *, serial: Callable[[], int] = generate_serial) -> None:
        self.issuer = parse_ca_certificate(pair.certificate)
        self._key = load_private_key(pair.private_key)
        if self._key.public_key() != self.issuer.public_key:
            raise BadParameter("the CA's private key does not belong to its certificate")
        self._serial = serial
        key_id = x509.AuthorityKeyIdentifier(self.issuer.key_id, None, None).public_bytes()
        self._shared = (
            _extension(ExtensionOID.BASIC_CONSTRAINTS, NO_CA, critical=True),
            _extension(ExtensionOID.KEY_USAGE, SIGNS_ONLY, critical=True),
            _extension(ExtensionOID.AUTHORITY_KEY_IDENTIFIER, key_id),
        )
        self._client = _extension(ExtensionOID.EXTENDED_KEY_USAGE, CLIENT)
        self._client_and_server = _extension(ExtensionOID.EXTENDED_KEY_USAGE, CLIENT_AND_SERVER)

    def sign(self, template: Template, public_key: PublicKey) -> IssuedCertificate:
        """Sign what the template states for a key whose possession was proved; it ends with the CA at the latest.

        Raises:
            BadParameter: the certificate would end before it begins.
        """
        not_after = min(template.not_after.replace(microsecond=0), self.issuer.not_after)
        if not_after <= template.not_before:
            raise BadParameter("the certificate would end before it begins; has its CA expired?")
        serial = self._serial()
        der = _sign(
            self._key,
            serial=serial,
            issuer=self.issuer.name,
            subject=build_name(template.subject),
            validity=Validity(not_before=build_time(template.not_before), not_after=build_time(not_after)),
            public_key=public_key,
            extensions=[
                *self._shared,
                self._client_and_server if template.is_server else self._client,
                *_build_alternative_name(template.dns_names, template.ip_addresses),
            ],
        )
        return IssuedCertificate(pem=render_pem(der, CERTIFICATE), not_after=not_after, serial=serial)


def _extension(oid: x509.ObjectIdentifier, value: bytes, *, critical: bool = False) -> Extension:
    return Extension(id=oid, critical=critical, value=value)


def _build_alternative_name(dns_names: Sequence[str], ip_addresses: Sequence[str]) -> list[Extension]:
    """Return the extension, which need not be critical since no subject is empty, or nothing if there are no names."""
    if not dns_names and not ip_addresses:
        return []
    names = [*map(x509.DNSName, dns_names), *(x509.IPAddress(ip_address(text)) for text in ip_addresses)]
    return [_extension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, x509.SubjectAlternativeName(names).public_bytes())]


def _sign(
    key: PrivateKey,
    *,
    serial: int,
    issuer: Name,
    subject: Name,
    validity: Validity,
    public_key: PublicKey,
    extensions: list[Extension],
) -> bytes:
    """Return the signed certificate in DER."""
    tbs = TbsCertificate(
        version=V3,
        serial_number=serial,
        signature=_ALGORITHM,
        issuer=issuer,
        validity=validity,
        subject=subject,
        public_key=asn1.decode_der(asn1.TLV, public_key_der(public_key)),
        extensions=extensions,
    )
    signed = asn1.encode_der(tbs)
    signature = asn1.BitString(key.sign(signed, _ECDSA), 0)
    return asn1.encode_der(
        Certificate(tbs=asn1.decode_der(asn1.TLV, signed), algorithm=_ALGORITHM, signature=signature)
    )
