"""Real pods join with the token that the kubelet mounts into them; and each way of not being admitted."""

import pytest

from support.pods import ACCOUNT, Tenant

pytestmark = pytest.mark.timeout(600)

NODE_AND_APP = {"ssh_service": {"enabled": "yes"}}


def test_a_pod_joins_with_nothing_but_its_token(tenant: Tenant) -> None:
    tenant.admit()
    pod = tenant.start("app")
    tenant.wait_until_joined(pod)
    (event,) = tenant.auth.list_joins(pod)
    assert (event["success"], event["method"]) == (True, "kubernetes")
    assert event["attributes"]["pod_uid"] == tenant.kubernetes.get("pod", pod, tenant.namespace)["metadata"]["uid"]
    assert "eyJ" not in tenant.auth.log + tenant.kubernetes.get_log(tenant.namespace, pod)


def test_a_pod_with_the_api_server_s_audience_joins_unless_the_own_one_is_required(tenant: Tenant) -> None:
    tenant.admit()
    tenant.wait_until_joined(tenant.start("app", audience=""))


@pytest.mark.parametrize("namespace", ["teleport", "of the tenant"])
def test_where_these_pods_run_others_may_not_have_rights_that_they_do_without(tenant: Tenant, namespace: str) -> None:
    chosen = namespace if namespace == "teleport" else tenant.namespace
    done = tenant.kubernetes.try_kubectl("run", "free", "--image=nginx", f"--namespace={chosen}", "--dry-run=server")
    assert done.returncode != 0
    assert 'violates PodSecurity "restricted' in done.stderr


def test_a_pod_of_another_namespace_is_refused(tenant: Tenant) -> None:
    tenant.admit(f"elsewhere:{ACCOUNT}")
    pod = tenant.start("app")
    tenant.assert_refused(pod, "no_rule_matched", f"{tenant.namespace}:{ACCOUNT}", "spec.kubernetes.allow")


def test_a_pod_of_another_service_account_is_refused(tenant: Tenant) -> None:
    tenant.admit()
    tenant.create_account("another")
    pod = tenant.start("app", account="another")
    tenant.assert_refused(pod, "no_rule_matched", f"{tenant.namespace}:another", "spec.kubernetes.allow")


def test_hostile_08_a_token_for_somebody_else_is_refused(tenant: Tenant) -> None:
    tenant.admit()
    pod = tenant.start("app", audience="vault")
    tenant.assert_refused(pod, "wrong_audience", "for vault", "the audience 'example.com'")


def test_hostile_08_where_the_own_audience_is_required_the_api_server_s_is_refused(tenant: Tenant) -> None:
    tenant.admit(require_own_audience=True)
    pod = tenant.start("app", audience="")
    tenant.assert_refused(pod, "wrong_audience", "the audience 'example.com'")


def test_hostile_09_a_legacy_token_is_refused(tenant: Tenant) -> None:
    tenant.admit()
    annotations = {"kubernetes.io/service-account.name": ACCOUNT}
    metadata = {"name": "legacy", "namespace": tenant.namespace, "annotations": annotations}
    kind = "kubernetes.io/service-account-token"
    tenant.kubernetes.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind})
    pod = tenant.start("app", token_secret="legacy")
    tenant.assert_refused(pod, "legacy_token", "bound to no pod", "KUBERNETES_TOKEN_PATH")


def test_hostile_09_a_token_that_is_bound_to_a_secret_is_refused(tenant: Tenant) -> None:
    tenant.admit()
    secret = tenant.keep("nothing")
    uid = tenant.kubernetes.get("secret", secret, tenant.namespace)["metadata"]["uid"]
    bound = ("--bound-object-kind=Secret", f"--bound-object-name={secret}", f"--bound-object-uid={uid}")
    pod = tenant.start("app", token_secret=tenant.keep(tenant.request_token(*bound)))
    tenant.assert_refused(pod, "not_pod_bound", "bound to no pod", "KUBERNETES_TOKEN_PATH")


