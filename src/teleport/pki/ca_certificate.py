"""A CA certificate as its users need it: read once, and asked about many leaves."""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from teleport.errors import BadParameter, TrustError
from teleport.pki.certificate import parse_certificate
from teleport.pki.foreign import FOREIGN_ERRORS
from teleport.pki.pem import CERTIFICATE, parse_pem
from teleport.pki.syntax import Attributes, Name, parse_name
from teleport.pki.templates import COMMON_NAME, ORGANIZATION


@dataclass(frozen=True, slots=True)
class CaCertificate:
    """A self-signed CA certificate of one cluster; `name` is its subject in the shape that leaves repeat."""

    certificate: x509.Certificate
    public_key: ec.EllipticCurvePublicKey
    name: Name
    subject: Attributes
    cluster_name: str
    key_id: bytes
    not_before: datetime
    not_after: datetime

    def check_signed(self, leaf: x509.Certificate) -> None:
        """Refuse a leaf that this CA did not sign itself.

        Raises:
            TrustError: another issuer's name, or a signature that does not fit.
        """
        try:
            leaf.verify_directly_issued_by(self.certificate)
        except FOREIGN_ERRORS as error:
            raise TrustError(f"the certificate is not signed by the CA of cluster {self.cluster_name!r}") from error


def parse_ca_certificate(pem: str) -> CaCertificate:
    """Read one CA certificate.

    Raises:
        BadParameter: malformed, no CA, not of a cluster, or not signed by itself with a key on P-256.
    """
    certificate, tbs = parse_certificate(parse_pem(pem, CERTIFICATE, what="CA certificate"))
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        key_id = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        public_key = certificate.public_key()
        certificate.verify_directly_issued_by(certificate)
    except FOREIGN_ERRORS as error:
        raise BadParameter("the CA certificate is malformed or not signed by itself") from error
    except x509.ExtensionNotFound as error:
        raise BadParameter("the certificate is not that of a CA") from error
    if not constraints.ca or not usage.key_cert_sign:
        raise BadParameter("the certificate is not that of a CA")
    if not isinstance(public_key, ec.EllipticCurvePublicKey) or not isinstance(public_key.curve, ec.SECP256R1):
        raise BadParameter("the CA's key is not on P-256")
    subject = parse_name(tbs.subject)
    return CaCertificate(
        certificate=certificate,
        public_key=public_key,
        name=tbs.subject,
        subject=subject,
        cluster_name=_parse_cluster_name(subject),
        key_id=key_id,
        not_before=tbs.validity.not_before.as_datetime(),
        not_after=tbs.validity.not_after.as_datetime(),
    )


def _parse_cluster_name(subject: Attributes) -> str:
    names = dict(subject)
    name = names.get(COMMON_NAME)
    if name is None or names != {COMMON_NAME: name, ORGANIZATION: name}:
        raise BadParameter("the CA certificate does not name its cluster")
    return name
