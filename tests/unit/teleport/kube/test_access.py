from teleport.kube.access import build_grant

MESSAGE = 'tokenreviews is forbidden: User "system:serviceaccount:teleport:auth" cannot create resource "tokenreviews"'


def test_hostile_23_the_command_that_helps_names_the_account_that_lacks_the_right() -> None:
    assert build_grant(MESSAGE) == (
        "kubectl create clusterrolebinding teleport-auth-auth-delegator "
        "--clusterrole=system:auth-delegator --serviceaccount=teleport:auth"
    )


def test_without_a_name_the_command_has_a_place_for_it() -> None:
    assert build_grant("no").endswith("--serviceaccount=NAMESPACE:SERVICEACCOUNT")
