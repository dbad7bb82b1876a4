"""An object's life on a real API server: it becomes a token, follows its edits, ends, and goes."""

import json
import urllib.error
from datetime import UTC, datetime, timedelta

import pytest

from support.cluster import AuthServer
from support.kube_apiserver import KubeApiServer
from support.operator_cluster import Objects, build_manifest, find_token
from support.operator_specs import build_spec
from support.processes import wait_until
from teleport.resources.model import render_time
from teleport_operator.declaration import FINALIZER, Annotation
from teleport_operator.status import OURS

pytestmark = pytest.mark.usefixtures("operator")


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
    objects.wait_for_event(name, "Normal", "Created")


def test_an_object_gets_a_status_and_a_finalizer_and_nothing_else(objects: Objects, name: str) -> None:
    before = objects.apply(name, build_spec())
    after = objects.wait_for(name, "Synced")
    assert after["metadata"]["finalizers"] == [FINALIZER]
    assert after["metadata"].get("annotations") == before["metadata"].get("annotations")
    assert after["spec"] == before["spec"]
    assert set(after["status"]) <= OURS


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


def in_seconds(seconds: int) -> str:
    """Return a moment as manifests have it."""
    return render_time((datetime.now(UTC) + timedelta(seconds=seconds)).replace(microsecond=0))


def test_an_object_that_is_made_anew_has_its_token_again(objects: Objects, auth: AuthServer, name: str) -> None:
    objects.apply(name, build_spec())
    first = objects.wait_for(name, "Synced")
    objects.delete(name)
    objects.wait_until_gone(name)
    objects.apply(name, build_spec())
    second = objects.wait_for(name, "Synced")
    assert first["metadata"]["uid"] != second["metadata"]["uid"]
    token = find_token(auth, name)
    assert token is not None
    assert token["metadata"]["labels"]["resources.teleport.dev/uid"] == second["metadata"]["uid"]


def test_at_its_end_the_token_goes_and_the_object_stays(objects: Objects, auth: AuthServer, name: str) -> None:
    objects.apply(name, build_spec(expires=in_seconds(3)))
    objects.wait_for(name, "Synced")
    assert find_token(auth, name) is not None
    found = objects.wait_for(name, "Expired")
    assert objects.find_condition(name)["status"] == "True"
    assert objects.find_condition(name, "Active")["status"] == "False"
    assert find_token(auth, name) is None
    objects.apply(name, build_spec(expires=found["spec"]["expires"]), description="an edit of something else")
    objects.wait_for(name, "Expired")
    assert find_token(auth, name) is None


def test_an_end_that_the_api_server_dropped_is_kept_and_told_of(
    objects: Objects, kubernetes: KubeApiServer, auth: AuthServer, name: str
) -> None:
    end = in_seconds(3600)
    manifest = build_manifest(name, build_spec())
    manifest["metadata"]["annotations"] = {Annotation.LAST_APPLIED: json.dumps({"metadata": {"expires": end}})}
    kubernetes.ask("POST", objects.path, manifest)
    status = objects.wait_for(name, "Synced")["status"]
    assert (status["expires"], status["expiresFrom"]) == (end, "metadata.expires")
    token = find_token(auth, name)
    assert token is not None
    assert token["metadata"]["expires"] == end
    objects.wait_for_event(name, "Warning", "ExpiresFromMetadata")


def test_only_another_end_brings_an_expired_token_back(objects: Objects, auth: AuthServer, name: str) -> None:
    objects.apply(name, build_spec(expires="2026-01-01T00:00:00Z"))
    objects.wait_for(name, "Expired")
    assert find_token(auth, name) is None
    objects.apply(name, build_spec(ttl="1h"))
    found = objects.wait_for(name, "Synced")
    assert find_token(auth, name) is not None
    assert found["status"]["expiresFrom"] == "spec.ttl"


def test_a_ttl_begins_when_the_object_is_made_and_no_edit_moves_it(objects: Objects, name: str) -> None:
    objects.apply(name, build_spec(ttl="1h"))
    first = objects.wait_for(name, "Synced")
    created = datetime.fromisoformat(first["metadata"]["creationTimestamp"])
    assert datetime.fromisoformat(first["status"]["expires"]) == created + timedelta(hours=1)
    objects.apply(name, build_spec("other:app", ttl="1h"))
    assert objects.wait_for(name, "Synced")["status"]["expires"] == first["status"]["expires"]


def test_an_unknown_field_is_refused_by_name_and_makes_no_token(objects: Objects, auth: AuthServer, name: str) -> None:
    spec = build_spec()
    spec["kubernetes"]["allow"][0]["pod_name"] = "app-0"
    objects.apply(name, spec)
    objects.wait_for(name, "Invalid")
    assert "pod_name" in objects.find_condition(name)["message"]
    assert objects.find_condition(name, "ValidStructure")["reason"] == "UnknownField"
    assert find_token(auth, name) is None
    objects.apply(name, build_spec())
    objects.wait_for(name, "Synced")


def test_a_broken_edit_leaves_the_token_as_it_was_and_says_so(objects: Objects, auth: AuthServer, name: str) -> None:
    objects.apply(name, build_spec())
    objects.wait_for(name, "Synced")
    spec = build_spec("other:app")
    spec["kubernetes"]["alow"] = []
    objects.apply(name, spec)
    objects.wait_for(name, "Invalid")
    token = find_token(auth, name)
    assert token is not None
    assert token["spec"]["kubernetes"]["allow"] == [{"service_account": "apps:app"}]
    objects.delete(name)
    objects.wait_until_gone(name)
    assert find_token(auth, name) is None


def test_keys_that_cannot_be_read_are_refused_as_auth_would(objects: Objects, name: str) -> None:
    kubernetes = {"type": "static_jwks", "static_jwks": {"jwks": "{}"}, "allow": [{"service_account": "a:b"}]}
    objects.apply(name, {"roles": ["App"], "join_method": "kubernetes", "kubernetes": kubernetes})
    objects.wait_for(name, "Invalid")
    assert "key set" in objects.find_condition(name)["message"]


@pytest.mark.parametrize(
    "spec",
    [
        build_spec(ttl="1h", expires="2030-01-01T00:00:00Z"),
        build_spec(roles=("Bot",)),
        build_spec(":x"),
        build_spec("a*:x"),
    ],
    ids=["two ends", "bot without a name", "rule without a namespace", "pattern in service_account"],
)
def test_what_the_schema_can_see_is_refused_at_apply(objects: Objects, name: str, spec: dict[str, object]) -> None:
    with pytest.raises(urllib.error.HTTPError, match="422"):
        objects.apply(name, spec)


def test_an_ignored_object_changes_nothing(objects: Objects, auth: AuthServer, name: str) -> None:
    objects.apply(name, build_spec(), ignore="true")
    objects.wait_for(name, "Paused")
    assert find_token(auth, name) is None
    objects.apply(name, build_spec())
    objects.wait_for(name, "Synced")
    objects.apply(name, build_spec("other:app"), ignore="true")
    objects.wait_for(name, "Paused")
    token = find_token(auth, name)
    assert token is not None
    assert token["spec"]["kubernetes"]["allow"] == [{"service_account": "apps:app"}]


def test_a_kept_token_outlives_its_object(objects: Objects, auth: AuthServer, name: str) -> None:
    objects.apply(name, build_spec(), keep="true")
    objects.wait_for(name, "Synced")
    objects.delete(name)
    objects.wait_until_gone(name)
    assert find_token(auth, name) is not None
