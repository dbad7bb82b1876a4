"""Certificate requests (PKCS #10): from a stranger's request the key is taken, and nothing else is ever read."""

from collections.abc import Collection
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from teleport.errors import BadParameter
from teleport.pki.foreign import FOREIGN_ERRORS
from teleport.pki.keys import TLS_CURVES, PrivateKey, PublicKey, parse_public_key, public_key_fingerprint
from teleport.pki.pem import CERTIFICATE_REQUEST, parse_pem

MAX_CSR_BYTES = 8 * 1024
MAX_COMMON_NAME = 64

_HASHES = frozenset({"sha256", "sha384", "sha512"})


@dataclass(frozen=True, slots=True)
class VerifiedCsr:
    """A public key whose private half the sender has shown to hold; `fingerprint` is that of the key."""

    public_key: PublicKey
    fingerprint: str


def build_csr(key: PrivateKey, common_name: str) -> str:
    """Return a request in PEM; the name is for people who look at it and is cut where RFC 5280 ends it."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _cut(common_name) or "unnamed")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.PEM).decode("ascii")


def _cut(name: str) -> str:
    return name.encode(errors="replace")[:MAX_COMMON_NAME].decode(errors="ignore")


def parse_csr(pem: str, *, forbidden: Collection[str] = ()) -> VerifiedCsr:
    """Return the key of a request once its sender has proved to hold the private half.

    Args:
        pem: the request of a stranger.
        forbidden: fingerprints of keys that must not get a certificate, as those of authorities and of this server.

    Raises:
        TooLarge: more than `MAX_CSR_BYTES`.
        BadParameter: no request, a key that is not on the list, or a signature that does not fit the key.
    """
    der = parse_pem(pem, CERTIFICATE_REQUEST, what="certificate request", limit=MAX_CSR_BYTES)
    try:
        request = x509.load_der_x509_csr(der)
        raw_key = request.public_key()
    except FOREIGN_ERRORS as error:
        raise BadParameter("the certificate request is malformed or its key is not allowed") from error
    public_key = parse_public_key(raw_key, what="certificate request's key", curves=TLS_CURVES)
    fingerprint = public_key_fingerprint(public_key)
    if fingerprint in forbidden:
        raise BadParameter("the certificate request's key belongs to somebody else")
    if not _proves_possession(request):
        raise BadParameter("the certificate request is not signed by its own key")
    return VerifiedCsr(public_key=public_key, fingerprint=fingerprint)


def _proves_possession(request: x509.CertificateSigningRequest) -> bool:
    """Tell whether the request is signed by its own key under a hash that still counts; Ed25519 has none to name."""
    try:
        algorithm = request.signature_hash_algorithm
        signed = request.is_signature_valid
    except FOREIGN_ERRORS:
        return False
    return signed and (algorithm is None or algorithm.name in _HASHES)
