import pytest

from teleport.agent.secret_place import MAX_NAMESPACE, MAX_RELEASE, MAX_REPLICA, SecretPlace, parse_place
from teleport.errors import BadParameter


def build_environ(**changes: str) -> dict[str, str]:
    return {"KUBE_NAMESPACE": "ns", "TELEPORT_REPLICA_NAME": "app-0"} | changes


def test_store_003_the_secret_is_named_by_the_replica() -> None:
    place = parse_place(build_environ())
    assert place == SecretPlace("ns", "app-0")
    assert place is not None
    assert (place.name, place.labels, place.annotations) == ("app-0-state", {}, {})


def test_a_helm_release_owns_the_secret_and_leaves_it_alone() -> None:
    place = parse_place(build_environ(RELEASE_NAME="agents"))
    assert place is not None
    assert place.labels == {"app.kubernetes.io/managed-by": "Helm"}
    assert place.annotations == {
        "meta.helm.sh/release-name": "agents",
        "meta.helm.sh/release-namespace": "ns",
        "helm.sh/resource-policy": "keep",
    }


@pytest.mark.parametrize("missing", ["KUBE_NAMESPACE", "TELEPORT_REPLICA_NAME"])
def test_one_variable_without_the_other_names_no_secret(missing: str) -> None:
    environ = build_environ(RELEASE_NAME="agents")
    assert parse_place(environ | {missing: ""}) is None
    del environ[missing]
    assert parse_place(environ) is None


@pytest.mark.parametrize("name", ["A", "a b", "../x", "a/b", "-a", "a-", ".a", "a..b", "a\n", "é", "a_b"])
@pytest.mark.parametrize("variable", ["KUBE_NAMESPACE", "TELEPORT_REPLICA_NAME", "RELEASE_NAME"])
def test_what_cannot_be_a_name_is_refused(variable: str, name: str) -> None:
    with pytest.raises(BadParameter, match=f"{variable} is .*no such name in Kubernetes"):
        parse_place(build_environ(**{variable: name}))


@pytest.mark.parametrize(
    ("variable", "limit"),
    [("KUBE_NAMESPACE", MAX_NAMESPACE), ("TELEPORT_REPLICA_NAME", MAX_REPLICA), ("RELEASE_NAME", MAX_RELEASE)],
)
def test_names_are_bounded(variable: str, limit: int) -> None:
    assert parse_place(build_environ(**{variable: "a" * limit})) is not None
    with pytest.raises(BadParameter, match=f"at most {limit} characters"):
        parse_place(build_environ(**{variable: "a" * (limit + 1)}))


def test_a_namespace_has_no_dots_and_a_replica_may_have_some() -> None:
    assert parse_place(build_environ(TELEPORT_REPLICA_NAME="app.0")) is not None
    with pytest.raises(BadParameter, match="KUBE_NAMESPACE"):
        parse_place(build_environ(KUBE_NAMESPACE="a.b"))
