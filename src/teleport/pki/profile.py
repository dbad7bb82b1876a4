"""The last look at a certificate before it leaves: its bytes are read back and compared with what was decided.

The signature itself is not verified here: the signer has proved when it was loaded that its key is the CA's, and a
verification would cost more than everything else about a certificate together.
"""

from datetime import datetime

from teleport.errors import BadParameter, TeleportError
from teleport.pki.authority import IssuedCertificate, TlsSigner
from teleport.pki.certificate import Statement, parse_statement
from teleport.pki.keys import PublicKey, public_key_der
from teleport.pki.pem import CERTIFICATE, parse_pem
from teleport.pki.templates import Template


def check_certificate(
    certificate: IssuedCertificate, template: Template, signer: TlsSigner, public_key: PublicKey
) -> None:
    """Compare a signed certificate with its template, its issuer and its key.

    Raises:
        TeleportError: the certificate states something else; it must not leave.
    """
    try:
        found = parse_statement(parse_pem(certificate.pem, CERTIFICATE, what="certificate"))
    except BadParameter as error:
        raise TeleportError(f"a certificate was signed that must not leave: {error.message}") from error
    expected = _build_expected(certificate, template, signer, public_key)
    if found != expected:
        wrong = [field for field in Statement.__slots__ if getattr(found, field) != getattr(expected, field)]
        raise TeleportError(f"a certificate was signed that does not state what was decided: {', '.join(wrong)}")


def _build_expected(
    certificate: IssuedCertificate, template: Template, signer: TlsSigner, public_key: PublicKey
) -> Statement:
    return Statement(
        subject=template.subject,
        issuer=signer.issuer.subject,
        issuer_key_id=signer.issuer.key_id,
        public_key=public_key_der(public_key),
        serial=certificate.serial,
        not_before=_whole(template.not_before),
        not_after=min(_whole(template.not_after), signer.issuer.not_after),
        is_server=template.is_server,
        dns_names=template.dns_names,
        ip_addresses=template.ip_addresses,
    )


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
