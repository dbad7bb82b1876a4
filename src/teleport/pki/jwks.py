"""JSON web key sets (RFC 7517, RFC 7518): the public keys of a cluster, and signatures that are verified by them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from teleport.errors import BadParameter
from teleport.pki.foreign import FOREIGN_ERRORS
from teleport.pki.jwt import MAX_KEY_ID, JwtError, UnverifiedJwt, decode_base64url

MAX_KEY_SET = 256 * 1024
MAX_KEYS = 64
MAX_UNNAMED_TRIES = 4
"""A token that names no key is tried with so many keys of its type, and no more."""
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192
RSA_EXPONENT = 65537
_COORDINATE = 32
_MALFORMED: tuple[type[Exception], ...] = (*FOREIGN_ERRORS, JwtError, KeyError)
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

VerifyingKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


class UnknownKey(JwtError):
    """None of the keys has the id that the token names; a set that is fetched anew may have it."""

    def __init__(self) -> None:
        super().__init__("unknown_key", "the token is signed by a key that is not in the key set")


@dataclass(frozen=True, slots=True)
class Jwk:
    """One key, and the one algorithm that it verifies."""

    key_id: str | None
    algorithm: str
    key: VerifyingKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class JwkSet:
    """The keys of one issuer."""

    keys: tuple[Jwk, ...]


def parse_jwks(text: str) -> JwkSet:
    """Read a key set. Keys for other uses than signatures, and of other kinds, are passed over.

    Raises:
        BadParameter: not a key set, too large, a private key, a weak key, one id twice, or no key that can be used.
    """
    if len(text) > MAX_KEY_SET:
        raise BadParameter(f"the key set is longer than {MAX_KEY_SET} characters")
    try:
        entries = json.loads(text)["keys"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadParameter('a key set must be a JSON object with a list "keys"') from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadParameter('a key set must be a JSON object with a list "keys"')
    if len(entries) > MAX_KEYS:
        raise BadParameter(f"the key set has more than {MAX_KEYS} keys")
    keys = tuple(key for key in map(_parse_key, entries) if key is not None)
    named = [key.key_id for key in keys if key.key_id is not None]
    if len(set(named)) < len(named):
        raise BadParameter("two keys of the key set have the same kid")
    if not keys:
        raise BadParameter("the key set has no RSA, P-256 or Ed25519 key for signatures")
    return JwkSet(keys)


def _parse_key(entry: Mapping[str, Any]) -> Jwk | None:
    if _PRIVATE & entry.keys():
        raise BadParameter("the key set holds a private or a secret key; publish the public keys alone")
    operations = entry.get("key_ops")
    if entry.get("use", "sig") != "sig" or (isinstance(operations, list) and "verify" not in operations):
        return None
    kind, curve = entry.get("kty"), entry.get("crv", "")
    known = _KINDS.get((kind, curve)) if isinstance(kind, str) and isinstance(curve, str) else None
    if known is None:
        return None
    algorithm, build = known
    if entry.get("alg", algorithm) != algorithm:
        return None
    key_id = entry.get("kid")
    if key_id is not None and (not isinstance(key_id, str) or not 0 < len(key_id) <= MAX_KEY_ID):
        raise BadParameter("a kid of the key set is no short text")
    try:
        return Jwk(key_id, algorithm, build(entry))
    except _MALFORMED as error:
        raise BadParameter(f"a {entry['kty']} key of the key set is malformed") from error


def _build_rsa(entry: Mapping[str, Any]) -> VerifyingKey:
    modulus, exponent = _read_number(entry["n"]), _read_number(entry["e"])
    if exponent != RSA_EXPONENT or not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS:
        raise BadParameter(
            f"an RSA key of the key set must have {MIN_RSA_BITS} to {MAX_RSA_BITS} bits and the exponent {RSA_EXPONENT}"
        )
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _build_p256(entry: Mapping[str, Any]) -> VerifyingKey:
    return ec.EllipticCurvePublicNumbers(
        _read_number(entry["x"]), _read_number(entry["y"]), ec.SECP256R1()
    ).public_key()


def _build_ed25519(entry: Mapping[str, Any]) -> VerifyingKey:
    return ed25519.Ed25519PublicKey.from_public_bytes(decode_base64url(entry["x"]))


def _read_number(text: object) -> int:
    if not isinstance(text, str):
        raise TypeError("a number of a key must be base64url")
    return int.from_bytes(decode_base64url(text), "big")


_KINDS: dict[tuple[str, str], tuple[str, Callable[[Mapping[str, Any]], VerifyingKey]]] = {
    ("RSA", ""): ("RS256", _build_rsa),
    ("EC", "P-256"): ("ES256", _build_p256),
    ("OKP", "Ed25519"): ("EdDSA", _build_ed25519),
}


def verify_jwt(token: UnverifiedJwt, keys: JwkSet) -> None:
    """Verify the signature of a token; its claims are worth looking at after that.

    Raises:
        UnknownKey: no key has the id that the token names.
        JwtError: `bad_signature`.
    """
    for candidate in _find_keys(token, keys):
        if _verifies(candidate.key, token):
            return
    raise JwtError("bad_signature", "the token's signature is not by the key that it names")


def _find_keys(token: UnverifiedJwt, keys: JwkSet) -> tuple[Jwk, ...]:
    """Return the keys to try: the one that the token names, or a few of its type; a key has one algorithm only."""
    if token.key_id is not None:
        named = [key for key in keys.keys if key.key_id == token.key_id]
        if not named:
            raise UnknownKey
        return tuple(key for key in named if key.algorithm == token.algorithm)
    return tuple(key for key in keys.keys if key.algorithm == token.algorithm)[:MAX_UNNAMED_TRIES]


def _verifies(key: VerifyingKey, token: UnverifiedJwt) -> bool:
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(token.signature, token.signed, padding.PKCS1v15(), hashes.SHA256())
        elif isinstance(key, ec.EllipticCurvePublicKey):
            if len(token.signature) != 2 * _COORDINATE:
                return False
            r, s = (int.from_bytes(token.signature[at : at + _COORDINATE], "big") for at in (0, _COORDINATE))
            key.verify(encode_dss_signature(r, s), token.signed, ec.ECDSA(hashes.SHA256()))
        else:
            key.verify(token.signature, token.signed)
    except (InvalidSignature, ValueError):
        return False
    return True
