"""CA pins: how a joining agent recognizes its cluster before it tells it anything."""

import hmac
import re
from collections.abc import Sequence
from datetime import datetime

from teleport.errors import AccessDenied, BadParameter, TrustError
from teleport.pki.ca_certificate import parse_ca_certificate
from teleport.pki.certificate import parse_statement
from teleport.pki.keys import public_key_fingerprint
from teleport.pki.leaf import LeafKind, TrustSet, parse_leaf
from teleport.pki.names import API_DOMAIN
from teleport.resources.role import SystemRole

ALGORITHM = "sha256"
MAX_PINS = 64
MAX_CA_CERTIFICATES = 64

_DIGEST = re.compile(r"[0-9a-f]{64}")


def ca_pin(certificate_pem: str) -> str:
    """Return the pin of a CA certificate: `sha256:` and the SHA-256 of its SubjectPublicKeyInfo in lower-case digits.

    Raises:
        BadParameter: not a CA certificate.
    """
    return f"{ALGORITHM}:{public_key_fingerprint(parse_ca_certificate(certificate_pem).public_key)}"


def check_pins(pins: Sequence[str], certificates_pem: Sequence[str]) -> None:
    """Hold a server's CA certificates against the pins: every certificate must match one.

    All pins are looked at before any is compared, so that a mistyped one is found even where it is not needed.

    Raises:
        BadParameter: no pin, or one that is malformed; or a certificate that is no CA's.
        TrustError: no certificate, or one that matches no pin.
    """
    if not 0 < len(pins) <= MAX_PINS:
        raise BadParameter(f"1 to {MAX_PINS} CA pins are needed")
    for pin in pins:
        _check_pin(pin)
    if not 0 < len(certificates_pem) <= MAX_CA_CERTIFICATES:
        raise TrustError(f"the server must show 1 to {MAX_CA_CERTIFICATES} CA certificates")
    for certificate in certificates_pem:
        found = ca_pin(certificate)
        if not any([hmac.compare_digest(found, pin) for pin in pins]):  # noqa: C419 - every pin is compared, always
            raise TrustError(
                f"the server's CA has pin {found}, which is none of the CA pins given. Either this is not the cluster "
                "you mean, or its CA was rotated, which makes old pins dead: get the present ones from `tctl status`"
            )


def _check_pin(pin: str) -> None:
    algorithm, colon, digest = pin[:100].partition(":")
    if not colon or ":" in digest:
        raise BadParameter("a CA pin must have the form sha256:<digits>; `tctl status` shows it")
    if algorithm != ALGORITHM:
        raise BadParameter(f"a CA pin must start with sha256:, not with {algorithm[:20]!r}")
    if not _DIGEST.fullmatch(digest) or len(pin) != len(f"{ALGORITHM}:{digest}"):
        raise BadParameter("a CA pin must end in 64 lower-case hexadecimal digits")


def check_auth_role(leaf_der: bytes) -> None:
    """Make sure that a certificate is an auth server's; whether it is good must be known already.

    Raises:
        TrustError: it is somebody else's.
    """
    try:
        leaf = parse_leaf(leaf_der)
    except AccessDenied as error:
        raise TrustError(f"the server's certificate is not trusted: {error.message}") from error
    if leaf.kind is not LeafKind.HOST or leaf.roles != (SystemRole.AUTH,):
        raise TrustError("the server's certificate is not that of an auth server")


def verify_server_leaf(
    leaf_der: bytes,
    ca_certificates_pem: Sequence[str],
    *,
    now: datetime,
    cluster_name: str,
    allow_proxy: bool = False,
) -> None:
    """Make sure that the server at the other end of a connection is an auth server of the cluster whose CAs these are.

    Args:
        leaf_der: the certificate that the server proved to own.
        ca_certificates_pem: the cluster's host CA certificates, already held against pins.
        now: the present.
        cluster_name: the cluster that the server says it is of.
        allow_proxy: a proxy is as good.

    Raises:
        TrustError: another signer, cluster, role or name, or a time that is not now.
        BadParameter: one of the CA certificates is none.
    """
    try:
        leaf = parse_leaf(leaf_der)
        TrustSet(ca_certificates_pem).check_issued(leaf_der, now)
        statement = parse_statement(leaf_der)
    except AccessDenied as error:
        raise TrustError(f"the server's certificate is not trusted: {error.message}") from error
    allowed = {SystemRole.AUTH, SystemRole.PROXY} if allow_proxy else {SystemRole.AUTH}
    if leaf.kind is not LeafKind.HOST or not allowed.issuperset(leaf.roles):
        raise TrustError("the server's certificate is not that of an auth server")
    if leaf.cluster_name != cluster_name:
        raise TrustError(f"the server's certificate is for cluster {leaf.cluster_name!r}, not for {cluster_name!r}")
    if API_DOMAIN not in statement.dns_names:
        raise TrustError(f"the server's certificate does not carry the name {API_DOMAIN}")
