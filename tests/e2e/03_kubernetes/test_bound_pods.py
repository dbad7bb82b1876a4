"""Membership bound to the life of a real pod: it ends with the pod, whatever the process in it does."""

from collections.abc import Iterator

import pytest

from support.kind import PATIENCE, PAUSE, Kubernetes
from support.pod_auth import Auth
from support.pods import ACCOUNT, Tenant
from support.processes import wait_until

pytestmark = pytest.mark.timeout(600)

ROLE = "teleport-auth-watch"


@pytest.fixture(autouse=True)
def _may_watch(kubernetes: Kubernetes, auth: Auth) -> Iterator[None]:
    rights = ("--verb=get,list,watch", "--resource=pods,serviceaccounts")
    account = f"--serviceaccount={auth.NAMESPACE}:teleport-auth"
    kubernetes.kubectl("create", "clusterrole", ROLE, *rights)
    kubernetes.kubectl("create", "clusterrolebinding", ROLE, f"--clusterrole={ROLE}", account)
    yield
    kubernetes.kubectl("delete", "clusterrole,clusterrolebinding", ROLE)


@pytest.fixture
def member(tenant: Tenant) -> str:
    """A pod that has joined for as long as it lives."""
    tenant.admit(bind_to_pod=True)
    pod = tenant.start("bound")
    tenant.wait_until_joined(pod)
    return pod


def assert_out(tenant: Tenant, pod: str, reason: str) -> None:
    """Nothing of the pod is listed any more, and audit tells why."""
    host_id = tenant.auth.list_joins(pod)[0]["host_id"]

    def has_ended() -> bool:
        ends = tenant.auth.read_audit("instance.end")
        return (host_id, reason) in [(each["host_id"], each["reason"]) for each in ends]

    wait_until(has_ended, f"the membership of {pod} has ended", pause=PAUSE, patience=PATIENCE)
    assert pod not in tenant.auth.list_processes()
    assert pod not in tenant.auth.list_services("apps")


def test_hostile_65_a_pod_that_cannot_say_goodbye_is_out_when_it_is_deleted(tenant: Tenant, member: str) -> None:
    tenant.kubernetes.freeze_container(tenant.namespace, member)
    tenant.kubernetes.delete_pod(tenant.namespace, member)
    assert_out(tenant, member, "pod_gone")


def test_hostile_13_a_pod_that_goes_on_is_out_when_its_service_account_is_deleted(tenant: Tenant, member: str) -> None:
    tenant.kubernetes.kubectl("delete", "serviceaccount", ACCOUNT, f"--namespace={tenant.namespace}")
    assert_out(tenant, member, "service_account_gone")
