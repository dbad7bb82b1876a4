"""What the schema refuses, where the cluster still has one without guards: the operator says it, field by field."""

import urllib.error

import pytest

from support.cluster import AuthServer
from support.kube_apiserver import KubeApiServer
from support.operator_cluster import Document, Objects, find_token, read_manifest
from support.operator_specs import build_spec
from support.processes import wait_until

DEFINITION = (
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/teleportprovisiontokens.resources.teleport.dev"
    "?fieldManager=test&force=true"
)
PATTERN = "spec.kubernetes.allow[0].service_account"
KEYS = {"type": "static_jwks", "static_jwks": {"jwks": "no keys"}, "allow": [{"service_account": "apps:app"}]}


@pytest.fixture(scope="module", autouse=True)
def unguarded(kubernetes: KubeApiServer) -> None:
    """Put a definition without rules and patterns in the place of ours, and wait until the API server goes by it."""
    (crd,) = read_manifest("crds/resources.teleport.dev_teleportprovisiontokens.yaml")
    kubernetes.ask("PATCH", DEFINITION, without_guards(crd), content_type="application/apply-patch+yaml")
    objects = Objects(kubernetes)

    def is_unguarded() -> bool:
        try:
            objects.apply("unguarded", build_spec(":x"))
        except urllib.error.HTTPError:
            return False
        return True

    wait_until(is_unguarded, "the guards are gone")


def without_guards(value: object) -> Document:
    """Return a definition without what its schema demands of values."""
    guards = ("x-kubernetes-validations", "pattern")

    def strip(part: object) -> object:
        if isinstance(part, dict):
            return {key: strip(item) for key, item in part.items() if key not in guards}
        return [strip(item) for item in part] if isinstance(part, list) else part

    stripped = strip(value)
    assert isinstance(stripped, dict)
    return stripped


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize(
    ("spec", "place", "remedy"),
    [
        (build_spec(roles=("Bot",)), "spec.bot_name", ""),
        (build_spec(":x"), PATTERN, "namespace:name"),
        (build_spec("apps:*"), PATTERN, "service_account_name"),
        ({"roles": ["App"], "join_method": "kubernetes", "kubernetes": KEYS}, "spec.kubernetes", "key set"),
    ],
    ids=["bot without a name", "rule without a namespace", "pattern in service_account", "keys that do not parse"],
)
def test_what_no_schema_refused_the_operator_refuses_by_field(
    objects: Objects, auth: AuthServer, name: str, spec: Document, place: str, remedy: str
) -> None:
    objects.apply(name, spec)
    objects.wait_for(name, "Invalid")
    condition = objects.find_condition(name, "ValidStructure")
    assert (condition["status"], condition["reason"]) == ("False", "FailedToDecode")
    assert place in condition["message"]
    assert remedy in condition["message"]
    assert find_token(auth, name) is None
    objects.wait_for_event(name, "Warning", "Invalid")
    objects.apply(name, build_spec())
    objects.wait_for(name, "Synced")
