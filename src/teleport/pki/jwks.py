"""JSON web key sets (RFC 7517, RFC 7518): the public keys of a cluster, and signatures that are verified by them."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from teleport.errors import BadParameter
from teleport.pki.base64url import decode_base64url, encode_base64url
from teleport.pki.foreign import FOREIGN_ERRORS
from teleport.pki.jwt import MAX_KEY_ID, JwtError, UnverifiedJwt
from teleport.pki.keys import MIN_RSA_BITS, RSA_EXPONENT, PublicKey, parse_public_key
from teleport.pki.strict_json import parse_json_object

MAX_KEY_SET = 256 * 1024
MAX_KEYS = 64
MAX_UNNAMED_TRIES = 4
"""A token that names no key is tried with so many keys of its type, and no more."""
MAX_RSA_BITS = 8192
"""Twice what we certify: the keys are other people's, and verifying by them is cheap."""
_COORDINATE = 32
_UNCOMPRESSED = b"\x04"
"""Both coordinates follow (SEC 1, 2.3.3)."""
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class UnknownKey(JwtError):
    """None of the keys has the id that the token names; a set that is fetched anew may have it."""

    def __init__(self) -> None:
        super().__init__("unknown_key", "the token is signed by a key that is not in the key set")


@dataclass(frozen=True, slots=True)
class Jwk:
    """One key, and the one algorithm that it verifies."""

    key_id: str | None
    algorithm: str
    key: PublicKey = field(repr=False)


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
    entries = parse_json_object(text, what="the key set").get("keys")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadParameter('a key set must be a JSON object with a list "keys"')
    if len(entries) > MAX_KEYS:
        raise BadParameter(f"the key set has more than {MAX_KEYS} keys")
    keys = tuple(key for key in map(_parse_key, entries) if key is not None)
    named = Counter(key.key_id for key in keys if key.key_id is not None)
    for key_id, number in named.items():
        if number > 1:
            raise BadParameter(f"{number} keys of the key set have the kid {key_id!r}")
    if not keys:
        raise BadParameter("the key set has no RSA, P-256 or Ed25519 key for signatures")
    return JwkSet(keys)


def render_jwks(public_keys: Sequence[str]) -> bytes:
    """Write the key set of a cluster; a key's id is its thumbprint (RFC 7638).

    Args:
        public_keys: on P-256, as PEM.

    Raises:
        BadParameter: one of them is none, or is on another curve.
    """
    return orjson.dumps({"keys": [_build_entry(pem) for pem in public_keys]})


def _build_entry(pem: str) -> dict[str, str]:
    try:
        key = load_pem_public_key(pem.encode("ascii"))
    except FOREIGN_ERRORS as error:
        raise BadParameter("the cluster's key for JSON web tokens is malformed") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadParameter("the cluster's key for JSON web tokens is not on P-256")
    numbers = key.public_numbers()
    x, y = (encode_base64url(number.to_bytes(_COORDINATE, "big")) for number in (numbers.x, numbers.y))
    required = {"crv": "P-256", "kty": "EC", "x": x, "y": y}
    thumbprint = hashlib.sha256(orjson.dumps(required, option=orjson.OPT_SORT_KEYS)).digest()
    return {**required, "alg": "ES256", "kid": encode_base64url(thumbprint), "use": "sig"}


def _parse_key(entry: Mapping[str, Any]) -> Jwk | None:
    if _PRIVATE & entry.keys():
        named = _describe(entry.get("kid"))
        raise BadParameter(f"{named}: it is a private or a secret key; publish the public keys alone")
    operations = entry.get("key_ops", ["verify"])
    if entry.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
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
    except BadParameter as error:
        raise BadParameter(f"{_describe(key_id)}: {error.message}") from error
    except FOREIGN_ERRORS as error:
        raise BadParameter(f"{_describe(key_id)}: it is a malformed {kind} key") from error


def _describe(key_id: object) -> str:
    """Say which key of a set has a fault; whatever the set calls it."""
    if isinstance(key_id, str):
        return f"key {key_id[:MAX_KEY_ID]!r} of the key set"
    return "a key of the key set without kid"


def _build_rsa(entry: Mapping[str, Any]) -> PublicKey:
    modulus, exponent = (int.from_bytes(_decode_field(entry, name), "big") for name in ("n", "e"))
    if exponent != RSA_EXPONENT or not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS:
        raise BadParameter(
            f"an RSA key must have {MIN_RSA_BITS} to {MAX_RSA_BITS} bits and the exponent {RSA_EXPONENT}"
        )
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _build_p256(entry: Mapping[str, Any]) -> PublicKey:
    x, y = (_decode_field(entry, name) for name in ("x", "y"))
    if len(x) != _COORDINATE or len(y) != _COORDINATE:
        raise BadParameter(f"a P-256 key must have coordinates of {_COORDINATE} bytes")
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _UNCOMPRESSED + x + y)


def _build_ed25519(entry: Mapping[str, Any]) -> PublicKey:
    key = ed25519.Ed25519PublicKey.from_public_bytes(_decode_field(entry, "x"))
    return parse_public_key(key, what="Ed25519 key", curves=frozenset())


def _decode_field(entry: Mapping[str, Any], name: str) -> bytes:
    return decode_base64url(entry.get(name), what=repr(name))


_KINDS: dict[tuple[str, str], tuple[str, Callable[[Mapping[str, Any]], PublicKey]]] = {
    ("RSA", ""): ("RS256", _build_rsa),
    ("EC", "P-256"): ("ES256", _build_p256),
    ("OKP", "Ed25519"): ("EdDSA", _build_ed25519),
}


def verify_jwt(token: UnverifiedJwt, keys: JwkSet) -> None:
    """Verify the signature of a token; its claims are worth looking at after that.

    Raises:
        UnknownKey: no key has the id that the token names, or is of its type where it names none.
        JwtError: `bad_signature`, also where the key that it names is of another type.
    """
    for candidate in _find_keys(token, keys):
        if _verifies(candidate.key, token):
            return
    raise JwtError("bad_signature", "the token's signature is not by the key that it should be by")


def _find_keys(token: UnverifiedJwt, keys: JwkSet) -> tuple[Jwk, ...]:
    """Return the keys to try: the one that the token names, or a few of its type; a key has one algorithm only."""
    fitting = tuple(key for key in keys.keys if key.algorithm == token.algorithm)
    if token.key_id is None and fitting:
        return fitting[:MAX_UNNAMED_TRIES]
    if token.key_id is not None and any(key.key_id == token.key_id for key in keys.keys):
        return tuple(key for key in fitting if key.key_id == token.key_id)
    raise UnknownKey


def _verifies(key: PublicKey, token: UnverifiedJwt) -> bool:
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
