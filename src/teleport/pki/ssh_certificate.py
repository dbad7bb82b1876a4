"""SSH certificates as bytes (OpenSSH's PROTOCOL.certkeys): written here, and read back before they leave.

The library does both as well, at twice the time, and signing stands in the path of every join; the tests hold what is
written against the library and against `ssh-keygen`.
"""

import base64
import os
import struct
from dataclasses import dataclass
from enum import IntEnum

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from teleport.errors import TeleportError
from teleport.pki.keys import PublicKey, SshPrivateKey

NONCE_BYTES = 32
_SUFFIX = b"-cert-v01@openssh.com"
_ED25519 = b"ssh-ed25519"
_LENGTH = struct.Struct(">I")
_UINT32 = struct.Struct(">I")
_UINT64 = struct.Struct(">Q")


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
    algorithm, text = statement.public_key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split(b" ")[:2]
    key = base64.b64decode(text)[4 + len(algorithm) :]
    ca_key_blob = _string(_ED25519) + _string(ca_key.public_key().public_bytes_raw())
    signed = b"".join(
        (
            _string(algorithm + _SUFFIX),
            _string(os.urandom(NONCE_BYTES)),
            key,
            _UINT64.pack(statement.serial),
            _UINT32.pack(statement.type),
            _string(statement.key_id.encode()),
            _string(_strings(statement.principals)),
            _UINT64.pack(statement.valid_after),
            _UINT64.pack(statement.valid_before),
            _string(b""),
            _string(_extensions(statement)),
            _string(b""),
            _string(ca_key_blob),
        )
    )
    signature = _string(_string(_ED25519) + _string(ca_key.sign(signed)))
    check_ssh_certificate(signed + signature, statement, algorithm=algorithm, key=key, ca_key_blob=ca_key_blob)
    return (algorithm + _SUFFIX + b" " + base64.b64encode(signed + signature)).decode("ascii")


def check_ssh_certificate(
    blob: bytes, statement: SshStatement, *, algorithm: bytes, key: bytes, ca_key_blob: bytes
) -> None:
    """Read a certificate and compare it with what was decided; as with X.509 the signature is not verified again.

    Args:
        blob: the certificate.
        statement: what it must state.
        algorithm: of the certified key.
        key: the certified key's own fields.
        ca_key_blob: the key that signed.

    Raises:
        TeleportError: it states something else.
    """
    reader = _Reader(blob)
    found = (
        reader.read_string(),
        len(reader.read_string()),
        reader.read_bytes(len(key)),
        reader.read_number(_UINT64),
        reader.read_number(_UINT32),
        reader.read_string(),
        reader.read_string(),
        reader.read_number(_UINT64),
        reader.read_number(_UINT64),
        reader.read_string(),
        reader.read_string(),
        reader.read_string(),
        reader.read_string(),
    )
    expected = (
        algorithm + _SUFFIX,
        NONCE_BYTES,
        key,
        statement.serial,
        statement.type,
        statement.key_id.encode(),
        _strings(statement.principals),
        statement.valid_after,
        statement.valid_before,
        b"",
        _extensions(statement),
        b"",
        ca_key_blob,
    )
    if found != expected or not reader.read_string().startswith(_string(_ED25519)) or not reader.is_at_end:
        raise TeleportError("an SSH certificate was signed that does not state what was decided")


class _Reader:
    """Reads the fields of a blob one after another; beyond its end there are empty fields, which match nothing."""

    def __init__(self, blob: bytes) -> None:
        self._blob = blob
        self._at = 0

    @property
    def is_at_end(self) -> bool:
        return self._at == len(self._blob)

    def read_bytes(self, count: int) -> bytes:
        start, self._at = self._at, self._at + count
        return self._blob[start : self._at]

    def read_number(self, size: struct.Struct) -> int:
        return int.from_bytes(self.read_bytes(size.size), "big")

    def read_string(self) -> bytes:
        return self.read_bytes(self.read_number(_LENGTH))


def _strings(texts: tuple[str, ...]) -> bytes:
    return b"".join([_string(text.encode()) for text in texts])


def _string(value: bytes) -> bytes:
    return _LENGTH.pack(len(value)) + value


def _extensions(statement: SshStatement) -> bytes:
    """Return names and values in order; a value is a string within a string unless it is empty."""
    fields = ((name, _string(value.encode()) if value else b"") for name, value in sorted(statement.extensions))
    return b"".join([_string(name.encode()) + _string(value) for name, value in fields])
