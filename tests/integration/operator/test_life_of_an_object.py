"""An object's life on a real API server: it becomes a token, follows its edits, ends, and goes."""

import pytest

from support.cluster import AuthServer
from support.operator_cluster import Document, Objects, Operator, find_token
from support.processes import wait_until

pytestmark = pytest.mark.usefixtures("operator")


def build_spec(*accounts: str, roles: tuple[str, ...] = ("App",), **additions: object) -> Document:
    """Return the spec of a token for ServiceAccounts."""
    allow = [{"service_account": account} for account in accounts or ("apps:app",)]
    return {"roles": list(roles), "join_method": "kubernetes", "kubernetes": {"allow": allow}, **additions}


def test_an_object_becomes_a_token(objects: Objects, auth: AuthServer, name: str) -> None:
    objects.apply(name, build_spec(), description="for the apps")
    found = objects.wait_for(name, "Synced")
    token = find_token(auth, name)
    assert token is not None
    assert token["spec"]["kubernetes"] == {"allow": [{"service_account": "apps:app"}]}
    assert token["metadata"]["description"] == "for the apps"
    assert token["metadata"]["labels"]["teleport.dev/origin"] == "kubernetes"
    assert token["metadata"]["labels"]["resources.teleport.dev/uid"] == found["metadata"]["uid"]
    assert objects.find_condition(name, "Active")["reason"] == "InStore"
    assert objects.find_condition(name, "TeleportResourceOwned")["reason"] == "NewResource"
    assert ("Normal", "Created") in objects.list_events(name)


def test_an_edit_reaches_the_token(objects: Objects, auth: AuthServer, name: str) -> None:
    objects.apply(name, build_spec())
    objects.wait_for(name, "Synced")
    objects.apply(name, build_spec("other:app", roles=("Node",)))
    objects.wait_for(name, "Synced")
    token = find_token(auth, name)
    assert token is not None
    assert token["spec"]["roles"] == ["Node"]
    assert token["spec"]["kubernetes"]["allow"] == [{"service_account": "other:app"}]


def test_a_deleted_object_takes_its_token_along(objects: Objects, auth: AuthServer, name: str) -> None:
    objects.apply(name, build_spec())
    objects.wait_for(name, "Synced")
    objects.delete(name)
    objects.wait_until_gone(name)
    assert find_token(auth, name) is None


def test_an_orphaned_token_stays_and_is_nobody_s(objects: Objects, auth: AuthServer, name: str) -> None:
    objects.apply(name, build_spec(deletionPolicy="Orphan"))
    objects.wait_for(name, "Synced")
    objects.delete(name)
    objects.wait_until_gone(name)
    token = wait_until(lambda: find_token(auth, name), "the token is there")
    assert token["spec"]["roles"] == ["App"]


def test_applying_the_same_twenty_times_writes_nothing(objects: Objects, auth: AuthServer, name: str) -> None:
    objects.apply(name, build_spec(ttl="1h"))
    before = objects.wait_for(name, "Synced")
    for _ in range(20):
        objects.apply(name, build_spec(ttl="1h"))
    objects.apply(f"{name}-after", build_spec())
    objects.wait_for(f"{name}-after", "Synced")
    assert objects.get(name) == before
    changes = [each for each in auth.read_audit() if each.get("token_name") == name]
    assert [each["event"] for each in changes] == ["join_token.create"]
