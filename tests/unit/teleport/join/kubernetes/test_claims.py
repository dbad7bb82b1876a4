import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.jwt_tokens import CLUSTER, build_claims, sign
from teleport.errors import JoinRefused
from teleport.join.kubernetes.claims import MAX_SHOWN, MAX_SHOWN_AUDIENCES, describe_claims, identify, read_bound_token
from teleport.pki.jwt import JwtError, UnverifiedJwt, parse_jwt

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2**40) | st.text("aé:", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["pod", "name", "uid"]), inner),
    max_leaves=6,
)
CLAIMS = st.dictionaries(st.sampled_from([*build_claims(), "serviceaccount"]), VALUES)


def test_a_refused_token_is_described_by_what_it_says() -> None:
    assert describe_claims(build_claims()) == {
        "issuer": "https://issuer.example.com",
        "subject": "system:serviceaccount:apps:web",
        "pod": "web-0",
        "pod_uid": "pod-uid",
        "audiences": [CLUSTER],
    }


def test_the_description_of_a_refused_token_is_bounded() -> None:
    long = "x" * (MAX_SHOWN + 1)
    described = describe_claims(build_claims(sub=long, aud=[long] * (MAX_SHOWN_AUDIENCES + 1)))
    assert described["subject"] == long[:-1]
    assert described["audiences"] == [long[:-1]] * MAX_SHOWN_AUDIENCES


@settings(max_examples=50)
@given(CLAIMS)
def test_any_claims_are_described_as_texts(claims: dict[str, Any]) -> None:
    described = describe_claims(claims)
    assert all(isinstance(audience, str) for audience in described.pop("audiences"))
    assert all(isinstance(text, str) for text in described.values())
    json.dumps(described)


@settings(max_examples=50)
@given(CLAIMS)
def test_any_claims_are_read_or_refused(changes: dict[str, Any]) -> None:
    token = UnverifiedJwt("RS256", None, {**build_claims(), **changes}, b"", b"")
    try:
        vouched = read_bound_token(token, (CLUSTER,))
    except (JwtError, JoinRefused):
        return
    assert vouched.audiences == (CLUSTER,) * len(vouched.audiences)
    assert vouched.pod_name
    assert vouched.pod_uid
    assert vouched.account.namespace


def test_hostile_16_a_token_stays_the_same_whoever_changes_its_signature() -> None:
    token = parse_jwt(sign(build_claims(jti=None)))
    assert identify(token) == identify(replace(token, signature=b"another one that is as good"))
    assert identify(token) != identify(parse_jwt(sign(build_claims(jti=None, nonce=1))))


def test_hostile_16_an_id_is_unique_to_its_issuer() -> None:
    ids = {identify(parse_jwt(sign(build_claims(iss=issuer)))) for issuer in ("https://a", "https://b")}
    assert len(ids) == 2
    assert identify(parse_jwt(sign(build_claims()))) == identify(parse_jwt(sign(build_claims(nonce=1))))


def test_a_token_for_somebody_else_is_told_by_both_audiences() -> None:
    with pytest.raises(JoinRefused) as refusal:
        read_bound_token(parse_jwt(sign(build_claims(aud=["vault", "consul"]))), (CLUSTER, "k3s"))
    assert refusal.value.detail == "the token is for vault, consul, and accepted is example.com or k3s"
