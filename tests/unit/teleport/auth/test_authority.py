from datetime import datetime, timedelta

import pytest

from support.auth import CLUSTER, HOST_ID, InProcessAuth, to_der
from teleport.api.joined import generate_keys
from teleport.auth.authority import BACKDATE, HostGrant
from teleport.auth.join_request import parse_keys
from teleport.auth.stores.authorities import AUTHORITY_LIFE
from teleport.errors import BadParameter
from teleport.pki.leaf import LeafKind, parse_leaf
from teleport.resources.authority import AuthorityType, KeySet
from teleport.resources.role import SystemRole

HOUR = timedelta(hours=1)
WEEK = timedelta(days=7)
NODE = HostGrant(host_id=HOST_ID, role=SystemRole.NODE)


async def test_a_host_certificate_states_what_was_granted() -> None:
    auth = await InProcessAuth.start(host_cert_ttl=HOUR)
    grant = HostGrant(host_id=HOST_ID, role=SystemRole.INSTANCE, system_roles=(SystemRole.APP, SystemRole.NODE))
    issued = auth.authority.issue_host(grant, auth.certify())
    leaf = parse_leaf(to_der(issued.certificates.tls_certificate))
    assert (leaf.kind, leaf.common_name, leaf.cluster_name) == (LeafKind.HOST, f"{HOST_ID}.{CLUSTER}", CLUSTER)
    assert (leaf.roles, leaf.system_roles) == (("Instance",), (SystemRole.APP, SystemRole.NODE))
    assert (leaf.not_before, leaf.not_after) == (auth.clock.now() - BACKDATE, auth.clock.now() + HOUR)
    assert (issued.not_after, issued.serial) == (leaf.not_after, format(leaf.serial, "x"))
    assert issued.certificates.role is SystemRole.INSTANCE


async def test_a_host_certificate_ends_with_its_ca_at_the_latest() -> None:
    auth = await InProcessAuth.start(host_cert_ttl=2 * AUTHORITY_LIFE)
    begin = auth.clock.now()
    assert auth.authority.issue_host(NODE, auth.certify()).not_after == begin + AUTHORITY_LIFE
    auth.clock.advance(AUTHORITY_LIFE - HOUR)
    assert auth.authority.issue_host(NODE, auth.certify()).not_after == begin + AUTHORITY_LIFE


async def test_a_shorter_life_may_be_asked_for() -> None:
    auth = await InProcessAuth.start()
    assert auth.authority.issue_host(NODE, auth.certify(), HOUR).not_after == auth.clock.now() + HOUR


async def test_a_ca_that_is_over_signs_nothing() -> None:
    auth = await InProcessAuth.start()
    auth.clock.advance(AUTHORITY_LIFE + 2 * BACKDATE)
    with pytest.raises(BadParameter, match="expired"):
        auth.authority.issue_host(NODE, auth.certify())


def minutes_of_a_bot(auth: InProcessAuth, expires: datetime | None) -> float:
    keys = auth.certify()
    issued = auth.authority.issue_bot(bot_name="robot", instance_id="1", keys=keys, expires=expires)
    return (issued.not_after - auth.clock.now()) / timedelta(minutes=1)


async def test_a_bot_gets_an_hour_or_what_it_asks_for_up_to_a_week() -> None:
    auth = await InProcessAuth.start()
    now = auth.clock.now()
    assert minutes_of_a_bot(auth, None) == 60
    assert minutes_of_a_bot(auth, now + timedelta(hours=6)) == 360
    assert minutes_of_a_bot(auth, now + WEEK) == WEEK / timedelta(minutes=1)
    assert minutes_of_a_bot(auth, now + WEEK + HOUR) == WEEK / timedelta(minutes=1)


@pytest.mark.parametrize("ago", [timedelta(0), timedelta(seconds=30), timedelta(days=365)])
async def test_hostile_43_a_bots_certificate_never_ends_in_the_past(ago: timedelta) -> None:
    auth = await InProcessAuth.start()
    with pytest.raises(BadParameter, match="must be in the future"):
        minutes_of_a_bot(auth, auth.clock.now() - ago)


async def test_a_user_gets_the_life_that_was_asked_for() -> None:
    auth = await InProcessAuth.start()
    issued = auth.authority.issue_user(user="alice", roles=("editor",), ttl=12 * HOUR, keys=auth.certify())
    leaf = parse_leaf(to_der(issued.certificates.tls_certificate))
    assert (leaf.kind, leaf.name, leaf.roles) == (LeafKind.USER, "alice", ("editor",))
    assert leaf.not_after == auth.clock.now() + 12 * HOUR


async def test_hostile_44_no_two_certificates_have_the_same_serial() -> None:
    auth = await InProcessAuth.start()
    keys = auth.certify()
    assert len({auth.authority.issue_host(NODE, keys).serial for _ in range(200)}) == 200


async def test_an_authority_that_changes_signs_and_is_trusted_without_a_restart() -> None:
    auth = await InProcessAuth.start()
    before = auth.authority.trust_bundle
    other = await InProcessAuth.start()
    auth.authority.replace(await other.stores.authorities.load())
    after = auth.authority.trust_bundle
    assert after.revision != before.revision
    assert after.tls == other.authority.trust_bundle.tls
    der = to_der(auth.authority.issue_host(NODE, auth.certify()).certificates.tls_certificate)
    other.authority.trusted_hosts.check_issued(der, auth.clock.now())


async def test_the_revision_of_the_trust_bundle_changes_only_with_the_trust() -> None:
    auth = await InProcessAuth.start()
    authorities = await auth.stores.authorities.load()
    before = auth.authority.trust_bundle.revision
    auth.authority.replace(authorities)
    assert auth.authority.trust_bundle.revision == before
    host = authorities[AuthorityType.HOST]
    other = await InProcessAuth.start()
    added: KeySet = (await other.stores.authorities.get(AuthorityType.HOST)).spec.active_keys
    spec = host.spec.model_copy(update={"additional_trusted_keys": added})
    auth.authority.replace({**authorities, AuthorityType.HOST: host.model_copy(update={"spec": spec})})
    assert auth.authority.trust_bundle.revision != before
    assert len(auth.authority.host_ca_certificates) == 2


async def test_the_trust_bundle_holds_no_private_key() -> None:
    auth = await InProcessAuth.start()
    assert "PRIVATE" not in auth.authority.trust_bundle.model_dump_json()
    assert "PRIVATE" not in repr(await auth.stores.authorities.load())


async def test_a_reserved_key_is_certified_for_nobody() -> None:
    auth = await InProcessAuth.start()
    keys = generate_keys()
    fingerprint = parse_keys(keys.build_public_keys("server"), frozenset()).csr.fingerprint
    auth.authority.reserve_key(fingerprint)
    with pytest.raises(BadParameter, match="belongs to somebody else"):
        auth.certify(keys)


async def test_an_unspecified_address_becomes_the_one_that_auth_sees() -> None:
    auth = await InProcessAuth.start()
    grant = HostGrant(
        host_id=HOST_ID, role=SystemRole.PROXY, additional_principals=("0.0.0.0",), remote_addr="192.0.2.7"
    )
    issued = auth.authority.issue_host(grant, auth.certify())
    assert b"\xc0\x00\x02\x07" in to_der(issued.certificates.tls_certificate)
