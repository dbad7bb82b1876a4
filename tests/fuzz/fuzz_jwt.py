"""Feeds tokens of every shape to the reader of JSON web tokens: it reads or refuses, and nothing is verified.

An input that starts with a brace is the claims of a token with a sound header, any other one is the token as a whole.
"""

import base64
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import atheris

from support.jwt_tokens import build_jwks

with atheris.instrument_imports(include=["teleport"]):
    from teleport.pki.jwks import parse_jwks, verify_jwt
    from teleport.pki.jwt import JwtError, check_times, parse_jwt, read_audiences, read_text

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = parse_jwks(build_jwks())


def encode(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


HEADER = encode(b'{"alg": "EdDSA"}')
SIGNATURE = encode(bytes(64))


def try_token(data: bytes) -> None:
    """Read one token, look at its claims, and find that nobody signed it."""
    text = f"{HEADER}.{encode(data)}.{SIGNATURE}" if data[:1] == b"{" else data.decode("utf-8", "surrogateescape")
    try:
        token = parse_jwt(text)
        look_at(token.claims)
        verify_jwt(token, KEYS)
    except JwtError:
        return
    raise AssertionError("a token that nobody signed was verified")


def look_at(claims: Mapping[str, Any]) -> None:
    """Read the claims as a judge does; what is refused is as good as what is read."""
    for read in (
        lambda: check_times(claims, NOW),
        lambda: read_audiences(claims),
        lambda: read_text(claims, "iss").encode(),
    ):
        try:
            read()
        except JwtError:
            continue


if __name__ == "__main__":
    atheris.Setup(sys.argv, try_token)
    atheris.Fuzz()
