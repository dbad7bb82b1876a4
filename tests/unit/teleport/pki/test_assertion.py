from datetime import timedelta
from typing import Any

import pytest

from support.clock import FakeClock
from teleport.errors import BadParameter
from teleport.pki.assertion import build_key_set, verify_assertion
from teleport.pki.authority import create_jwt_authority
from teleport.pki.jwt import LEEWAY, JwtError
from teleport.pki.jwt_signing import JwtSigner

URI = "http://localhost:3000"
KEYS = create_jwt_authority()
SIGNER = JwtSigner(public_key=KEYS.public_key, private_key=KEYS.private_key)
CLOCK = FakeClock()


def build_claims(**changes: Any) -> dict[str, Any]:
    begin = int(CLOCK.now().timestamp())
    claims = {
        "iss": "example.com",
        "sub": "alice",
        "roles": ["dev"],
        "traits": {"team": ["blue"]},
        "aud": [URI],
        "nbf": begin,
        "iat": begin,
        "exp": begin + 60,
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def verify(text: str, **changes: Any) -> Any:
    known = {"issuer": "example.com", "audience": URI, "now": CLOCK.now(), **changes}
    return verify_assertion(text, build_key_set([KEYS.public_key]), **known)


def test_what_the_cluster_signed_is_believed() -> None:
    found = verify(SIGNER.sign(build_claims()))
    assert (found.user, found.roles, found.traits, found.audiences) == (
        "alice",
        ("dev",),
        {"team": ("blue",)},
        (URI,),
    )
    assert found.expires - CLOCK.now() == timedelta(seconds=60)


def test_it_is_good_until_its_end_and_the_leeway_after_that() -> None:
    text = SIGNER.sign(build_claims())
    end = CLOCK.now() + timedelta(seconds=60)
    verify(text, now=end + LEEWAY)
    with pytest.raises(JwtError, match="has expired"):
        verify(text, now=end + LEEWAY + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "other.example"}, "another cluster"),
        ({"aud": ["http://other"]}, "another application"),
        ({"aud": None}, "another application"),
        ({"exp": None}, "no end"),
        ({"sub": None}, "no user"),
        ({"sub": ""}, "no user"),
        ({"roles": "dev"}, "roles"),
        ({"roles": [1]}, "roles"),
        ({"roles": ["r"] * 65}, "roles"),
        ({"traits": []}, "traits"),
        ({"traits": {"team": "blue"}}, "traits"),
        ({"nbf": int(CLOCK.now().timestamp()) + 60}, "time has not come"),
    ],
)
def test_every_claim_must_hold(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(JwtError, match=reason):
        verify(SIGNER.sign(build_claims(**changes)))


def test_what_others_signed_is_not_believed() -> None:
    other = create_jwt_authority()
    text = JwtSigner(public_key=other.public_key, private_key=other.private_key).sign(build_claims())
    with pytest.raises(JwtError):
        verify(text)


@pytest.mark.parametrize("text", ["", "a.b.c", "a" * 20_000])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(JwtError):
        verify(text)


def test_a_cluster_without_keys_has_none() -> None:
    with pytest.raises(BadParameter):
        build_key_set([])
