import pytest

from teleport.kube.grants import (
    Account,
    build_all_manifests,
    build_keys_grant,
    build_least_reviews_grant,
    build_pods_grant,
    build_reviews_grant,
    build_state_grant,
    build_watch_grant,
    find_account,
)

REFUSAL = 'tokenreviews is forbidden: User "system:serviceaccount:teleport:auth" cannot create resource "tokenreviews"'
AUTH = Account("teleport", "auth")


def test_hostile_23_the_command_that_helps_names_the_account_that_lacks_the_right() -> None:
    assert build_reviews_grant(find_account(REFUSAL)).command == (
        "kubectl create clusterrolebinding teleport-auth-auth-delegator "
        "--clusterrole=system:auth-delegator --serviceaccount=teleport:auth"
    )


@pytest.mark.parametrize("refusal", ["no", 'User "admin" cannot', 'User "system:serviceaccount:a:b; rm -rf /" cannot'])
def test_without_a_name_the_command_has_a_place_for_it(refusal: str) -> None:
    assert build_reviews_grant(find_account(refusal)).command.endswith("--serviceaccount=NAMESPACE:SERVICEACCOUNT")


def test_the_least_right_to_review_tokens_reviews_nothing_else() -> None:
    assert build_least_reviews_grant(AUTH).command == (
        "kubectl create clusterrole teleport-auth-tokenreviews "
        "--verb=create --resource=tokenreviews.authentication.k8s.io && "
        "kubectl create clusterrolebinding teleport-auth-tokenreviews "
        "--clusterrole=teleport-auth-tokenreviews --serviceaccount=teleport:auth"
    )


def test_verify_pod_needs_no_more_than_to_get_pods() -> None:
    assert build_pods_grant(AUTH).command == (
        "kubectl create clusterrole teleport-auth-pods --verb=get --resource=pods && "
        "kubectl create clusterrolebinding teleport-auth-pods "
        "--clusterrole=teleport-auth-pods --serviceaccount=teleport:auth"
    )


def test_bind_to_pod_needs_to_watch_pods_and_service_accounts() -> None:
    create, _, bind = build_watch_grant(AUTH).command.partition(" && ")
    assert (
        create == "kubectl create clusterrole teleport-auth-watch --verb=get,list,watch --resource=pods,serviceaccounts"
    )
    assert bind.endswith("--clusterrole=teleport-auth-watch --serviceaccount=teleport:auth")


def test_in_one_namespace_a_role_is_enough() -> None:
    assert build_pods_grant(AUTH, "apps").command == (
        "kubectl create role teleport-auth-pods --namespace=apps --verb=get --resource=pods && "
        "kubectl create rolebinding teleport-auth-pods --namespace=apps "
        "--role=teleport-auth-pods --serviceaccount=teleport:auth"
    )


def test_the_right_to_keep_state_is_for_one_namespace() -> None:
    assert build_state_grant(Account("apps", "web"), "agents").command == (
        "kubectl create role apps-web-state --namespace=agents --verb=get,create,patch --resource=secrets && "
        "kubectl create rolebinding apps-web-state --namespace=agents --role=apps-web-state --serviceaccount=apps:web"
    )


def test_the_right_to_read_the_keys_is_granted_by_a_role_that_every_cluster_has() -> None:
    (binding,) = build_keys_grant(AUTH).build_manifests()
    assert binding["roleRef"]["name"] == "system:service-account-issuer-discovery"


def test_the_objects_to_apply_say_the_same_as_the_commands() -> None:
    cluster_role, cluster_binding, role, binding = build_all_manifests(
        [build_least_reviews_grant(AUTH), build_pods_grant(AUTH, "apps")]
    )
    assert (cluster_role["kind"], cluster_binding["kind"]) == ("ClusterRole", "ClusterRoleBinding")
    assert cluster_role["rules"] == [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
    ]
    assert role["metadata"] == {"name": "teleport-auth-pods", "namespace": "apps"}
    assert binding["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "Role",
        "name": "teleport-auth-pods",
    }
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "auth", "namespace": "teleport"}]
