"""The certificate that browsers are shown: somebody else's, given as files, or one that signs itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from teleport.errors import BadParameter
from teleport.pki.authority import generate_serial
from teleport.pki.certificate import LEAF_KEY_USAGE
from teleport.pki.foreign import FOREIGN_ERRORS
from teleport.pki.keys import generate_private_key, private_key_to_pem
from teleport.pki.names import parse_address

MAX_COMMON_NAME = 64
"""RFC 5280, appendix A."""


@dataclass(frozen=True, slots=True)
class WebCertificate:
    """A certificate with its chain and key, all PEM, and what its leaf states."""

    chain_pem: str
    key_pem: str = field(repr=False)
    names: tuple[str, ...]
    """DNS names in lower case, some with a star as their first label, and addresses."""
    not_before: datetime
    not_after: datetime

    def covers(self, name: str) -> bool:
        """Tell whether it is for a host name in lower case; a star stands for one label (RFC 6125, 6.4.3)."""
        _, _, parent = name.partition(".")
        return name in self.names or (bool(parent) and f"*.{parent}" in self.names)


def read_web_certificate(chain_pem: str, key_pem: str) -> WebCertificate:
    """Read what a certificate states; that the key is its own, whoever loads both finds out.

    Raises:
        BadParameter: it is no certificate in PEM, or is malformed.
    """
    try:
        leaf = x509.load_pem_x509_certificates(chain_pem.encode())[0]
        names = _read_names(leaf)
        return WebCertificate(chain_pem, key_pem, names, leaf.not_valid_before_utc, leaf.not_valid_after_utc)
    except FOREIGN_ERRORS as error:
        raise BadParameter("no certificate in PEM, or a malformed one") from error


def create_self_signed(names: Sequence[str], *, not_before: datetime, not_after: datetime) -> WebCertificate:
    """Make a certificate on P-256 that signs itself, for host names and addresses; nobody trusts it unless told to."""
    key = generate_private_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:MAX_COMMON_NAME])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(generate_serial())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(LEAF_KEY_USAGE, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_build_name(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return read_web_certificate(certificate.public_bytes(Encoding.PEM).decode("ascii"), private_key_to_pem(key))


def _build_name(name: str) -> x509.GeneralName:
    address = parse_address(name)
    return x509.DNSName(name) if address is None else x509.IPAddress(address)


def _read_names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    dns_names = (name.lower() for name in names.get_values_for_type(x509.DNSName))
    return (*dns_names, *(str(address) for address in names.get_values_for_type(x509.IPAddress)))
