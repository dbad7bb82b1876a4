"""Tokens that others made, changed or deleted, and objects that want the same one."""

from datetime import UTC, datetime, timedelta

import pytest

from support.cluster import AuthServer
from support.kube_apiserver import KubeApiServer
from support.operator_cluster import Document, Objects, Operator, find_token, install_rbac
from support.operator_specs import build_spec
from support.processes import Processes, wait_until
from teleport.resources.strict_yaml import render_yaml

TEAM = "team-a"
NO_LISTS = "--drift-interval=1h"
"""So that what is repaired is not found by a list."""


@pytest.fixture(scope="module", autouse=True)
def operator(
    kubernetes: KubeApiServer,
    auth: AuthServer,
    shared_processes: Processes,
    tmp_path_factory: pytest.TempPathFactory,
) -> Operator:
    """An operator that watches another namespace as well, and lists tokens at its start alone."""
    install_rbac(kubernetes, TEAM)
    folder = tmp_path_factory.mktemp("operator-of-two")
    return Operator(
        shared_processes, folder, kubernetes, auth, flags=(f"--namespaces=teleport,{TEAM}", NO_LISTS)
    ).start()


def build_token(name: str, **metadata: object) -> Document:
    """Return a token as `tctl create` takes it."""
    return {"kind": "token", "version": "v2", "metadata": {"name": name, **metadata}, "spec": build_spec()}


def test_a_deleted_token_is_put_back(objects: Objects, auth: AuthServer, operator: Operator, name: str) -> None:
    objects.apply(name, build_spec())
    objects.wait_for(name, "Synced")
    auth.tctl("tokens", "rm", name)
    wait_until(lambda: find_token(auth, name), "the token is back")
    objects.wait_for_event(name, "Normal", "DriftRepaired")
    assert "teleport_token_drift_repairs_total 0.0" not in operator.process.fetch("/metrics")[1]


def test_an_edited_token_is_put_right(objects: Objects, auth: AuthServer, name: str) -> None:
    objects.apply(name, build_spec())
    objects.wait_for(name, "Synced")
    token = find_token(auth, name)
    assert token is not None
    token["spec"]["roles"] = ["App", "Node"]
    auth.tctl("create", "--force", stdin=render_yaml(token))

    def is_right() -> bool:
        found = find_token(auth, name)
        return found is not None and found["spec"]["roles"] == ["App"]

    wait_until(is_right, "the token is as declared")


def test_a_token_that_is_written_over_without_its_labels_is_put_right(
    objects: Objects, auth: AuthServer, name: str
) -> None:
    objects.apply(name, build_spec("other:app"))
    objects.wait_for(name, "Synced")
    auth.tctl("create", "--force", stdin=render_yaml(build_token(name, description="made by hand")))

    def is_right() -> bool:
        found = find_token(auth, name)
        return found is not None and found["spec"]["kubernetes"]["allow"] == [{"service_account": "other:app"}]

    wait_until(is_right, "the token is as declared")
    objects.wait_for_event(name, "Normal", "DriftRepaired")
    token = find_token(auth, name)
    assert token is not None
    assert "description" not in token["metadata"]
    assert token["metadata"]["labels"]["teleport.dev/origin"] == "kubernetes"
    objects.delete(name)
    objects.wait_until_gone(name)
    assert find_token(auth, name) is None


def test_a_token_that_bears_another_operator_s_labels_is_left_alone(
    objects: Objects, auth: AuthServer, name: str
) -> None:
    objects.apply(name, build_spec("other:app"))
    objects.wait_for(name, "Synced")
    token = find_token(auth, name)
    assert token is not None
    token["metadata"]["labels"]["resources.teleport.dev/operator"] = "another"
    auth.tctl("create", "--force", stdin=render_yaml(token))
    objects.wait_for(name, "OwnershipConflict")
    found = find_token(auth, name)
    assert found is not None
    assert found["metadata"]["labels"]["resources.teleport.dev/operator"] == "another"


def test_drift_is_only_reported_where_that_is_asked_for(objects: Objects, auth: AuthServer, name: str) -> None:
    objects.apply(name, build_spec(driftPolicy="Report"))
    objects.wait_for(name, "Synced")
    auth.tctl("tokens", "rm", name)
    objects.wait_for(name, "Drifted")
    objects.apply(name, build_spec("other:app", driftPolicy="Report"))
    objects.wait_for(name, "Drifted")
    assert find_token(auth, name) is None
    objects.apply(name, build_spec("other:app"))
    objects.wait_for(name, "Synced")
    assert find_token(auth, name) is not None


def test_a_token_that_somebody_else_made_is_left_alone(objects: Objects, auth: AuthServer, name: str) -> None:
    auth.create(build_token(name, description="made by hand"))
    objects.apply(name, build_spec("other:app"))
    objects.wait_for(name, "OwnershipConflict")
    assert objects.find_condition(name, "TeleportResourceOwned")["reason"] == "OriginLabelNotMatching"
    token = find_token(auth, name)
    assert token is not None
    assert token["metadata"]["description"] == "made by hand"
    objects.delete(name)
    objects.wait_until_gone(name)
    assert find_token(auth, name) is not None


def test_an_identical_token_is_adopted_where_that_is_allowed(objects: Objects, auth: AuthServer, name: str) -> None:
    auth.create(build_token(name))
    objects.apply(name, build_spec(adoptionPolicy="IfIdentical"))
    objects.wait_for(name, "Synced")
    objects.wait_for_event(name, "Normal", "Adopted")
    token = find_token(auth, name)
    assert token is not None
    assert token["metadata"]["labels"]["teleport.dev/origin"] == "kubernetes"


def test_a_token_that_differs_is_not_adopted_as_identical(objects: Objects, auth: AuthServer, name: str) -> None:
    auth.create(build_token(name))
    objects.apply(name, build_spec("other:app", adoptionPolicy="IfIdentical"))
    objects.wait_for(name, "OwnershipConflict")
    objects.apply(name, build_spec("other:app", adoptionPolicy="Always"))
    objects.wait_for(name, "Synced")


def test_of_two_objects_for_one_token_the_older_wins_until_it_goes(
    kubernetes: KubeApiServer, objects: Objects, auth: AuthServer, name: str
) -> None:
    objects.apply(name, build_spec())
    created = datetime.fromisoformat(objects.wait_for(name, "Synced")["metadata"]["creationTimestamp"])
    wait_until(lambda: datetime.now(UTC) >= created + timedelta(seconds=1), "the next object is younger by a second")
    younger = Objects(kubernetes, TEAM)
    younger.apply(name, build_spec("team-a:app"))
    younger.wait_for(name, "DuplicateName")
    token = find_token(auth, name)
    assert token is not None
    assert token["spec"]["kubernetes"]["allow"] == [{"service_account": "apps:app"}]
    objects.delete(name)
    younger.wait_for(name, "Synced")
    token = find_token(auth, name)
    assert token is not None
    assert token["spec"]["kubernetes"]["allow"] == [{"service_account": "team-a:app"}]
