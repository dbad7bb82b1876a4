from typing import Any

import pytest

from support.auth import ADMIN, HOST_ID, InProcessAuth, build_host, to_der
from teleport.api.joined import generate_keys
from teleport.api.messages import HostCertificatesRequest, UserCertificatesRequest
from teleport.errors import AccessDenied, BadParameter
from teleport.pki.leaf import parse_leaf
from teleport.resources.model import parse_model
from teleport.resources.role import SystemRole

NODE, APP, DB = SystemRole.NODE, SystemRole.APP, SystemRole.DB


def build_host_request(role: SystemRole, **fields: Any) -> HostCertificatesRequest:
    return HostCertificatesRequest(role=role, keys=generate_keys().build_public_keys("node"), **fields)


def build_user_request(**fields: Any) -> UserCertificatesRequest:
    values = {"user": "alice", "roles": ("editor",), "ttl_seconds": 3600, **fields}
    return parse_model(
        UserCertificatesRequest, {**values, "keys": generate_keys().build_public_keys("alice").model_dump()}, "request"
    )


async def test_a_host_gets_a_certificate_for_a_service_that_it_has() -> None:
    auth = await InProcessAuth.start()
    certificates = await auth.issuing.issue_host(build_host_request(APP), build_host(NODE, APP))
    leaf = parse_leaf(to_der(certificates.tls_certificate))
    assert (leaf.name, leaf.roles, certificates.role) == (HOST_ID, ("App",), APP)
    event = await auth.last_event()
    assert (event["event"], event["code"], event["success"]) == ("cert.create", "TC000I", True)
    assert (event["host_id"], event["role"], event["certificate_serial"]) == (HOST_ID, "App", format(leaf.serial, "x"))


async def test_a_host_renews_itself_with_all_its_services() -> None:
    auth = await InProcessAuth.start()
    certificates = await auth.issuing.issue_host(build_host_request(SystemRole.INSTANCE), build_host(NODE, APP))
    leaf = parse_leaf(to_der(certificates.tls_certificate))
    assert (leaf.roles, leaf.system_roles) == (("Instance",), (APP, NODE))


@pytest.mark.parametrize("role", [DB, SystemRole.AUTH, SystemRole.ADMIN, SystemRole.BOT])
async def test_hostile_33_a_host_gets_no_certificate_for_a_service_that_it_does_not_have(role: SystemRole) -> None:
    auth = await InProcessAuth.start()
    with pytest.raises(AccessDenied):
        await auth.issuing.issue_host(build_host_request(role), build_host(NODE))
    event = await auth.last_event()
    assert (event["code"], event["reason"], event["role"]) == ("TC000E", "role_not_covered", role)


async def test_hostile_36_names_of_others_are_refused() -> None:
    auth = await InProcessAuth.start()
    request = build_host_request(SystemRole.PROXY, dns_names=("kubernetes.default.svc",))
    with pytest.raises(BadParameter):
        await auth.issuing.issue_host(request, build_host(SystemRole.PROXY))


async def test_the_administrator_signs_for_a_user() -> None:
    auth = await InProcessAuth.start()
    answer = await auth.issuing.issue_user(build_user_request(), ADMIN)
    leaf = parse_leaf(to_der(answer.tls_certificate))
    assert (leaf.name, leaf.roles) == ("alice", ("editor",))
    assert answer.trust == auth.authority.trust_bundle
    event = await auth.last_event()
    assert (event["user"], event["roles"], event["issued_by"]) == ("alice", ["editor"], ADMIN.name)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"user": ""}, "user name is missing"),
        ({"user": "a\nb"}, "control character"),
        ({"roles": ("root",)}, "unknown role 'root'"),
        ({"roles": ("editor", "Admin")}, "unknown role 'Admin'"),
    ],
)
async def test_what_is_no_user_is_refused(fields: dict[str, Any], what: str) -> None:
    auth = await InProcessAuth.start()
    with pytest.raises(BadParameter, match=what):
        await auth.issuing.issue_user(build_user_request(**fields), ADMIN)


@pytest.mark.parametrize("seconds", [0, -1, 59, 10**12, float("nan")])
def test_hostile_43_a_life_out_of_bounds_is_refused(seconds: float) -> None:
    with pytest.raises(BadParameter, match="ttl_seconds"):
        build_user_request(ttl_seconds=seconds)


def test_a_life_within_bounds_passes() -> None:
    assert build_user_request(ttl_seconds=60).ttl_seconds == 60
    assert build_user_request(ttl_seconds=10 * 365 * 86400).ttl_seconds == 10 * 365 * 86400
