"""JSON web tokens from strangers (RFC 7515, RFC 7519): read within bounds first, verified by keys of our choice then.

Only the three algorithms that Kubernetes clusters sign with are known. Nothing in a token says how it is verified.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from teleport.errors import BadParameter
from teleport.pki.base64url import decode_base64url
from teleport.pki.strict_json import parse_json_object

MAX_TOKEN = 16 * 1024
MAX_KEY_ID = 256
LEEWAY = timedelta(seconds=10)
"""For so long clocks may differ: a token is good until that long after `exp`, and from that long before `nbf`."""
ALGORITHMS = frozenset({"RS256", "ES256", "EdDSA"})

_PART = "a part of the token"
_LATEST = 253402214400
"""The last day of the year 9999: no time in a token is later, so that a leeway can be added to each."""
_REFUSED_HEADERS = ("crit", "jku", "jwk", "x5u", "x5c", "b64", "zip", "enc")
"""They would let the token say how it is to be read or by which key."""
_TYPES = ("JWT", "at+jwt")


class JwtError(BadParameter):
    """A token is refused.

    Args:
        reason: machine-readable and stable, as `bad_signature`.
        message: one phrase, without a word of the token.
    """

    code: ClassVar[str] = "token_invalid"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class UnverifiedJwt:
    """A token that is well formed; nobody has vouched for a word of it."""

    algorithm: str
    key_id: str | None
    claims: Mapping[str, Any] = field(repr=False)
    signed: bytes = field(repr=False)
    """What the signature is over: the very bytes that the claims were read from."""
    signature: bytes = field(repr=False)


def parse_jwt(text: str) -> UnverifiedJwt:
    """Read a token.

    Raises:
        JwtError: too long, not three parts of canonical base64url, not JSON objects, or a header of an unknown kind.
    """
    if len(text) > MAX_TOKEN:
        raise JwtError("token_malformed", f"the token is longer than {MAX_TOKEN} characters")
    parts = text.split(".", 3)
    if len(parts) != 3:  # noqa: PLR2004 - header, claims, signature
        raise JwtError("token_malformed", "the token is no JSON web token")
    try:
        header, claims = _parse_part(parts[0]), _parse_part(parts[1])
        signature = decode_base64url(parts[2], what=_PART)
    except BadParameter as error:
        raise JwtError("token_malformed", error.message) from error
    algorithm, key_id = _parse_header(header)
    return UnverifiedJwt(algorithm, key_id, claims, f"{parts[0]}.{parts[1]}".encode("ascii"), signature)


def _parse_header(header: Mapping[str, Any]) -> tuple[str, str | None]:
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise JwtError("token_algorithm", "the token's algorithm is not one of RS256, ES256 and EdDSA")
    if any(name in header for name in _REFUSED_HEADERS) or header.get("typ", "JWT") not in _TYPES:
        raise JwtError("token_header", "the token's header holds what is not accepted")
    if "kid" in header and (not isinstance(key_id, str) or not 0 < len(key_id) <= MAX_KEY_ID):
        raise JwtError("token_header", "the token's key id is no short text")
    return algorithm, key_id


def _parse_part(part: str) -> Mapping[str, Any]:
    return parse_json_object(decode_base64url(part, what=_PART), what=_PART)


def read_time(claims: Mapping[str, Any], name: str) -> datetime | None:
    """Return a claim that is a time, or None if it is absent.

    Raises:
        JwtError: it is no whole number of seconds since 1970, or beyond the year 9999.
    """
    if name not in claims:
        return None
    seconds = claims[name]
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 <= seconds <= _LATEST:
        raise JwtError("token_malformed", f"the claim {name} is no time")
    return datetime.fromtimestamp(seconds, UTC)


def read_text(claims: Mapping[str, Any], name: str) -> str:
    """Return a claim that is a text; an absent one is empty.

    Raises:
        JwtError: it is something else.
    """
    value = claims.get(name, "")
    if not isinstance(value, str):
        raise JwtError("token_malformed", f"the claim {name} is no text")
    return value


def read_audiences(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Return whom the token is for (RFC 7519, 4.1.3: one text, or a list of them).

    Raises:
        JwtError: it is something else.
    """
    value = claims.get("aud", [])
    audiences = [value] if isinstance(value, str) else value
    if not isinstance(audiences, list) or not all(isinstance(audience, str) for audience in audiences):
        raise JwtError("token_malformed", "the claim aud is no list of texts")
    return tuple(audiences)


def check_times(claims: Mapping[str, Any], now: datetime) -> None:
    """Refuse a token whose time has not come or is over; the instant of the leeway's end itself is still good.

    Raises:
        JwtError: `token_expired`, `token_not_yet_valid`, or `token_issued_in_future`.
    """
    expires, not_before, issued = (read_time(claims, name) for name in ("exp", "nbf", "iat"))
    if expires is not None and now > expires + LEEWAY:
        raise JwtError("token_expired", "the token has expired")
    if not_before is not None and now < not_before - LEEWAY:
        raise JwtError("token_not_yet_valid", "the token's time has not come")
    if issued is not None and now < issued - LEEWAY:
        raise JwtError("token_issued_in_future", "the token says that it was issued in the future")
