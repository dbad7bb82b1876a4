"""Kubernetes does not let auth ask, or is not there: nobody is denied for that, and those who have joined go on.

It is the last file of this folder: a control plane takes its time after an outage.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from support.kind import PATIENCE, PAUSE, Kubernetes
from support.pod_auth import EXAMPLE, Auth
from support.pods import AgentPod, Tenant
from support.processes import wait_until

pytestmark = pytest.mark.timeout(900)

BINDING = "teleport-auth"


@contextmanager
def without_the_right_to_review(auth: Auth) -> Iterator[None]:
    """Take from auth's ServiceAccount the right to review tokens, for the time of a block."""
    auth.kubernetes.kubectl("delete", "clusterrolebinding", BINDING)
    try:
        yield
    finally:
        auth.kubernetes.kubectl("apply", f"--filename={EXAMPLE / 'auth.yaml'}")


def test_hostile_23_without_the_right_to_ask_pods_wait_and_the_log_has_the_command_that_helps(
    tenant: Tenant, auth: Auth
) -> None:
    tenant.admit()
    joined = tenant.start("joined")
    tenant.wait_until_joined(joined)

    with without_the_right_to_review(auth):
        late = tenant.start("late")
        tenant.kubernetes.wait_for_log(tenant.namespace, late, "cannot join: auth may not ask Kubernetes")
        auth.wait_until_not_ready()
        assert {event["reason"] for event in auth.list_joins(late)} == {"kubernetes_forbidden"}
        assert "cannot join" not in tenant.kubernetes.get_log(tenant.namespace, joined)

        (command,) = set(re.findall(r"kubectl create clusterrolebinding.*", auth.log))
        (name,) = re.findall(r"clusterrolebinding (\S+)", command)
        preflight = auth.try_run("tctl", "kube", "preflight")
        assert preflight.returncode == 1
        assert "--resource=tokenreviews" in preflight.stdout
        tenant.kubernetes.run_shell(command, EXAMPLE)
        try:
            tenant.wait_until_joined(late)
            auth.wait_until_ready()
        finally:
            tenant.kubernetes.kubectl("delete", "clusterrolebinding", name)
    assert len(auth.list_joins(joined)) == 1


def test_hostile_20_without_the_api_server_pods_wait_and_those_that_have_joined_go_on(
    tenant: Tenant, kubernetes: Kubernetes, auth: Auth
) -> None:
    tenant.admit()
    joined = tenant.start("joined")
    late = tenant.start("late", waits=True)
    tenant.wait_until_joined(joined)
    tenant.wait_until_running(late)
    auth_pod = auth.pod

    with kubernetes.without_api_server():
        assert kubernetes.try_in_pod(tenant.namespace, late, "touch", AgentPod.GO).returncode == 0
        wait_until(
            lambda: "Kubernetes does not answer" in kubernetes.read_log_file(tenant.namespace, late),
            "the pod waits for Kubernetes",
            pause=PAUSE,
            patience=PATIENCE,
        )
        tenant.restart(joined)
        listed = kubernetes.try_in_pod(Auth.NAMESPACE, auth_pod, "tctl", "inventory", "ls", "--format=json").stdout
        assert joined in [each["spec"]["hostname"] for each in json.loads(listed)]

    tenant.wait_until_joined(late)
    *undecided, last = auth.list_joins(late)
    assert {event["reason"] for event in undecided} == {"kubernetes_no_answer"}
    assert last["success"]
    assert len(auth.list_joins(joined)) == 1
