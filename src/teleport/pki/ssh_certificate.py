"""SSH certificates as bytes (OpenSSH's PROTOCOL.certkeys): written here, and read back by the library.

The library writes them as well, at twice the time; signing stands in the path of every join.
"""

import base64
import os
from dataclasses import dataclass
from enum import IntEnum

from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    load_ssh_public_identity,
)

from teleport.errors import TeleportError
from teleport.pki.foreign import FOREIGN_ERRORS
from teleport.pki.keys import PublicKey, SshPrivateKey

NONCE_BYTES = 32
_SUFFIX = b"-cert-v01@openssh.com"
_ED25519 = b"ssh-ed25519"


class SshCertificateType(IntEnum):
    """Whose certificate it is."""

    USER = 1
    HOST = 2


@dataclass(frozen=True, slots=True)
class SshStatement:
    """What a certificate states; times are seconds since 1970, critical options are never used."""

    type: SshCertificateType
    public_key: PublicKey
    serial: int
    key_id: str
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int
    extensions: tuple[tuple[str, str], ...]
    """Name and value; an empty value is a flag."""


def sign_ssh_certificate(statement: SshStatement, ca_key: SshPrivateKey) -> str:
    """Return the certificate as one line, after it was read back and compared with the statement.

    Raises:
        TeleportError: the certificate would state something else; it must not leave.
    """
    algorithm, key = statement.public_key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split(b" ")[:2]
    key_fields = base64.b64decode(key)[4 + len(algorithm) :]
    ca_public_key = ca_key.public_key()
    signed = b"".join(
        (
            _string(algorithm + _SUFFIX),
            _string(os.urandom(NONCE_BYTES)),
            key_fields,
            statement.serial.to_bytes(8, "big"),
            statement.type.to_bytes(4, "big"),
            _string(statement.key_id.encode()),
            _string(b"".join(_string(principal.encode()) for principal in statement.principals)),
            statement.valid_after.to_bytes(8, "big"),
            statement.valid_before.to_bytes(8, "big"),
            _string(b""),
            _string(b"".join(_extension(name, value) for name, value in sorted(statement.extensions))),
            _string(b""),
            _string(_string(_ED25519) + _string(ca_public_key.public_bytes_raw())),
        )
    )
    signature = _string(_string(_ED25519) + _string(ca_key.sign(signed)))
    line = algorithm + _SUFFIX + b" " + base64.b64encode(signed + signature)
    check_ssh_certificate(line, statement, ca_public_key)
    return line.decode("ascii")


def check_ssh_certificate(line: bytes, statement: SshStatement, ca_public_key: ed25519.Ed25519PublicKey) -> None:
    """Compare a certificate with what was decided; as with X.509 the signature itself is not verified again.

    Raises:
        TeleportError: it states something else.
    """
    try:
        found = load_ssh_public_identity(line)
    except FOREIGN_ERRORS as error:
        raise TeleportError("an SSH certificate was signed that cannot be read") from error
    if not isinstance(found, SSHCertificate) or _describe(found) != _expect(statement, ca_public_key):
        raise TeleportError("an SSH certificate was signed that does not state what was decided")


def _describe(found: SSHCertificate) -> tuple[object, ...]:
    return (
        found.type.value,
        found.public_key(),
        found.serial,
        found.key_id,
        found.valid_principals,
        found.valid_after,
        found.valid_before,
        found.critical_options,
        found.extensions,
        found.signature_key(),
    )


def _expect(statement: SshStatement, ca_public_key: ed25519.Ed25519PublicKey) -> tuple[object, ...]:
    return (
        statement.type,
        statement.public_key,
        statement.serial,
        statement.key_id.encode(),
        [principal.encode() for principal in statement.principals],
        statement.valid_after,
        statement.valid_before,
        {},
        {name.encode(): value.encode() for name, value in statement.extensions},
        ca_public_key,
    )


def _string(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


def _extension(name: str, value: str) -> bytes:
    """Return a name and its value, which is a string within a string unless it is empty."""
    return _string(name.encode()) + _string(_string(value.encode()) if value else b"")
