"""ServiceAccount tokens that a test signs itself, sound or with any part of them wrong."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CLUSTER = "example.com"
ISSUER = "https://issuer.example.com"
SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
P256 = ec.generate_private_key(ec.SECP256R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()
KEYS: dict[str, SigningKey] = {"RS256": RSA, "ES256": P256, "EdDSA": ED25519}


def encode(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def encode_number(number: int) -> str:
    """Return a number as JWKs hold it."""
    return encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def build_claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a pod's token; a change to None leaves a claim out."""
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "sub": "system:serviceaccount:apps:web",
        "aud": [CLUSTER],
        "iat": int((NOW - timedelta(minutes=1)).timestamp()),
        "nbf": int((NOW - timedelta(minutes=1)).timestamp()),
        "exp": int((NOW + timedelta(minutes=10)).timestamp()),
        "jti": "0d8a8c0f",
        "kubernetes.io": {
            "namespace": "apps",
            "pod": {"name": "web-0", "uid": "pod-uid"},
            "serviceaccount": {"name": "web", "uid": "account-uid"},
        },
    }
    claims |= changes
    return {name: value for name, value in claims.items() if value is not None}


def sign(
    claims: dict[str, Any] | bytes, *, algorithm: str = "RS256", key: SigningKey | None = None, **header: Any
) -> str:
    """Return a token; the key may be another than the algorithm's."""
    full = {"alg": algorithm, "kid": algorithm, **header}
    body = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    head = json.dumps({name: value for name, value in full.items() if value is not None}).encode()
    signed = f"{encode(head)}.{encode(body)}"
    return f"{signed}.{encode(_sign(key or KEYS[algorithm], signed.encode()))}"


def _sign(key: SigningKey, data: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return key.sign(data)


def build_jwk(key: SigningKey, **fields: Any) -> dict[str, Any]:
    """Return the public key as a JWK."""
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        jwk = {"kty": "RSA", "n": encode_number(numbers.n), "e": encode_number(numbers.e), "alg": "RS256"}
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        point = key.public_key().public_numbers()
        coordinates = {name: encode(getattr(point, name).to_bytes(32, "big")) for name in ("x", "y")}
        jwk = {"kty": "EC", "crv": "P-256", "alg": "ES256", **coordinates}
    else:
        jwk = {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": encode(key.public_key().public_bytes_raw())}
    full = {"use": "sig", "kid": jwk["alg"], **jwk, **fields}
    return {name: value for name, value in full.items() if value is not None}


def build_jwks(*jwks: dict[str, Any]) -> str:
    """Return a key set; without keys it has one for each algorithm."""
    return json.dumps({"keys": list(jwks) or [build_jwk(key) for key in KEYS.values()]})
