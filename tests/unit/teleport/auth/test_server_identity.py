import ssl
from pathlib import Path

import pytest

from support.auth import CLUSTER, HOST_ID, InProcessAuth, to_der
from teleport.api.identity import load_identity
from teleport.auth.access import CallerKind
from teleport.auth.callers import identify
from teleport.auth.roles import RoleTable
from teleport.auth.server_identity import LIFE, ServerIdentity, store_admin_identity
from teleport.errors import BadParameter
from teleport.pki.leaf import parse_leaf


async def test_the_server_shows_a_new_context_after_a_renewal() -> None:
    auth = await InProcessAuth.start()
    identity = ServerIdentity(authority=auth.authority, host_id=HOST_ID, names=["auth.example.com", "127.0.0.1"])
    before = identity.context()
    identity.renew()
    assert identity.context() is not before
    assert before.verify_mode is ssl.CERT_OPTIONAL
    assert before.minimum_version is ssl.TLSVersion.TLSv1_3


async def test_hostile_38_nobody_else_gets_a_certificate_for_the_servers_key() -> None:
    auth = await InProcessAuth.start()
    before = auth.authority.reserved_keys
    ServerIdentity(authority=auth.authority, host_id=HOST_ID, names=[])
    assert len(auth.authority.reserved_keys - before) == 1


async def test_the_administrators_identity_is_for_the_owners_eyes_and_good_for_a_day(tmp_path: Path) -> None:
    auth = await InProcessAuth.start()
    path = tmp_path / "admin.identity"
    store_admin_identity(path, auth.authority, HOST_ID)
    assert path.stat().st_mode & 0o777 == 0o600
    identity = load_identity(path)
    der = to_der(identity.tls_certificate)
    caller = identify(der, "127.0.0.1", authority=auth.authority, roles=RoleTable(), clock=auth.clock)
    assert (caller.kind, caller.name) == (CallerKind.ADMIN, HOST_ID)
    assert parse_leaf(der).not_after == auth.clock.now() + LIFE
    assert identity.host_ca_certificates == auth.authority.host_ca_certificates
    assert CLUSTER in parse_leaf(der).common_name


def list_names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_an_identity_is_replaced_as_a_whole(tmp_path: Path) -> None:
    auth = await InProcessAuth.start()
    path = tmp_path / "admin.identity"
    store_admin_identity(path, auth.authority, HOST_ID)
    first = path.read_text()
    store_admin_identity(path, auth.authority, HOST_ID)
    assert path.read_text() != first
    assert list_names(tmp_path) == [path.name]


async def test_a_name_that_no_server_may_have_is_refused() -> None:
    auth = await InProcessAuth.start()
    with pytest.raises(BadParameter, match="reserved"):
        ServerIdentity(authority=auth.authority, host_id=HOST_ID, names=["kubernetes"])
