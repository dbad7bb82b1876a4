from datetime import timedelta

import pytest

from support import x509
from support.auth import CLUSTER, REMOTE_ADDR, InProcessAuth, to_der
from teleport.api.messages import Certificates
from teleport.auth.access import Caller, CallerKind
from teleport.auth.authority import HostGrant
from teleport.auth.callers import identify, may_name_pod
from teleport.auth.roles import RoleTable
from teleport.errors import AccessDenied
from teleport.resources.authority import AuthorityType
from teleport.resources.role import SystemRole

HOUR = timedelta(hours=1)


def call(auth: InProcessAuth, certificates: Certificates) -> Caller:
    der = to_der(certificates.tls_certificate)
    return identify(der, REMOTE_ADDR, authority=auth.authority, roles=RoleTable(), clock=auth.clock)


def certify_host(auth: InProcessAuth, role: SystemRole, *system_roles: SystemRole) -> Certificates:
    grant = HostGrant(host_id="host-1", role=role, system_roles=system_roles)
    return auth.authority.issue_host(grant, auth.certify(), HOUR).certificates


async def test_without_a_certificate_the_caller_is_nobody() -> None:
    auth = await InProcessAuth.start()
    caller = identify(None, REMOTE_ADDR, authority=auth.authority, roles=RoleTable(), clock=auth.clock)
    assert caller == Caller(CallerKind.ANONYMOUS, remote_addr=REMOTE_ADDR)


async def test_a_process_is_the_host_with_all_its_services() -> None:
    auth = await InProcessAuth.start()
    caller = call(auth, certify_host(auth, SystemRole.INSTANCE, SystemRole.APP, SystemRole.NODE))
    assert caller == Caller(CallerKind.HOST, "host-1", frozenset({"App", "Node"}), REMOTE_ADDR)


async def test_a_service_is_the_host_with_that_service_alone() -> None:
    auth = await InProcessAuth.start()
    caller = call(auth, certify_host(auth, SystemRole.NODE))
    assert caller.kind is CallerKind.HOST
    assert caller.system_roles == frozenset({SystemRole.NODE})


async def test_the_auth_hosts_own_identity_is_the_administrator() -> None:
    auth = await InProcessAuth.start()
    assert call(auth, certify_host(auth, SystemRole.ADMIN)).kind is CallerKind.ADMIN


async def test_users_and_bots_are_told_apart() -> None:
    auth = await InProcessAuth.start()
    keys = auth.certify()
    user = auth.authority.issue_user(user="alice", roles=("editor",), ttl=HOUR, keys=keys)
    bot = auth.authority.issue_bot(bot_name="alice", instance_id="1", keys=keys, expires=None)
    assert call(auth, user.certificates) == Caller(CallerKind.USER, "alice", frozenset({"editor"}), REMOTE_ADDR)
    assert call(auth, bot.certificates) == Caller(CallerKind.BOT, "alice", frozenset(), REMOTE_ADDR)


async def test_a_certificate_that_is_bound_to_a_pod_names_it_legibly() -> None:
    auth = await InProcessAuth.start()
    grant = HostGrant(host_id="host-1", role=SystemRole.APP, pod_uid="0a1b-pod")
    bound = to_der(auth.authority.issue_host(grant, auth.certify(), HOUR).certificates.tls_certificate)
    assert may_name_pod(bound, "0a1b-pod")
    assert not may_name_pod(bound, "another-pod")
    assert not may_name_pod(None, "0a1b-pod")


async def test_hostile_42_a_certificate_of_another_cluster_is_refused() -> None:
    auth = await InProcessAuth.start()
    other = x509.build_authority("other.example.com", not_before=auth.clock.now() - HOUR)
    template = x509.build_host_template(
        cluster_name="other.example.com", not_before=auth.clock.now(), not_after=auth.clock.now() + HOUR
    )
    with pytest.raises(AccessDenied, match="this is"):
        identify(other.issue_der(template), REMOTE_ADDR, authority=auth.authority, roles=RoleTable(), clock=auth.clock)


async def test_hostile_42_a_cluster_of_the_same_name_is_another_cluster() -> None:
    auth = await InProcessAuth.start()
    impostor = x509.build_authority(CLUSTER, not_before=auth.clock.now() - HOUR)
    template = x509.build_host_template(
        cluster_name=CLUSTER, not_before=auth.clock.now(), not_after=auth.clock.now() + HOUR
    )
    der = impostor.issue_der(template)
    with pytest.raises(AccessDenied, match="no trusted CA"):
        identify(der, REMOTE_ADDR, authority=auth.authority, roles=RoleTable(), clock=auth.clock)


async def test_hostile_42_an_expired_certificate_is_refused() -> None:
    auth = await InProcessAuth.start()
    certificates = certify_host(auth, SystemRole.NODE)
    auth.clock.advance(HOUR)
    assert call(auth, certificates).name == "host-1"
    auth.clock.advance(timedelta(seconds=1))
    with pytest.raises(AccessDenied, match="expired"):
        call(auth, certificates)


async def test_a_hosts_certificate_from_the_user_authority_is_refused() -> None:
    auth = await InProcessAuth.start()
    authorities = await auth.stores.authorities.load()
    auth.authority.replace({**authorities, AuthorityType.HOST: authorities[AuthorityType.USER]})
    certificates = certify_host(auth, SystemRole.ADMIN)
    assert call(auth, certificates).kind is CallerKind.ADMIN
    auth.authority.replace(authorities)
    with pytest.raises(AccessDenied, match="no trusted CA"):
        call(auth, certificates)


async def test_an_authority_that_lost_its_trust_takes_its_certificates_with_it() -> None:
    auth = await InProcessAuth.start()
    certificates = certify_host(auth, SystemRole.NODE)
    assert call(auth, certificates).name == "host-1"
    other = await InProcessAuth.start()
    auth.authority.replace(await other.stores.authorities.load())
    with pytest.raises(AccessDenied, match="no trusted CA"):
        call(auth, certificates)


@pytest.mark.parametrize("der", [b"", b"\x30\x00", b"no certificate"])
async def test_what_is_no_certificate_of_ours_is_refused(der: bytes) -> None:
    auth = await InProcessAuth.start()
    with pytest.raises(AccessDenied):
        identify(der, REMOTE_ADDR, authority=auth.authority, roles=RoleTable(), clock=auth.clock)
