"""Key pairs: how they are made, written, read back, and which foreign public keys are good enough.

The aliases are what other floors write in their annotations, so that they need not import cryptography.
"""

import hashlib
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.hazmat.primitives.serialization import load_ssh_private_key as load_openssh_private_key

from teleport.errors import BadParameter, TooLarge
from teleport.pki.foreign import FOREIGN_ERRORS
from teleport.pki.pem import MAX_PEM_BYTES

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey
SshPrivateKey: TypeAlias = ed25519.Ed25519PrivateKey
PublicKey: TypeAlias = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey

TLS_CURVES = frozenset({"secp256r1", "secp384r1"})
SSH_CURVES = TLS_CURVES | {"secp521r1"}

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 4096
RSA_EXPONENT = 65537

_SMALL_ORDER = frozenset(
    bytes.fromhex(point)
    for point in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    )
)
"""Ed25519 points of order 8 or less in every encoding, the sign bit cleared; for them anybody can make signatures."""


def generate_private_key() -> PrivateKey:
    """Make a key for TLS: ECDSA on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def generate_ssh_private_key() -> SshPrivateKey:
    """Make a key for SSH: Ed25519."""
    return ed25519.Ed25519PrivateKey.generate()


def private_key_to_pem(key: PrivateKey) -> str:
    """Write a TLS key as PKCS #8 in PEM, without a passphrase."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


def ssh_private_key_to_pem(key: SshPrivateKey) -> str:
    """Write an SSH key as OpenSSH does, without a passphrase."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode("ascii")


def load_private_key(pem: str) -> PrivateKey:
    """Read a TLS key that `private_key_to_pem` wrote.

    Raises:
        BadParameter: no key, a key with a passphrase, or a key that is not on P-256.
    """
    try:
        key = load_pem_private_key(_bounded(pem), None)
    except FOREIGN_ERRORS as error:
        raise BadParameter("the private key is not PKCS #8 in PEM, or is damaged") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadParameter("the private key is not an ECDSA key on P-256")
    return key


def load_ssh_private_key(pem: str) -> SshPrivateKey:
    """Read an SSH key that `ssh_private_key_to_pem` wrote.

    Raises:
        BadParameter: no key, a key with a passphrase, a certificate, or a key that is not Ed25519.
    """
    try:
        key = load_openssh_private_key(_bounded(pem), None)
    except FOREIGN_ERRORS as error:
        raise BadParameter("the SSH private key is not in OpenSSH's format, or is damaged") from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise BadParameter("the SSH private key is not an Ed25519 key")
    return key


def _bounded(pem: str) -> bytes:
    if len(pem) > MAX_PEM_BYTES:
        raise TooLarge(f"the private key is larger than {MAX_PEM_BYTES} bytes")
    return pem.encode(errors="replace")


def ssh_public_key_line(key: SshPrivateKey) -> str:
    """Write the public half as an authorized-keys line without a comment."""
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")


def public_key_der(public_key: PublicKey) -> bytes:
    """Return the SubjectPublicKeyInfo (RFC 5280, 4.1.2.7)."""
    return public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def public_key_fingerprint(public_key: PublicKey) -> str:
    """Return the SHA-256 of the SubjectPublicKeyInfo as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(public_key_der(public_key)).hexdigest()


def parse_public_key(key: object, *, what: str, curves: frozenset[str]) -> PublicKey:
    """Return the key if its kind and size are ones that we certify; costs nothing beside looking.

    Raises:
        BadParameter: an algorithm, curve, size or exponent that is not on the list.
    """
    match key:
        case ec.EllipticCurvePublicKey():
            if key.curve.name not in curves:
                raise BadParameter(f"the {what} is on curve {key.curve.name}, which is not allowed")
            return key
        case ed25519.Ed25519PublicKey():
            point = key.public_bytes_raw()
            if point[:-1] + bytes([point[-1] & 0x7F]) in _SMALL_ORDER:
                raise BadParameter(f"the {what} is a point of small order")
            return key
        case rsa.RSAPublicKey():
            if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
                raise BadParameter(
                    f"the {what} has {key.key_size} bits; RSA keys need {MIN_RSA_BITS} to {MAX_RSA_BITS}"
                )
            if key.public_numbers().e != RSA_EXPONENT:
                raise BadParameter(f"the {what} has another public exponent than {RSA_EXPONENT}")
            return key
        case _:
            raise BadParameter(f"the {what} is of an algorithm that is not allowed")
