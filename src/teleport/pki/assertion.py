"""Assertions: JSON web tokens by which a cluster says who opens an application, until when."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from teleport.pki.jwks import JwkSet, parse_jwks, render_jwks, verify_jwt
from teleport.pki.jwt import JwtError, check_times, parse_jwt, read_audiences, read_text, read_time

MAX_NAMES = 64


@dataclass(frozen=True, slots=True)
class Assertion:
    """What an assertion says, once it is verified."""

    user: str
    roles: tuple[str, ...]
    traits: Mapping[str, tuple[str, ...]]
    audiences: tuple[str, ...]
    expires: datetime
    text: str = field(repr=False)


def build_key_set(public_keys: Iterable[str]) -> JwkSet:
    """Return the keys of a cluster, from PEM.

    Raises:
        BadParameter: there is none, or one is no key on P-256.
    """
    return parse_jwks(render_jwks(tuple(public_keys)).decode("ascii"))


def verify_assertion(text: str, keys: JwkSet, *, issuer: str, audience: str, now: datetime) -> Assertion:
    """Return what an assertion says.

    Args:
        text: what somebody has shown.
        keys: of the cluster.
        issuer: the cluster's name.
        audience: the application's address, which must be among those that the assertion is for.
        now: the present.

    Raises:
        JwtError: it is malformed, not signed by the cluster, for another application, or its time is over.
    """
    token = parse_jwt(text)
    verify_jwt(token, keys)
    claims = token.claims
    if read_text(claims, "iss") != issuer:
        raise JwtError("token_issuer", "the assertion is by another cluster")
    audiences = read_audiences(claims)
    if audience not in audiences:
        raise JwtError("token_audience", "the assertion is for another application")
    expires, user = read_time(claims, "exp"), read_text(claims, "sub")
    if expires is None or not user:
        raise JwtError("token_malformed", "the assertion names no user or no end")
    check_times(claims, now)
    roles, traits = _read_names(claims.get("roles", []), "roles"), claims.get("traits", {})
    if not isinstance(traits, Mapping):
        raise JwtError("token_malformed", "the claim traits is no object")
    return Assertion(
        user=user,
        roles=roles,
        traits={name: _read_names(values, "traits") for name, values in traits.items()},
        audiences=audiences,
        expires=expires,
        text=text,
    )


def _read_names(value: object, claim: str) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_NAMES or not all(isinstance(name, str) for name in value):
        raise JwtError("token_malformed", f"the claim {claim} is no list of names")
    return tuple(value)
