import json
import re
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from support.jwt_tokens import (
    ED25519,
    KEYS,
    P256,
    RSA,
    SigningKey,
    build_claims,
    build_jwk,
    build_jwks,
    encode,
    encode_number,
    sign,
)
from teleport.errors import BadParameter
from teleport.pki.authority import create_jwt_authority
from teleport.pki.jwks import (
    MAX_KEY_SET,
    MAX_KEYS,
    MAX_UNNAMED_TRIES,
    UnknownKey,
    parse_jwks,
    render_jwks,
    verify_jwt,
)
from teleport.pki.jwt import JwtError, parse_jwt


def verify(token: str, jwks: str | None = None) -> None:
    verify_jwt(parse_jwt(token), parse_jwks(jwks or build_jwks()))


@pytest.mark.parametrize("algorithm", list(KEYS))
def test_a_signature_is_verified_by_the_key_that_is_named(algorithm: str) -> None:
    verify(sign(build_claims(), algorithm=algorithm))


@pytest.mark.parametrize("algorithm", list(KEYS))
def test_without_a_name_the_keys_of_the_type_are_tried(algorithm: str) -> None:
    verify(sign(build_claims(), algorithm=algorithm, kid=None))


def test_without_a_name_only_a_few_keys_are_tried() -> None:
    others = [build_jwk(ed25519.Ed25519PrivateKey.generate(), kid=str(number)) for number in range(MAX_UNNAMED_TRIES)]
    token = sign(build_claims(), algorithm="EdDSA", kid=None)
    verify(token, build_jwks(*others[1:], build_jwk(ED25519)))
    with pytest.raises(JwtError, match="signature"):
        verify(token, build_jwks(*others, build_jwk(ED25519)))


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS256", rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        ("ES256", ec.generate_private_key(ec.SECP256R1())),
        ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
    ],
)
def test_hostile_01_a_signature_by_another_key_is_refused(algorithm: str, key: SigningKey) -> None:
    with pytest.raises(JwtError) as refusal:
        verify(sign(build_claims(), algorithm=algorithm, key=key))
    assert refusal.value.reason == "bad_signature"


def test_hostile_02_a_key_verifies_its_own_algorithm_only() -> None:
    with pytest.raises(JwtError) as refusal:
        verify(sign(build_claims(), algorithm="ES256", kid="RS256"))
    assert refusal.value.reason == "bad_signature"


@pytest.mark.parametrize("key_id", ["unknown", "../../key", "' OR 1=1 --", "x" * 256])
def test_hostile_03_an_unknown_key_is_told_apart_and_nothing_is_looked_up(key_id: str) -> None:
    with pytest.raises(UnknownKey):
        verify(sign(build_claims(), kid=key_id))


@pytest.mark.parametrize("cut", [0, 1, 63, 65])
def test_a_p256_signature_has_its_one_length(cut: int) -> None:
    head, _, _ = sign(build_claims(), algorithm="ES256").rpartition(".")
    with pytest.raises(JwtError):
        verify(f"{head}.{encode(bytes(cut) or b'0')}")


@pytest.mark.parametrize("field", ["d", "p", "k"])
def test_a_private_key_is_refused(field: str) -> None:
    with pytest.raises(BadParameter, match="private"):
        parse_jwks(build_jwks(build_jwk(RSA, **{field: "AQAB"})))


@pytest.mark.parametrize(
    "key",
    [
        build_jwk(RSA, e=encode_number(3)),
        build_jwk(RSA, n=encode_number(2**2047 - 1)),
        build_jwk(RSA, n=encode_number(2**8192 + 1)),
        build_jwk(RSA, n="x"),
        build_jwk(RSA, n=7),
        build_jwk(RSA, n=None),
        build_jwk(P256, x=encode(bytes(32))),
        build_jwk(P256, x="AA"),
        build_jwk(P256, x=encode(bytes(1) + P256.public_key().public_numbers().x.to_bytes(32, "big"))),
        build_jwk(ED25519, x=encode(bytes(31))),
        build_jwk(ED25519, x=encode(bytes(32))),
        build_jwk(ED25519, x=encode(b"\x01" + bytes(30) + b"\x80")),
        build_jwk(ED25519, x=None),
        build_jwk(RSA, kid=""),
        build_jwk(RSA, kid=7),
    ],
)
def test_a_weak_or_malformed_key_is_refused(key: dict[str, Any]) -> None:
    with pytest.raises(BadParameter):
        parse_jwks(build_jwks(key))


@pytest.mark.parametrize(
    "key",
    [
        build_jwk(RSA, e=encode_number(3)),
        build_jwk(P256, x="AA"),
        build_jwk(P256, x=encode(bytes(32))),
        build_jwk(ED25519, x=None),
        build_jwk(RSA, d="AQAB"),
    ],
)
def test_a_refusal_names_the_key(key: dict[str, Any]) -> None:
    with pytest.raises(BadParameter, match=r"^key 'mine' of the key set: "):
        parse_jwks(build_jwks(build_jwk(RSA), key | {"kid": "mine"}))
    with pytest.raises(BadParameter, match=r"^a key of the key set without kid: "):
        parse_jwks(build_jwks(build_jwk(RSA), {name: value for name, value in key.items() if name != "kid"}))


@pytest.mark.parametrize(
    "key",
    [
        build_jwk(RSA, use="enc"),
        build_jwk(RSA, use=None, key_ops=["sign"]),
        build_jwk(RSA, key_ops="verify"),
        build_jwk(RSA, key_ops=[]),
        build_jwk(RSA, use=["sig"]),
        build_jwk(RSA, crv="P-256"),
        build_jwk(RSA, alg="RS512"),
        {"kty": "oct", "kid": "x"},
        {"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"},
    ],
)
def test_keys_for_other_uses_are_passed_over_and_alone_they_are_no_set(key: dict[str, Any]) -> None:
    assert [each.key_id for each in parse_jwks(build_jwks(key, build_jwk(ED25519))).keys] == ["EdDSA"]
    with pytest.raises(BadParameter, match="no RSA"):
        parse_jwks(build_jwks(key))


