"""What an SSH user certificate allows its holder, as it says itself."""

from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import SSHCertificate, load_ssh_public_identity

from teleport.errors import BadParameter

INTERNAL_LOGINS = "-teleport-"
INTERNAL_EXTENSIONS = "teleport-"


@dataclass(frozen=True, slots=True)
class SshPermissions:
    """Names on hosts, and what may be done there; without what clusters use for themselves."""

    logins: tuple[str, ...]
    extensions: tuple[str, ...]


def read_ssh_permissions(line: str) -> SshPermissions:
    """Read a certificate's principals and extensions; whether anybody signed it is not looked at.

    Raises:
        BadParameter: the line is no SSH certificate.
    """
    try:
        certificate = load_ssh_public_identity(line.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadParameter("not an SSH certificate") from error
    if not isinstance(certificate, SSHCertificate):
        raise BadParameter("an SSH key without a certificate")
    return SshPermissions(
        logins=_read_names(certificate.valid_principals, without=INTERNAL_LOGINS),
        extensions=_read_names(certificate.extensions, without=INTERNAL_EXTENSIONS),
    )


def _read_names(names: Iterable[bytes], *, without: str) -> tuple[str, ...]:
    decoded = (name.decode(errors="replace") for name in names)
    return tuple(sorted(name for name in decoded if not name.startswith(without)))
