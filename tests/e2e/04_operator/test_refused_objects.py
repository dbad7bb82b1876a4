"""Objects that make no token, and what the operator may not do."""

import pytest

from support.operator_specs import Spec, build_spec
from support.pod_operator import Declare, DeclaredToken, PodOperator
from support.pods import ACCOUNT, Tenant

pytestmark = pytest.mark.timeout(600)


def test_an_unknown_field_is_named_and_admits_nobody(tenant: Tenant, token: DeclaredToken) -> None:
    spec = build_spec(f"{tenant.namespace}:{ACCOUNT}")
    spec["kubernetes"]["allow"][0]["pod_name"] = "app-0"
    token.apply(spec)
    assert "pod_name" in token.wait_for("Invalid")["message"]
    assert token.find_token() is None
    tenant.assert_refused(tenant.start("app"), "token_not_found")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (build_spec(ttl="1h", expires="2050-01-01T00:00:00Z"), "expires"),
        (build_spec(roles=("Bot",)), "bot_name"),
        (build_spec(":x"), "service_account"),
    ],
    ids=["two ends", "bot without a name", "rule without a namespace"],
)
def test_what_the_definition_can_see_is_refused_at_apply(token: DeclaredToken, spec: Spec, says: str) -> None:
    assert says in token.refuse(spec)
    assert token.find_token() is None


def test_a_team_may_not_admit_pods_of_other_namespaces(tenant: Tenant, team: Tenant, declare: Declare) -> None:
    token = declare(tenant.token_name, team.namespace)
    token.apply(build_spec(f"{tenant.namespace}:{ACCOUNT}"))
    assert tenant.namespace in token.wait_for("NamespaceNotAllowed")["message"]
    assert token.find_token() is None
    tenant.assert_refused(tenant.start("app"), "token_not_found")
    token.apply(build_spec(f"{team.namespace}:{ACCOUNT}"))
    token.wait_for("Synced")


def test_what_is_declared_where_nobody_looks_makes_no_token(tenant: Tenant, declare: Declare) -> None:
    unwatched = declare(tenant.token_name, tenant.namespace)
    unwatched.apply(build_spec(f"{tenant.namespace}:{ACCOUNT}"))
    watched = declare(f"{tenant.token_name}-watched")
    watched.apply(build_spec(f"{tenant.namespace}:{ACCOUNT}"))
    watched.wait_for("Synced")
    assert unwatched.find_token() is None
    tenant.assert_refused(tenant.start("app"), "token_not_found")


@pytest.mark.parametrize(
    "right",
    [
        "list secrets --namespace=teleport",
        "delete secrets --namespace=teleport",
        "get secrets --namespace=kube-system",
        "create pods --namespace=teleport",
        "delete teleportprovisiontokens --namespace=teleport",
        "create tokenreviews",
        "update leases/another --namespace=teleport",
        "create leases --namespace=team-a",
    ],
)
def test_the_operator_may_do_nothing_that_it_does_not_need(operator: PodOperator, right: str) -> None:
    account = f"--as=system:serviceaccount:{operator.NAMESPACE}:teleport-operator"
    assert operator.kubernetes.try_kubectl("auth", "can-i", account, *right.split()).stdout.strip() == "no"
