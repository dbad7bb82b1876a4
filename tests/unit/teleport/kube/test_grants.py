import pytest

from teleport.kube.grants import build_keys_grant, build_pods_grant, build_reviews_grant, build_watch_grant

REFUSAL = 'tokenreviews is forbidden: User "system:serviceaccount:teleport:auth" cannot create resource "tokenreviews"'


def test_hostile_23_the_command_that_helps_names_the_account_that_lacks_the_right() -> None:
    assert build_reviews_grant(REFUSAL) == (
        "kubectl create clusterrolebinding teleport-auth-auth-delegator "
        "--clusterrole=system:auth-delegator --serviceaccount=teleport:auth"
    )


def test_the_right_to_look_at_pods_needs_a_role_too() -> None:
    assert build_pods_grant(REFUSAL) == (
        "kubectl create clusterrole teleport-auth-pods --verb=get --resource=pods && "
        "kubectl create clusterrolebinding teleport-auth-pods "
        "--clusterrole=teleport-auth-pods --serviceaccount=teleport:auth"
    )


def test_who_is_bound_to_pods_needs_the_right_to_watch_them() -> None:
    create, _, bind = build_watch_grant(REFUSAL).partition(" && ")
    assert (
        create == "kubectl create clusterrole teleport-auth-watch --verb=get,list,watch --resource=pods,serviceaccounts"
    )
    assert bind.endswith("--clusterrole=teleport-auth-watch --serviceaccount=teleport:auth")


def test_the_right_to_read_the_keys_is_granted_by_a_role_that_every_cluster_has() -> None:
    assert "--clusterrole=system:service-account-issuer-discovery" in build_keys_grant(REFUSAL)


@pytest.mark.parametrize("refusal", ["no", 'User "admin" cannot', 'User "system:serviceaccount:a:b; rm -rf /" cannot'])
def test_without_a_name_the_command_has_a_place_for_it(refusal: str) -> None:
    assert build_reviews_grant(refusal).endswith("--serviceaccount=NAMESPACE:SERVICEACCOUNT")