@pytest.mark.parametrize("bits", [2048, 8192])
def test_rsa_keys_are_read_at_both_limits_of_their_size(bits: int) -> None:
    keys = parse_jwks(build_jwks(build_jwk(RSA, n=encode_number(2**bits - 1)))).keys
    assert [key.algorithm for key in keys] == ["RS256"]


@pytest.mark.parametrize(
    "modulus",
    [2**2047, 2**2048 - 1, RSA.public_key().public_numbers().n - 1],
    ids=["even", "all ones", "beside a true one"],
)
def test_a_modulus_that_is_none_verifies_nothing(modulus: int) -> None:
    with pytest.raises(JwtError, match="signature"):
        verify(sign(build_claims()), build_jwks(build_jwk(RSA, n=encode_number(modulus))))


@pytest.mark.parametrize("algorithm", list(KEYS))
@pytest.mark.parametrize("signature", [bytes(1), bytes(64), b"\xff" * 64, bytes(256), b"\xff" * 256, b"\xff" * 8000])
def test_hostile_01_a_made_up_signature_is_refused(algorithm: str, signature: bytes) -> None:
    head, _, _ = sign(build_claims(), algorithm=algorithm).rpartition(".")
    with pytest.raises(JwtError) as refusal:
        verify(f"{head}.{encode(signature)}")
    assert refusal.value.reason == "bad_signature"


def test_hostile_01_a_signature_is_over_the_claims_that_are_read() -> None:
    head, _, rest = sign(build_claims()).partition(".")
    others = encode(json.dumps(build_claims(sub="system:serviceaccount:kube-system:admin")).encode())
    with pytest.raises(JwtError) as refusal:
        verify(f"{head}.{others}.{rest.rpartition('.')[2]}")
    assert refusal.value.reason == "bad_signature"


def test_hostile_19_a_token_of_a_type_that_has_no_key_yet_is_by_an_unknown_key() -> None:
    with pytest.raises(UnknownKey):
        verify(sign(build_claims(), kid=None), build_jwks(build_jwk(P256)))


def test_hostile_19_a_new_key_is_unknown_until_the_set_is_fetched_anew() -> None:
    token = sign(build_claims(), kid="new")
    with pytest.raises(UnknownKey) as refusal:
        verify(token, build_jwks(build_jwk(RSA, kid="old")))
    assert refusal.value.reason == "unknown_key"
    verify(token, build_jwks(build_jwk(P256, kid="old"), build_jwk(RSA, kid="new")))


def test_a_name_that_stands_twice_in_a_set_is_refused() -> None:
    key = json.dumps(build_jwk(RSA))
    with pytest.raises(BadParameter):
        parse_jwks(f'{{"keys": [], "keys": [{key}]}}')
    with pytest.raises(BadParameter):
        parse_jwks(f'{{"keys": [{{"kid": "b", {key[1:]}]}}')


def test_a_key_is_not_in_the_repr_of_its_set() -> None:
    assert repr(parse_jwks(build_jwks(build_jwk(RSA)))) == "JwkSet(keys=(Jwk(key_id='RS256', algorithm='RS256'),))"


def test_one_id_for_two_keys_is_refused() -> None:
    with pytest.raises(BadParameter, match="2 keys of the key set have the kid 'a'"):
        parse_jwks(build_jwks(build_jwk(RSA, kid="a"), build_jwk(P256, kid="a")))


def test_a_set_may_have_as_many_keys_as_the_limit_and_not_more() -> None:
    keys = [build_jwk(ED25519, kid=str(number)) for number in range(MAX_KEYS + 1)]
    assert len(parse_jwks(build_jwks(*keys[1:])).keys) == MAX_KEYS
    with pytest.raises(BadParameter, match="more than"):
        parse_jwks(build_jwks(*keys))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"keys": 1}', '{"keys": [1]}', "[" * 5000, " " * (MAX_KEY_SET + 1)])
def test_what_is_no_key_set_is_refused(text: str) -> None:
    with pytest.raises(BadParameter):
        parse_jwks(text)


FIELDS = st.sampled_from(["kty", "crv", "n", "e", "x", "y", "kid", "use", "alg", "keys"])
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=6),
    max_leaves=12,
)


@given(ANY_JSON)
def test_any_json_is_a_key_set_or_refused(data: Any) -> None:
    for document in (data, {"keys": [data]}, {"keys": [{"kty": "RSA", **data}] if isinstance(data, dict) else data}):
        with pytest.raises(BadParameter):
            parse_jwks(json.dumps(document))


def test_the_keys_of_a_cluster_are_published_and_can_be_read_again() -> None:
    keys = [create_jwt_authority().public_key for _ in range(2)]
    text = render_jwks(keys).decode()
    assert [key.algorithm for key in parse_jwks(text).keys] == ["ES256", "ES256"]
    assert render_jwks(keys).decode() == text
    ids = re.findall(r'"kid":"([A-Za-z0-9_-]{43})"', text)
    assert len(set(ids)) == 2


@pytest.mark.parametrize("pem", ["", "no key", "-----BEGIN PUBLIC KEY-----\nMA==\n-----END PUBLIC KEY-----\n"])
def test_what_is_no_key_is_not_published(pem: str) -> None:
    with pytest.raises(BadParameter):
        render_jwks([pem])
