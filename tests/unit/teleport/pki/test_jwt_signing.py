import pytest

from teleport.pki.authority import create_jwt_authority
from teleport.pki.jwks import UnknownKey, parse_jwks, render_jwks, verify_jwt
from teleport.pki.jwt import parse_jwt
from teleport.pki.jwt_signing import JwtSigner


def test_a_token_verifies_by_the_key_set_that_the_cluster_publishes() -> None:
    pair = create_jwt_authority()
    signer = JwtSigner(public_key=pair.public_key, private_key=pair.private_key)
    token = parse_jwt(signer.sign({"sub": "alice", "aud": ["http://localhost"]}))
    verify_jwt(token, parse_jwks(render_jwks([pair.public_key]).decode()))
    assert token.claims == {"sub": "alice", "aud": ["http://localhost"]}


def test_a_token_does_not_verify_by_another_clusters_keys() -> None:
    pair, other = create_jwt_authority(), create_jwt_authority()
    token = parse_jwt(JwtSigner(public_key=pair.public_key, private_key=pair.private_key).sign({"sub": "alice"}))
    with pytest.raises(UnknownKey):
        verify_jwt(token, parse_jwks(render_jwks([other.public_key]).decode()))
