from dataclasses import replace

import pytest

from support.x509 import (
    CLUSTER,
    HOST_ID,
    build_bot_template,
    build_host_template,
    build_user_template,
)
from teleport.errors import BadParameter
from teleport.pki.templates import MAX_CLUSTER_NAME, build_host_names
from teleport.resources.role import SystemRole

CLUSTER_NAMES = ("*.teleport.cluster.local", "teleport.cluster.local")
KNOWN_TO_CLIENTS = {SystemRole.AUTH, SystemRole.ADMIN, SystemRole.PROXY}
MAY_REQUEST = KNOWN_TO_CLIENTS | {SystemRole.KUBE, SystemRole.WINDOWS_DESKTOP}


def _names(
    role: SystemRole, principals: tuple[str, ...] = (), requested: tuple[str, ...] = (), remote_addr: str = ""
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return build_host_names(
        role,
        cluster_name=CLUSTER,
        host_id=HOST_ID,
        additional_principals=principals,
        requested_dns_names=requested,
        remote_addr=remote_addr,
    )


def test_an_instance_lists_its_services() -> None:
    template = build_host_template(SystemRole.INSTANCE, system_roles=(SystemRole.NODE, SystemRole.APP))
    assert template.subject == (
        ("2.5.4.10", "Instance"),
        ("2.5.4.3", f"{HOST_ID}.{CLUSTER}"),
        ("1.3.9999.2.11", "Node"),
        ("1.3.9999.2.11", "App"),
        ("1.3.9999.1.7", CLUSTER),
    )


def test_an_instance_without_services_is_refused() -> None:
    with pytest.raises(BadParameter, match="needs system roles"):
        build_host_template(SystemRole.INSTANCE)


def test_a_service_with_system_roles_is_refused() -> None:
    with pytest.raises(BadParameter, match="no other has them"):
        build_host_template(SystemRole.NODE, system_roles=(SystemRole.AUTH,))


def test_an_instance_cannot_list_a_role_that_is_no_local_service() -> None:
    with pytest.raises(BadParameter, match="local services"):
        build_host_template(SystemRole.INSTANCE, system_roles=(SystemRole.ADMIN,))


def test_a_bot_gets_no_host_certificate() -> None:
    with pytest.raises(BadParameter, match="bot"):
        build_host_template(SystemRole.BOT)


@pytest.mark.parametrize("host_id", ["", "a.b", "a b", "a\n", "x" * 129])
def test_a_host_id_that_could_blur_the_common_name_is_refused(host_id: str) -> None:
    with pytest.raises(BadParameter, match="host id"):
        build_host_template(host_id=host_id)


def test_the_cluster_name_is_bounded() -> None:
    assert build_host_template(cluster_name="x" * MAX_CLUSTER_NAME).cluster_name
    for name in ("", "x" * (MAX_CLUSTER_NAME + 1), "a\nb"):
        with pytest.raises(BadParameter, match="cluster name"):
            build_host_template(cluster_name=name)


def test_a_user_is_marked_as_one() -> None:
    assert build_user_template("alice", ("a", "b")).subject == (
        ("2.5.4.10", "a"),
        ("2.5.4.10", "b"),
        ("2.5.4.3", "alice"),
        ("1.3.9999.1.7", CLUSTER),
        ("1.3.9999.1.20", "local"),
    )


@pytest.mark.parametrize(
    ("user", "roles"), [("", ("a",)), ("a\x00", ("a",)), ("a", ()), ("a", ("",)), ("a", ("r",) * 17)]
)
def test_a_user_without_name_or_roles_is_refused(user: str, roles: tuple[str, ...]) -> None:
    with pytest.raises(BadParameter):
        build_user_template(user, roles)


@pytest.mark.parametrize("pod_uid", ["a b", "a/b", "a" * 65, "a\n"])
def test_what_is_no_uid_of_a_pod_does_not_get_into_a_certificate(pod_uid: str) -> None:
    for template in (build_host_template(SystemRole.NODE), build_bot_template("robot", "i-1")):
        with pytest.raises(BadParameter, match="UID"):
            replace(template, pod_uid=pod_uid)


def test_a_bot_is_marked_as_one() -> None:
    subject = build_bot_template("robot", "i-1").subject
    assert ("2.5.4.3", "bot-robot") in subject
    assert ("1.3.9999.2.18", "robot") in subject
    assert ("1.3.9999.2.20", "i-1") in subject


@pytest.mark.parametrize(("name", "instance"), [("", "i"), ("b", ""), ("b\n", "i")])
def test_a_bot_without_name_or_instance_is_refused(name: str, instance: str) -> None:
    with pytest.raises(BadParameter):
        build_bot_template(name, instance)


@pytest.mark.parametrize("role", list(SystemRole))
def test_the_clusters_names_go_to_those_whom_clients_must_recognize(role: SystemRole) -> None:
    assert _names(role)[0] == (CLUSTER_NAMES if role in KNOWN_TO_CLIENTS else ())


@pytest.mark.parametrize("role", list(SystemRole))
def test_requested_names_are_ignored_unless_the_role_may_request_them(role: SystemRole) -> None:
    dns_names, _ = _names(role, requested=("desk.example.org",))
    assert ("desk.example.org" in dns_names) == (role in MAY_REQUEST)


@pytest.mark.parametrize("name", ["teleport.cluster.local", "*.teleport.cluster.local", "x.Teleport.Cluster.Local"])
@pytest.mark.parametrize("role", [SystemRole.KUBE, SystemRole.WINDOWS_DESKTOP, SystemRole.NODE, SystemRole.AUTH])
def test_hostile_36_no_agent_gets_a_name_that_lets_it_pose_as_auth(role: SystemRole, name: str) -> None:
    with pytest.raises(BadParameter):
        _names(role, principals=(name,))
    if role in MAY_REQUEST:
        with pytest.raises(BadParameter):
            _names(role, requested=(name,))


def test_hostile_36_the_clusters_own_name_is_ignored_for_agents() -> None:
    assert _names(SystemRole.KUBE, ("EXAMPLE.com", "a"), (CLUSTER,)) == (("a",), ())
    assert _names(SystemRole.PROXY, (CLUSTER,))[0] == (*CLUSTER_NAMES, CLUSTER)


def test_addresses_and_names_are_told_apart() -> None:
    dns_names, addresses = _names(SystemRole.NODE, ("a", "10.0.0.1", "::1", "0.0.0.0"), remote_addr="192.0.2.7")
    assert dns_names == ("a",)
    assert addresses == ("10.0.0.1", "::1", "192.0.2.7")