def test_hostile_09_a_token_that_is_bound_to_nothing_is_refused(tenant: Tenant) -> None:
    tenant.admit()
    pod = tenant.start("app", token_secret=tenant.keep(tenant.request_token()))
    tenant.assert_refused(pod, "not_pod_bound", "bound to no pod", "KUBERNETES_TOKEN_PATH")


def test_hostile_11_the_token_of_a_deleted_pod_is_refused(tenant: Tenant) -> None:
    tenant.admit()
    first = tenant.start("first", waits=True)
    token = tenant.request_pod_token(first)
    tenant.kubernetes.delete_pod(tenant.namespace, first)
    pod = tenant.start("second", token_secret=tenant.keep(token))
    tenant.assert_refused(pod, "pod_gone", f"system:serviceaccount:{tenant.namespace}:{ACCOUNT}")


def test_hostile_12_the_token_of_a_pod_that_was_made_anew_is_refused(tenant: Tenant) -> None:
    tenant.admit()
    first = tenant.start("app", waits=True)
    token = tenant.request_pod_token(first)
    tenant.kubernetes.delete_pod(tenant.namespace, first)
    second = tenant.start("app", token_secret=tenant.keep(token))
    assert second == first
    tenant.assert_refused(second, "pod_uid_mismatch", f"system:serviceaccount:{tenant.namespace}:{ACCOUNT}")


def test_hostile_13_the_token_of_a_service_account_that_was_made_anew_is_refused(tenant: Tenant) -> None:
    tenant.admit()
    token = tenant.request_pod_token(tenant.start("first", waits=True))
    tenant.kubernetes.kubectl("delete", "serviceaccount", ACCOUNT, f"--namespace={tenant.namespace}")
    tenant.create_account(ACCOUNT)
    pod = tenant.start("second", token_secret=tenant.keep(token))
    tenant.assert_refused(pod, "service_account_recreated", f"system:serviceaccount:{tenant.namespace}:{ACCOUNT}")


def test_hostile_16_a_token_that_another_pod_has_shown_is_refused(tenant: Tenant) -> None:
    tenant.admit()
    honest = tenant.start("honest")
    tenant.wait_until_joined(honest)
    thief = tenant.start("thief", token_secret=tenant.keep(tenant.read_token(honest)))
    tenant.assert_refused(thief, "token_replayed")
    assert honest in tenant.auth.list_processes()


def test_hostile_33_a_service_that_the_token_does_not_grant_stays_out(tenant: Tenant) -> None:
    tenant.admit()
    pod = tenant.start("app", sections=NODE_AND_APP)
    tenant.kubernetes.wait_for_log(tenant.namespace, pod, "service node cannot start")
    joined = tenant.auth.list_joins(pod)[-1]
    refused = [event for event in tenant.auth.read_audit("cert.create") if event.get("reason") == "role_not_covered"]
    assert joined["host_id"] in [event["host_id"] for event in refused]
    assert pod not in tenant.auth.list_services("nodes")


def test_a_pod_without_its_token_says_what_to_mount(tenant: Tenant) -> None:
    tenant.admit()
    pod = tenant.start("app", token_secret=tenant.keep(""))
    log = tenant.kubernetes.wait_for_log(tenant.namespace, pod, "is empty")
    assert "/var/run/secrets/tokens/join-sa-token" in log
    assert tenant.auth.list_joins(pod) == []


def test_a_new_pod_of_auth_is_the_same_cluster_for_those_who_have_joined(tenant: Tenant) -> None:
    tenant.admit()
    pod = tenant.start("app")
    tenant.wait_until_joined(pod)
    before = tenant.auth.pod
    tenant.auth.restart()
    assert tenant.auth.pod != before
    assert tenant.auth.pin == tenant.pin
    tenant.restart(pod)
    assert len(tenant.auth.list_joins(pod)) == 1
