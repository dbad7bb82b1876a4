"""What a leaf certificate states, read strictly from its bytes: everything that we never sign is refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from teleport.errors import BadParameter, TooLarge
from teleport.pki.foreign import FOREIGN_ERRORS
from teleport.pki.syntax import Attributes, AuthorityKeyIdentifier, Certificate, Extension, TbsCertificate, parse_name

MAX_CERTIFICATE_BYTES = 16 * 1024

NO_CA = x509.BasicConstraints(ca=False, path_length=None).public_bytes()
LEAF_KEY_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
SIGNS_ONLY = LEAF_KEY_USAGE.public_bytes()
CLIENT = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]).public_bytes()
CLIENT_AND_SERVER = x509.ExtendedKeyUsage(
    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
).public_bytes()

_FIXED = {
    ExtensionOID.BASIC_CONSTRAINTS: (True, frozenset({NO_CA})),
    ExtensionOID.KEY_USAGE: (True, frozenset({SIGNS_ONLY})),
    ExtensionOID.EXTENDED_KEY_USAGE: (False, frozenset({CLIENT, CLIENT_AND_SERVER})),
}
"""Whether the extension is critical, and which values it may have; all of these must be there."""
_REQUIRED = frozenset({*_FIXED, ExtensionOID.AUTHORITY_KEY_IDENTIFIER})
_ALLOWED = _REQUIRED | {ExtensionOID.SUBJECT_ALTERNATIVE_NAME}


@dataclass(frozen=True, slots=True)
class Statement:
    """Everything that a leaf states; `public_key` is a SubjectPublicKeyInfo, times are included in the validity."""

    subject: Attributes
    issuer: Attributes
    issuer_key_id: bytes
    public_key: bytes
    serial: int
    not_before: datetime
    not_after: datetime
    is_server: bool
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]


def parse_certificate(der: bytes) -> tuple[x509.Certificate, TbsCertificate]:
    """Return a certificate as the library sees it, and what is signed in it.

    Raises:
        TooLarge: more than `MAX_CERTIFICATE_BYTES`.
        BadParameter: not a certificate of version 3 in DER, or its serial number is not positive.
    """
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise TooLarge(f"the certificate is larger than {MAX_CERTIFICATE_BYTES} bytes")
    try:
        tbs: TbsCertificate = asn1.decode_der(Certificate, der).tbs.parse(TbsCertificate)
        if tbs.serial_number <= 0:  # the library would load it, and print a warning
            raise BadParameter("the certificate's serial number is not positive")
        return x509.load_der_x509_certificate(der), tbs
    except FOREIGN_ERRORS as error:
        raise BadParameter("the certificate is malformed") from error


def parse_statement(der: bytes) -> Statement:
    """Return what a leaf states.

    Raises:
        BadParameter: malformed, a CA, or with anything in it that our leaves do not have.
    """
    certificate, tbs = parse_certificate(der)
    values = _parse_extensions(tbs.extensions)
    try:
        key_id = asn1.decode_der(AuthorityKeyIdentifier, values[ExtensionOID.AUTHORITY_KEY_IDENTIFIER]).key_identifier
        has_names = ExtensionOID.SUBJECT_ALTERNATIVE_NAME in values
        dns_names, ip_addresses = _parse_names(certificate) if has_names else ((), ())
    except FOREIGN_ERRORS as error:
        raise BadParameter("the certificate's extensions are malformed") from error
    return Statement(
        subject=parse_name(tbs.subject),
        issuer=parse_name(tbs.issuer),
        issuer_key_id=key_id,
        public_key=asn1.encode_der(tbs.public_key),
        serial=tbs.serial_number,
        not_before=tbs.validity.not_before.as_datetime(),
        not_after=tbs.validity.not_after.as_datetime(),
        is_server=values[ExtensionOID.EXTENDED_KEY_USAGE] == CLIENT_AND_SERVER,
        dns_names=dns_names,
        ip_addresses=ip_addresses,
    )


def _parse_extensions(extensions: Sequence[Extension]) -> dict[x509.ObjectIdentifier, bytes]:
    """Check that exactly our extensions are there, and return their encoded values."""
    found = {extension.id: extension for extension in extensions}
    if len(found) != len(extensions) or not _REQUIRED <= found.keys() <= _ALLOWED:
        raise BadParameter("the certificate lacks an extension, or has one too many")
    for oid, extension in found.items():
        critical, values = _FIXED.get(oid, (False, frozenset({extension.value})))
        if extension.critical != critical or extension.value not in values:
            raise BadParameter(f"the certificate's extension {oid.dotted_string} is not as expected")
    return {oid: extension.value for oid, extension in found.items()}


def _parse_names(certificate: x509.Certificate) -> tuple[tuple[str, ...], tuple[str, ...]]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    dns_names = tuple(names.get_values_for_type(x509.DNSName))
    ip_addresses = tuple(str(address) for address in names.get_values_for_type(x509.IPAddress))
    if len(dns_names) + len(ip_addresses) != len(list(names)):
        raise BadParameter("the certificate carries a name that is neither a DNS name nor an IP address")
    return dns_names, ip_addresses
