from support.auth import SECRET, InProcessAuth, to_der
from teleport.api.joined import build_joined, generate_keys
from teleport.auth.join_request import parse_keys
from teleport.pki.leaf import parse_leaf
from teleport.resources.authority import AuthorityType
from teleport.resources.role import SystemRole


def test_keys_prove_that_they_are_held() -> None:
    keys = generate_keys()
    certified = parse_keys(keys.build_public_keys("node"), frozenset())
    assert certified.csr.fingerprint
    assert generate_keys() != keys


def test_no_private_key_is_in_a_repr() -> None:
    assert "PRIVATE" not in repr(generate_keys())


async def test_what_was_joined_is_an_identity() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token()
    keys = generate_keys()
    answer = await auth.join(keys=keys)
    joined = build_joined(keys, answer)
    identity = joined.identity(SystemRole.INSTANCE)
    assert parse_leaf(to_der(identity.tls_certificate)).name == joined.host_id == answer.host_id
    assert identity.host_ca_certificates == answer.trust.tls[AuthorityType.HOST]


async def test_certificates_of_a_role_are_added_or_renewed_beside_the_others() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token(SECRET, SystemRole.NODE)
    keys, more = generate_keys(), generate_keys()
    joined = build_joined(keys, await auth.join(keys=keys))
    node = (await auth.join(keys=more, role="Node")).certificates
    both = joined.with_certificates(more, node)
    assert set(both.certificates) == {SystemRole.INSTANCE, SystemRole.NODE}
    assert both.keys == {SystemRole.INSTANCE: keys, SystemRole.NODE: more}
    assert set(joined.certificates) == {SystemRole.INSTANCE}


async def test_trust_is_replaced_as_a_whole() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token()
    keys = generate_keys()
    joined = build_joined(keys, await auth.join(keys=keys))
    other = (await InProcessAuth.start()).authority.trust_bundle
    assert joined.with_trust(other).identity(SystemRole.INSTANCE).host_ca_certificates == other.tls["host"]
