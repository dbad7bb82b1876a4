"""Real pods that keep their state in a Secret: a pod made anew is the host that it was; without the right it waits."""

import base64
import json
import re

import pytest

from support.fresh_host import ROOT
from support.kind import PATIENCE, PAUSE, Document
from support.pods import Tenant
from support.processes import wait_until

pytestmark = pytest.mark.timeout(600)

HOST = "states.instance.state"


def read_data(secret: Document) -> dict[str, bytes]:
    return {name: base64.b64decode(value) for name, value in secret["data"].items()}


def wait_for_state(tenant: Tenant, pod: str) -> Document:
    """Wait until the Secret of a pod holds an identity; return the Secret."""

    def look() -> Document | None:
        query = ("get", "secret", f"{pod}-state", f"--namespace={tenant.namespace}")
        done = tenant.kubernetes.try_kubectl(*query, "--output=json", "--show-managed-fields")
        found: Document = json.loads(done.stdout) if done.returncode == 0 else {}
        return found if HOST in found.get("data", {}) else None

    return wait_until(look, f"the Secret of {pod} holds an identity", pause=PAUSE, patience=PATIENCE)


def test_a_pod_that_is_made_anew_is_the_host_that_it_was_even_without_its_token(tenant: Tenant) -> None:
    tenant.allow_state()
    tenant.admit()
    pod = tenant.start("app", keeps_state=True)
    tenant.wait_until_joined(pod)
    (joined,) = tenant.auth.list_joins(pod)
    uid = tenant.kubernetes.get("pod", pod, tenant.namespace)["metadata"]["uid"]
    before = read_data(wait_for_state(tenant, pod))
    assert json.loads(before[HOST])["host_id"] == joined["host_id"]

    tenant.kubernetes.delete_pod(tenant.namespace, pod)
    assert tenant.start("app", keeps_state=True) == pod
    tenant.wait_until_joined(pod)

    assert tenant.kubernetes.get("pod", pod, tenant.namespace)["metadata"]["uid"] != uid
    assert len(json.loads(tenant.auth.tctl("tokens", "uses", tenant.token_name, "--format=json"))) == 1

    tenant.auth.tctl("tokens", "rm", tenant.token_name)
    tenant.kubernetes.delete_pod(tenant.namespace, pod)
    tenant.start("app", keeps_state=True)
    tenant.wait_until_joined(pod)

    assert f"using the identity of host {joined['host_id']}" in tenant.kubernetes.get_log(tenant.namespace, pod)
    assert read_data(wait_for_state(tenant, pod)) == before
    assert tenant.auth.list_joins(pod) == [joined]
    assert tenant.auth.list_processes().count(pod) == 1


def test_store_003_the_secret_is_opaque_written_by_the_replica_and_kept_by_helm(tenant: Tenant) -> None:
    tenant.allow_state()
    tenant.admit()
    pod = tenant.start("app", keeps_state=True)
    found = wait_for_state(tenant, pod)
    metadata = found["metadata"]
    assert found["type"] == "Opaque"
    assert set(found["data"]) == {HOST, "ids.instance.current", "ids.app.current"}
    assert {entry["manager"] for entry in metadata["managedFields"]} == {pod}
    assert metadata["labels"] == {"app.kubernetes.io/managed-by": "Helm"}
    assert metadata["annotations"] == {
        "meta.helm.sh/release-name": "my-release",
        "meta.helm.sh/release-namespace": tenant.namespace,
        "helm.sh/resource-policy": "keep",
    }


def test_without_the_right_a_pod_waits_and_says_the_command_after_which_it_joins(tenant: Tenant) -> None:
    tenant.admit()
    pod = tenant.start("app", keeps_state=True)
    log = tenant.kubernetes.wait_for_log(tenant.namespace, pod, "to grant it: ")
    assert f"cannot keep the agent's state in Secret {tenant.namespace}/{pod}-state" in log
    assert tenant.auth.list_joins(pod) == []
    tenant.wait_until_running(pod)
    inside = ("exec", pod, f"--namespace={tenant.namespace}", "--", "ls", "-A", "/var/lib/teleport")
    assert tenant.kubernetes.kubectl(*inside).split() == []

    told = re.search(r"to grant it: (kubectl create role .+--serviceaccount=[-.:a-z0-9]+)", log)
    assert told is not None
    tenant.kubernetes.run_shell(told[1], ROOT)

    tenant.wait_until_joined(pod)
    wait_for_state(tenant, pod)
    assert len(tenant.auth.list_joins(pod)) == 1
