"""Signing JSON web tokens (RFC 7515) as the cluster: ES256, and the key's thumbprint as its id."""

from collections.abc import Mapping
from typing import Any

import orjson
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from teleport.pki.base64url import encode_base64url
from teleport.pki.jwks import render_jwks
from teleport.pki.keys import load_private_key

_COORDINATE = 32


class JwtSigner:
    """Signs with one key.

    Args:
        public_key: as PEM; its id is the one under which `render_jwks` publishes it.
        private_key: as PEM.

    Raises:
        BadParameter: the key is not on P-256.
    """

    def __init__(self, *, public_key: str, private_key: str) -> None:
        key_id = orjson.loads(render_jwks([public_key]))["keys"][0]["kid"]
        self._key = load_private_key(private_key)
        self._header = encode_base64url(orjson.dumps({"alg": "ES256", "kid": key_id, "typ": "JWT"}))

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return a token in compact form (RFC 7515, 7.1)."""
        signed = f"{self._header}.{encode_base64url(orjson.dumps(dict(claims)))}"
        r, s = decode_dss_signature(self._key.sign(signed.encode("ascii"), ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(_COORDINATE, "big") + s.to_bytes(_COORDINATE, "big")  # RFC 7518, 3.4
        return f"{signed}.{encode_base64url(signature)}"
